"""The words of a notice: short for SMS, whole for a chat; each within its budget whatever the office is called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bot.notices.gsm7 import BASIC, Segments, segments, to_unaccented
from bot.texts import phrases

SEGMENT = 160  # units of a lone SMS
PART = 153  # units of each part of a longer one
_FIELD = re.compile(r"\{([^{}]*)\}")  # anything between braces, so that an unknown name is told as it was typed
_EDGES = " -,;:./("  # no name begins or ends with these
NEUTRAL: dict[str, str | int | None] = {
    "–": "-",
    "—": "-",
    "‐": "-",
    "‑": "-",
    "−": "-",
    "’": "'",
    "“": '"',
    "”": '"',
}  # as GSM-7 has them
# What a field may hold at most: the room an SMS must leave for it.
# What texts are shown with before there is a notice.
EXAMPLE: Mapping[str, str] = {
    "office": "Trung tâm Phục vụ hành chính công xã Châu Thành", "code": "H30.99.01-261116-0001",
    "due": "30/11/2026", "link": "https://motcua.example.vn/khao-sat/abcdefghijklmnop",
}  # fmt: skip
LONGEST: Mapping[str, str] = {
    "office": "TTPVHCC",  # the rest of a longer name is cut to fit
    "code": "H30.999.999.999.999-261116-0000001",
    "due": "30/11/2026",
    "link": "https://motcua.xachauthanh.cantho.gov.vn/khao-sat/abcdefghijklmnop",
}


def templates() -> Mapping[str, Mapping[str, object]]:
    """All templates of ``bot/texts/notices.yml``: name → fields, sms, chat, segments."""
    found: Mapping[str, Mapping[str, object]] = phrases("notices")["templates"]
    return found


def render(
    name: str, fields: Mapping[str, str], channel: str = "sms", template: Mapping[str, object] | None = None
) -> str:
    """The text of a notice.

    Args:
        name: a template, for example "result_ready_counter".
        fields: "office" (any length; for SMS shortened to fit) and what else the template declares; a dossier code is
            never cut.
        channel: "sms", or anything else for the whole text.
        template: its words, where they are not those of the file (``bot.notices.wording``).

    Raises:
        KeyError: there is no such template, or a field is missing.
    """
    template = templates()[name] if template is None else template
    if channel != "sms":
        return str(template["chat"]).format(**fields)
    return _short(str(template["sms"]), fields, _room(template))


def one_time_code(code: str, minutes: int, office: str) -> str:
    """The SMS that carries a one-time code: one GSM-7 message; the code never stands for a dossier in it."""
    fields = {"code": code, "minutes": str(minutes), "office": office}
    return _short(str(phrases("channels")["one_time_code"]), fields, SEGMENT)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a template: its kind and what fills in the words for it (``name``, ``channel`` …)."""

    kind: str
    values: Mapping[str, object]

    def told(self, said: Mapping[str, str]) -> str:
        """In the words of ``said``, which has "fault_<kind>" for each."""
        return said[f"fault_{self.kind}"].format(**self.values)


def faults() -> Iterator[str]:
    """What is wrong with the templates of the file, a line each (``faults_of``)."""
    for name, template in templates().items():
        for fault in faults_of(name, template):
            yield fault.told(phrases("notices"))


def faults_of(name: str, template: Mapping[str, object]) -> Iterator[Fault]:
    """What is wrong with a template: "missing", "field", "unused", "braces", "long" (see the texts "fault_…")."""
    declared = [str(field) for field in template.get("fields") or ()]  # type: ignore[attr-defined]
    for channel in ("sms", "chat"):
        text, where = template.get(channel), {"name": name, "channel": channel}
        if not isinstance(text, str) or not text.strip():
            yield Fault("missing", where)
            continue
        used = used_fields(text)
        for field in sorted(used - set(declared)):
            yield Fault("field", where | {"field": field, "known": ", ".join(declared)})
        for field in sorted(set(declared) - used):
            yield Fault("unused", where | {"field": field})
        if set(_FIELD.sub("", text)) & set("{}"):
            yield Fault("braces", where)
        elif channel == "sms" and used <= set(LONGEST):
            size = longest(text)
            most = int(str(template.get("segments", 1)))
            if size.encoding != "gsm7" or size.count > most:
                yield Fault("long", where | {"units": size.units, "count": size.count, "most": most})


def used_fields(text: str) -> frozenset[str]:
    """The names between braces, as they were typed."""
    return frozenset(_FIELD.findall(text))


def longest(sms: str) -> Segments:
    """How many SMS a text needs at the most: without marks, each field as long as it gets.

    Raises:
        KeyError: a field that no notice has.
    """
    return segments(_FIELD.sub(lambda field: LONGEST[field[1]], _plain(sms, keep="{}")))


def _room(template: Mapping[str, object]) -> int:
    count = int(str(template.get("segments", 1)))
    return SEGMENT if count == 1 else PART * count


def _short(text: str, fields: Mapping[str, str], room: int) -> str:
    """The text without marks, the office's name cut so that all of it fits."""
    template = _plain(text, keep="{}")
    others = {name: _plain(value) for name, value in fields.items() if name != "office"}
    left = room - len(template.format(office="", **others))
    return template.format(office=short_office(fields["office"], left), **others)


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
    """Unaccented, one line, only characters of one unit each (and those to ``keep``); as in static/segments.js."""
    bare = to_unaccented(text).translate(str.maketrans(NEUTRAL))
    return " ".join("".join(c if c in BASIC or c in keep else " " if c.isspace() else "" for c in bare).split())
