"""A citizen waits and nobody takes it: the advisors are told in their own chats, the citizen is told when.

An advisor links a chat by sending the bot the one-time code shown on their account's page. An alert says on which
channel somebody waits and since when; never who, and never what was said.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, update
from sqlmodel import Session, col, select

from bot.catalog import opening
from bot.catalog.office import Office
from bot.channels.rendering import render
from bot.channels.rendering import to_json as message_json
from bot.clock import local
from bot.console.permissions import may
from bot.conversation.model import Reply
from bot.conversation.owner import CHATS
from bot.desk import queues
from bot.desk.messages import T, tell
from bot.desk.queues import OfficeOf
from bot.secrets import digest
from bot.settings import Settings
from bot.storage import queue
from bot.storage.tables import Audit, Conversation, Handoff, Outbox, Staff, StaffChat, StaffCode

CODE_LASTS = timedelta(minutes=10)
_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # none that is easily taken for another
_LENGTH = 8  # 31^8: a million guesses at ten codes hit one with a chance of 1 in 85,000
_CODE = re.compile(rf"\s*CB[-\s]?([{_LETTERS}]{{{_LENGTH}}})\s*", re.IGNORECASE)
_PURPOSE = "staff-chat"
ALARMING = ("handoff", "complaint", "late", "unchecked", "passed_on")  # somebody was promised an answer
_PROMISED = ("handoff", "late", "unchecked", "passed_on")  # and waits for it here


def new_code(session: Session, settings: Settings, staff: str, now: datetime) -> str:
    """A fresh code for an advisor ("CB-XXXXXXXX"), good once and for ten minutes; an older one ends."""
    code = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    session.merge(StaffCode(staff=staff, digest=digest(settings, _PURPOSE, code), expires_at=now + CODE_LASTS))
    return str(T["to_advisor"]["code"].format(code=code))


def is_code(channel: str, text: str) -> bool:
    """Whether a message has the form of such a code, on a channel where people can be written to."""
    return channel in CHATS and _CODE.fullmatch(text) is not None


def link(session: Session, settings: Settings, channel: str, sender: str, text: str, now: datetime) -> str:
    """Links the chat that a code came from; what is answered there."""
    match = _CODE.fullmatch(text)
    given = digest(settings, _PURPOSE, match[1].upper()) if match else ""
    live = session.exec(select(StaffCode).where(col(StaffCode.expires_at) > now).with_for_update()).all()
    found = next((one for one in live if hmac.compare_digest(one.digest, given)), None)
    staff = session.get(Staff, found.staff) if found else None
    if found is None or staff is None or not (staff.active and may(staff.role, "inbox")):
        return str(T["to_advisor"]["wrong_code"])
    known = session.exec(select(StaffChat).where(StaffChat.channel == channel, StaffChat.sender == sender)).first()
    chat = known or StaffChat(staff=staff.name, channel=channel, sender=sender, created_at=now)
    chat.staff = staff.name
    session.add(chat)
    session.delete(found)
    told = {"channel": channel}
    session.add(
        Audit(staff=staff.name, action="chat_link", subject=staff.name, detail=told, at=now, office=staff.office)
    )  # fmt: skip
    session.flush()
    return str(T["to_advisor"]["linked"].format(staff=staff.name))


def chats_of(session: Session, staff: str) -> list[StaffChat]:
    """The chats that an advisor has linked."""
    return list(session.exec(select(StaffChat).where(StaffChat.staff == staff).order_by(col(StaffChat.id))))


def unlink(session: Session, staff: str, chat_id: int) -> bool:
    """Ends the alerts to a chat; False where it is none of theirs."""
    chat = session.get(StaffChat, chat_id)
    if chat is None or chat.staff != staff:
        return False
    session.delete(chat)
    return True


def due(
    session: Session, offices: Mapping[str | None, Office], after: timedelta, now: datetime, limit: int = 50
) -> list[int]:
    """The conversations whose citizen has waited for so long while the office was open, and nobody was told yet.

    Args:
        session: for reading.
        offices: the profiles by slug; under None that of conversations of no known office, with one office its own.
        after: how long.
        now: the moment (aware).
        limit: at most so many.
    """
    closed = {slug for slug, office in offices.items() if not _open_for(office, after, now)}
    if closed == offices.keys():
        return []
    query = (
        select(Handoff.conversation_id)
        .join(Conversation, col(Conversation.id) == Handoff.conversation_id)
        .where(*_unheard(), col(Handoff.created_at) <= now - after, col(Conversation.taken_by).is_(None))
        .distinct()
    )
    office = col(Conversation.office)
    if None in closed:
        query = query.where(office.is_not(None))
    if closed - {None}:
        query = query.where(or_(office.is_(None), office.notin_(sorted(one for one in closed if one))))
    return list(session.exec(query.limit(limit)))


def _open_for(office: Office, after: timedelta, now: datetime) -> bool:
    opened = opening.open_since(office, now) or opening.usual_since(office, now)
    return opened is not None and opened <= now - after


def alert(
    session: Session, settings: Settings, conversation_id: int, office_of: OfficeOf, after: timedelta, now: datetime
) -> int:
    """Tells the advisors and the citizen, once.

    Returns:
        How many chats are told; 0 also where there was nothing to tell (any more).
    """
    conversation = queues.locked(session, conversation_id)
    mine = (*_unheard(), col(Handoff.conversation_id) == conversation_id, col(Handoff.created_at) <= now - after)
    waiting = session.exec(select(Handoff).where(*mine).order_by(col(Handoff.id))).all()
    if conversation.taken_by is not None or not waiting:
        return 0
    first = waiting[0]
    ids = [one.id for one in waiting]
    session.connection().execute(update(Handoff).where(col(Handoff.id).in_(ids)).values(alerted_at=now))
    base = settings.public_base_url
    address = T["to_advisor"]["link"].format(url=f"{base}/staff/inbox/{conversation_id}") if base else ""
    since = local(first.created_at)
    shown = f"{since:%H:%M}" if since.date() == local(now).date() else f"{since:%H:%M %d/%m}"
    channel = T["channels"].get(conversation.channel, conversation.channel)
    text = T["to_advisor"]["alert"].format(channel=channel, since=shown, link=address)
    told = 0
    for chat, account in _listening(session, conversation.office):
        for number, message in enumerate(render(Reply(text), chat.channel).messages):
            row = Outbox(
                kind="reply", channel=chat.channel, recipient=chat.sender, body=message_json(message), office=account,
                dedupe_key=f"alert:{first.id}:{now:%Y%m%d%H%M%S}:{chat.id}:{number}", not_before=now, created_at=now,
            )  # fmt: skip
            told += queue.put_outbox(session, row) is not None
    promised = next((one for one in waiting if one.kind in _PROMISED), None)
    if promised is not None:
        words = opening.late_words(office_of(conversation), now)
        said = T["to_citizen"]["late"].format(when=f" {words}" if words else "")
        tell(session, conversation, said, f"late:{promised.id}:{now:%Y%m%d%H%M%S}", now)
    conversation.version += 1
    session.add(conversation)
    return told


def _unheard() -> tuple[ColumnElement[bool], ...]:
    return col(Handoff.state) == "open", col(Handoff.kind).in_(ALARMING), col(Handoff.alerted_at).is_(None)


def _listening(session: Session, office: str | None) -> list[tuple[StaffChat, str | None]]:
    """The chats of the advisors of an office and of those who see all, each with the office whose account it wrote to.

    Of a citizen of no known office (None) everybody is told.
    """
    query = (
        select(StaffChat, Staff, Conversation.account)
        .join(Staff, col(Staff.name) == StaffChat.staff)
        .join(
            Conversation,
            and_(col(Conversation.channel) == StaffChat.channel, col(Conversation.sender) == StaffChat.sender),
            isouter=True,
        )
        .where(col(Staff.active).is_(True))
        .order_by(col(StaffChat.id))
    )
    if office is not None:
        query = query.where(or_(col(Staff.office).is_(None), col(Staff.office) == office))
    return [(chat, account) for chat, staff, account in session.exec(query) if may(staff.role, "inbox")]
