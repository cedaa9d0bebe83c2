"""From an update of the Bot API to what a citizen said. Pure.

The shapes are the library's, but it doesn't look at types; whatever goes on from here was looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from telegram import Bot, CallbackQuery, ChatMemberUpdated, Message, Update

from bot.conversation.model import Incoming
from bot.errors import BadInputError
from bot.texts import phrases
from nlu.codes import find_codes, near_misses, procedure_codes

CHANNEL = "telegram"
UPDATES = ("message", "callback_query", "my_chat_member")
PHOTO_BYTES = 8 * 1024 * 1024
_MOST_ID = 2**52  # "it has at most 52 significant bits" (Bot API, User.id and Chat.id)
_COMMAND = re.compile(r"/(?P<name>\w{1,32})(?:@\w+)?(?:\s+(?P<rest>.*))?", re.DOTALL)
_PHONE = re.compile(r"\+?[0-9]{8,15}")
_KEY = re.compile(r"[0-9A-Za-z_=+/:.-]{1,200}")  # what the Bot API's ids are made of
# What a message holds → kind of ``Incoming``; the first that holds something counts: an animation is a document too.
_KINDS = (
    ("sticker", "sticker"), ("voice", "voice"), ("audio", "voice"), ("animation", "video"), ("video", "video"),
    ("video_note", "video"), ("venue", "location"), ("location", "location"), ("document", "file"),
)  # fmt: skip
_T = phrases("channels")["telegram"]
# What reading a wrong shape may raise, in the library and here.
_WRONG = (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Taken:
    """What an update asks for.

    Attributes:
        number: its ``update_id``.
        incoming: what a citizen said in a private chat, None for everything else.
        query: id of the tapped button's query, which wants an answer, None for everything else.
    """

    number: int
    incoming: Incoming | None = None
    query: str | None = None


def taken_of(data: object, bot: Bot, now: datetime) -> Taken:
    """Reads an update; kinds that are not ours give a ``Taken`` that asks for nothing.

    Args:
        data: the parsed JSON.
        bot: for the library's own reading.
        now: stands in for the time of what carries none (a tap, a block).

    Raises:
        BadInputError: it is no update. The message holds nothing of its content.
    """
    try:
        if not isinstance(data, dict):
            raise TypeError
        number = _whole(data.get("update_id"))
        update = Update.de_json({name: data[name] for name in ("update_id", *UPDATES) if name in data}, bot)
        if update.callback_query is not None:
            query = update.callback_query
            return Taken(number, _tap(query, now), _key(query.id))
        if update.message is not None:
            return Taken(number, _said(update.message))
        if update.my_chat_member is not None:
            return Taken(number, _membership(number, update.my_chat_member, now))
    except _WRONG as error:
        raise BadInputError(f"tin Telegram sai dạng ({type(error).__name__})") from None
    return Taken(number)


def _tap(query: CallbackQuery, now: datetime) -> Incoming | None:
    message = query.message
    if query.data is None or message is None or message.chat.type != "private":
        return None
    tapped = str(_whole(message.message_id))
    return Incoming(CHANNEL, _sender(query.from_user.id), f"c{query.id}", _text(query.data), now, tapped=tapped)


def _membership(number: int, change: ChatMemberUpdated, now: datetime) -> Incoming | None:
    """Blocking the bot shows as its being kicked from the private chat; unblocking asks for no answer."""
    if change.chat.type != "private" or change.new_chat_member.status != "kicked":
        return None
    return Incoming(CHANNEL, _sender(change.from_user.id), f"u{number}", "", now, kind="unfollow")


def _said(message: Message) -> Incoming | None:
    if message.chat.type != "private" or message.from_user is None:
        return None
    sender, at = _sender(message.from_user.id), message.date.astimezone(UTC)
    message_id = f"m{_whole(message.chat.id)}:{_whole(message.message_id)}"
    if message.text is not None:
        return Incoming(CHANNEL, sender, message_id, meant(_text(message.text)), at)
    if message.contact is not None:
        own = message.contact.user_id == message.from_user.id
        phone = _phone(_text(message.contact.phone_number)) if own else None
        return Incoming(CHANNEL, sender, message_id, "", at, kind="contact", phone=phone)
    kind, photo, problem = _kind(message)
    caption = _text(message.caption or "")
    return Incoming(CHANNEL, sender, message_id, caption, at, kind=kind, photo=photo, problem=problem) if kind else None


def _kind(message: Message) -> tuple[str, str | None, str | None]:
    """Kind, photo and problem of ``Incoming``; kind "" for what is no message of a citizen (a pin, a timer set)."""
    if message.photo:
        sizes = sorted(message.photo, key=lambda size: _whole(size.width) * _whole(size.height), reverse=True)
        return _photo([(size.file_id, size.file_size) for size in sizes])
    kind = next((kind for attribute, kind in _KINDS if getattr(message, attribute)), "")
    if kind == "file" and message.document and _text(message.document.mime_type or "").startswith("image/"):
        return _photo([(message.document.file_id, message.document.file_size)])
    return kind or ("other" if message.effective_attachment else ""), None, None


def _photo(sizes: list[tuple[str, int | None]]) -> tuple[str, str | None, str | None]:
    """The first of these (file id, bytes) that is small enough; where the size isn't told, fetching will show."""
    for file_id, size in sizes:
        if size is None or _whole(size) <= PHOTO_BYTES:
            return "photo", _key(file_id), None
    return "photo", None, "too_large"


def meant(text: str) -> str:
    """A command as the ordinary words it stands for (``bot/texts/channels.yml``); everything else as it is.

    "/tra_cuu H30…" is the code; "/start H30_…" (a deep link; Telegram allows no dots there) is the code too, any other
    payload only greets. Of a command that isn't ours the words count.
    """
    command = _COMMAND.fullmatch(text.strip())
    if command is None:
        return text
    name, rest = command["name"].lower(), (command["rest"] or "").strip()
    known = _T["commands"].get(name)
    if known is None:
        return f"{name.replace('_', ' ')} {rest}".strip()
    says = str(known["says"])
    if name == "start":
        return _payload(rest) or says
    if name == "tra_cuu" and find_codes(rest):
        return rest
    return f"{says}, {rest}" if rest else says


def _payload(payload: str) -> str:
    if hits := find_codes(payload):
        return hits[0].code
    if codes := procedure_codes(re.sub("[_-]", ".", payload)):
        return codes[0]
    return payload if near_misses(payload) else ""


def _phone(number: str) -> str | None:
    """In E.164; Telegram leaves the "+" out at times."""
    bare = re.sub(r"[\s().-]", "", number)
    return f"+{bare.lstrip('+')}" if _PHONE.fullmatch(bare) else None


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value < _MOST_ID:
        raise TypeError
    return value


def _sender(value: object) -> str:
    return str(_whole(value))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _key(value: object) -> str:
    if not _KEY.fullmatch(_text(value)):
        raise ValueError
    return _text(value)
