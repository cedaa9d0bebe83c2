"""Telegram's HTML as strictly as its documentation writes it, stricter than its parser is."""

from __future__ import annotations

import html
import re

_TAGS = {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "tg-spoiler", "code", "pre", "blockquote"}
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|#\d{1,7}|#x[0-9a-fA-F]{1,6});")
_TAG = re.compile(r"<(/?)([a-z][a-z0-9-]*)((?:\s[^<>]*)?)>")
_WORDS = re.compile("[^<>&]+")


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
