"""Group commit: everybody's own result, one's fault is not another's, nothing is left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from bot.storage.together import MOST, Together
from tests.waiting import wait_until


class _Store:
    """Commits numbers, doubled; can be held, and fails whatever is in a batch with a negative one."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.go = threading.Event(), threading.Event()
        self.go.set()

    def commit(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        self.begun.set()
        assert self.go.wait(30)
        if min(numbers) < 0:
            raise ValueError(f"không lưu được {min(numbers)}")
        return [2 * number for number in numbers]


def _bring(together: Together[int, int], numbers: Sequence[int], before: Callable[[], object]) -> dict[int, object]:
    """Each number from a thread of its own, the first of them alone at the disk until ``before`` is done."""
    found: dict[int, object] = {}

    def one(number: int) -> None:
        try:
            found[number] = together.commit(number)
        except ValueError as error:
            found[number] = str(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in numbers]
    threads[0].start()
    before()
    for thread in threads[1:]:
        thread.start()
    return _joined(threads, found)


def _joined(threads: list[threading.Thread], found: dict[int, object]) -> dict[int, object]:
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return found


def test_alone_a_thing_is_stored_at_once() -> None:
    store = _Store()
    assert Together(store.commit).commit(4) == 8
    assert store.batches == [[4]]


def test_what_comes_during_a_commit_shares_the_next_one() -> None:
    store = _Store()
    together = Together(store.commit)
    store.go.clear()
    numbers = list(range(MOST + 11))
    threads = []
    found: dict[int, object] = {}
    for number in numbers:
        thread = threading.Thread(target=lambda one=number: found.update({one: together.commit(one)}))
        threads.append(thread)
        thread.start()
        if number == 0:
            assert store.begun.wait(30)
    wait_until(lambda: len(together._waiting) == len(numbers) - 1)
    store.go.set()
    _joined(threads, found)
    assert found == {number: 2 * number for number in numbers}
    assert [len(batch) for batch in store.batches] == [1, MOST, 10]


def test_one_that_cannot_be_stored_gets_its_own_error_and_the_others_are_stored() -> None:
    store = _Store()
    found = _bring(Together(store.commit), [1, 2, -3, 4], lambda: store.begun.wait(30))
    assert found == {1: 2, 2: 4, -3: "không lưu được -3", 4: 8}


def test_an_error_that_ends_the_thread_reaches_it_and_those_who_waited_with_it() -> None:
    def interrupted(_numbers: Sequence[int]) -> list[int]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Together(interrupted).commit(1)
