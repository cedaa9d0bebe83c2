"""Holding notices back: pauses by staff, stops for a fault of the account, the daily budget; and what was spent."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from prometheus_client import Counter, Gauge
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm.util import identity_key
from sqlmodel import Session, func, select

from bot.clock import local
from bot.notices.gsm7 import segments
from bot.settings import Settings
from bot.storage.sight import EVERY_OFFICE
from bot.storage.tables import GatewayPause, Outbox, Spend

log = logging.getLogger(__name__)
ACCOUNT_PAUSE = timedelta(minutes=30)  # then one message tries whether the account was mended
SYSTEM = "hệ thống"
NEAR = 0.8  # of the budget: staff are told in time
_STOPS = Counter("motcua_gateway_stops_total", "Gateways stopped for a fault of their account", ["channel"])
_OVER = Gauge("motcua_notice_budget_used", "Share of the daily budget that is spent", ["channel"])
_ALERTS = Counter("motcua_notice_budget_alerts_total", "Days whose budget was spent before their end", ["channel"])
_warned: set[tuple[str, str]] = set()


def pause(session: Session, channel: str, by: str, reason: str, now: datetime, until: datetime | None = None) -> None:
    """Stops the notices of a channel; what is being sent is finished. ``until`` None: until ``resume``."""
    held = session.get(GatewayPause, channel)
    if held is not None and held.until is None and by == SYSTEM:
        return  # staff's word stands
    session.merge(GatewayPause(channel=channel, by=by, reason=reason[:500], at=now, until=until))
    session.flush()


def resume(session: Session, channel: str) -> bool:
    """Lets the notices of a channel go again; False where it was not paused."""
    held = session.get(GatewayPause, channel)
    if held is None:
        return False
    session.delete(held)
    session.flush()
    return True


def stop_for_account(session: Session, channel: str, reason: str, now: datetime) -> None:
    """The account refuses everything: nothing more is tried for a while, and staff are told."""
    _STOPS.labels(channel).inc()
    log.error("cổng gửi tin %s bị dừng vì lỗi tài khoản: %s", channel, reason)
    pause(session, channel, SYSTEM, reason, now, now + ACCOUNT_PAUSE)


def pauses(session: Session, now: datetime) -> dict[str, GatewayPause]:
    """The channels that are paused now, and why."""
    held = session.exec(select(GatewayPause)).all()
    return {one.channel: one for one in held if one.until is None or one.until > now}


def record(session: Session, row: Outbox, settings: Settings, now: datetime, cost: float | None = None) -> None:
    """Adds a message that the gateway took to the day's sum, once however often it is told; demo ones cost nothing.

    A cost that is told later (a delivery report) takes the place of the estimate, in the day the message was counted.

    Args:
        session: the transaction, with the row locked.
        row: the message.
        settings: the price of a segment, where the gateway tells none.
        now: the moment (aware).
        cost: đồng, where the gateway tells; None leaves what is known.
    """
    if row.segments is None and row.channel == "sms":
        row.segments = segments(str(row.body.get("text", ""))).count
    before = _dong(row, settings) if row.spent_on else 0.0
    if cost is not None:
        row.cost = cost
    if row.demo:
        return
    more = {"messages": 0, "segments": 0, "dong": _dong(row, settings) - before}
    if row.spent_on is None:
        row.spent_on = local(now).date()
        more |= {"messages": 1, "segments": row.segments or 0}
    session.flush()
    _add(session, row.spent_on, row.channel, more)


def _add(session: Session, day: date, channel: str, more: dict[str, float]) -> None:
    """Adds to a day's sums in one statement: two senders may write the first message of a day at once."""
    if not any(more.values()):
        return
    insert: Any = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(Spend).values(day=day, channel=channel, **more)
    added = {name: getattr(Spend, name) + statement.excluded[name] for name in more}
    session.connection().execute(statement.on_conflict_do_update(index_elements=["day", "channel"], set_=added))
    found = session.identity_map.get(identity_key(Spend, (day, channel)))
    if found is not None:
        session.expire(found)


def _dong(row: Outbox, settings: Settings) -> float:
    return row.cost if row.cost is not None else (row.segments or 0) * settings.sms_dong_per_segment


@dataclass(frozen=True, slots=True)
class Budget:
    """The day's budget of SMS and what of it is spent.

    Attributes:
        segments, dong: spent today.
        most_segments, most_dong: the limits; 0: none.
        share: the larger part of a limit that is spent, with what is being sent; 0 where there is no limit.
    """

    segments: int
    dong: float
    most_segments: int
    most_dong: int
    share: float

    @property
    def alert(self) -> str:
        """What staff are told: "over" (notices wait for tomorrow), "near" (four fifths are spent), or ""."""
        return "over" if self.share >= 1 else "near" if self.share >= NEAR else ""


def budget(session: Session, channel: str, settings: Settings, now: datetime) -> Budget:
    """What is spent today on a channel, against its limits; only SMS has any. Sets the metric."""
    spend = session.get(Spend, (local(now).date(), channel)) or Spend(day=local(now).date(), channel=channel)
    most_segments, most_dong = settings.sms_segments_per_day, settings.sms_dong_per_day
    if channel != "sms" or not (most_segments or most_dong):
        return Budget(spend.segments, spend.dong, 0, 0, 0.0)
    # What other workers are sending at this moment will be spent too: a notice is one segment.
    sending = session.exec(
        select(func.count())
        .select_from(Outbox)
        .where(Outbox.state == "sending", Outbox.kind == "notice", Outbox.channel == channel, Outbox.demo == False)  # noqa: E712
        .execution_options(**{EVERY_OFFICE: True})  # one budget for all offices
    ).one()
    shares = [
        (used + sending * each) / most
        for used, each, most in (
            (spend.segments, 1, most_segments),
            (spend.dong, settings.sms_dong_per_segment, most_dong),
        )
        if most
    ]
    _OVER.labels(channel).set(max(shares))
    return Budget(spend.segments, spend.dong, most_segments, most_dong, max(shares))


def within_budget(session: Session, channel: str, settings: Settings, now: datetime) -> bool:
    """Whether the day's budget of SMS leaves room for one more notice; warns once a day where it doesn't."""
    found = budget(session, channel, settings, now)
    if found.alert != "over":
        return True
    day = str(local(now).date())
    if (channel, day) not in _warned:
        _warned.add((channel, day))
        _ALERTS.labels(channel).inc()
        log.error("hết hạn mức tin SMS của ngày %s: %s tin, %.0f đồng", day, found.segments, found.dong)
    return False
