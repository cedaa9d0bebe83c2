"""The days that figures are about: a month, or any run of days; days are Vietnam's. Pure."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from bot.clock import VIETNAM
from bot.errors import BadInputError
from bot.texts import phrases

MOST_DAYS = 366
_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """Days from ``first`` to ``last``, both counted in."""

    first: date
    last: date

    @property
    def start(self) -> datetime:
        """The moment at which it begins (aware)."""
        return datetime.combine(self.first, time(), VIETNAM)

    @property
    def end(self) -> datetime:
        """The first moment after it (aware)."""
        return datetime.combine(self.last + timedelta(days=1), time(), VIETNAM)

    @property
    def days(self) -> Iterator[date]:
        """Each day, in order."""
        return (self.first + timedelta(days=ahead) for ahead in range((self.last - self.first).days + 1))

    @property
    def month(self) -> str:
        """Such as ``2026-11`` where it is just a month, else nothing."""
        whole = month_of(self.first)
        return f"{self.first:%Y-%m}" if self == whole else ""

    @property
    def title(self) -> str:
        """``tháng 11/2026``, or from which day to which."""
        key = "month" if self.month else "days"
        return str(phrases("figures")["period"][key].format(first=self.first, last=self.last))


def month_of(day: date) -> Period:
    """The month that a day is in."""
    return Period(day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1]))


def month_before(day: date) -> Period:
    """The month before the one that a day is in."""
    return month_of(day.replace(day=1) - timedelta(days=1))


def read_month(text: str) -> Period:
    """``2026-11`` as typed.

    Raises:
        BadInputError: it is no month.
    """
    match = _MONTH.fullmatch(text.strip())
    if match is None:
        raise BadInputError(phrases("figures")["wrong_month"].format(text=text[:20]))
    return month_of(date(int(match[1]), int(match[2]), 1))


def read_days(first: str, last: str) -> Period:
    """Two days as typed (ISO), both counted in.

    Raises:
        BadInputError: a day is none, they are in the wrong order, or too far apart.
    """
    try:
        period = Period(date.fromisoformat(first.strip()[:10]), date.fromisoformat(last.strip()[:10]))
    except ValueError:
        raise BadInputError(phrases("figures")["wrong_days"].format(first=first[:20], last=last[:20])) from None
    if not 2000 <= period.first.year <= period.last.year <= 2099:
        raise BadInputError(phrases("figures")["wrong_days"].format(first=first[:20], last=last[:20]))
    if not 0 <= (period.last - period.first).days < MOST_DAYS:
        raise BadInputError(phrases("figures")["wrong_order"].format(most=MOST_DAYS))
    return period
