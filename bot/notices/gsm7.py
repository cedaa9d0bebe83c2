"""The SMS alphabet GSM 03.38: without accents a notice is one short message, with them two or three."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = frozenset("^{}\\[~]|€\f")  # sent as an escape and a character: two units

# Units of a lone message, and of each part of a longer one (GSM 03.40).
_GSM7 = (160, 153)
_UCS2 = (70, 67)


@dataclass(frozen=True, slots=True)
class Segments:
    """How a text goes over the air: "gsm7" or "ucs2", its length in units, the number of messages billed."""

    encoding: str
    units: int
    count: int


def to_unaccented(text: str) -> str:
    """The text without Vietnamese marks ("Đã có" → "Da co"); the same for every Unicode form of it."""
    bare = unicodedata.normalize("NFC", text).replace("đ", "d").replace("Đ", "D")
    return "".join(char for char in unicodedata.normalize("NFD", bare) if unicodedata.category(char) != "Mn")


def segments(text: str) -> Segments:
    """Counts the messages a text needs; a character of two units is never split between two of them."""
    if all(char in BASIC or char in EXTENSION for char in text):
        encoding, (alone, part) = "gsm7", _GSM7
        sizes = [2 if char in EXTENSION else 1 for char in text]
    else:
        encoding, (alone, part) = "ucs2", _UCS2
        sizes = [2 if ord(char) > 0xFFFF else 1 for char in text]
    units = sum(sizes)
    if units <= alone:
        return Segments(encoding, units, 1)
    count, used = 1, 0
    for size in sizes:
        if used + size > part:
            count, used = count + 1, 0
        used += size
    return Segments(encoding, units, count)
