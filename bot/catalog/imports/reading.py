"""What an official record's texts say in figures: money, time limits, form and decree numbers."""

from __future__ import annotations

import re

from bot.catalog.imports.records import Record
from bot.catalog.schema import TimeUnit

SMALLEST_FEE = 500  # đồng; "20 VNĐ" in a record is a slip for twenty thousand or worse, never a fee
_MONEY = re.compile(r"(?<![\d.,])(\d{1,3}(?:[.,]\d{3})+|\d+)\s*(?:việt nam đồng|vnđ|đồng|đ\b)", re.IGNORECASE)
_FREE = re.compile(r"miễn\s*(?:phí|lệ phí)|không\s+(?:thu|mất)\s+phí", re.IGNORECASE)
_TIME = re.compile(r"0*(\d+(?:[.,]\d+)?)\s*(ngày\s+làm\s+việc|ngày|giờ|tháng)", re.IGNORECASE)
_LAW = re.compile(r"\b0*(\d{1,4})/(\d{4})/([A-ZĐ][A-ZĐ0-9-]*)")
_FORM = re.compile(
    r"\b(?:mẫu\s+(?:số\s*|tờ khai\s*)?([A-Z]{0,4}-?\d{1,3}[a-zđ]?(?:[.-]\d{1,2})?)"
    r"|((?:CT|CC|DC|TK|NA|TT)\d{2}[a-z]?))\b",
    re.IGNORECASE,
)
_UNITS = {"ngày làm việc": TimeUnit.WORKING_DAY, "ngày": TimeUnit.DAY, "giờ": TimeUnit.HOUR, "tháng": TimeUnit.MONTH}


def money(text: str) -> int | None:
    """The amount in đồng, 0 where the text says that it is free; None where it says neither."""
    match = _MONEY.search(text)
    if match:
        amount = int(re.sub(r"\D", "", match[1]))
        return amount if amount == 0 or amount >= SMALLEST_FEE else None
    return 0 if _FREE.search(text) else None


def time_limit(text: str) -> tuple[float, TimeUnit] | None:
    """The one time limit that a text states; None for a bare number, several limits, or none."""
    found = {(float(m[1].replace(",", ".")), _UNITS[" ".join(m[2].lower().split())]) for m in _TIME.finditer(text)}
    return found.pop() if len(found) == 1 and next(iter(found))[0] > 0 else None


def laws(text: str) -> set[str]:
    """Numbers of laws, decrees and circulars, without leading zeros: ``120/2025/NĐ-CP``."""
    return {f"{m[1]}/{m[2]}/{m[3].rstrip('-')}" for m in _LAW.finditer(text)}


def forms(text: str) -> set[str]:
    """Form numbers in capitals, without leading zeros: ``CT01``, ``2A``."""
    return {(m[1] or m[2]).upper().lstrip("0") for m in _FORM.finditer(text)}


def fee_texts(record: Record) -> list[tuple[str, str]]:
    """All fees of a record as (mode, text), each once."""
    found = [
        (method.mode, " ".join(f"{amount} {note}".split())) for method in record.methods for amount, note in method.fees
    ]
    return list(dict.fromkeys((mode, text) for mode, text in found if text))
