"""Vietnamese working days: weekends, public holidays, swapped Saturdays, the office's own exceptions.

Holidays and swaps come from the ``holidays`` package (Bộ luật Lao động Điều 112 and the
yearly notices on swaps; 24 November, a holiday since 2026, is in it). What it lacks stands
in ``_MORE_OFF`` and ``_MORE_WORKED``. Swaps are decreed year by year: for years after
``DECREED_UNTIL`` a computed date is only expected ("dự kiến").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from typing import Any

DECREED_UNTIL = 2026
# holidays 0.109 lacks the swap of 2 January 2026 (Friday) with 10 January (Saturday), told by the
# Bộ Nội vụ on 25 December 2025 for offices of the State.
_MORE_OFF = frozenset({date(2026, 1, 2)})
_MORE_WORKED = frozenset({date(2026, 1, 10)})
_LONGEST_BREAK = 40  # days; more in a row means the overrides are wrong


@cache
def _vietnam() -> Any:
    import holidays  # noqa: PLC0415 - slow to import, needed only where a date is computed

    return holidays.country_holidays("VN")


@dataclass(frozen=True)
class Calendar:
    """Which days are worked.

    Attributes:
        days_off: the office's own days off; they win over everything.
        working_days: days worked although the general calendar has them off.
    """

    days_off: frozenset[date] = field(default_factory=frozenset)
    working_days: frozenset[date] = field(default_factory=frozenset)

    @classmethod
    def of(cls, days_off: Iterable[date], working_days: Iterable[date]) -> Calendar:
        """A calendar with an office's overrides."""
        return cls(frozenset(days_off), frozenset(working_days))

    def is_working_day(self, day: date) -> bool:
        """Whether an office works on a day."""
        if day in self.days_off:
            return False
        if day in self.working_days or day in _MORE_WORKED:
            return True
        return day not in _MORE_OFF and bool(_vietnam().is_working_day(day))

    def is_holiday(self, day: date) -> bool:
        """Whether it is a public holiday or a day off of the office's own; weekends are none by themselves."""
        return day in self.days_off or day in _MORE_OFF or day in _vietnam()

    def on_or_after(self, day: date) -> date:
        """The day itself, or the next working day.

        Raises:
            ValueError: no working day within ``_LONGEST_BREAK`` days (wrong overrides).
        """
        for ahead in range(_LONGEST_BREAK):
            candidate = day + timedelta(days=ahead)
            if self.is_working_day(candidate):
                return candidate
        raise ValueError(f"không có ngày làm việc nào trong {_LONGEST_BREAK} ngày từ {day}")

    def after(self, day: date, count: int) -> date:
        """The ``count``-th working day after ``day``, which itself is not counted."""
        for _ in range(count):
            day = self.on_or_after(day + timedelta(days=1))
        return day
