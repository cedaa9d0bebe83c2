"""Erasing what one citizen wrote on one channel (Law 91/2025/QH15, right to erasure).

Dossiers, the log of notices about them and the audit are kept: the law on archives asks for them, and they hold
nothing that was said here. The log of look-ups is kept its 30 days: else erasing would reset the limits on guessing.
Keys of inbox and outbox stay, emptied: they tell a repeated delivery. Sentences that advisors made of what was said
hold no personal data (bot.masking); what links them to the citizen goes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from bot.storage.tables import (
    Access,
    AddedExample,
    Conversation,
    DeskMessage,
    EverydayName,
    Handoff,
    Held,
    Inbox,
    Outbox,
    Preference,
    StaffChat,
    Survey,
    Turn,
)


def erase(session: Session, channel: str, sender: str, now: datetime) -> None:
    """Empties all that this citizen wrote and was told on this channel, and what was noted of them.

    Subscriptions end (a refusal is written, so that no notice that waits still goes out). Messages still to be worked
    off stay, to be answered; they came after the wish to erase.
    """
    who = (channel, sender)
    ids = select(Conversation.id).where(Conversation.channel == channel, Conversation.sender == sender)
    for table, values in (
        (Turn, {"text": "", "replies": {}, "understanding": {}, "doubt": -1, "doubt_why": ""}),
        (Handoff, {"text": "", "state": "done", "closed_at": now}),
        (DeskMessage, {"text": ""}),
        (Held, {"replies": {}}),
    ):
        _run(session, update(table).where(col(table.conversation_id).in_(ids)).values(**values))
    unchecked = update(Held).where(col(Held.conversation_id).in_(ids), col(Held.state) == "waiting")
    _run(session, unchecked.values(state="erased", decided_at=now))
    turns = select(Turn.id).where(col(Turn.conversation_id).in_(ids))
    for made in (AddedExample, EverydayName):
        _run(session, update(made).where(col(made.turn_id).in_(turns)).values(turn_id=None))
    _run(session, update(Conversation).where(col(Conversation.id).in_(ids)).values(memory={}))
    _run(session, update(Inbox).where(*_is(Inbox, *who), col(Inbox.state).in_(("done", "dead"))).values(payload={}))
    settled = ("sent", "delivered", "failed", "expired", "cancelled", "uncertain")
    mine = (col(Outbox.channel) == channel, col(Outbox.recipient) == sender)
    _run(
        session,
        update(Outbox).where(*mine, col(Outbox.kind) == "reply", col(Outbox.state).in_(settled)).values(body={}),
    )
    _run(session, update(Outbox).where(*mine, col(Outbox.state) == "waiting").values(state="cancelled", body={}))
    # The score stays as a figure; the words go.
    asked = select(Outbox.dossier_code).where(*mine, Outbox.kind == "notice", Outbox.event == "survey")
    _run(
        session,
        update(Survey)
        .where(col(Survey.channel) == channel, col(Survey.dossier_code).in_(asked), col(Survey.comment) != "")
        .values(comment="", comment_state="none"),
    )
    _run(session, delete(StaffChat).where(*_is(StaffChat, *who)))
    _run(session, delete(Access).where(*_is(Access, *who)))
    had = session.exec(
        select(Preference.id).where(Preference.channel == channel, Preference.recipient == sender).limit(1)
    ).first()
    if had is not None:
        _run(session, delete(Preference).where(col(Preference.channel) == channel, col(Preference.recipient) == sender))
        session.add(Preference(channel=channel, recipient=sender, wants=False, evidence="xóa dữ liệu", at=now))
    session.flush()


def _is(table: Any, channel: str, sender: str) -> tuple[Any, Any]:
    return table.channel == channel, table.sender == sender


def _run(session: Session, statement: Any) -> None:
    session.connection().execute(statement)
