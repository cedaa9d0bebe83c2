"""Everything that is kept about one citizen on one channel (Law 91/2025/QH15, right to be given one's data)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Session, SQLModel, col, select

from bot.storage.tables import (
    Access,
    Consent,
    Conversation,
    DeskMessage,
    Dossier,
    Handoff,
    Held,
    Inbox,
    Lookup,
    OneTimeCode,
    Outbox,
    Preference,
    StaffChat,
    Turn,
)

# What tells of our machinery, not of the citizen; and what would open a dossier.
_OURS = frozenset({
    "lease_owner", "lease_until", "dedupe_key", "next_try_at", "attempts", "looks", "looked_at", "digest", "tries",
    "lookup_digest", "gateway", "provider_id", "provider_status", "priority",
})  # fmt: skip


def export(session: Session, channel: str, sender: str, now: datetime) -> dict[str, Any]:
    """All rows about them, as JSON: what they wrote, what they were told, what was noted.

    A phone number's dossiers are among it (``sms``): the number is what they are kept under. What was looked up on
    other channels is not: only the citizen knows whether that was they.

    Args:
        session: for reading.
        channel: "web", "telegram", "zalo_oa", "zalo_bot", "sms" …
        sender: their id on it; for SMS the number in E.164.
        now: written into it.

    Returns:
        ``channel``, ``sender``, ``exported_at`` and one list a table; lists may be empty.
    """

    def sent_by(table: Any) -> tuple[Any, ...]:
        return col(table.channel) == channel, col(table.sender) == sender

    def sent_to(table: Any) -> tuple[Any, ...]:
        return col(table.channel) == channel, col(table.recipient) == sender

    mine = select(Conversation.id).where(*sent_by(Conversation))
    wanted: dict[str, tuple[type[SQLModel], tuple[Any, ...]]] = {
        "conversations": (Conversation, sent_by(Conversation)),
        "turns": (Turn, (col(Turn.conversation_id).in_(mine),)),
        "requests_to_staff": (Handoff, (col(Handoff.conversation_id).in_(mine),)),
        "answers_of_staff": (DeskMessage, (col(DeskMessage.conversation_id).in_(mine),)),
        "answers_held_for_approval": (Held, (col(Held.conversation_id).in_(mine),)),
        "linked_as_staff": (StaffChat, sent_by(StaffChat)),
        "messages_received": (Inbox, sent_by(Inbox)),
        "messages_sent": (Outbox, (*sent_to(Outbox), col(Outbox.kind) != "otp")),  # codes are in one_time_codes, unread
        "lookups": (Lookup, sent_by(Lookup)),
        "proofs_of_ownership": (Access, sent_by(Access)),
        "one_time_codes": (OneTimeCode, sent_by(OneTimeCode)),
        "preferences": (Preference, sent_to(Preference)),
        "consents": (Consent, sent_to(Consent)),
        "dossiers": (Dossier, (col(Dossier.phone) == sender,) if channel == "sms" else ()),
    }
    told: dict[str, Any] = {"channel": channel, "sender": sender, "exported_at": now.isoformat()}
    for name, (table, where) in wanted.items():
        rows = session.exec(select(table).where(*where).order_by(*table.__table__.primary_key)) if where else ()  # type: ignore[attr-defined]
        told[name] = [row.model_dump(mode="json", exclude=set(_OURS)) for row in rows]
    return told


def is_known(told: dict[str, Any]) -> bool:
    """Whether an export holds anything at all."""
    return any(rows for rows in told.values() if isinstance(rows, list))
