"""The time: UTC in storage, Asia/Ho_Chi_Minh (UTC+7, no daylight saving) for people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

VIETNAM = timezone(timedelta(hours=7), "Asia/Ho_Chi_Minh")
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present time, aware, in UTC."""
    return datetime.now(UTC)


def local(moment: datetime) -> datetime:
    """An aware moment as Vietnamese wall time."""
    return moment.astimezone(VIETNAM)
