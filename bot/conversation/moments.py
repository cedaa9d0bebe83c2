"""When a dossier would be filed, as people say it: "sáng mai", "thứ hai", "ngày 30/11", "4 giờ chiều". Pure."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta

from bot.clock import VIETNAM, local
from nlu.normalize import clean, fold, prepare

_DATE = re.compile(r"\b(\d{1,2})\s*(?:/|-|\.|thang)\s*(\d{1,2})(?:\s*(?:/|-|\.|nam)\s*(20\d{2}))?\b")
_WEEKDAY = re.compile(r"\bthu (hai|ba|tu|nam|sau|bay|[2-7])\b|\b(t[2-7])\b|\b(chu nhat|cn)\b")
_HOUR = re.compile(r"\b(\d{1,2})\s*(?:gio|g|h|:)\s*(\d{2}|ruoi)?\s*(sang|trua|chieu|toi)?")
_DAYS = {"hai": 0, "ba": 1, "tu": 2, "nam": 3, "sau": 4, "bay": 5, "2": 0, "3": 1, "4": 2, "5": 3, "6": 4, "7": 5}
MORNING, AFTERNOON = time(8, 0), time(14, 0)


def _clock(folded: str) -> time | None:
    match = _HOUR.search(folded)
    if match and int(match[1]) < 24:
        hour = int(match[1])
        if match[3] in {"chieu", "toi"} and hour < 12:
            hour += 12
        minute = 30 if match[2] == "ruoi" else int(match[2] or 0)
        if minute < 60:
            return time(hour, minute)
    if re.search(r"\b(chieu|trua)\b", folded):
        return AFTERNOON
    if re.search(r"\bsang\b", folded):
        return MORNING
    return None


def _date(folded: str, today: date) -> date | None:
    match = _DATE.search(folded)
    if not match:
        return None
    year = int(match[3]) if match[3] else today.year
    try:
        day = date(year, int(match[2]), int(match[1]))
    except ValueError:
        return None
    # "nộp 5/1" said in December means next January.
    return day.replace(year=year + 1) if not match[3] and day < today - timedelta(days=60) else day


def _day(folded: str, today: date) -> date | None:
    for pattern, offset in ((r"\b(ngay mot|mot ngay|mai mot)\b|\bmot\b(?= nop)", 2), (r"\b(mai|ngay mai)\b", 1)):
        if re.search(pattern, folded):
            return today + timedelta(days=offset)
    match = _WEEKDAY.search(folded)
    if match:
        wanted = 6 if match[3] else _DAYS[match[1] or match[2][1:]]
        ahead = (wanted - today.weekday()) % 7
        if re.search(r"tuan sau|tuan toi", folded):
            ahead = 7 - today.weekday() + wanted
        return today + timedelta(days=ahead)
    if re.search(r"tuan sau|tuan toi", folded):
        return today + timedelta(days=7 - today.weekday())
    return None


def filing_moment(text: str, now: datetime) -> datetime:
    """The moment of filing that a question names (aware, Vietnam time); now where it names none."""
    folded = prepare(text).folded
    at = local(now)
    # "ngày nào xong" asks for a day, it does not name one: only what is said before it counts.
    said = re.split(r"\b(?:bao gio|khi nao|chung nao|ngay nao|hom nao|thu may|may gio co)\b", folded)[0] or folded
    # Dates lose their slashes in the folded words, so they are read from the text itself.
    day = _date(fold(clean(text)), at.date()) or _day(said, at.date())
    clock = _clock(said)
    if day is None and clock is None:
        return at
    day = day or at.date()
    if clock is None:
        clock = at.time().replace(second=0, microsecond=0) if day == at.date() else MORNING
    return datetime.combine(day, clock, VIETNAM)
