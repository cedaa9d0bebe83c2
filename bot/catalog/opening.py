"""Whether the office is open, when it opens next, and how that is said: "sáng mai, từ 7 giờ". Pure.

The profile names days in words ("thứ Hai đến thứ Sáu"); words that are not understood count as working days.
Working days and holidays: ``bot.catalog.calendar``. Where the profile tells no hours, nothing is promised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from bot.catalog.calendar import Calendar
from bot.catalog.deadlines import CLOSES, OPENS
from bot.catalog.office import Hours, Office, in_force
from bot.clock import VIETNAM, local
from bot.texts import phrases
from nlu.normalize import fold

_T = phrases("inbox")["when"]
_AHEAD = 40  # days to look for the next opening, as in the calendar
_DAYS = {"hai": 0, "ba": 1, "tu": 2, "nam": 3, "sau": 4, "bay": 5, "2": 0, "3": 1, "4": 2, "5": 3, "6": 4, "7": 5}
_DAY = re.compile(r"\b(?:thu\s*|t)(hai|ba|tu|nam|sau|bay|[2-7])\b|\b(chu nhat|cn)\b")
_RANGE = re.compile(r"^\s*(?:den|toi|-|–|—)\s*$")
_NAMES = ("thứ Hai", "thứ Ba", "thứ Tư", "thứ Năm", "thứ Sáu", "thứ Bảy", "Chủ nhật")
_SUNDAY = 6
_WORKDAYS = frozenset(range(5))

Span = tuple[datetime, datetime]


def calendar_of(office: Office) -> Calendar:
    """The working days of an office, its own exceptions included."""
    return Calendar.of(office.days_off, office.working_days)


def weekdays(words: str) -> frozenset[int]:
    """The days that words name (Monday 0 … Sunday 6): "thứ Hai đến thứ Sáu", "sáng thứ Bảy"; else Monday to Friday."""
    folded = fold(words)
    found: list[int] = []
    end = 0
    for match in _DAY.finditer(folded):
        day = _SUNDAY if match[2] else _DAYS[match[1]]
        if found and _RANGE.match(folded[end : match.start()]):
            found += range(found[-1] + 1, day + 1)
        else:
            found.append(day)
        end = match.end()
    return frozenset(found) or _WORKDAYS


def _opens(hours: Hours, day: date, calendar: Calendar) -> bool:
    if hours.counter is not None or not in_force(hours.valid_from, hours.valid_to, day):
        return False
    days = weekdays(hours.days)
    if calendar.is_working_day(day):
        # A Saturday that is worked in place of a holiday has the hours of a working day.
        return day.weekday() in days or (day.weekday() not in _WORKDAYS and days >= _WORKDAYS)
    # A weekend on which this office says that it opens; not where it is a holiday.
    return day.weekday() not in _WORKDAYS and day.weekday() in days and not calendar.is_holiday(day)


def spans(office: Office, day: date) -> tuple[Span, ...]:
    """When the whole office is open on a day (Vietnam time), in order; empty where it is closed or nobody knows."""
    calendar = calendar_of(office)
    shifts = {
        (time.fromisoformat(shift.opens), time.fromisoformat(shift.closes))
        for hours in office.hours
        if _opens(hours, day, calendar)
        for shift in hours.shifts
    }
    return tuple(
        (datetime.combine(day, opens, VIETNAM), datetime.combine(day, closes, VIETNAM))
        for opens, closes in sorted(shifts)
    )


def known(office: Office) -> bool:
    """Whether the profile tells the hours of the whole office."""
    return any(hours.counter is None for hours in office.hours)


def open_since(office: Office, now: datetime) -> datetime | None:
    """The opening of the shift under way; None where the office is closed, or its hours are not known."""
    shift = _under_way(office, now)
    return shift and shift[0]


def _under_way(office: Office, now: datetime) -> Span | None:
    return next((shift for shift in spans(office, local(now).date()) if shift[0] <= now < shift[1]), None)


def usual_since(office: Office, now: datetime) -> datetime | None:
    """The same where the hours are not known, by the usual hours of a working day: for when to disturb staff only."""
    at = local(now)
    if known(office) or not calendar_of(office).is_working_day(at.date()) or not OPENS <= at.time() < CLOSES:
        return None
    return datetime.combine(at.date(), OPENS, VIETNAM)


def closing(office: Office, now: datetime) -> datetime | None:
    """The end of the shift under way; None where the office is closed."""
    shift = _under_way(office, now)
    return shift and shift[1]


def last_closing(office: Office, now: datetime) -> datetime | None:
    """When the office last closed for the day, within a week; None where it didn't, or nobody knows."""
    today = local(now).date()
    for back in range(8):
        ends = [closes for _, closes in spans(office, today - timedelta(days=back))]
        if ends and max(ends) <= now:
            return max(ends)
    return None


def next_opening(office: Office, now: datetime) -> datetime | None:
    """When a closed office opens next; None where nobody knows."""
    return next((opens for opens, _ in _coming(office, now) if opens > now), None)


def _coming(office: Office, now: datetime) -> Iterator[Span]:
    if known(office):
        today = local(now).date()
        for ahead in range(_AHEAD):
            yield from spans(office, today + timedelta(days=ahead))


def _hour(at: datetime) -> str:
    at = local(at)
    return str(_T["half" if at.minute else "hour"].format(hour=at.hour, minute=f"{at.minute:02d}"))


def _part(at: datetime) -> str:
    return str(_T["morning" if local(at).hour < 12 else "afternoon"])


def day_words(at: datetime, now: datetime) -> str:
    """A coming opening as people say it: "chiều nay", "sáng mai", "sáng thứ Hai 30/11"."""
    days = (local(at).date() - local(now).date()).days
    key = {0: "today", 1: "tomorrow"}.get(days, "later")
    name = f"{_NAMES[local(at).weekday()]} {local(at):%d/%m}"
    return str(_T[key].format(part=_part(at), day=name))


def answer_words(office: Office, now: datetime) -> str:
    """When a person will answer, as a sentence; "" where the hours are not known."""
    closes = closing(office, now)
    if closes is not None:
        return str(_T["open"].format(until=_hour(closes)))
    opens = next_opening(office, now)
    if opens is None:
        return ""
    return str(_T["closed"].format(day=day_words(opens, now), hour=_hour(opens)))


def late_words(office: Office, now: datetime) -> str:
    """The same for somebody who has waited in vain for a while: today, or else when the office opens next."""
    closes = closing(office, now)
    if closes is None:
        return answer_words(office, now)
    opens = next_opening(office, closes)
    if opens is None:
        return answer_words(office, now)
    return str(_T["late"].format(until=_hour(closes), day=day_words(opens, now), hour=_hour(opens)))
