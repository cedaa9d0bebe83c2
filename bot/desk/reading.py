"""What the inbox shows, read a page at a time by key, each query by an index: lists, threads, what has changed.

A page of a list begins behind the last row of the page before (its time and id), so it takes the same time however
long the list is. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy import select as columns
from sqlmodel import Session, col, func, select

from bot.desk import queues
from bot.storage.sight import WAITED_FOR
from bot.storage.tables import Conversation, DeskMessage, Handoff, Held, Outbox, Turn

PAGE = 40  # conversations of a list, turns of a thread
ALL = "all"  # the list of all conversations, newest first
MOST_COUNTED = 1000
_LONGEST_FIRST = (queues.WAITING, queues.TAKEN, queues.HELD)

Key = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Line:
    """A conversation in a list.

    Attributes:
        conversation: the row.
        last: the last turn, None where there is none.
        reasons: why a person is waited for, each once.
    """

    conversation: Conversation
    last: Turn | None
    reasons: Sequence[str]


@dataclass(frozen=True, slots=True)
class Page:
    """Lines in their order; ``after``: the key to go on from, None at the end."""

    lines: Sequence[Line]
    after: Key | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a thread: a turn (with its held answer), or what was said by a person."""

    at: datetime
    turn: Turn | None = None
    held: Held | None = None
    message: DeskMessage | None = None
    state: str = ""  # of the message's sending
    error: str = ""


@dataclass(frozen=True, slots=True)
class Thread:
    """The last entries of a conversation, oldest first; ``before``: the key of older ones, None at the beginning."""

    entries: Sequence[Entry]
    before: int | None


def list_page(session: Session, queue: str, after: Key | None = None, counter: str = "") -> Page:
    """A page of one queue, who waits longest first; of done ones and of all (``ALL``) the newest first.

    Args:
        session: to read with.
        queue: one of ``queues.QUEUES``, or ``ALL``.
        after: ``Page.after`` of the page before.
        counter: only those passed on to this counter.
    """
    when = col(Conversation.last_at) if queue == ALL else col(Conversation.queued_at)
    number = col(Conversation.id)
    query = select(Conversation)
    if queue != ALL:
        query = query.where(Conversation.queue == queue)
    if counter:
        query = query.where(Conversation.counter == counter)
    if queue in _LONGEST_FIRST:
        query = query.order_by(when, number)
        if after:
            query = query.where(or_(when > after[0], and_(when == after[0], number > after[1])), when >= after[0])
    else:
        query = query.order_by(when.desc(), number.desc())
        if after:
            query = query.where(or_(when < after[0], and_(when == after[0], number < after[1])), when <= after[0])
    found = list(session.exec(query.limit(PAGE + 1)))
    shown = found[:PAGE]
    key: Key | None = None
    if len(found) > PAGE:
        last = shown[-1]
        key = ((last.last_at if queue == ALL else last.queued_at) or last.last_at, last.id or 0)
    ids = [one.id for one in shown if one.id is not None]
    turns, reasons = _last_turns(session, ids), _reasons(session, ids)
    lines = [Line(one, turns.get(one.id or 0), reasons.get(one.id or 0, [])) for one in shown]
    return Page(lines, key)


def _last_turns(session: Session, ids: Collection[int]) -> Mapping[int, Turn]:
    newest = (
        select(func.max(Turn.id))
        .where(Turn.conversation_id == Conversation.id)
        .correlate(Conversation)
        .scalar_subquery()
    )
    query = select(Conversation.id, newest).where(col(Conversation.id).in_(ids))
    wanted = [turn for _, turn in session.exec(query).all() if turn is not None]
    return {turn.conversation_id: turn for turn in session.exec(select(Turn).where(col(Turn.id).in_(wanted)))}


def _reasons(session: Session, ids: Collection[int]) -> Mapping[int, list[str]]:
    query = (
        select(Handoff.conversation_id, Handoff.kind)
        .where(col(Handoff.conversation_id).in_(ids), Handoff.state == "open", col(Handoff.kind).in_(queues.WAITS))
        .order_by(col(Handoff.id))
    )
    found: dict[int, list[str]] = {}
    for conversation_id, kind in session.exec(query):
        kinds = found.setdefault(conversation_id, [])
        if kind not in kinds:
            kinds.append(kind)
    return found


def reasons(session: Session, conversation_id: int) -> list[str]:
    """Why a person is waited for, each once."""
    return _reasons(session, [conversation_id]).get(conversation_id, [])


def counts(session: Session) -> Mapping[str, int]:
    """How many conversations stand in each queue of work; counted up to ``MOST_COUNTED``."""
    found = {}
    for queue in _LONGEST_FIRST:
        some = select(Conversation.id).where(Conversation.queue == queue).limit(MOST_COUNTED).subquery()
        found[queue] = int(session.exec(select(func.count()).select_from(some)).one())
    return found


def thread(session: Session, conversation_id: int, before: int | None = None) -> Thread:
    """A page of a conversation: its last turns, or those before a turn's id, with what was said between them."""
    query = select(Turn).where(Turn.conversation_id == conversation_id).order_by(col(Turn.id).desc())
    end: datetime | None = None
    if before is not None:
        query = query.where(col(Turn.id) < before)
        bound = session.get(Turn, before)
        end = bound.at if bound is not None and bound.conversation_id == conversation_id else None
    found = list(session.exec(query.limit(PAGE + 1)))
    turns = found[:PAGE]
    more = turns[-1].id if len(found) > PAGE else None
    of_desk: list[ColumnElement[bool]] = [col(DeskMessage.conversation_id) == conversation_id]
    if more is not None:
        of_desk.append(col(DeskMessage.at) >= turns[-1].at)
    if end is not None:
        of_desk.append(col(DeskMessage.at) < end)
    said = session.exec(
        select(DeskMessage, Outbox.state, Outbox.error)
        .join(Outbox, col(Outbox.id) == DeskMessage.outbox_id, isouter=True)
        .where(*of_desk)
        .order_by(col(DeskMessage.at).desc(), col(DeskMessage.id).desc())
        .limit(PAGE * 5)
    ).all()
    inbox_ids = [turn.inbox_id for turn in turns if turn.inbox_id is not None]
    held = {one.inbox_id: one for one in session.exec(select(Held).where(col(Held.inbox_id).in_(inbox_ids)))}
    entries = [Entry(turn.at, turn=turn, held=held.get(turn.inbox_id or 0)) for turn in reversed(turns)]
    entries += [
        Entry(message.at, message=message, state=state or "", error=error or "")
        for message, state, error in reversed(said)
    ]
    return Thread(sorted(entries, key=lambda entry: entry.at), more)


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells whether a conversation has changed, and whether its citizen has written; whose it is."""

    version: int
    queue: str
    by: str | None
    last_at: datetime
    office: str | None = None

    def is_seen_from(self, office: str | None) -> bool:
        """Whether the staff of an office, or who sees all (None), may see the conversation (``bot.storage.sight``)."""
        unknown = self.office is None and self.queue in WAITED_FOR
        return office is None or self.office == office or unknown


def marks(session: Session, watched: Collection[int]) -> Mapping[int, Mark]:
    """The conversations of the queues of work, and those watched besides."""
    table = Conversation.__table__.c  # type: ignore[attr-defined]
    query = columns(table.id, table.version, table.queue, table.taken_by, table.last_at, table.office).limit(
        MOST_COUNTED
    )
    found: dict[int, Mark] = {}
    for where in (col(Conversation.queue).in_(_LONGEST_FIRST), col(Conversation.id).in_(watched)):
        for number, *rest in session.execute(query.where(where)).all():
            found[int(number)] = Mark(*rest)
    return found


def drafts(entries: Sequence[Entry], answered_at: datetime | None) -> list[dict[str, Any]]:
    """What the bot would have answered to the messages since the advisor's last one: {"turn": id, "text": …}."""
    return [
        {"turn": entry.turn.id, "text": "\n\n".join(str(one.get("text", "")) for one in entry.turn.replies["draft"])}
        for entry in entries
        if entry.turn is not None
        and entry.turn.replies.get("draft")
        and (answered_at is None or entry.turn.at > answered_at)
    ]
