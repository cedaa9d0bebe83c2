"""What the gateway tells of a message after it took it: reports may come late, twice and out of order.

A report of "delivered" is proof only where a handset sent it. In Vietnam the network's own acknowledgement is passed
on as such (reference/channels.md §0.2), so the row stays "sent" unless the gateway is known to do better.
"""

from __future__ import annotations

from datetime import datetime

from prometheus_client import Counter
from sqlmodel import Session, col, select

from bot.notices import control
from bot.settings import Settings
from bot.storage.tables import Outbox

_REPORTS = Counter(
    "motcua_delivery_reports_total", "Delivery reports by gateway and what they told", ["gateway", "news"]
)
# Reports only move forward along this order; the last ones are final.
_ORDER = {
    "accepted": 0,
    "scheduled": 0,
    "queued": 1,
    "sending": 2,
    "sent": 3,
    "delivered": 4,
    "read": 5,
    "undelivered": 4,
    "failed": 4,
    "canceled": 4,
}
HANDSETS = frozenset({"simulator", "zalo_oa", "zbs_uid", "zbs_phone"})  # Zalo reports what the phone received
_ARRIVED = frozenset({"delivered", "read"})
_LOST = frozenset({"undelivered", "failed", "canceled"})
_REFUSED = frozenset({"failed", "canceled"})  # before it went to the network: nobody is billed
# A report about a message whose send is not settled here settles it: the gateway has it.
_OPEN = ("sending", "uncertain")


def record_status(
    session: Session,
    gateway: str,
    provider_id: str,
    status: str,
    now: datetime,
    *,
    error_code: str | None = None,
    notice_id: int | None = None,
    handsets: frozenset[str] = HANDSETS,
    cost: float | None = None,
    settings: Settings | None = None,
) -> bool:
    """Stores one report.

    Args:
        session: the transaction.
        gateway: its name.
        provider_id: the gateway's id of the message.
        status: one of ``_ORDER``; others are counted and left.
        now: the moment (aware).
        error_code: why it failed.
        notice_id: the outbox row that went along with the message; finds the row also where the process died before
            it could store ``provider_id``.
        handsets: the gateways whose "delivered" comes from a phone.
        cost: đồng, where the report tells it.
        settings: the prices, so that the message is counted as spent; without them it isn't.

    Returns:
        Whether anything changed: False for an unknown message, a repeat or an older report.
    """
    if status not in _ORDER:
        _REPORTS.labels(gateway, "unknown status").inc()
        return False
    by_id = select(Outbox).where(Outbox.gateway == gateway, Outbox.provider_id == provider_id).with_for_update()
    row = session.exec(by_id).first()
    if row is None and notice_id is not None:
        row = session.exec(
            select(Outbox)
            .where(
                Outbox.id == notice_id,
                Outbox.gateway == gateway,
                col(Outbox.provider_id).is_(None),
                # "sent" under no id: a gateway that only says "I have it already".
                col(Outbox.state).in_((*_OPEN, "sent")),
            )
            .with_for_update()
        ).first()
        if row is None:
            # The row may have been locked by the sender, who has stored the id while we waited.
            row = session.exec(by_id).first()
    if row is None:
        _REPORTS.labels(gateway, "unknown message").inc()
        return False
    if settings is not None and status not in _REFUSED:
        control.record(session, row, settings, now, cost)  # also what a repeat tells of the price
    if row.provider_id is not None and _ORDER[status] <= _ORDER.get(row.provider_status or "", -1):
        _REPORTS.labels(gateway, "repeat").inc()
        return False
    _REPORTS.labels(gateway, "news").inc()
    settle(row, provider_id, status, now, error_code=error_code, handsets=handsets)
    session.flush()
    return True


def settle(
    row: Outbox,
    provider_id: str | None,
    status: str,
    now: datetime,
    *,
    error_code: str | None = None,
    handsets: frozenset[str] = HANDSETS,
) -> None:
    """Marks a row as taken by the gateway under ``provider_id``, where it is in ``status`` now."""
    row.state = (
        "delivered" if status in _ARRIVED and row.gateway in handsets else "failed" if status in _LOST else "sent"
    )
    row.provider_id, row.provider_status = provider_id, status
    row.sent_at = row.sent_at or now
    if row.state == "delivered":
        row.delivered_at = row.delivered_at or now
    row.error = f"{status}: {error_code}" if error_code and row.state == "failed" else None
    row.lease_owner = row.lease_until = None
