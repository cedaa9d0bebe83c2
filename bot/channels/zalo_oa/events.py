"""Web hooks of Zalo: the signature, and what each event means here (reference/channels.md §1.3 [B]). Pure.

Ids and times are strings; numbers are taken too. Whatever else has the wrong type is refused with the field's name.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.conversation.model import Incoming
from bot.dossiers.records import phone_number
from bot.errors import BadInputError

CHANNEL = "zalo_oa"
OLDEST = timedelta(hours=24)  # retries come for an hour [B], once for 12 h (older posts)
NEWEST = timedelta(minutes=10)  # a clock that is wrong
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_PLAIN = re.compile(r"[!-~]{1,200}")
_ADDRESS = re.compile(r"[!-~]{1,2000}")
_DIGITS = re.compile(r"[0-9]{1,15}")
# What citizens send → ``Incoming.kind``.
_KINDS = {
    "user_send_text": "text",
    "user_send_image": "photo",
    "user_send_audio": "voice",
    "user_send_video": "video",
    "user_send_sticker": "sticker",
    "user_send_gif": "sticker",
    "user_send_location": "location",
    "user_send_file": "file",
    "user_send_link": "other",
    "user_send_business_card": "other",
}
_IGNORED = frozenset({"user_seen_message"})
# Echoes of what the account sent; and people who have not logged in, whom nothing can be sent to.
_IGNORED_BEGINNINGS = ("oa_send_", "anonymous_")


@dataclass(frozen=True, slots=True)
class Delivered:
    """Messages of ours that arrived: Zalo's ids of them."""

    message_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing to do. ``known``: on purpose; else an event nobody has told of."""

    known: bool


@dataclass(frozen=True, slots=True)
class Hook:
    """A web hook's body, read but not trusted yet: see ``signed``."""

    raw: bytes
    app_id: str
    timestamp: str
    event: str
    body: Mapping[str, Any]

    @property
    def at(self) -> datetime:
        """When Zalo made it."""
        return datetime.fromtimestamp(int(self.timestamp) / 1000, UTC)


def read_hook(raw: bytes) -> Hook:
    """Reads a body.

    Raises:
        BadInputError: no JSON object, or without an application, a time and an event of the right types.
    """
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadInputError("cần một đối tượng JSON") from None
    if not isinstance(body, dict):
        raise BadInputError("cần một đối tượng JSON")
    timestamp = _text(body, "timestamp")
    if not _DIGITS.fullmatch(timestamp) or int(timestamp) > 10**14:
        raise BadInputError("timestamp: cần số mili giây")
    event = body.get("event_name")
    if not isinstance(event, str) or not _PLAIN.fullmatch(event):
        raise BadInputError("event_name: cần tên sự kiện")
    app_id = _text(body, "app_id")
    if not _ID.fullmatch(app_id):
        raise BadInputError("app_id: cần mã ứng dụng")
    return Hook(raw, app_id, timestamp, event, body)


def mac(first: str, hook: Hook, secret: str) -> str:
    """SHA-256, not HMAC, of ``first`` + raw body + timestamp + secret, in hex.

    ``first`` is the application's id in Zalo's own SDK [B]; some posts have the account's.
    """
    return hashlib.sha256(first.encode() + hook.raw + hook.timestamp.encode() + secret.encode()).hexdigest()


def signed(header: str, hook: Hook, app_id: str, secret: str) -> bool:
    """Whether the header ``mac=…`` is right, for this application (constant time)."""
    given = header.removeprefix("mac=").lower()
    right = hmac.compare_digest(given.encode(), mac(app_id, hook, secret).encode())
    return hmac.compare_digest(hook.app_id.encode(), app_id.encode()) and right


def other_signature(header: str, hook: Hook, secrets: Mapping[str, str]) -> str | None:
    """Which other rule a wrong signature follows, for the log only; None where it follows none.

    ``secrets`` are those to try, by name, the right one too.
    """
    given = header.removeprefix("mac=").lower().encode()
    people = [hook.body, *(hook.body.get(name) for name in ("recipient", "sender"))]
    firsts = {"app_id": hook.app_id}
    for place, name in zip(people, ("oa_id", "id", "id"), strict=True):
        value = place.get(name) if isinstance(place, dict) else None
        if isinstance(value, str) and _ID.fullmatch(value):
            firsts[f"oa_id {len(firsts)}"] = value
    return next(
        (
            f"{first.partition(' ')[0]} + {name}"
            for first, value in firsts.items()
            for name, secret in secrets.items()
            if hmac.compare_digest(given, mac(value, hook, secret).encode())
        ),
        None,
    )


def oa_of(hook: Hook) -> str:
    """The Official Account that an event came to; "" where it doesn't say."""
    recipient = hook.body.get("recipient")
    told = hook.body.get("oa_id") or (recipient.get("id") if isinstance(recipient, dict) else None)
    return str(told) if isinstance(told, str | int) else ""


def in_time(hook: Hook, now: datetime) -> bool:
    """Whether it is neither a stale one played again nor one of tomorrow."""
    return now - OLDEST <= hook.at <= now + NEWEST


def event_of(hook: Hook, *, trust_phone: bool = False) -> Incoming | Delivered | Ignored:
    """What a verified web hook means.

    Args:
        hook: verified.
        trust_phone: take the number of ``user_submit_info`` as the citizen's own. Nothing in the reference proves
            that they can't type another number into that form, so by default the number is dropped here and the
            kind is "contact_unverified".

    Raises:
        BadInputError: a field is missing or has the wrong type.
    """
    event = hook.event
    if event in _KINDS:
        return _message(hook, _KINDS[event])
    if event in {"follow", "unfollow"}:
        return _incoming(hook, _id(hook.body, "follower" if "follower" in hook.body else "sender"), kind=event)
    if event == "user_submit_info":
        sender = _id(hook.body, "sender")
        if not trust_phone:
            return _incoming(hook, sender, kind="contact_unverified")
        return _incoming(hook, sender, kind="contact", phone=_phone(hook.body))
    if event == "user_received_message":
        return Delivered(_message_ids(_object(hook.body, "message")))
    return Ignored(known=event in _IGNORED or event.startswith(_IGNORED_BEGINNINGS))


def _message(hook: Hook, kind: str) -> Incoming:
    message = _object(hook.body, "message")
    text = message.get("text", "")
    if text is None:
        text = ""
    if not isinstance(text, str):
        raise BadInputError("message.text: cần chuỗi")
    photo = _photo(message) if kind == "photo" else None
    return _incoming(
        hook, _id(hook.body, "sender"), kind=kind, photo=photo, message_id=message.get("msg_id"),
        text=text if kind in {"text", "photo"} else "",
    )  # fmt: skip


def _incoming(
    hook: Hook,
    sender: str,
    *,
    kind: str,
    text: str = "",
    phone: str | None = None,
    photo: str | None = None,
    message_id: object = None,
) -> Incoming:
    if message_id is None or message_id == "":
        message_id = f"{hook.event}:{hook.timestamp}:{sender}"
    if isinstance(message_id, bool) or not isinstance(message_id, str | int):
        raise BadInputError("message.msg_id: cần chuỗi")
    unique = str(message_id)
    if not _PLAIN.fullmatch(unique):
        unique = hashlib.sha256(unique.encode("utf-8", "surrogatepass")).hexdigest()
    return Incoming(CHANNEL, sender, unique, text, hook.at, kind=kind, phone=phone, photo=photo)


def _photo(message: Mapping[str, Any]) -> str | None:
    """The address of the first picture."""
    for item in _list(message, "attachments"):
        payload = item.get("payload") if isinstance(item, dict) else None
        address = payload.get("url") if isinstance(payload, dict) else None
        if isinstance(address, str) and _ADDRESS.fullmatch(address):
            return address
    return None


def _phone(body: Mapping[str, Any]) -> str | None:
    phone = _object(body, "info").get("phone")
    try:
        return phone_number(str(phone)) if isinstance(phone, str | int) else None
    except BadInputError:
        return None


def _message_ids(message: Mapping[str, Any]) -> tuple[str, ...]:
    found = [message.get("msg_id"), *_list(message, "msg_ids")[:100]]
    return tuple(one for one in found if isinstance(one, str) and _PLAIN.fullmatch(one) and len(one) <= 100)


def _id(body: Mapping[str, Any], person: str) -> str:
    found = _text(_object(body, person), "id", f"{person}.id")
    if not _ID.fullmatch(found):
        raise BadInputError(f"{person}.id: cần mã của Zalo")
    return found


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name)
    if not isinstance(found, dict):
        raise BadInputError(f"{name}: cần đối tượng")
    return found


def _list(body: Mapping[str, Any], name: str) -> list[Any]:
    found = body.get(name) or []
    if not isinstance(found, list):
        raise BadInputError(f"{name}: cần danh sách")
    return found


def _text(body: Mapping[str, Any], name: str, told: str = "") -> str:
    """A string, or an integer as one."""
    found = body.get(name)
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise BadInputError(f"{told or name}: cần chuỗi")
    return str(found)
