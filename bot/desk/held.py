"""Answers of which the bot is not sure enough: in office hours they wait for an advisor, if the setting is on.

Approved, edited or expired, each exactly once: whoever changes the row's state from "waiting" (compare and set) acts,
on whichever replica. Past its deadline the citizen is told honestly that nobody checked it, and waits for a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from bot.catalog import opening
from bot.catalog.office import Office
from bot.channels.rendering import Message, render
from bot.channels.rendering import to_json as message_json
from bot.clock import local
from bot.conversation.model import Outcome, Reply
from bot.conversation.model import Turn as Said
from bot.desk import messages, queues
from bot.desk.messages import T
from bot.desk.queues import OfficeOf
from bot.errors import BadInputError
from bot.storage import queue
from bot.storage.switches import setting
from bot.storage.tables import Conversation, Held, Outbox, Turn

_ERRORS = T["errors"]


def is_unsure(session: Session, conversation: Conversation, said: Said, office: Office, now: datetime) -> bool:
    """Whether an answer must wait: the setting is on, the office open, and the bot not sure enough.

    An answer that follows one which waits builds on it, so it waits too.
    """
    if said.outcome is not Outcome.ANSWER or opening.open_since(office, now) is None:
        return False
    if not setting(session, "approve_unsure"):
        return False
    if said.confidence * 100 < setting(session, "approve_below_percent"):
        return True
    waiting = select(Held.id).where(Held.conversation_id == conversation.id, Held.state == "waiting").limit(1)
    return bool(said.procedures) and session.exec(waiting).first() is not None


def deadline(session: Session, office: Office, now: datetime) -> datetime:
    """Until when an answer waits at most: some minutes, but not past the end of the shift."""
    latest = now + timedelta(minutes=setting(session, "approve_minutes"))
    closes = opening.closing(office, now)
    return min(latest, closes) if closes else latest


def notice(until: datetime) -> Reply:
    """What the citizen is told meanwhile."""
    return Reply(T["to_citizen"]["held"].format(until=f"{local(until):%H:%M}"))


def hold(
    session: Session, conversation: Conversation, inbox_id: int, answer: Sequence[Message], until: datetime,
    now: datetime,
) -> None:  # fmt: skip
    """Keeps an answer (rendered for the channel) for the advisors."""
    assert conversation.id is not None  # noqa: S101 - it is in the table
    session.add(
        Held(
            conversation_id=conversation.id,
            inbox_id=inbox_id,
            deadline_at=until,
            created_at=now,
            replies={"replies": [message_json(message) for message in answer]},
        )
    )


def approve(session: Session, held_id: int, conversation_id: int, staff: str, text: str | None, now: datetime) -> Held:
    """Sends a held answer as it is, or as the advisor has written it, under their name.

    Args:
        session: the transaction.
        held_id: of the answer.
        conversation_id: of the conversation that it belongs to.
        staff: the advisor's account.
        text: what is said instead, None for the answer as it is.
        now: the moment (aware).

    Raises:
        BadInputError: there is none such; somebody settled it before; or the text is empty or too long.
    """
    found = session.get(Held, held_id)
    if found is None or found.conversation_id != conversation_id:
        raise BadInputError(_ERRORS["no_conversation"])
    told = None if text is None else messages.clean(text)
    conversation = queues.locked(session, found.conversation_id)
    if not _settle(session, held_id, "approved" if told is None else "edited", staff, now):
        session.refresh(found)
        raise BadInputError(_why(session, found))
    session.refresh(found)
    bodies = found.replies.get("replies", [])
    if told is not None:
        said = T["to_citizen"]["says"].format(name=queues.shown_name(session, staff), text=told)
        bodies = [message_json(message) for message in render(Reply(said), conversation.channel).messages]
    _tell(session, conversation, found, bodies, now)
    queues.place(session, conversation, now, queues.DONE)
    return found


def expire(session: Session, held_id: int, office_of: OfficeOf, now: datetime) -> bool:
    """The deadline has passed: an apology goes out, and the question waits for a person. False: settled before."""
    found = session.get(Held, held_id)
    if found is None or found.deadline_at > now:
        return False
    conversation = queues.locked(session, found.conversation_id)
    if not _settle(session, held_id, "expired", None, now):
        return False
    text = T["to_citizen"]["expired"].format(when=queues.when(office_of(conversation), now))
    bodies = [message_json(message) for message in render(Reply(text), conversation.channel).messages]
    turn = _tell(session, conversation, found, bodies, now)
    queues.ask(session, conversation, "late", turn.text if turn else "", now)
    queues.place(session, conversation, now)
    return True


def due(session: Session, now: datetime, limit: int = 100) -> list[int]:
    """The ids of answers whose deadline has passed."""
    query = select(Held.id).where(Held.state == "waiting", col(Held.deadline_at) <= now)
    return [one for one in session.exec(query.order_by(col(Held.deadline_at)).limit(limit)) if one is not None]


def _settle(session: Session, held_id: int, state: str, staff: str | None, now: datetime) -> bool:
    settle = update(Held).where(col(Held.id) == held_id, col(Held.state) == "waiting")
    return session.connection().execute(settle.values(state=state, by=staff, decided_at=now)).rowcount == 1


def _why(session: Session, held: Held) -> str:
    if held.state == "expired":
        return str(_ERRORS["settled_late"])
    if held.state == "taken":
        return str(_ERRORS["settled_taken"])
    at = f"{local(held.decided_at):%H:%M}" if held.decided_at else ""
    return str(_ERRORS["settled"].format(by=queues.shown_name(session, held.by or "–"), at=at))


def _tell(
    session: Session, conversation: Conversation, held: Held, bodies: list[dict[str, Any]], now: datetime
) -> Turn | None:
    """Puts an answer into the outbox below its question, and into the turn that is shown."""
    for number, body in enumerate(bodies):
        row = Outbox(
            kind="reply", channel=conversation.channel, recipient=conversation.sender, inbox_id=held.inbox_id,
            dedupe_key=f"held:{held.id}:{number}", body=body, office=conversation.account, not_before=now,
            created_at=now,
        )  # fmt: skip
        queue.put_outbox(session, row)
    turn = session.exec(select(Turn).where(Turn.inbox_id == held.inbox_id)).first()
    if turn is not None:
        turn.replies = {**turn.replies, "replies": [*turn.replies.get("replies", []), *bodies]}
        session.add(turn)
    return turn
