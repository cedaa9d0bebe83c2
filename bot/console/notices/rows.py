"""A notice as staff see it, on the page of notices and on that of its dossier."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from bot.clock import local
from bot.logs import mask
from bot.notices import overview
from bot.storage.tables import Outbox
from bot.texts import phrases

LONG = "%H:%M %d/%m/%Y"


def shown(rows: Iterable[Outbox]) -> list[dict[str, Any]]:
    """Rows for a template: numbers masked, states and reasons in words."""
    said, states = phrases("desk"), phrases("console")["outbox_states"]
    return [
        {
            "id": row.id,
            "code": row.dossier_code or "",
            "event": said["events"].get(row.event or "", row.event or ""),
            "channel": channel_name(row.channel),
            "recipient": masked(row.recipient),
            "state": row.state,
            "state_name": states.get(row.state, row.state),
            "at": moment(row.delivered_at or row.sent_at or (row.not_before if row.state == "waiting" else None)),
            "made": moment(row.created_at),
            "segments": row.segments,
            "cost": money(row.cost) if row.cost is not None else "",
            "text": str(row.body.get("text", "")),
            "reason": overview.reason(row.error) if row.error and row.state in {"failed", "uncertain"} else "",
            "demo": row.demo,
        }
        for row in rows
    ]


def channel_name(channel: str) -> str:
    """A channel as staff call it."""
    return str(phrases("desk")["channels"].get(channel, channel))


def masked(recipient: str) -> str:
    """A phone number masked; of a chat's id only the end."""
    hidden = mask(recipient)
    return hidden if hidden != recipient or len(recipient) <= 4 else f"…{recipient[-4:]}"


def moment(at: datetime | None) -> str:
    """A moment in Vietnam time; "" for None."""
    return f"{local(at):{LONG}}" if at else ""


def money(dong: float) -> str:
    """An amount in đồng: 12.480 đ."""
    return f"{round(dong):,} đ".replace(",", ".")
