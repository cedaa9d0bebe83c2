"""The circuit breaker: opens after failures in a row, lets one try through a pause, closes with success."""

from __future__ import annotations

from nlu.breaker import FAILURES, FIRST_PAUSE, LONGEST_PAUSE, Breaker


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        assert not breaker.failed("slow")
    assert not breaker.succeeded()
    for _ in range(FAILURES - 1):
        assert not breaker.failed("slow")
    assert breaker.outage is None
    assert breaker.failed("down")
    assert breaker.outage is not None
    assert breaker.outage.reason == "down"


def test_what_cannot_get_better_opens_it_at_once() -> None:
    breaker = Breaker()
    assert breaker.failed("catalogue", at_once=True)
    assert breaker.outage is not None


def test_one_try_a_pause_and_longer_pauses_until_it_is_back() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failed("down", at_once=True)
    assert breaker.outage is not None
    since, pause, pauses = breaker.outage.since, FIRST_PAUSE, []
    assert not breaker.take_try()
    for _ in range(8):
        clock.now += pause - 0.01
        assert not breaker.take_try()
        clock.now += 0.02
        assert breaker.take_try()
        assert not breaker.take_try()  # one is under way
        breaker.failed("slow")
        pause = min(pause * 2, LONGEST_PAUSE)
        pauses.append(pause)
    assert pauses[-1] == LONGEST_PAUSE
    assert (breaker.outage.since, breaker.outage.reason) == (since, "slow")
    clock.now += pause
    assert breaker.take_try()
    assert breaker.succeeded()
    assert breaker.outage is None


def test_a_late_failure_of_a_message_does_not_lengthen_the_pause() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failed("down", at_once=True)
    breaker.failed("slow")
    clock.now += FIRST_PAUSE
    assert breaker.take_try()
