"""Dossier codes (mã hồ sơ) and procedure codes (mã thủ tục) by grammar, before any tokeniser.

Forms of the dossier code: Thông tư 01/2018/TT-VPCP Điều 19 (until 2025), Nghị định
118/2025/NĐ-CP and Thông tư 03/2025/TT-VPCP (since): an agency part, YYMMDD, a sequence.
Reading is tolerant (case, blanks, dashes, missing dots, O for 0, l for 1, glued to
words); what comes out is canonical. A code is never made up: where the digits cannot be
told apart (an odd number without dots, no such date), the text is a near miss to ask about.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

MAX_CHARS = 4000
AGENCY = (
    r"[0-9]{3}\.[A-Z0-9]{2}\.[A-Z0-9]{2}\.[A-Z][0-9]{2}|[A-Z][0-9]{2}(?:\.[0-9]{2,3}){0,4}"
    r"|[0-9]{2}\.[0-9]{2}\.[A-Z][0-9]{2}"
)
CANONICAL = re.compile(rf"(?:{AGENCY})-[0-9]{{6}}-[0-9]{{4,7}}")
_HIDDEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_SIGNS = {ord(sign): "-" for sign in "‐‑‒–—―−﹣"} | {ord(sign): "." for sign in "·•。．"}
_AS_DIGITS = str.maketrans("OolI", "0011")

_D = "[0-9OolI]"  # a digit, or a letter taken for one
_S = "[ .,_-]"
_OLD = rf"{_D}{{3}}{_S}{{0,3}}[0-9A-Za-z]{{2}}{_S}{{0,3}}[0-9A-Za-z]{{2}}"  # 000.17.22 before .H56
_SHORT = rf"{_D}{{2}}{_S}{{0,3}}{_D}{{2}}"  # 38.98 before .H29
_CODE = re.compile(
    rf"(?<![^\W_])(?:(?P<lead>{_OLD}|{_SHORT}){_S}{{0,3}})?"
    rf"(?P<head>[A-Za-z])(?P<province> ?{_D}{{2}})(?P<rest>(?:{_S}{{0,3}}{_D}){{10,26}})(?![0-9A-Za-z]|/[0-9])"
)
_TOKEN = re.compile(rf"({_S}*)({_D}+)")
# Where a word runs into a code, and a code into a word. Only provinces (H) and ministries (G) are
# looked for inside a word: "CCCD092…" is no code of an agency D09, nor a law of "QH13" one of H13.
_INTO_CODE = re.compile(
    rf"(?<=[^\W\d_Qq])(?=[HhGg](?:[0-9]{_D}|{_D}[0-9]){_S}{{0,3}}{_D}"
    r"|[0-9]{3}\.[0-9A-Za-z]{2}\.[0-9A-Za-z]{2}\.[^\W\d_OolI][0-9]|[0-9]{2}\.[0-9]{2}\.[^\W\d_OolI][0-9])"
)
_OUT_OF_CODE = re.compile(rf"(?<={_D}{{4}})(?=[OolI]{{0,3}}[^\W\d_OolI])")
_GLUE = "\x1f"
_NEAR = re.compile(
    rf"(?<![^\W_])(?:[0-9A-Za-z]{{2,3}}\.){{0,3}}(?P<head>[A-Za-z]){_D}{{2}}"
    rf"(?:{_S}{{0,3}}{_D}){{6,32}}(?![0-9A-Za-z])|(?<![^\W_])[HhGg][0-9]{{2}}(?:\.[0-9]{{2,3}}){{2,4}}(?![0-9.])"
)
_PHONE_BEHIND = re.compile(r"[ ,.-]+0[0-9]{9}$")
_PROCEDURE = re.compile(r"(?<![\d.,/-])([1-9])\s?[.]\s?(\d{6})(?![\d/]|[.,-]\d)")


@dataclass(frozen=True, slots=True)
class CodeHit:
    """A dossier code read from a text.

    Attributes:
        code: in canonical form.
        start: where it begins in the cleaned text (invisible characters gone, blanks single).
        end: where it ends there.
        ambiguous: its groups could be read in another way too; the usual one was taken.
    """

    code: str
    start: int
    end: int
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class _Reading:
    doubt: int  # separators missing, or standing where they do not belong
    agency: str | None  # ".99.01"; None: the digits cannot be grouped
    day: str
    sequence: str
    tokens: int
    split: bool  # separators within the date or the sequence

    @property
    def rank(self) -> tuple[int, bool, int]:
        # Provincial systems use four digits: the usual reading where several are possible.
        return self.doubt, len(self.sequence) != 4, -self.tokens


def _cleaned(text: str) -> str:
    text = unicodedata.normalize("NFC", _HIDDEN.sub("", text[: MAX_CHARS * 2])[:MAX_CHARS]).translate(_SIGNS)
    # Full-width digits and letters → ASCII, without touching Vietnamese letters.
    text = "".join(unicodedata.normalize("NFKC", c) if "！" <= c <= "ｚ" else c for c in text)
    text = re.sub(r"\s+", " ", text.replace(_GLUE, " "))
    return _OUT_OF_CODE.sub(" ", _INTO_CODE.sub(_GLUE, text))


def _digits(text: str) -> str:
    return re.sub("[^0-9]", "", text.translate(_AS_DIGITS))


def _real_day(day: str) -> bool:
    try:
        date(2000 + int(day[:2]), int(day[2:4]), int(day[4:]))
    except ValueError:
        return False
    return True


def is_canonical(code: str) -> bool:
    """Whether a code is in canonical form with a real date."""
    return CANONICAL.fullmatch(code) is not None and _real_day(code.split("-")[1])


def agency_of(code: str) -> str:
    """The agency part of a canonical code: "H30.99.01" of "H30.99.01-261116-0001"."""
    return code.partition("-")[0]


def _grouped(tokens: list[tuple[str, bool]]) -> str | None:
    """Agency digits as ".99.01"; None where they cannot be paired.

    Args:
        tokens: (digits, whether a separator stands on either side of them).
    """
    groups: list[str] = []
    for digits, apart in tokens:
        if len(digits) == 2 or (len(digits) == 3 and apart):
            groups.append(digits)
        elif len(digits) % 2 == 0:
            groups += [digits[i : i + 2] for i in range(0, len(digits), 2)]
        else:
            return None
    return "".join(f".{group}" for group in groups) if len(groups) <= 4 else None


def _readings(tokens: list[tuple[str, str]]) -> Iterator[_Reading]:
    """All ways to read (separator before, digits) as agency, date and sequence."""
    digits, ends = "", [0]
    for number, (_, token) in enumerate(tokens[:12], 1):
        digits += token
        ends.append(len(digits))
        for length in range(4, 8):
            day_at, sequence_at = len(digits) - length - 6, len(digits) - length
            if day_at < 0 or not _real_day(day := digits[day_at:sequence_at]):
                continue
            starts_apart = bool(tokens[0][0]) if day_at == 0 else day_at in ends
            missing = (not starts_apart) + (sequence_at not in ends)
            in_day = sum(day_at < end < sequence_at for end in ends)
            in_sequence = [i for i, end in enumerate(ends[:-1]) if sequence_at < end]
            if (in_day or in_sequence) and missing:
                continue  # the separators say otherwise
            if in_sequence and (length != 4 or any(tokens[i][0] != " " for i in in_sequence)):
                continue
            doubt = missing + in_day + len(in_sequence)
            if doubt and not 15 <= int(day[:2]) <= 39:
                continue  # what is not set off as a date must at least be one of these years
            agency = [
                (digits[start : min(end, day_at)], bool(tokens[i][0]) and end <= day_at)
                for i, (start, end) in enumerate(pairwise(ends))
                if start < day_at
            ]
            yield _Reading(doubt, _grouped(agency), day, digits[sequence_at:], number, in_day + len(in_sequence) > 0)


def _lead(text: str) -> str | None:
    """The part before the province in the old and the short form, "000.17.22." or "38.98."; None where it is none."""
    compact = re.sub("[^0-9A-Za-z]", "", text)
    groups = [compact[:3], compact[3:5], compact[5:]] if len(compact) == 7 else [compact[:2], compact[2:]]
    if text.count(".") < len(groups) - 1 and not all(any(c.isdigit() for c in group) for group in groups):
        return None  # two words of two letters are no agency
    # A group of digits with O or l among them is read as digits; "A0" stays what it is.
    read = [_digits(g) if i == 0 or re.fullmatch(f"{_D}+", g) else g.upper() for i, g in enumerate(groups)]
    return "".join(f"{group}." for group in read)


def _hit(match: re.Match[str], text: str) -> CodeHit | None:
    lead = _lead(match["lead"]) if match["lead"] else ""
    # "h 30.99.01 …" is a code, "H 2015-01-15 …" is not.
    apart = match["province"][0] == " " and (match["head"] not in "HhGg" or match["rest"][0] not in " .,_-")
    if lead is None or apart or sum(c in "0123456789" for c in match["province"] + match["rest"]) < 4:
        return None
    tokens = [(m[1], _digits(m[2])) for m in _TOKEN.finditer(match["rest"])]
    readings = sorted(_readings(tokens), key=lambda reading: reading.rank)
    if lead:
        readings = [reading for reading in readings if reading.agency == ""]
    elif match["head"] not in "HhGg":
        # House and form numbers before a date, "A12 2015-01-15 …", are no codes of other agencies.
        readings = [reading for reading in readings if not reading.split]
    if not readings or readings[0].agency is None:
        return None
    best = readings[0]
    before = text[match.start() - 1 : match.start()]
    if before == _GLUE and len(tokens) == 1 and len(tokens[0][1]) == 10 and not tokens[0][0]:
        return None  # a word that runs into twelve digits: an ID number, "số định danh092…"
    if re.search(r"[0-9][._-]$", text[max(0, match.start() - 2) : match.start()]) and (lead or not best.agency):
        return None  # the end of an old form whose beginning could not be read
    code = f"{lead}{match['head'].upper()}{_digits(match['province'])}{best.agency}-{best.day}-{best.sequence}"
    same = [reading for reading in readings if reading.doubt == best.doubt and reading.agency is not None]
    end = match.start("rest") + list(_TOKEN.finditer(match["rest"]))[best.tokens - 1].end()
    return CodeHit(code, match.start(), end, len(same) > 1) if is_canonical(code) else None


def _scan(text: str) -> Iterator[CodeHit]:
    at = 0
    while match := _CODE.search(text, at):
        hit = _hit(match, text)
        if hit is None:
            at = match.start() + 1
        else:
            at = hit.end
            yield hit


def find_codes(text: str) -> tuple[CodeHit, ...]:
    """The dossier codes of a message in order of appearance, each once.

    Reads at most the first ``MAX_CHARS`` characters; the work is linear in them.
    """
    unique: dict[str, CodeHit] = {}
    for hit in _scan(_cleaned(text)):
        unique.setdefault(hit.code, hit)
    return tuple(unique.values())


def near_misses(text: str) -> tuple[str, ...]:
    """What looks like a dossier code but cannot be read as one (odd digits, no such date, a part missing)."""
    cleaned = _cleaned(text)
    hits = list(_scan(cleaned))
    found: dict[str, None] = {}
    for match in _NEAR.finditer(cleaned):
        said = _PHONE_BEHIND.sub("", match[0])
        overlaps = any(match.start() < hit.end and hit.start < match.end() for hit in hits)
        # Other letters than of provinces and ministries stand in house, form and contract numbers too.
        meant = (match["head"] or "h") in "HhGg" or "." in said
        glued_id = cleaned[match.start() - 1 : match.start()] == _GLUE and re.fullmatch(r"[A-Za-z]\d{12}", said)
        if meant and not overlaps and not glued_id and sum(c in "0123456789" for c in said) >= 6:
            found.setdefault(said)
    return tuple(found)


def procedure_codes(text: str) -> tuple[str, ...]:
    """Procedure codes like ``1.001193`` in order of appearance, each once."""
    return tuple(dict.fromkeys(f"{m[1]}.{m[2]}" for m in _PROCEDURE.finditer(_cleaned(text))))
