"""What a visitor has been told, as the page and its stream show it: read from turns and outbox, marked as delivered."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, update
from sqlmodel import Session, col, select

from bot.storage.tables import Conversation, Inbox, Outbox, Turn

CHANNEL = "web"
TURNS = 30  # shown on the page
BATCH = 100  # messages of one reading
_SHOWN_STATES = ("waiting", "sent", "delivered")

Bubble = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """Messages in their order.

    Attributes:
        bubbles: each with "id" (of the outbox), "to" (the visitor's message it answers, None for others), "text",
            "buttons", and "link" and "image" where there are. In a whole talk each says "who" besides: "bot", or "me"
            with "message" (its own id), "text", "photo" and "answered".
        after: the last id that was looked at; what comes later has a larger one.
        waiting: ids not marked as delivered yet.
    """

    bubbles: Sequence[Bubble]
    after: int
    waiting: Collection[int]


def message_id(visitor: str, own: str) -> str:
    """The id in the inbox of a visitor's message with this id of the page's own."""
    return f"{visitor[:12]}:{own}"


def _own_id(message_id: str | None) -> str | None:
    return message_id.partition(":")[2] if message_id else None


def _bubble(row: Outbox, answered: str | None) -> Bubble:
    body = row.body
    told = {"id": row.id, "to": _own_id(answered), "text": body.get("text", ""), "buttons": body.get("buttons") or []}
    return told | {name: body[name] for name in ("link", "image") if body.get(name)}


def messages(session: Session, visitor: str, after: int, now: datetime, inbox_id: int | None = None) -> Shown:
    """What this visitor is to see after an outbox id, or in answer to one message; at most ``BATCH``.

    A waiting message counts even with a smaller id: its transaction was the later one to end.
    """
    where: list[Any] = [
        Outbox.channel == CHANNEL, Outbox.recipient == visitor, col(Outbox.state).in_(_SHOWN_STATES),
        or_(col(Outbox.id) > after, col(Outbox.state) == "waiting"),
        # What was shown once is shown again, also where the clock was ahead then.
        or_(col(Outbox.not_before) <= now, col(Outbox.state) != "waiting"),
    ]  # fmt: skip
    if inbox_id is not None:
        where.append(Outbox.inbox_id == inbox_id)
    found = session.exec(
        select(Outbox, Inbox.message_id)
        .join(Inbox, col(Inbox.id) == Outbox.inbox_id, isouter=True)
        .where(*where)
        .order_by(col(Outbox.id))
        .limit(BATCH)
    ).all()
    return Shown(
        bubbles=[_bubble(row, answered) for row, answered in found if row.body],
        after=max([after, *(row.id or 0 for row, _ in found)]),
        waiting=[row.id for row, _ in found if row.id and row.state == "waiting"],
    )


def mark_delivered(session: Session, ids: Collection[int], now: datetime) -> None:
    """They have been shown; whoever shows them first marks them."""
    if ids:
        values = {"state": "delivered", "sent_at": now, "delivered_at": now}
        session.execute(update(Outbox).where(col(Outbox.id).in_(ids), col(Outbox.state) == "waiting").values(**values))


def newest(session: Session, after: int, now: datetime) -> Mapping[str, int]:
    """Visitor → the id of the newest message they are to see, of all rows after an id."""
    query = select(Outbox.recipient, func.max(Outbox.id)).where(
        col(Outbox.id) > after, Outbox.channel == CHANNEL, col(Outbox.state).in_(_SHOWN_STATES),
        col(Outbox.not_before) <= now,
    )  # fmt: skip
    return {visitor: last or 0 for visitor, last in session.exec(query.group_by(Outbox.recipient)).all()}


def last_id(session: Session) -> int:
    """The newest outbox id of all."""
    return int(session.exec(select(func.max(Outbox.id))).one() or 0)


def talk(session: Session, visitor: str, now: datetime) -> Shown:
    """The last turns, the messages beside them, and what is not answered yet."""
    mine = (Outbox.channel == CHANNEL, Outbox.recipient == visitor)
    # First of all: what comes while we read is on the page, or after this id on the stream, or both; never nowhere.
    after = int(session.exec(select(func.max(Outbox.id)).where(*mine)).one() or 0)
    turns = _turns(session, visitor)
    beside = [
        col(Outbox.inbox_id).is_(None), col(Outbox.state).in_(_SHOWN_STATES), col(Outbox.not_before) <= now
    ]  # fmt: skip
    if len(turns) == TURNS:
        beside.append(col(Outbox.created_at) >= turns[0][0].at)
    replies = col(Outbox.inbox_id).in_([turn.inbox_id for turn, _ in turns])
    rows = session.exec(select(Outbox).where(*mine, or_(replies, and_(*beside))).order_by(col(Outbox.id))).all()
    of_turn: dict[int | None, list[Outbox]] = {}
    for row in rows:
        of_turn.setdefault(row.inbox_id, []).append(row)
    told: list[tuple[datetime, list[Bubble]]] = [
        (turn.at, _turn(turn, asked, of_turn.get(turn.inbox_id, []))) for turn, asked in turns
    ]
    told += [(row.created_at, [{"who": "bot", **_bubble(row, None)}]) for row in of_turn.get(None, []) if row.body]
    told.sort(key=lambda one: one[0])
    bubbles = [bubble for _, one in told for bubble in one] + _unanswered(session, visitor)
    return Shown(bubbles, after, [row.id for row in rows if row.id and row.state == "waiting"])


def _turns(session: Session, visitor: str) -> list[tuple[Turn, Inbox]]:
    query = (
        select(Turn, Inbox)
        .join(Conversation, col(Conversation.id) == Turn.conversation_id)
        .join(Inbox, col(Inbox.id) == Turn.inbox_id)
        .where(Conversation.channel == CHANNEL, Conversation.sender == visitor)
        .order_by(col(Turn.id).desc())
        .limit(TURNS)
    )
    return list(reversed(session.exec(query).all()))


def _said(asked: Inbox, text: str, *, answered: bool) -> list[Bubble]:
    """The visitor's own message; nothing where it was erased."""
    photo = asked.payload.get("kind") == "photo"
    if not (text or photo):
        return []
    own = _own_id(asked.message_id)
    return [{"who": "me", "message": own, "text": text, "photo": photo, "answered": answered}]


def _turn(turn: Turn, asked: Inbox, rows: Sequence[Outbox]) -> list[Bubble]:
    # The turn keeps its replies long after the outbox forgot them; the outbox has their ids.
    replies = turn.replies.get("replies", [])
    ids = [row.id for row in rows][-len(replies) :] if replies else []
    own = _own_id(asked.message_id)
    told = [
        {"who": "bot", **reply, "id": ids[number] if number < len(ids) else None, "to": own}
        for number, reply in enumerate(replies)
    ]
    return [*_said(asked, turn.text, answered=True), *told]


def _unanswered(session: Session, visitor: str) -> list[Bubble]:
    query = (
        select(Inbox)
        .where(Inbox.channel == CHANNEL, Inbox.sender == visitor, col(Inbox.state).in_(("waiting", "claimed")))
        .order_by(col(Inbox.id))
    )
    return [bubble for row in session.exec(query) for bubble in _said(row, row.payload.get("text", ""), answered=False)]
