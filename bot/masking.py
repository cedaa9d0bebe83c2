"""What a citizen wrote, fit to be shown to others: without numbers and addresses that lead to a person. Pure.

Names can't be told from other words by a machine: what is published is read by a person first.
"""

from __future__ import annotations

import re

from bot.logs import mask
from nlu.codes import find_codes

HIDDEN = "•••"
_CODE = re.compile(
    r"(?<![\w.])(?:\d{2,3}\.[0-9A-Z]{2,3}\.(?:[0-9A-Z]{2}\.)?)?[A-Z]\d{2}(?:\.\d{2,3})*-\d{6}-\d{4,7}", re.IGNORECASE
)
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+")
_LINK = re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)
_PROCEDURE = re.compile(r"(?<![\d.,/-])[1-9]\.\d{6}(?![\d/]|[.,-]\d)")
# Seven digits or more, however they are set apart: phones, ID numbers, accounts, dates of birth.
_NUMBERS = re.compile(r"(?<!\d)\+?\d(?:[ .–—/-]{0,3}\d){6,}")


def masked(text: str) -> str:
    """The text with phones, ID numbers, dossier codes, addresses of mail and pages and other long numbers hidden."""
    text = _LINK.sub(HIDDEN, _MAIL.sub(HIDDEN, text))
    text = _CODE.sub(HIDDEN, text)
    if find_codes(text):  # written in another way: "h30 99 01 261116 0001"
        text = re.sub(r"\b[0-9A-Za-z]*\d[0-9A-Za-z]*(?:[ .,_–—-]{1,3}\d[0-9]*)+", HIDDEN, text)
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(match[0])
        return f"\x00{len(kept) - 1}\x00"

    text = _PROCEDURE.sub(keep, text.replace("\x00", ""))
    text = _NUMBERS.sub(HIDDEN, text)
    return mask(re.sub("\x00(\\d+)\x00", lambda match: kept[int(match[1])], text))
