"""What Telegram refuses: lengths, buttons, and marks read as strictly as its documentation writes them."""

from __future__ import annotations

import html
import json
import re
from typing import Any
from urllib.parse import urlsplit

_TAGS = {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "tg-spoiler", "code", "pre", "blockquote"}
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|#\d{1,7}|#x[0-9a-fA-F]{1,6});")
_TAG = re.compile(r"<(/?)([a-z][a-z0-9-]*)((?:\s[^<>]*)?)>")
_WORDS = re.compile("[^<>&]+")


class RefusedError(Exception):
    """The call is answered with this error."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.code = code
        self.parameters = parameters

    def body(self) -> dict[str, Any]:
        told = {"ok": False, "error_code": self.code, "description": str(self)}
        return told | ({"parameters": self.parameters} if self.parameters else {})


def bad(description: str) -> RefusedError:
    return RefusedError(400, f"Bad Request: {description}")


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


class EntitiesError(ValueError):
    """The text Telegram gives as the reason."""


def plain(text: str) -> str:
    """The text that is left after the marks are read, trimmed.

    Raises:
        EntitiesError: an unknown tag, one that isn't closed or nests wrongly, or a bare ``<``, ``>`` or ``&``.
    """
    open_tags: list[str] = []
    told = []
    at = 0
    while at < len(text):
        entity = _ENTITY.match(text, at)
        tag = _TAG.match(text, at)
        if entity:
            told.append(html.unescape(entity[0]))
            at = entity.end()
        elif tag:
            _nest(open_tags, closing=bool(tag[1]), name=tag[2], attributes=tag[3].strip(), at=at)
            at = tag.end()
        elif text[at] in "<>&":
            raise EntitiesError(f"can't parse entities: unexpected {text[at]!r} at offset {at}")
        else:
            piece = _WORDS.match(text, at)
            assert piece is not None
            told.append(piece[0])
            at = piece.end()
    if open_tags:
        raise EntitiesError(f"can't parse entities: Can't find end tag corresponding to start tag \"{open_tags[-1]}\"")
    return "".join(told).strip()


def _nest(open_tags: list[str], *, closing: bool, name: str, attributes: str, at: int) -> None:
    if closing:
        if not open_tags or open_tags.pop() != name:
            raise EntitiesError(f'can\'t parse entities: Unexpected end tag "{name}" at byte offset {at}')
        return
    known = re.fullmatch(r'href="https?://[^"<>]+"', attributes) if name == "a" else name in _TAGS and not attributes
    if not known:
        raise EntitiesError(f'can\'t parse entities: Unsupported start tag "{name}" at byte offset {at}')
    open_tags.append(name)


def too_many(seconds: int) -> RefusedError:
    return RefusedError(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)


def shown(text: str, parse_mode: str | None, least: int, most: int) -> str:
    """The text as the chat shows it.

    Raises:
        RefusedError: marks that can't be read, or too short or too long after reading them.
    """
    if parse_mode not in {None, "HTML"}:
        raise bad("unsupported parse_mode")
    try:
        told = plain(text) if parse_mode else text.strip()
    except EntitiesError as error:
        raise bad(str(error)) from error
    if utf16(told) < least:
        raise bad("message text is empty")
    if utf16(told) > most:
        raise bad("message is too long" if most == 4096 else "message caption is too long")
    return told


def keyboard(form: dict[str, str]) -> dict[str, Any]:
    """The keyboard of a call, looked at: {"inline": rows}, {"reply": rows}, {"remove": True} or {}.

    Raises:
        RefusedError: a button that Telegram refuses.
    """
    markup = json.loads(form.get("reply_markup", "{}"))
    if "inline_keyboard" in markup:
        rows = markup["inline_keyboard"]
        for button in (button for row in rows for button in row):
            _inline_button(button)
        if sum(map(len, rows)) > 100:
            raise bad("reply markup is too long")
        return {"inline": rows}
    if "keyboard" in markup:
        if not all(button.get("text") for row in markup["keyboard"] for button in row):
            raise bad("keyboard button text must be non-empty")
        return {"reply": markup["keyboard"], "options": {k: v for k, v in markup.items() if k != "keyboard"}}
    return {"remove": True} if markup.get("remove_keyboard") else {}


def _inline_button(button: dict[str, Any]) -> None:
    if not button.get("text"):
        raise bad("inline keyboard button text must be non-empty")
    kinds = [name for name in ("callback_data", "url") if name in button]
    if len(kinds) != 1:
        raise bad("Text buttons are unallowed in the inline keyboard")
    if kinds == ["callback_data"] and not 1 <= len(button["callback_data"].encode()) <= 64:
        raise bad("BUTTON_DATA_INVALID")
    if kinds == ["url"]:
        url = urlsplit(button["url"])
        if url.scheme not in {"http", "https", "tg"} or "." not in (url.hostname or ""):
            raise bad(f"inline keyboard button URL '{button['url']}' is invalid: Wrong HTTP URL")
