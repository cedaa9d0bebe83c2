"""The fact test: figures and references in our files must occur in the official record.

It checks mechanically what can be: amounts in đồng, numbers of days, form
numbers, numbers of decrees and circulars. A fact that carries its own
``source`` is exempt (it says where it comes from). It does not understand
text: whether a condition is told rightly is for a reader to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.catalog.schema import Procedure

_LAW = re.compile(r"\b0*(\d{1,4})/((?:19|20)\d{2})/(?!\d)", re.IGNORECASE)
_LAW_QH = re.compile(r"\b0*(\d{1,4})/((?:19|20)\d{2})/(?:QH|UBTVQH)\d+", re.IGNORECASE)
_FORM = re.compile(r"(?:mẫu(?: số)?|CT|CC|DC|TK|NA|M)\s*0*(\d{1,3}[a-zđ]?)\b", re.IGNORECASE)
_AMOUNT = re.compile(r"(?<![\d.,/])(\d{1,3}(?:\.\d{3})+)(?![\d,/])")
_DAYS = re.compile(r"(?<![\d.,/])0?(\d{1,3})\s*(?:ngày|tháng|giờ|năm|tuổi)", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Finding:
    """One figure of ours that the record does not show."""

    code: str
    field: str
    value: str


def _text_of(record: Mapping[str, Any]) -> str:
    parts: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, Mapping):
            for child in value.values():
                walk(child)
        elif isinstance(value, list):
            for child in value:
                walk(child)
        elif value is not None:
            parts.append(str(value))

    walk(record)
    return "\n".join(parts)


def _laws(text: str) -> set[tuple[str, str]]:
    return {(m[1], m[2]) for m in _LAW.finditer(text)} | {(m[1], m[2]) for m in _LAW_QH.finditer(text)}


def _numbers(text: str) -> set[int]:
    plain = re.sub(r"(?<=\d)[.,](?=\d{3}(?!\d))", "", text)
    return {int(m[0]) for m in _NUMBER.finditer(plain) if len(m[0]) < 13}


def _strings(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        if value.get("source") and "as_of" not in value:
            return
        for key, child in value.items():
            yield from _strings(child, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for index, child in enumerate(value):
            yield from _strings(child, f"{path}[{index}]")
    elif isinstance(value, str):
        yield path, value


_TOLD = (
    "where", "online", "documents", "fees", "processing_times", "steps",
    "forms", "eligibility", "results", "legal_basis", "notes",
)  # fmt: skip


def check_facts(procedure: Procedure, record: Mapping[str, Any]) -> list[Finding]:
    """Compares one procedure with its official record (shape of ../shared/data).

    Returns every amount, number of days, form number and decree number that a
    citizen could be told and that the record does not contain.
    """
    text = _text_of(record)
    laws, numbers = _laws(text), _numbers(text)
    forms = {_form(m) for m in _FORM.finditer(text)}
    found: list[tuple[str, str]] = []
    told = procedure.model_dump(mode="json", include=set(_TOLD))
    for path, value in _strings(told):
        found += [(path, f"{number}/{year}") for number, year in sorted(_laws(value) - laws)]
        found += [(path, m[0]) for m in _AMOUNT.finditer(value) if int(m[1].replace(".", "")) not in numbers]
        found += [(path, m[0]) for m in _DAYS.finditer(value) if int(m[1]) not in numbers]
        found += [
            (path, m[0])
            for m in _FORM.finditer(value)
            if _form(m) not in forms and int(re.sub(r"\D", "", m[1])) not in numbers
        ]
    found += [
        (f"fees[{index}].amount", str(fee.amount))
        for index, fee in enumerate(procedure.fees)
        if fee.amount and not fee.source and fee.amount not in numbers
    ]
    found += [
        (f"processing_times[{index}].amount", f"{limit.amount:g}")
        for index, limit in enumerate(procedure.processing_times)
        if limit.amount and not limit.source and limit.amount.is_integer() and int(limit.amount) not in numbers
    ]
    return [Finding(procedure.code, path, value) for path, value in found]


def _form(match: re.Match[str]) -> str:
    return match[1].lower().lstrip("0")
