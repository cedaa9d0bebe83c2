"""Where a conversation stands: with the bot, waiting for a person, taken by one, waiting for approval, or done.

Facts decide: who has taken it (``Conversation.taken_by``), answers held for approval (``Held``), open hand-offs
(``Handoff``). ``place`` writes what follows from them into ``Conversation.queue``, which the lists read by index.

Every change here, and every turn of the bot, first locks the conversation's row (``locked``): so a message that comes
while it is being taken is either answered by the bot before, or left to the advisor after, never both.
All functions work in the caller's transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, update
from sqlmodel import Session, col, select

from bot.catalog import opening
from bot.catalog.office import Office
from bot.conversation.memory import from_json, to_json
from bot.desk.messages import T, tell
from bot.errors import BadInputError
from bot.storage.tables import Conversation, DeskMessage, Handoff, Held, Outbox, Staff, Turn

BOT, WAITING, TAKEN, HELD, DONE = "bot", "waiting", "taken", "held", "done"
QUEUES = (WAITING, TAKEN, HELD, DONE)
# What makes a citizen wait for a person; a rating doesn't.
WAITS = ("handoff", "complaint", "miss", "late", "unchecked", "unsent", "passed_on")
OfficeOf = Callable[[Conversation], Office]  # the profile of the office that a conversation belongs to
_ERRORS = T["errors"]


def locked(session: Session, conversation_id: int) -> Conversation:
    """The conversation, nobody else changing it until the transaction ends.

    Raises:
        BadInputError: there is none.
    """
    query = select(Conversation).where(Conversation.id == conversation_id).with_for_update()
    found = session.exec(query.execution_options(populate_existing=True)).first()
    if found is None:
        raise BadInputError(_ERRORS["no_conversation"])
    return found


def shown_name(session: Session, staff: str) -> str:
    """What citizens call an advisor: "Cán bộ tư vấn Lan"."""
    row = session.get(Staff, staff)
    return str(T["to_citizen"]["advisor"].format(name=(row.display_name if row else None) or staff))


def place(
    session: Session, conversation: Conversation, now: datetime, otherwise: str | None = None, *, nothing: bool = False
) -> None:
    """Puts a locked conversation into the queue that the facts ask for.

    Args:
        session: the transaction.
        conversation: locked.
        now: the moment (aware).
        otherwise: the queue where nobody has it and nothing waits; by default it stays with the bot or done.
        nothing: whether it is known that nothing waits (``is_quiet``, and nothing was added since).
    """
    since = held = None
    if not nothing:
        session.flush()
        since = session.exec(
            select(Handoff.created_at).where(*_open(conversation)).order_by(col(Handoff.created_at)).limit(1)
        ).first()
        held = session.exec(
            select(Held.created_at)
            .where(Held.conversation_id == conversation.id, Held.state == "waiting")
            .order_by(col(Held.created_at))
            .limit(1)
        ).first()
    if conversation.taken_by:
        queue, at = TAKEN, now
    elif held is not None:
        queue, at = HELD, held
    elif since is not None:
        queue, at = WAITING, since
    else:
        kept = conversation.queue if conversation.queue in {BOT, DONE} else DONE
        queue, at = otherwise or kept, now
    if queue != conversation.queue or (queue == WAITING and at != conversation.queued_at):
        conversation.queue, conversation.queued_at = queue, at
    conversation.version += 1
    session.add(conversation)
    if not nothing:
        session.flush()


def is_quiet(conversation: Conversation) -> bool:
    """Whether nothing waits in a locked conversation: no hand-off is open, no answer held (``place`` sees to that)."""
    return conversation.queue in {BOT, DONE}


def ask(session: Session, conversation: Conversation, kind: str, text: str, now: datetime) -> None:
    """Notes that a citizen waits for a person (a kind of ``WAITS``), or left a rating."""
    assert conversation.id is not None  # noqa: S101 - it is in the table
    session.add(
        Handoff(
            conversation_id=conversation.id, kind=kind, text=text, taken_by=conversation.taken_by, created_at=now,
            office=conversation.office,
        )
    )  # fmt: skip


def unsent(session: Session, row: Outbox, now: datetime) -> None:
    """A reply to a citizen did not arrive, or nobody knows: an advisor looks after it. Alerts to staff don't count."""
    if row.kind != "reply" or row.dedupe_key.startswith("alert:"):
        return
    who = (Conversation.channel == row.channel, Conversation.sender == row.recipient)
    number = session.exec(select(Conversation.id).where(*who)).first()
    if number is None:
        return
    conversation = locked(session, number)
    known = select(Handoff.id).where(*_open(conversation), col(Handoff.kind) == "unsent").limit(1)
    if session.exec(known).first() is None:
        ask(session, conversation, "unsent", "", now)
    place(session, conversation, now)


def settle_unsent(session: Session, conversation: Conversation, now: datetime) -> None:
    """What may not have arrived was told once more."""
    close = update(Handoff).where(*_open(conversation), col(Handoff.kind) == "unsent")
    session.connection().execute(close.values(state="done", closed_at=now))


def settle_misses(session: Session, conversation: Conversation, now: datetime) -> None:
    """The bot has answered after all: what it had not understood needs nobody any more."""
    close = update(Handoff).where(*_open(conversation), col(Handoff.kind) == "miss")
    session.connection().execute(close.values(state="done", closed_at=now))


def claim(session: Session, conversation_id: int, staff: str, now: datetime) -> bool:
    """Gives a conversation to one advisor; the bot is silent from here on, and the citizen is told who answers.

    Returns:
        False where this advisor has it already.

    Raises:
        BadInputError: another advisor was first, or there is no such conversation.
    """
    taking = (
        update(Conversation)
        .where(col(Conversation.id) == conversation_id, col(Conversation.taken_by).is_(None))
        .values(taken_by=staff, advisor_at=now)
    )
    mine = session.connection().execute(taking).rowcount == 1
    conversation = locked(session, conversation_id)
    if not mine:
        if conversation.taken_by != staff:
            raise BadInputError(_ERRORS["taken_by"].format(name=shown_name(session, conversation.taken_by or "")))
        return False
    if conversation.office is None:  # whoever answers a citizen of no known office does so for their own
        advisor = session.get(Staff, staff)
        conversation.office = advisor.office if advisor else None
    whose = {"taken_by": staff, "office": conversation.office}
    session.connection().execute(update(Handoff).where(*_open(conversation)).values(whose))
    _held_become_drafts(session, conversation, staff, now)
    place(session, conversation, now)
    name = shown_name(session, staff)
    if conversation.channel != "sms":  # there each message costs, and the advisor's own says who writes
        tell(session, conversation, T["to_citizen"]["taken"].format(name=name), f"taken:{_once()}", now, by=staff)
    return True


def held_by(session: Session, conversation_id: int, staff: str) -> Conversation:
    """The locked conversation that this advisor has.

    Raises:
        BadInputError: they don't have it.
    """
    conversation = locked(session, conversation_id)
    if conversation.taken_by != staff:
        raise BadInputError(_ERRORS["not_yours"])
    return conversation


def active(session: Session, conversation_id: int, staff: str, now: datetime) -> bool:
    """The advisor is at work on it (reading, writing); False where they don't have it."""
    mine = (col(Conversation.id) == conversation_id, col(Conversation.taken_by) == staff)
    result = session.connection().execute(update(Conversation).where(*mine).values(advisor_at=now))
    return result.rowcount == 1


def finish(session: Session, conversation_id: int, staff: str, now: datetime) -> None:
    """Nothing is left to answer: the bot comes back.

    Raises:
        BadInputError: this advisor doesn't have it.
    """
    _finish(session, held_by(session, conversation_id, staff), now)


def put_back(session: Session, conversation_id: int, staff: str, office: Office, now: datetime) -> None:
    """Leaves the citizen to another advisor: they wait again, and are told so.

    Raises:
        BadInputError: this advisor doesn't have it.
    """
    _put_back(session, held_by(session, conversation_id, staff), office, now)


def transfer(session: Session, conversation_id: int, staff: str, counter: str, office: Office, now: datetime) -> None:
    """Passes the citizen on to a counter of the office.

    Raises:
        BadInputError: this advisor doesn't have it, or the office has no such counter.
    """
    if counter not in {one.name for one in office.counters}:
        raise BadInputError(_ERRORS["no_counter"])
    conversation = held_by(session, conversation_id, staff)
    _let_go(session, conversation)
    _wait_again(session, conversation, "passed_on", now)
    conversation.counter = counter[:120]
    place(session, conversation, now)
    text = T["to_citizen"]["transferred"].format(counter=counter, when=when(office, now))
    tell(session, conversation, text, f"transferred:{_once()}", now, by=staff)


def hand_over(session: Session, conversation_id: int, staff: str, slug: str, office: Office, now: datetime) -> None:
    """Passes the citizen on to another of several offices, with what was said since an advisor has had them.

    Raises:
        BadInputError: this advisor doesn't have it.
    """
    conversation = held_by(session, conversation_id, staff)
    since = conversation.queued_at
    _let_go(session, conversation)
    _wait_again(session, conversation, "passed_on", now)
    conversation.counter = None
    place(session, conversation, now)
    text = T["to_citizen"]["transferred_office"].format(office=office.name, when=when(office, now))
    tell(session, conversation, text, f"transferred:{_once()}", now, by=staff)
    # Last: from here on a session of the advisor's own office may not see it any more.
    conversation.office = slug
    conversation.memory = to_json(replace(from_json(conversation.memory), office=slug))
    session.flush()
    for table in (Turn, DeskMessage):
        said = update(table).where(col(table.conversation_id) == conversation_id, col(table.at) >= since)
        session.connection().execute(said.values(office=slug))
    session.connection().execute(update(Handoff).where(*_open(conversation)).values(office=slug))


def idle(conversation: Conversation, after: timedelta, office: Office, now: datetime) -> bool:
    """Whether the advisor has been away for too long, or the office has closed since their last sign of life."""
    last = conversation.advisor_at or conversation.queued_at
    if conversation.taken_by is None or last is None:
        return False
    closed = opening.last_closing(office, now)
    return last <= now - after or (closed is not None and last < closed)


def take_back(session: Session, conversation_id: int, after: timedelta, office_of: OfficeOf, now: datetime) -> bool:
    """Takes a conversation from an advisor who left: done where all was answered, else the citizen waits again.

    Returns:
        False where there is nothing to do (any more).
    """
    conversation = locked(session, conversation_id)
    office = office_of(conversation)
    if not idle(conversation, after, office, now):
        return False
    if _unanswered(session, conversation):
        _put_back(session, conversation, office, now)
    else:
        _finish(session, conversation, now)
    return True


def when(office: Office, now: datetime) -> str:
    """When a person answers, as a sentence with a blank before it; "" where nobody knows."""
    words = opening.answer_words(office, now)
    return f" {words}" if words else ""


def _unanswered(session: Session, conversation: Conversation) -> bool:
    if conversation.answered_at is not None and conversation.answered_at >= conversation.last_at:
        return False
    wrote = conversation.queued_at is not None and conversation.last_at > conversation.queued_at
    return wrote or session.exec(select(Handoff.id).where(*_open(conversation)).limit(1)).first() is not None


def _finish(session: Session, conversation: Conversation, now: datetime) -> None:
    staff, since = conversation.taken_by or "", conversation.queued_at
    answered = conversation.answered_at is not None and (since is None or conversation.answered_at >= since)
    close = update(Handoff).where(*_open(conversation))
    session.connection().execute(close.values(state="done", closed_at=now))
    _let_go(session, conversation)
    conversation.counter = None
    place(session, conversation, now, DONE)
    if conversation.channel != "sms":
        text = T["to_citizen"]["finished" if answered else "returned"].format(name=shown_name(session, staff))
        tell(session, conversation, text, f"finished:{_once()}", now, by=staff)


def _put_back(session: Session, conversation: Conversation, office: Office, now: datetime) -> None:
    staff = conversation.taken_by or ""
    _let_go(session, conversation)
    _wait_again(session, conversation, "handoff", now)
    place(session, conversation, now)
    text = T["to_citizen"]["put_back"].format(name=shown_name(session, staff), when=when(office, now))
    tell(session, conversation, text, f"put_back:{_once()}", now, by=staff)


def _let_go(session: Session, conversation: Conversation) -> None:
    """Nobody has it; what the bot drafted meanwhile was never said, so no answer to it is waited for."""
    conversation.taken_by = conversation.advisor_at = None
    memory = replace(from_json(conversation.memory), pending=None, question=None, offered=(), menu=(), wish=None)
    conversation.memory = to_json(memory)
    session.add(conversation)


def _wait_again(session: Session, conversation: Conversation, kind: str, now: datetime) -> None:
    """At least one hand-off is open, nobody has it, and it may be alarmed about again."""
    free = update(Handoff).where(*_open(conversation)).values(taken_by=None, alerted_at=None)
    if session.connection().execute(free).rowcount == 0:
        ask(session, conversation, kind, "", now)


def _held_become_drafts(session: Session, conversation: Conversation, staff: str, now: datetime) -> None:
    waiting = select(Held).where(Held.conversation_id == conversation.id, Held.state == "waiting").with_for_update()
    for held in session.exec(waiting).all():
        held.state, held.by, held.decided_at = "taken", staff, now
        turn = session.exec(select(Turn).where(Turn.inbox_id == held.inbox_id)).first()
        if turn is not None:
            turn.replies = {**turn.replies, "draft": held.replies.get("replies", [])}
            session.add(turn)
        session.add(held)
        # The question is open still: should the advisor leave without an answer, the citizen waits for another.
        ask(session, conversation, "unchecked", turn.text if turn else "", now)


def _open(conversation: Conversation) -> tuple[ColumnElement[bool], ...]:
    """What waits in this conversation; its state behind a function, else SQLite reads all that are open."""
    is_open = func.coalesce(Handoff.state, "") == "open"
    return col(Handoff.conversation_id) == conversation.id, is_open, col(Handoff.kind).in_(WAITS)


def _once() -> str:
    return secrets.token_hex(8)
