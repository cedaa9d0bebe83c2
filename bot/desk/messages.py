"""What advisors say to citizens, and what is said on their behalf: through the same outbox as the bot's replies.

Each message has a key of its own: the page makes one for every answer that is typed, so that a double click, a retry
after a lost connection, or a form sent again after signing in goes out once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from bot.channels.rendering import render
from bot.channels.rendering import to_json as message_json
from bot.conversation.model import Reply
from bot.errors import BadInputError
from bot.storage import queue
from bot.storage.tables import Conversation, DeskMessage, Outbox
from bot.texts import phrases

T: Mapping[str, Any] = phrases("inbox")
KIOSK = "kiosk"  # whoever calls there stands in the hall: nothing can be sent to them
MOST = 3500  # characters of one answer; the column holds 4000
_KEY = re.compile(r"[A-Za-z0-9-]{8,64}")


def clean(text: str) -> str:
    """A text to be sent: no odd characters, no blanks around it.

    Raises:
        BadInputError: nothing is left, or it is too long.
    """
    told = text.replace("\r\n", "\n").replace("\0", "").encode("utf-8", "ignore").decode("utf-8").strip()
    if not told:
        raise BadInputError(T["errors"]["empty"])
    if len(told) > MOST:
        raise BadInputError(T["errors"]["too_long"].format(most=MOST))
    return told


def checked_key(key: str) -> str:
    """The key that the page made for a message.

    Raises:
        BadInputError: it is missing or odd.
    """
    if not _KEY.fullmatch(key):
        raise BadInputError(T["errors"]["key"])
    return key


def is_sent(session: Session, conversation_id: int, key: str) -> bool:
    """Whether the message with this key went out before."""
    known = select(DeskMessage.id).where(DeskMessage.conversation_id == conversation_id, DeskMessage.key == key)
    return session.exec(known).first() is not None


def tell(
    session: Session,
    conversation: Conversation,
    text: str,
    key: str,
    now: datetime,
    *,
    by: str | None = None,
    name: str = "",
) -> bool:
    """Says something to the citizen, once for each key.

    Args:
        session: the transaction.
        conversation: a locked one.
        text: what is said.
        key: of this message, at most 64 characters.
        now: the moment (aware).
        by: the account of the advisor behind it.
        name: the advisor's name where they say it themselves; it stands before the text.

    Returns:
        False where it was said before.
    """
    kind = "advisor" if name else "notice"
    values = {
        "conversation_id": conversation.id, "key": key, "kind": kind, "by": by, "name": name, "text": text, "at": now,
        "office": conversation.office,
    }  # fmt: skip
    insert: Any = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    fresh = insert(DeskMessage).values(**values).on_conflict_do_nothing(index_elements=["conversation_id", "key"])
    message_id: int | None = session.execute(fresh.returning(col(DeskMessage.id))).scalar_one_or_none()
    if message_id is None:
        return False
    said = T["to_citizen"]["says"].format(name=name, text=text) if name else text
    if conversation.channel == KIOSK:
        return True
    outbox_id = None
    for number, message in enumerate(render(Reply(said), conversation.channel).messages):
        row = Outbox(
            kind="reply", channel=conversation.channel, recipient=conversation.sender,
            dedupe_key=f"desk:{message_id}:{number}", body=message_json(message), office=conversation.account,
            not_before=now, created_at=now,
        )  # fmt: skip
        outbox_id = queue.put_outbox(session, row) or outbox_id
    session.get_one(DeskMessage, message_id).outbox_id = outbox_id
    conversation.version += 1
    session.add(conversation)
    session.flush()
    return True
