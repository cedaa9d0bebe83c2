"""From a reply to the messages of a channel: nothing that leaves exceeds the channel's limits, no choice is lost.

What a channel can't show as a button becomes a numbered line; the numbers stand in ``Rendered.menu`` and the
conversation remembers them. Limits: reference/channels.md (Zalo §1.2 and §2, Telegram §5, SMS §6.3). Pure.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot.conversation.model import Button, Link, Reply
from bot.notices.gsm7 import segments, to_unaccented
from bot.texts import phrases

_T = phrases("channels")
_SPLIT_AT = ("\n\n", "\n", ". ", "; ", ", ", " ")
_NEUTRAL = str.maketrans({"–": "-", "—": "-", "‑": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "«": '"', "»": '"',
                          "•": "-", "…": "...", "→": "->"})  # fmt: skip


def utf16(text: str) -> int:
    """Length as Telegram counts it: UTF-16 units."""
    return len(text.encode("utf-16-le")) // 2


@dataclass(frozen=True, slots=True)
class Limits:
    """What one message of a channel may hold.

    Attributes:
        text: the longest text, in the units of ``units``.
        buttons: how many buttons; 0: the channel has none.
        label: the longest button label, in characters.
        value: the longest value of a button, in UTF-8 bytes.
        links: whether an address may be a button.
        contact: whether the channel itself can ask for the citizen's number.
        images: whether pictures can be sent.
    """

    text: int
    units: Callable[[str], int] = len
    buttons: int = 0
    label: int = 60
    value: int = 1000
    links: bool = False
    contact: bool = False
    images: bool = False


LIMITS: Mapping[str, Limits] = {
    "telegram": Limits(4096, utf16, buttons=12, value=64, links=True, contact=True, images=True),
    "zalo_oa": Limits(2000, buttons=5, label=100, links=True, contact=True, images=True),
    "zalo_bot": Limits(2000),
    "web": Limits(20_000, buttons=30, links=True, images=True),
    "sms": Limits(306),
}


@dataclass(frozen=True, slots=True)
class Message:
    """One message within a channel's limits, as it stands in the outbox.

    Attributes:
        contact: shows the channel's own way to share one's number.
        edits: the channel's id of the message whose place this one takes, None for a new one.
        menu: see ``Reply``.
    """

    text: str
    buttons: tuple[Button, ...] = ()
    link: Link | None = None
    contact: bool = False
    image: str = ""
    menu: bool = False
    edits: str | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """The messages of a reply, and what the numbers in them stand for (number 1 first)."""

    messages: tuple[Message, ...]
    menu: tuple[str, ...] = ()


def render(reply: Reply, channel: str) -> Rendered:
    """Fits a reply to a channel of ``LIMITS``."""
    if channel == "sms":
        return _sms(reply)
    limits = LIMITS[channel]
    room = limits.buttons - (1 if reply.link and limits.links else 0)
    as_buttons = len(reply.buttons) <= room
    shown = tuple(
        replace(button, label=shortened(button.label, limits.label))
        for button in reply.buttons
        if as_buttons and len(button.value.encode()) <= limits.value
    )
    values = {button.value for button in shown}
    numbered = tuple(button for button in reply.buttons if button.value not in values)
    menu = tuple(button.value for button in reply.buttons[: reply.listed]) if numbered else ()
    lines = []
    for button in numbered:
        if button.value not in menu:
            menu = (*menu, button.value)
            lines.append(_T["numbered"].format(number=len(menu), label=button.label))
    text = unicodedata.normalize("NFC", reply.text)
    if lines or (numbered and reply.listed):
        text += "\n\n" + "\n".join([_T["choose"], *lines])
    link = reply.link if reply.link and limits.links else None
    if reply.link and link is None:
        text += "\n\n" + _T["link"].format(label=reply.link.label, url=reply.link.url)
    parts = split(text, limits.text, limits.units)
    messages = [Message(part) for part in parts[:-1]]
    messages.append(Message(parts[-1], shown, link, menu=reply.menu and len(parts) == 1))
    if reply.image and limits.images:
        messages[0] = replace(messages[0], image=reply.image)
    if reply.contact and limits.contact:
        messages.append(Message(reply.contact, contact=True))
    return Rendered(tuple(messages), menu)


def shortened(text: str, most: int) -> str:
    """At most so many characters, ending in "…" where something was cut."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def split(text: str, most: int, units: Callable[[str], int] = len) -> list[str]:
    """Cuts a text into parts of at most ``most`` units, at the most sensible place: paragraph, line, sentence, word.

    Joined again with blanks, the parts hold every word of the text.
    """
    parts = []
    rest = text.strip()
    while units(rest) > most:
        head = _head(rest, most, units)
        at = max((_cut(head, mark) for mark in _SPLIT_AT[:2]), default=0)
        if at < len(head) // 3:
            at = next((found for mark in _SPLIT_AT[2:] if (found := _cut(head, mark)) >= len(head) // 3), 0) or len(
                head
            )
        parts.append(rest[:at].rstrip())
        rest = rest[at:].lstrip()
    return [*parts, rest]


def _cut(head: str, mark: str) -> int:
    found = head.rfind(mark)
    return found + len(mark) if found > 0 else 0


def _head(text: str, most: int, units: Callable[[str], int]) -> str:
    """The longest beginning of at most ``most`` units."""
    low, high = 1, min(len(text), most)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if units(text[:middle]) <= most else (low, middle - 1)
    return text[:low]


def _sms(reply: Reply) -> Rendered:
    """At most two messages without marks; what does not fit is said to be more, never cut as if it were whole."""
    menu = tuple(button.value for button in reply.buttons[: reply.listed])
    text = plain(reply.text)
    if not _fits(text) and reply.brief:
        text = plain(reply.brief)
    if not _fits(text):
        rest = " " + plain(_T["sms_rest"])
        text = split(text, LIMITS["sms"].text - len(rest) - 1, lambda part: segments(part).units)[0] + rest
    return Rendered((Message(text),), menu)


def plain(text: str) -> str:
    """Without marks, in characters that every phone shows: what is not in the SMS alphabet is left out."""
    bare = to_unaccented(text).translate(_NEUTRAL)
    bare = "".join(character if segments(character).encoding == "gsm7" else " " for character in bare)
    return "\n".join(" ".join(line.split()) for line in bare.splitlines() if line.strip())


def _fits(text: str) -> bool:
    return segments(text).count <= 2


def to_json(message: Message) -> dict[str, Any]:
    """A message as the outbox holds it; only what says something."""
    body: dict[str, Any] = {
        "text": message.text, "buttons": [{"label": b.label, "value": b.value} for b in message.buttons]
    }  # fmt: skip
    if message.link:
        body["link"] = {"label": message.link.label, "url": message.link.url}
    for name in ("contact", "image", "menu", "edits"):
        if value := getattr(message, name):
            body[name] = value
    return body


def from_json(body: Mapping[str, Any]) -> Message:
    """The message of an outbox row."""
    link = body.get("link")
    return Message(
        text=str(body.get("text", "")),
        buttons=tuple(Button(b["label"], b["value"]) for b in body.get("buttons") or ()),
        link=Link(link["label"], link["url"]) if link else None,
        contact=bool(body.get("contact")),
        image=str(body.get("image") or ""),
        menu=bool(body.get("menu")),
        edits=body.get("edits"),
    )
