"""What is kept, and how long: texts go first, figures stay (design.md, Storage).

Rows of inbox and outbox are emptied, never deleted: their keys are what tells a repeated delivery or a second notice.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, String, and_, cast, delete, literal_column, or_, update
from sqlmodel import Session, col, select

from bot.settings import Settings
from bot.storage.tables import (
    INBOX_KEPT,
    OUTBOX_KEPT,
    TURN_KEPT,
    Access,
    Conversation,
    DeskMessage,
    Handoff,
    Held,
    Inbox,
    Lookup,
    OneTimeCode,
    Outbox,
    Survey,
    Turn,
)

KEEP_MESSAGES = timedelta(days=7)  # long enough to look into a fault
_BATCH = 1000
# Figures for the statistics; what a citizen wrote and the codes asked for are not among them.
_FIGURES = frozenset({"intent", "aspects", "procedures", "confidence", "outcome", "engine", "model"})


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows of each kind were emptied or deleted."""

    turns: int
    memories: int
    handoffs: int
    lookups: int
    inbox: int
    outbox: int
    proofs: int
    comments: int
    desk: int  # what advisors said, and answers held for them

    @property
    def more(self) -> bool:
        """Whether a kind reached the size of one batch: call again, in another transaction."""
        return any(rows >= _BATCH for rows in astuple(self))


def prune(session: Session, settings: Settings, now: datetime) -> Pruned:
    """Empties or deletes what is too old, at most a batch of each kind, so that nobody waits long for the lock."""
    talk = now - timedelta(days=settings.keep_talk_days)
    lookups = now - timedelta(days=settings.keep_lookups_days)
    messages = now - KEEP_MESSAGES
    sent = and_(
        col(Outbox.state).in_(("sent", "delivered", "failed", "expired", "cancelled")), col(Outbox.kind) != "notice"
    )
    # The page shows an advisor's messages from here, as long as the rest of the talk.
    on_page = and_(col(Outbox.channel) == "web", col(Outbox.dedupe_key).startswith("desk:"))
    old_outbox = or_(
        and_(sent, ~on_page, col(Outbox.created_at) < messages),
        and_(sent, on_page, col(Outbox.created_at) < talk),
        # A one-time code is worth nothing any more, and its words say it.
        and_(col(Outbox.kind) == "otp", col(Outbox.expires_at) < now, col(Outbox.state).notin_(("waiting", "sending"))),
        # An uncertain reply is offered again with the next message; after so long nobody waits for it.
        and_(col(Outbox.state) == "uncertain", col(Outbox.kind) != "notice", col(Outbox.created_at) < talk),
    )
    return Pruned(
        turns=_turns(session, talk),
        memories=_empty(
            session, Conversation, and_(col(Conversation.last_at) < talk, _filled(Conversation.memory)), memory={}
        ),
        handoffs=_empty(
            session,
            Handoff,
            and_(col(Handoff.state) == "done", col(Handoff.created_at) < talk, col(Handoff.text) != ""),
            text="",
        ),
        lookups=_delete(session, Lookup, col(Lookup.at) < lookups),
        inbox=_empty(
            session,
            Inbox,
            and_(_said(INBOX_KEPT), col(Inbox.done_at) < messages),
            col(Inbox.done_at),
            payload={},
        ),
        outbox=_empty(session, Outbox, and_(_said(OUTBOX_KEPT), old_outbox), col(Outbox.created_at), body={}),
        proofs=_delete(session, Access, col(Access.until) < now)
        + _delete(session, OneTimeCode, col(OneTimeCode.expires_at) < now),
        comments=_empty(session, Survey, and_(col(Survey.answered_at) < talk, col(Survey.comment) != ""), comment=""),
        desk=_empty(session, DeskMessage, and_(col(DeskMessage.at) < talk, col(DeskMessage.text) != ""), text="")
        + _empty(
            session,
            Held,
            and_(col(Held.state) != "waiting", col(Held.created_at) < talk, _filled(Held.replies)),
            replies={},
        ),
    )


def _turns(session: Session, before: datetime) -> int:
    # In order: PostgreSQL, which takes nearly all rows for filled, would else look for the first thousand in the table.
    old = select(Turn).where(col(Turn.at) < before, _said(TURN_KEPT)).order_by(col(Turn.at)).limit(_BATCH)
    turns = session.exec(old.with_for_update(skip_locked=True)).all()
    for turn in turns:
        turn.text, turn.replies, turn.doubt = "", {}, -1
        turn.understanding = {name: value for name, value in turn.understanding.items() if name in _FIGURES}
    session.flush()
    return len(turns)


def _delete(session: Session, table: Any, which: ColumnElement[bool]) -> int:
    ids = session.exec(select(table.id).where(which).limit(_BATCH)).all()
    session.execute(delete(table).where(table.id.in_(ids)))
    return len(ids)


def _empty(session: Session, table: Any, which: ColumnElement[bool], order: Any = None, **blank: Any) -> int:
    old = select(table.id).where(which).order_by(order).limit(_BATCH)
    ids = session.exec(old.with_for_update(skip_locked=True)).all()
    if ids:
        session.execute(update(table).where(table.id.in_(ids)).values(**blank))
    return len(ids)


def _said(condition: str) -> ColumnElement[bool]:
    """The condition of an index of what is kept, word for word."""
    return literal_column(f"({condition})").self_group()


def _filled(column: Any) -> ColumnElement[bool]:
    return cast(column, String) != "{}"  # PostgreSQL can't compare its json type
