"""From what was typed in a form back to a value of the schema, and what is wrong with it. Pure.

A text that stands for nothing is refused, never guessed: "8.00" is no amount.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bot.catalog.loading import describe
from bot.console.numbers import typed_number
from bot.console.procedures.forms import Spec
from bot.texts import phrases

_T = phrases("procedures")
MAX_ROWS = 200
_AMOUNT = re.compile(r"([0-9]{1,3}(?:[. ][0-9]{3})+|[0-9]+)\s*(?:đ|đồng)?", re.IGNORECASE)
_DECIMAL = re.compile(r"[0-9]+(?:[.,][0-9]{1,2})?")
_DAY = re.compile(r"([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]([0-9]{4})")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_REFUSED = "«{}»"  # of a text that the schema might take for something else: it reads "8.00" as 8


@dataclass(slots=True)
class Typed:
    """What came back from a form: the value for the schema, and the same rows as text to show again."""

    value: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, Any] = field(default_factory=dict)


# --- what was typed ------------------------------------------------------------------------------------------------


def read(specs: Iterable[Spec], form: Mapping[str, list[str]]) -> Typed:
    """What was typed in a form; rows that are empty or taken out are gone, the others are numbered anew."""
    typed = Typed()
    for spec in specs:
        typed.texts[spec.name], found = _read(spec, spec.name, form)
        if found is not None:
            typed.value[spec.name] = found
    return typed


def _read(spec: Spec, path: str, form: Mapping[str, list[str]]) -> tuple[Any, Any]:
    """The text (or tree of texts) of one field, and its value; None: nothing."""
    if spec.kind == "group":
        parts = {child.name: _read(child, f"{path}.{child.name}", form) for child in spec.children}
        texts = {name: text for name, (text, _) in parts.items()}
        return texts, {name: value for name, (_, value) in parts.items() if value is not None} if _filled(
            spec, texts
        ) else None
    if spec.kind == "rows" and spec.item:
        rows = []
        for number in _numbers(path, form):
            if form.get(f"{path}.{number}.__out"):
                continue
            text, value = _read(spec.item, f"{path}.{number}", form)
            if _filled(spec.item, text):
                rows.append((text, value))
        return [text for text, _ in rows], [value for _, value in rows]
    given = [one for one in form.get(path, []) if one]
    if spec.kind == "checks":
        known = dict(spec.options)
        return given, [one for one in given if one in known]
    text = given[-1].replace("\r\n", "\n") if given else ""
    return text, _value(spec, text.strip())


def _numbers(path: str, form: Mapping[str, list[str]]) -> list[int]:
    """The numbers of the rows that came, in order."""
    start = path + "."
    found = {name[len(start) :].partition(".")[0] for name in form if name.startswith(start)}
    return sorted(row for number in found if (row := typed_number(number, 3)) is not None)[:MAX_ROWS]


def _value(spec: Spec, text: str) -> Any:  # noqa: PLR0911 - one for each kind
    """What a text stands for; a text that stands for nothing is left to the schema to refuse."""
    if spec.kind == "check":
        return text == "1" or None
    if text == "":
        return None
    if spec.kind == "maybe":
        return text == "1"
    if spec.kind == "number":
        match = _AMOUNT.fullmatch(text)
        return int(re.sub(r"\D", "", match[1])) if match and len(match[1]) < 16 else _REFUSED.format(text)
    if spec.kind == "decimal":
        return float(text.replace(",", ".")) if _DECIMAL.fullmatch(text) and len(text) < 12 else _REFUSED.format(text)
    if spec.kind == "date":
        return day_of(text) if _ISO.fullmatch(day_of(text)) else _REFUSED.format(text)
    if spec.kind in {"text", "long"}:
        return " ".join(text.split())
    return text


def day_of(text: str) -> str:
    """A day in ISO form; "31/12/2026" is understood, anything else stays as it is."""
    match = _DAY.fullmatch(text.strip())
    return f"{match[3]}-{int(match[2]):02d}-{int(match[1]):02d}" if match else text.strip()


def _filled(spec: Spec, text: Any) -> bool:
    """Whether somebody has written into a row: what stands there by itself doesn't count."""
    if spec.kind == "group":
        return any(_filled(child, text[child.name]) for child in spec.children)
    if spec.kind in {"rows", "checks"}:
        return bool(text)
    return (
        bool(str(text).strip())
        and not (spec.default and str(text) == spec.default)
        and not (spec.kind == "check" and text != "1")
    )


def moved(texts: dict[str, Any], act: str) -> dict[str, Any]:
    """The texts with the row of "up:documents.2" one place higher; unchanged for anything else."""
    kind, _, path = act.partition(":")
    name, _, number = path.rpartition(".")
    rows = texts.get(name)
    at = typed_number(number, 3) or 0
    if kind == "up" and isinstance(rows, list) and 0 < at < len(rows):
        rows[at - 1], rows[at] = rows[at], rows[at - 1]
    return texts


# --- faults --------------------------------------------------------------------------------------------------------


def faults_of(error: ValidationError) -> dict[str, str]:
    """Path of a form field → what is wrong there, in words for the person who typed it."""
    found: dict[str, str] = {}
    for one in error.errors(include_url=False):
        found.setdefault(".".join(str(part) for part in one["loc"]), _fault(one))
    return found


def _fault(error: ErrorDetails) -> str:  # noqa: PLR0911 - one for each kind
    words, kind, context = _T["faults"], error["type"], error.get("ctx", {})
    name = str(error["loc"][-1]) if error["loc"] else ""
    said = describe(error)
    by_kind = {
        "missing": "missing", "string_type": "missing", "int_type": "number", "int_parsing": "number",
        "float_type": "decimal", "float_parsing": "decimal", "too_short": "few", "string_too_short": "missing",
    }  # fmt: skip
    if kind in by_kind:
        return str(words[by_kind[kind]])
    if kind.startswith("date"):
        return str(words["date"])
    if kind == "string_too_long":
        return str(words["long"]).format(most=context["max_length"])
    if kind == "string_pattern_mismatch":
        return str(words["time" if name in {"opens", "closes"} else "code"])
    if kind in {"less_than_equal", "less_than"}:
        return str(words["most"]).format(most=context.get("le", context.get("lt")))
    if kind in {"greater_than_equal", "greater_than"}:
        return str(words["least"]).format(least=context.get("ge", context.get("gt")))
    for key, word in (("amount (đồng)", "one_amount"), ("valid_from", "dates"), ("amount", "unit"), ("opens", "shift")):
        if kind == "value_error" and key in said:
            return str(words[word])
    return said
