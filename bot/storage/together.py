"""Group commit: what several threads bring at the same time goes into one transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
MOST = 64  # things in one transaction


@dataclass(slots=True, eq=False)
class _Brought(Generic[T, R]):
    thing: T
    done: bool = False
    result: R | None = None
    error: BaseException | None = None


class Together(Generic[T, R]):
    """One thread at a time commits for all that wait; the others find their thing done.

    A commit to the disk takes milliseconds, in which the next things gather.
    """

    def __init__(self, commit: Callable[[Sequence[T]], Sequence[R]]) -> None:
        """Takes what commits.

        Args:
            commit: stores things in one transaction, all or none; one result for each, in their order.
        """
        self._commit = commit
        self._gathering = threading.Lock()
        self._leading = threading.Lock()
        self._waiting: list[_Brought[T, R]] = []

    def commit(self, thing: T) -> R:
        """Stores one thing; returns when it is committed.

        Returns:
            Its result.

        Raises:
            Exception: that of its own transaction. What fails in company is tried alone: one's fault is not another's.
        """
        mine: _Brought[T, R] = _Brought(thing)
        with self._gathering:
            self._waiting.append(mine)
        with self._leading:
            # Things are taken in the order they came: whoever leads takes its own at the latest with those before it.
            while not mine.done:
                with self._gathering:
                    batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                self._store(batch)
        if mine.error is not None:
            raise mine.error
        return mine.result  # type: ignore[return-value]  # set with ``done``

    def _store(self, batch: Sequence[_Brought[T, R]]) -> None:
        try:
            results = self._commit([one.thing for one in batch])
        except BaseException as error:  # noqa: BLE001 - raised again by each whose it is
            if len(batch) > 1 and isinstance(error, Exception):
                for one in batch:
                    self._store([one])
                return
            for one in batch:
                one.error, one.done = error, True
            return
        for one, result in zip(batch, results, strict=True):
            one.result, one.done = result, True
