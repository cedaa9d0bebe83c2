"""From a message of ours to the arguments of the Bot API, and from an error of it to what that means. Pure.

Limits (Bot API): text 1–4096 and caption 0–1024 UTF-16 units after the marks are read, ``callback_data`` 1–64 bytes.
Rendering keeps to them; they are looked at once more here, because Telegram would refuse the whole message.
"""

from __future__ import annotations

import html
import os
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
from telegram import (
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    KeyboardButton,
    ReplyKeyboardMarkup,
    ReplyKeyboardRemove,
)
from telegram.error import BadRequest, Forbidden, InvalidToken, NetworkError, RetryAfter, TelegramError

from bot.channels.port import SendError
from bot.channels.rendering import LIMITS, Message, utf16
from bot.texts import phrases

# The library's own switch to the type that its next major version gives for ``retry_after``.
os.environ.setdefault("PTB_TIMEDELTA", "true")
CAPTION = 1024
BAD_TOKEN = "Telegram không nhận TELEGRAM_TOKEN"  # noqa: S105 - words about it
_HEADING = 80
_T = phrases("channels")["telegram"]
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_NO_SUCH_CHAT = ("chat not found", "peer_id_invalid", "user not found")
_UNCHANGED = "message is not modified"
_NOT_TO_EDIT = (
    "message to edit not found",
    "message can't be edited",
    "message_id_invalid",
    "no text in the message to edit",
)
Markup = InlineKeyboardMarkup | ReplyKeyboardMarkup | ReplyKeyboardRemove


def marked(text: str) -> str:
    """The text as Telegram's HTML: everything escaped, the first line bold where it is a heading.

    A heading is a short first line of several that doesn't end a sentence.
    """
    first, newline, rest = html.escape(text, quote=False).partition("\n")
    heading = newline and 0 < len(first) <= _HEADING and not first.rstrip().endswith((".", "?", "!", ",", ";"))
    return f"<b>{first}</b>{newline}{rest}" if heading else f"{first}{newline}{rest}"


def inline(message: Message) -> InlineKeyboardMarkup | None:
    """Buttons and link as an inline keyboard, one a row."""
    rows = [[InlineKeyboardButton(button.label, callback_data=button.value)] for button in message.buttons]
    if message.link and "." in (urlsplit(message.link.url).hostname or ""):
        # Telegram refuses the whole message for an address that only this machine knows.
        rows.append([InlineKeyboardButton(message.link.label, url=message.link.url)])
    return InlineKeyboardMarkup(rows) if rows else None


def markup(message: Message) -> Markup:
    """What stands below a new message.

    The button that shares the number goes away once used (``one_time_keyboard``); the next message without buttons of
    its own takes it from the chat altogether. No memory is needed for that: where there is none, nothing happens.
    """
    if message.contact:
        share = KeyboardButton(_T["share_phone"], request_contact=True)
        return ReplyKeyboardMarkup([[share]], resize_keyboard=True, one_time_keyboard=True)
    return inline(message) or ReplyKeyboardRemove()


def check(recipient: str, message: Message) -> None:
    """Looks at what Telegram would refuse.

    Raises:
        SendError: "failed", with the reason.
    """
    limits = LIMITS["telegram"]
    wrong = ""
    if not recipient.isascii() or not recipient.isdigit():
        wrong = "người nhận không phải mã Telegram"
    elif not 1 <= utf16(message.text.strip()) <= limits.text:
        wrong = f"tin cần dài từ 1 đến {limits.text} ký tự, tin này có {utf16(message.text)}"
    elif any(not 1 <= len(button.value.encode()) <= limits.value for button in message.buttons):
        wrong = f"giá trị của nút cần dài từ 1 đến {limits.value} byte"
    if wrong:
        raise SendError("failed", wrong)


def failure(error: TelegramError, *, repeatable: bool = False) -> SendError:
    """What a call's error means.

    Args:
        error: as the library raises it.
        repeatable: doing it twice does no harm (an edit), so what is uncertain may be tried again.

    Returns:
        The error to raise. Its text holds Telegram's own words only where they say why it refused: those of broken
        connections and of a wrong token may hold the token.
    """
    cause = error.__cause__
    name = type(error).__name__ + (f" ({type(cause).__name__})" if cause else "")
    said = error.message
    match error:
        case RetryAfter():
            after = error.retry_after
            delay = after if isinstance(after, timedelta) else timedelta(seconds=after)
            return SendError("retry", f"Telegram bảo chờ {delay.total_seconds():.0f} giây", delay)
        case Forbidden():
            return SendError("blocked", said)
        case BadRequest():  # before NetworkError, whose kind it is for the library
            blocked = any(reason in said.lower() for reason in _NO_SUCH_CHAT)
            return SendError("blocked" if blocked else "failed", said)
        case InvalidToken():
            return SendError("account", BAD_TOKEN)
        case NetworkError() if isinstance(cause, _NEVER_LEFT):
            return SendError("retry", name)
    # The request may have arrived, or did (5xx, an answer that can't be read): saying it again could say it twice.
    return SendError("retry" if repeatable else "uncertain", name)


def is_unchanged(error: BadRequest) -> bool:
    """Whether an edit was refused because the message says that already."""
    return _UNCHANGED in error.message.lower()


def is_not_to_edit(error: BadRequest) -> bool:
    """Whether an edit was refused because there is no such message to edit (any more)."""
    return any(reason in error.message.lower() for reason in _NOT_TO_EDIT)
