"""From an update of the Bot API to a message; every field is checked, because anyone may find the web hook. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bot.conversation.model import Incoming
from bot.errors import BadInputError

CHANNEL = "zalo_bot"
_EVENT = ("message.", ".received")
_KINDS = {"text": "text", "image": "photo", "sticker": "sticker", "voice": "voice"}
_PHOTO = ("photo", "photo_url")  # the vendor's page says the first, a library the second


def incoming_of(body: object, now: datetime) -> Incoming | None:
    """An update as a message; None where it is nothing that a citizen said to the bot alone.

    Args:
        body: the JSON value, as ``{"ok", "result": update}`` or the update itself (seen both ways).
        now: taken as the time of a message that tells none.

    Raises:
        BadInputError: it has not the shape of an update; names the field, repeats no value.
    """
    update = _object("update", body)
    if "result" in update and "message" not in update:
        update = _object("result", update["result"])
    event = _text("event_name", update.get("event_name", ""))
    if event and not (event.startswith(_EVENT[0]) and event.endswith(_EVENT[1])):
        return None  # something of the bot's own life
    message = _object("message", update.get("message"))
    sender, chat = _object("from", message.get("from")), _object("chat", message.get("chat"))
    if _text("chat_type", chat.get("chat_type", "")).upper() != "PRIVATE" or sender.get("is_bot") is True:
        return None
    kind = _kind(event, message)
    words = {"text": "text", "photo": "caption"}.get(kind)  # a caption: not in the reference, harmless where absent
    text = _text(words, message.get(words, "")) if words else ""
    photo = next((p for name in _PHOTO if (p := _text(name, message.get(name, "")))), None) if kind == "photo" else None
    return Incoming(
        channel=CHANNEL,
        sender=_id("chat.id", chat.get("id")),
        message_id=f"m{_message_id(message, kind)}",
        text=text,
        at=_moment(message.get("date"), now),
        kind=kind,
        photo=photo,
    )


def _kind(event: str, message: Mapping[str, Any]) -> str:
    """The kind of ``Incoming`` by the event's name, by what is there where the name is missing."""
    if event:
        return _KINDS.get(event.removeprefix(_EVENT[0]).removesuffix(_EVENT[1]), "other")
    if "text" in message:
        return "text"
    return "photo" if any(name in message for name in _PHOTO) else "other"


def _message_id(message: Mapping[str, Any], kind: str) -> str:
    if kind == "other" and message.get("message_id") is None:
        # Of protected users nothing may be told; the same bytes are the same message.
        raw = json.dumps(message, sort_keys=True)
        return hashlib.sha256(raw.encode("utf-8", "backslashreplace")).hexdigest()
    return _id("message_id", message.get("message_id"))


def _object(field: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadInputError(f"zalo_bot: {field}: cần một đối tượng JSON")
    return value


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadInputError(f"zalo_bot: {field}: cần một chuỗi")
    return value


def _id(field: str, value: object) -> str:
    told = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(told, str) and told.isprintable() and 1 <= len(told) <= 128:
        return told
    raise BadInputError(f"zalo_bot: {field}: cần một mã từ 1 đến 128 ký tự")


def _moment(value: object, now: datetime) -> datetime:
    """Milliseconds since 1970."""
    if value is None:
        return now
    wrong = BadInputError("zalo_bot: date: cần số mili giây từ 1970")
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong
    try:
        return datetime.fromtimestamp(value / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        raise wrong from None
