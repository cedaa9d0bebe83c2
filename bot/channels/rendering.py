"""From a reply to the messages of a channel: nothing that leaves exceeds the channel's limits, no choice is lost.

What a channel can't show as a button becomes a numbered line; the numbers stand in ``Rendered.menu`` and the
conversation remembers them. Limits: reference/channels.md (Zalo §1.2 and §2, Telegram §5, SMS §6.3). Pure.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.conversation.model import Button, Link, Reply
from bot.notices.gsm7 import BASIC, EXTENSION, segments, to_unaccented
from bot.texts import phrases

_T = phrases("channels")
_SPLIT_AT = ("\n", ". ", "; ", ", ", " ")
_JOINER = "\u200d"
SMS_CHOICES = 200  # units that a choice may take of an SMS
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


def render_all(replies: Iterable[Reply], channel: str) -> Rendered:
    """The messages of a turn; numbers go on from one reply to the next, so that each stands for one thing."""
    messages: list[Message] = []
    menu: tuple[str, ...] = ()
    for reply in replies:
        one = render(reply, channel, menu)
        messages += one.messages
        menu = one.menu
    return Rendered(tuple(messages), menu)


def render(reply: Reply, channel: str, before: tuple[str, ...] = ()) -> Rendered:
    """Fits a reply to a channel of ``LIMITS``.

    Args:
        reply: what is said, in any Unicode form; what comes out is NFC.
        channel: a key of ``LIMITS``.
        before: what the numbers of the same turn's earlier replies stand for; ``Rendered.menu`` begins with it,
            unless the reply brings numbers of its own in its text.
    """
    reply = _composed(reply)
    if channel == "sms":
        return _sms(reply, before)
    limits = LIMITS[channel]
    as_buttons = len(reply.buttons) <= limits.buttons
    # Buttons first: an address reads as well in the text.
    link = reply.link if limits.links and not (as_buttons and len(reply.buttons) == limits.buttons) else None
    shown = tuple(
        replace(button, label=shortened(button.label, limits.label))
        for button in reply.buttons
        if as_buttons and len(button.value.encode()) <= limits.value
    )
    values = {button.value for button in shown}
    numbered = tuple(button for button in reply.buttons if button.value not in values)
    menu = _listed(reply, before) if numbered or not reply.listed else ()
    lines = []
    for button in numbered:
        if button.value not in menu:
            menu = (*menu, button.value)
            lines.append(_T["numbered"].format(number=len(menu), label=button.label))
    text = reply.text
    if lines or (numbered and reply.listed):
        text += "\n\n" + "\n".join([_T["choose"], *lines])
    if reply.link and link is None:
        text += "\n\n" + _T["link"].format(label=reply.link.label, url=reply.link.url)
    parts = split(text, limits.text, limits.units)
    messages = [Message(part) for part in parts[:-1]]
    if link:
        link = replace(link, label=shortened(link.label, limits.label))
    messages.append(Message(parts[-1], shown, link, menu=reply.menu and len(parts) == 1))
    if reply.image and limits.images:
        messages[0] = replace(messages[0], image=reply.image)
    if reply.contact and limits.contact:
        messages.append(Message(reply.contact, contact=True))
    return Rendered(tuple(messages), menu)


def _composed(reply: Reply) -> Reply:
    """The reply in NFC: decomposed Vietnamese is half as long again."""

    def nfc(text: str) -> str:
        return unicodedata.normalize("NFC", text)

    return replace(
        reply,
        text=nfc(reply.text),
        brief=nfc(reply.brief),
        contact=nfc(reply.contact),
        buttons=tuple(Button(nfc(button.label), nfc(button.value)) for button in reply.buttons),
        link=Link(nfc(reply.link.label), reply.link.url) if reply.link else None,
    )


def _listed(reply: Reply, before: tuple[str, ...]) -> tuple[str, ...]:
    """What the numbers stand for before any is added: those in the text, else those of earlier replies."""
    return tuple(button.value for button in reply.buttons[: reply.listed]) or before


def shortened(text: str, most: int) -> str:
    """At most so many characters, ending in "…" where something was cut."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def split(text: str, most: int, units: Callable[[str], int] = len) -> list[str]:
    """Cuts a text into parts of at most ``most`` units, at the most sensible place: line, sentence, word.

    Joined again with blanks, the parts hold every word of the text; only a word that is longer than a whole part is
    cut itself.
    """
    parts = []
    rest = text.strip()
    while units(rest) > most:
        at = _cut_at(rest, _fitting(rest, most, units))
        parts.append(rest[:at].rstrip())
        rest = rest[at:].lstrip()
    return [*parts, rest]


def _cut_at(rest: str, fits: int) -> int:
    """Where to cut a text of which ``fits`` characters fit; what stands there is blank, or a word is too long."""
    head = rest[: fits + 1]  # a blank that comes next is left out, so it needs no room
    for mark in _SPLIT_AT:
        if (found := head.rfind(mark)) > fits // 3:
            return found + len(mark)
    blanks = [at for at, character in enumerate(head) if character.isspace()]
    if blanks:
        return blanks[-1]
    at = fits
    while at > 1 and (_joins(rest[at]) or rest[at - 1] == _JOINER):
        at -= 1
    return at if at > 1 else fits


def _joins(character: str) -> bool:
    """Whether a character belongs to the one before it (a mark, a variation, a joiner)."""
    return character == _JOINER or unicodedata.category(character).startswith("M")


def _fitting(text: str, most: int, units: Callable[[str], int]) -> int:
    """The length of the longest beginning of at most ``most`` units."""
    low, high = 1, min(len(text), most)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if units(text[:middle]) <= most else (low, middle - 1)
    return low


def _sms(reply: Reply, before: tuple[str, ...]) -> Rendered:
    """One message of at most two segments, without marks; what does not fit is said to be more.

    A choice that must be made is always shown. What other buttons offer is numbered only where that costs nothing:
    it can be asked in words as well.
    """
    menu = _listed(reply, before)
    options = [button for button in reply.buttons[reply.listed :] if button.value not in menu]
    must = _most(options, len(menu), lambda tail: _units(tail) <= SMS_CHOICES) if reply.menu and not reply.listed else 0
    # One unit is lost where a character of two units meets the seam between the segments.
    room = LIMITS["sms"].text - 1 - (_units(_options(options[:must], len(menu))) if must else 0)
    short = plain(reply.brief)
    # Twice as long as there is room for, and not all of it blanks: not tried where there is something shorter.
    whole = plain(reply.text) if not short or len(reply.text) < 2 * room else ""
    text = next((said for said in (whole, short) if said and len(said) <= room and _units(said) <= room), "")
    if not text:
        rest = " " + plain(_T["sms_rest"])
        text = (split(short or whole, room - len(rest), _units)[0] + rest).strip()
    free = segments(text).count
    count = must or _most(options, len(menu), lambda tail: segments(text + tail).count == free)
    if count:
        text += _options(options[:count], len(menu))
        menu += tuple(button.value for button in options[:count])
    return Rendered((Message(text),), menu)


def _most(options: Sequence[Button], before: int, fits: Callable[[str], bool]) -> int:
    """How many of the first options can be shown."""
    return next((n for n in range(len(options), 0, -1) if fits(_options(options[:n], before))), 0)


def _options(buttons: Sequence[Button], before: int) -> str:
    """Numbered choices on one line: "Nhan so: 1. Xoa het; 2. Khong xoa"."""
    numbered = (_T["numbered"].format(number=n, label=b.label) for n, b in enumerate(buttons, before + 1))
    return "\n" + plain(_T["sms_choose"].format(choices="; ".join(numbered)))


def _units(text: str) -> int:
    return segments(text).units


def plain(text: str) -> str:
    """Without marks, in characters that every phone shows: what is not in the SMS alphabet is left out."""
    bare = to_unaccented(text).translate(_NEUTRAL)
    bare = "".join(character if character in BASIC or character in EXTENSION else " " for character in bare)
    return "\n".join(" ".join(line.split()) for line in bare.splitlines() if line.strip())


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
