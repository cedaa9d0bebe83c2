"""A circuit breaker: after a few failures in a row an outside service is left alone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock

FAILURES = 3  # in a row, until the service is left alone
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0  # seconds; doubled with each try in vain


@dataclass(frozen=True, slots=True)
class Outage:
    """Why and since when (UTC) a service is left alone."""

    since: datetime
    reason: str


class Breaker:
    """Says whether a service may be asked; safe to call from many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: seconds, monotonic."""
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._again_at = 0.0
        self._trying = False
        self._outage: Outage | None = None

    @property
    def outage(self) -> Outage | None:
        """What keeps it open; None while the service may be asked."""
        return self._outage

    def take_try(self) -> bool:
        """Whether the caller should try the service now, aside from any message; True for one caller a pause."""
        with self._lock:
            if self._outage is None or self._trying or self._clock() < self._again_at:
                return False
            self._trying = True
            return True

    def succeeded(self) -> bool:
        """The service answered well; True where it had been left alone."""
        with self._lock:
            was_open, self._outage = self._outage is not None, None
            self._failures, self._pause, self._trying = 0, FIRST_PAUSE, False
            return was_open

    def failed(self, reason: str, *, at_once: bool = False) -> bool:
        """The service failed; True where that is why it is left alone from now on.

        Args:
            reason: a short name.
            at_once: there is no use in asking a second time.
        """
        with self._lock:
            self._failures += 1
            if self._outage is not None:
                if self._trying:
                    self._pause = min(self._pause * 2, LONGEST_PAUSE)
                    self._again_at, self._trying = self._clock() + self._pause, False
                    self._outage = Outage(self._outage.since, reason)
                return False
            if self._failures < FAILURES and not at_once:
                return False
            self._outage = Outage(datetime.now(UTC), reason)
            self._again_at = self._clock() + self._pause
            return True
