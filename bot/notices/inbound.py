"""SMS that are kept but not answered, so that two machines don't talk to each other for ever at the office's cost."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from prometheus_client import Counter
from sqlmodel import Session, col, func, select

from bot.conversation.model import Incoming
from bot.storage import queue
from bot.storage.tables import Conversation, Inbox, Outbox, Preference

log = logging.getLogger(__name__)
MOST_ANSWERS = 10  # to one number within …
WITHIN = timedelta(hours=1)
TOO_MANY = "quá nhiều câu trả lời trong một giờ"
_UNANSWERED = Counter("motcua_sms_unanswered_total", "SMS kept without an answer", ["reason"])
_LABELS = {TOO_MANY: "limit"}


def has_enough_answers(session: Session, sender: str, now: datetime) -> bool:
    """Whether this number got all answers of the hour already, those under way counted in.

    While an advisor has the conversation nothing is answered by a machine, and every message must reach them.
    """
    taken = select(Conversation.id).where(
        Conversation.channel == "sms", Conversation.sender == sender, col(Conversation.taken_by).is_not(None)
    )
    if session.exec(taken).first() is not None:
        return False
    answers = select(func.count()).where(
        Outbox.channel == "sms",
        Outbox.recipient == sender,
        Outbox.kind == "reply",
        ~col(Outbox.dedupe_key).startswith("desk:"),  # of the machine, not of an advisor
        col(Outbox.created_at) > now - WITHIN,
    )
    open_messages = select(func.count()).where(
        Inbox.channel == "sms", Inbox.sender == sender, col(Inbox.state).in_(("waiting", "claimed"))
    )
    return int(session.exec(answers).one()) + int(session.exec(open_messages).one()) >= MOST_ANSWERS


def has_refused(session: Session, sender: str) -> bool:
    """Whether this number's newest word about all notices is no; then a further STOP changes nothing."""
    newest = session.exec(
        select(Preference.wants)
        .where(Preference.channel == "sms", Preference.recipient == sender, Preference.dossier_code == "")
        .order_by(col(Preference.at).desc(), col(Preference.id).desc())
        .limit(1)
    ).first()
    return newest is False


def keep(session: Session, incoming: Incoming, reason: str, now: datetime) -> bool:
    """Stores a message as done, without an answer; the first in an hour from a sender is logged.

    Args:
        session: the transaction.
        incoming: the message.
        reason: why it gets no answer, in Vietnamese.
        now: the moment (aware).

    Returns:
        False where it was there already.

    Raises:
        BadInputError: sender or message id is empty or too long.
    """
    before = select(Inbox.id).where(
        Inbox.channel == incoming.channel, Inbox.sender == incoming.sender, Inbox.error == reason,
        col(Inbox.received_at) > now - WITHIN,
    )  # fmt: skip
    first = session.exec(before.limit(1)).first() is None
    inbox_id = queue.receive(session, incoming, now)
    if inbox_id is None:
        return False
    row = session.get_one(Inbox, inbox_id)
    row.state, row.done_at, row.error = "done", now, reason
    session.add(row)
    session.flush()
    _UNANSWERED.labels(_LABELS.get(reason, "machine")).inc()
    if first:
        log.warning("tin SMS từ %s không được trả lời: %s", incoming.sender, reason)
    return True
