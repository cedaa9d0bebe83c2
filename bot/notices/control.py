"""Holding notices back: pauses by staff, stops for a fault of the account, the daily budget; and what was spent."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from prometheus_client import Counter, Gauge
from sqlmodel import Session, func, select

from bot.clock import local
from bot.notices.gsm7 import segments
from bot.settings import Settings
from bot.storage.tables import GatewayPause, Outbox, Spend

log = logging.getLogger(__name__)
ACCOUNT_PAUSE = timedelta(minutes=30)  # then one message tries whether the account was mended
SYSTEM = "hệ thống"
_STOPS = Counter("motcua_gateway_stops_total", "Gateways stopped for a fault of their account", ["channel"])
_OVER = Gauge("motcua_notice_budget_used", "Share of the daily budget that is spent", ["channel"])
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
    """Adds a message that was just taken by the gateway to the day's sum; demo messages cost nothing."""
    row.segments = segments(str(row.body.get("text", ""))).count if row.channel == "sms" else None
    row.cost = cost
    if row.demo:
        return
    day = local(now).date()
    spend = session.get(Spend, (day, row.channel), with_for_update=True) or Spend(day=day, channel=row.channel)
    spend.messages += 1
    spend.segments += row.segments or 0
    spend.dong += cost if cost is not None else (row.segments or 0) * settings.sms_dong_per_segment
    session.add(spend)


def within_budget(session: Session, channel: str, settings: Settings, now: datetime) -> bool:
    """Whether the day's budget of SMS leaves room for one more notice; warns once a day where it doesn't."""
    if channel != "sms" or not (settings.sms_segments_per_day or settings.sms_dong_per_day):
        return True
    day = local(now).date()
    spend = session.get(Spend, (day, channel)) or Spend(day=day, channel=channel)
    # What other workers are sending at this moment will be spent too: a notice is one segment.
    sending = session.exec(
        select(func.count())
        .select_from(Outbox)
        .where(Outbox.state == "sending", Outbox.kind == "notice", Outbox.channel == channel, Outbox.demo == False)  # noqa: E712
    ).one()
    shares = [
        (used + sending * each) / most
        for used, each, most in (
            (spend.segments, 1, settings.sms_segments_per_day),
            (spend.dong, settings.sms_dong_per_segment, settings.sms_dong_per_day),
        )
        if most
    ]
    _OVER.labels(channel).set(max(shares))
    if max(shares) < 1:
        return True
    if (channel, str(day)) not in _warned:
        _warned.add((channel, str(day)))
        log.error("hết hạn mức tin SMS của ngày %s: %s tin, %.0f đồng", day, spend.segments, spend.dong)
    return False
