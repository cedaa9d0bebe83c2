"""An advisor answers a citizen whose conversation they have taken."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from bot.desk import messages, queues
from bot.errors import BadInputError


def send(session: Session, conversation_id: int, staff: str, text: str, key: str, now: datetime) -> bool:
    """Sends an advisor's answer under their name.

    Args:
        session: the transaction.
        conversation_id: of the conversation.
        staff: the advisor's account.
        text: as typed.
        key: of this message, made by the page; a repeat is not sent again.
        now: the moment (aware).

    Returns:
        False where this message went out before.

    Raises:
        BadInputError: nothing to send, too long, an odd key, or the advisor doesn't have the conversation (any more).
    """
    key, told = messages.checked_key(key), messages.clean(text)
    conversation = queues.locked(session, conversation_id)
    if messages.is_sent(session, conversation_id, key):
        return False
    conversation = queues.held_by(session, conversation_id, staff)
    if conversation.channel == messages.KIOSK:
        raise BadInputError(messages.T["errors"]["kiosk"])
    name = queues.shown_name(session, staff)
    messages.tell(session, conversation, told, key, now, by=staff, name=name)
    conversation.answered_at = conversation.advisor_at = now
    session.add(conversation)
    return True
