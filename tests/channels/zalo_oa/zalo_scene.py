"""What the tests of the Official Account share: a clock that the test moves, a login at the stand-in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from standins.zalo_oa import ZaloStandIn

from bot.channels.zalo_oa.oauth import Pair
from bot.channels.zalo_oa.tokens import store
from bot.settings import Settings
from bot.storage.database import Database

START = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, **how_far: float) -> None:
        self.now += timedelta(**how_far)


def log_in(settings: Settings, database: Database, zalo: ZaloStandIn, clock: Clock) -> None:
    """Stores the pair that the stand-in takes."""
    access, refresh = zalo.mint()
    with database.write() as session:
        store(settings, session, Pair(access, refresh, zalo.lifetime), clock())
