"""How often one visitor and one network may write, send photos and connect: a moving minute, in this process."""

from __future__ import annotations

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from prometheus_client import Counter

from bot.settings import Settings

PHOTOS_PER_MINUTE = 6  # of one visitor: reading one takes up to half a second of a core
PHOTOS_PER_NETWORK_MINUTE = 60
_FORGET_EVERY = 500  # requests
_REFUSED = Counter("motcua_web_limited_total", "Requests refused for being too many", ["kind", "by"])


class Limits:
    """Counts requests. Call it from the event loop only."""

    def __init__(self, settings: Settings) -> None:
        self._storage = MemoryStorage()
        self._window = MovingWindowRateLimiter(self._storage)
        one, all_together = settings.web_messages_per_minute, settings.web_messages_per_network_minute
        # A connection that breaks is opened anew with each message at most.
        self._most = {
            "chat": (one, all_together),
            "photo": (PHOTOS_PER_MINUTE, PHOTOS_PER_NETWORK_MINUTE),
            "events": (one, all_together),
        }
        self._asked = 0

    def wait(self, kind: str, visitor: str | None, network: str | None) -> int:
        """Asks for one more request of a kind ("chat", "photo", "events").

        Returns:
            0: go on, it is counted; else the seconds until one will be allowed.
        """
        self._forget()
        for by, who, most in zip(("visitor", "network"), (visitor, network), self._most[kind], strict=True):
            if who is None:
                continue
            item = RateLimitItemPerMinute(most)
            if not self._window.hit(item, kind, by, who):
                _REFUSED.labels(kind, by).inc()
                return max(1, math.ceil(self._window.get_window_stats(item, kind, by, who).reset_time - time.time()))
        return 0

    def _forget(self) -> None:
        """The library keeps an empty list of everyone who was ever counted: a stranger could fill the memory."""
        self._asked += 1
        if self._asked % _FORGET_EVERY == 0:
            for key in [key for key, events in self._storage.events.items() if not events]:
                self._storage.clear(key)
