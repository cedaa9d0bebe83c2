"""When a result would be ready: a time limit counted from the moment of filing. Pure.

The day of receipt is not counted (Bộ luật Dân sự 91/2015/QH13, Điều 147); a limit in days
that ends on a day off ends on the next working day (Điều 148). Received on a day off or after
hours counts as received when the office opens next. The 15:00 rule belongs only to procedures
whose record says so ("nhận hồ sơ sau 15 giờ"). Hours are those of an eight-hour working day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from bot.catalog.calendar import DECREED_UNTIL, Calendar
from bot.catalog.schema import ProcessingTime, TimeUnit
from bot.clock import VIETNAM, local

OPENS, CLOSES, CUTOFF = time(7, 0), time(17, 0), time(15, 0)
_SHIFTS = ((OPENS, time(11, 0)), (time(13, 0), CLOSES))  # eight hours


@dataclass(frozen=True, slots=True)
class Due:
    """The moment a result is due (aware, Vietnam time); ``estimated`` where a year's swaps are not decreed yet."""

    at: datetime
    estimated: bool


def received(start: datetime, calendar: Calendar) -> datetime:
    """When a dossier brought at a moment counts as received: then, or when the office opens next."""
    at = local(start)
    if calendar.is_working_day(at.date()) and at.time() < CLOSES:
        return at
    day = calendar.on_or_after(at.date() + timedelta(days=1))
    return datetime.combine(day, OPENS, VIETNAM)


def _months_later(day: date, months: int) -> date:
    month = day.month - 1 + months
    year, month = day.year + month // 12, month % 12 + 1
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month, last)
        except ValueError:
            continue
    raise AssertionError("every month has a 28th")


def due(start: datetime, limit: ProcessingTime, calendar: Calendar) -> Due:
    """When a limit that starts at ``start`` ends.

    Args:
        start: the moment of filing (aware).
        limit: of the procedure.
        calendar: working days.
    """
    taken = received(start, calendar)
    day = taken.date()
    amount = limit.amount or 0.0
    if limit.unit is TimeUnit.HOUR:
        return _due(_hours_later(taken, amount, calendar))
    if limit.unit is TimeUnit.SAME_DAY:
        if limit.cutoff_15h and taken.time() > CUTOFF:
            day = calendar.after(day, 1)
    elif limit.unit is TimeUnit.WORKING_DAY:
        day = calendar.after(day, math.ceil(amount))
    elif limit.unit is TimeUnit.DAY:
        day = calendar.on_or_after(day + timedelta(days=math.ceil(amount)))
    else:
        day = calendar.on_or_after(_months_later(day, math.ceil(amount)))
    return _due(datetime.combine(day, CLOSES, VIETNAM))


def _hours_later(taken: datetime, hours: float, calendar: Calendar) -> datetime:
    left, day = timedelta(hours=hours), taken.date()
    while True:
        for opens, closes in _SHIFTS:
            begin = max(taken, datetime.combine(day, opens, VIETNAM))
            worked = datetime.combine(day, closes, VIETNAM) - begin
            if left <= worked:
                return begin + left
            left -= max(worked, timedelta(0))
        day = calendar.after(day, 1)


def _due(at: datetime) -> Due:
    return Due(at, at.year > DECREED_UNTIL)
