"""The words of a notice: one GSM-7 message whatever the office is called and however long the code is."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bot.notices.gsm7 import BASIC, to_unaccented
from bot.texts import phrases

ONE_MESSAGE = 160
_EDGES = " -,;:./("  # no name begins or ends with these
_NEUTRAL = str.maketrans({"–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "’": "'", "“": '"', "”": '"'})


def render(event: str, fields: Mapping[str, str]) -> str:
    """The SMS text of an event.

    Args:
        event: a template of ``bot/texts/notices.yml``, for example "result_ready_counter".
        fields: "office" (any length, shortened to fit) and "code" (a dossier code, never cut).

    Raises:
        KeyError: there is no such template, or a field is missing.
    """
    template = _plain(phrases("notices")[event], keep="{}")
    code = _plain(fields["code"])
    room = ONE_MESSAGE - len(template.format(office="", code=code))
    return template.format(office=short_office(fields["office"], room), code=code)


def one_time_code(code: str, minutes: int, office: str) -> str:
    """The SMS that carries a one-time code: one GSM-7 message; the code never stands for a dossier in it."""
    template = _plain(phrases("channels")["one_time_code"], keep="{}")
    room = ONE_MESSAGE - len(template.format(office="", code=code, minutes=minutes))
    return template.format(office=short_office(office, room), code=code, minutes=minutes)


def short_office(name: str, room: int) -> str:
    """An office's name unaccented and abbreviated ("TTPVHCC xa Chau Thanh"), cut after a word to fit ``room``."""
    texts = phrases("notices")
    short = _plain(name).strip(_EDGES)
    if not any(char.isalnum() for char in short):
        short = _plain(texts["office"])
    for long, brief in texts["abbreviations"].items():
        short = re.sub(rf"\b{re.escape(_plain(long))}\b", _plain(brief), short, flags=re.IGNORECASE)
    if len(short) <= room:
        return short
    cut = short[: room + 1].rpartition(" ")[0] or short[:room]
    return cut.rstrip(_EDGES)


def _plain(text: str, keep: str = "") -> str:
    """Unaccented, one line, only characters of one unit each (and those to ``keep``)."""
    bare = to_unaccented(text).translate(_NEUTRAL)
    return " ".join("".join(c if c in BASIC or c in keep else " " if c.isspace() else "" for c in bare).split())
