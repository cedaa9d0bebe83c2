"""When a result is due: what people can check on the wall calendar."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.catalog.calendar import Calendar
from bot.catalog.deadlines import due
from bot.catalog.schema import ProcessingTime, TimeUnit
from bot.clock import VIETNAM

PLAIN = Calendar()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=VIETNAM)


def days(amount: float) -> ProcessingTime:
    return ProcessingTime(amount=amount, unit=TimeUnit.WORKING_DAY)


def calendar_days(amount: float) -> ProcessingTime:
    return ProcessingTime(amount=amount, unit=TimeUnit.DAY)


@pytest.mark.parametrize(
    ("start", "amount", "expected"),
    [
        ("2026-11-16T09:00", 3, date(2026, 11, 19)),  # Monday + 3: the day of receipt isn't counted
        ("2026-11-20T09:00", 1, date(2026, 11, 23)),  # over a weekend
        ("2026-11-23T09:00", 1, date(2026, 11, 25)),  # over 24 November
        ("2026-11-24T09:00", 1, date(2026, 11, 26)),  # received on a holiday: counts as the 25th
        ("2026-11-21T09:00", 1, date(2026, 11, 25)),  # on a Saturday: counts as Monday the 23rd
        ("2026-11-16T17:30", 1, date(2026, 11, 18)),  # after hours: counts as the next day
        ("2026-02-12T09:00", 3, date(2026, 2, 24)),  # over Tết
        ("2026-08-21T09:00", 2, date(2026, 8, 24)),  # the swapped Saturday is worked
        ("2026-11-16T09:00", 0.5, date(2026, 11, 17)),
    ],
)
def test_working_days(start: str, amount: float, expected: date) -> None:
    assert due(at(start), days(amount), PLAIN).at.date() == expected


@pytest.mark.parametrize(
    ("start", "amount", "expected"),
    [
        ("2026-11-16T09:00", 3, date(2026, 11, 19)),
        ("2026-11-16T09:00", 5, date(2026, 11, 23)),  # ends on Saturday
        ("2026-11-17T09:00", 7, date(2026, 11, 25)),  # ends on the holiday of the 24th
        ("2026-02-10T09:00", 7, date(2026, 2, 23)),  # ends in Tết
    ],
)
def test_calendar_days_that_end_on_a_day_off_end_on_the_next_working_day(
    start: str, amount: float, expected: date
) -> None:
    assert due(at(start), calendar_days(amount), PLAIN).at.date() == expected


@pytest.mark.parametrize(
    ("start", "cutoff", "expected"),
    [
        ("2026-11-16T14:59", True, date(2026, 11, 16)),
        ("2026-11-16T15:00", True, date(2026, 11, 16)),  # "sau 15 giờ"
        ("2026-11-16T15:01", True, date(2026, 11, 17)),
        ("2026-11-20T15:30", True, date(2026, 11, 23)),  # Friday
        ("2026-11-23T15:30", True, date(2026, 11, 25)),  # the day before the holiday
        ("2026-11-16T15:01", False, date(2026, 11, 16)),
        ("2026-11-21T16:00", True, date(2026, 11, 23)),  # received on a Saturday: counts as Monday morning
    ],
)
def test_same_day(start: str, cutoff: bool, expected: date) -> None:
    limit = ProcessingTime(unit=TimeUnit.SAME_DAY, cutoff_15h=cutoff)
    assert due(at(start), limit, PLAIN).at.date() == expected


@pytest.mark.parametrize(
    ("start", "hours", "expected"),
    [
        ("2026-11-16T08:00", 2, "2026-11-16T10:00"),
        ("2026-11-16T10:00", 2, "2026-11-16T14:00"),  # over noon
        ("2026-11-16T15:00", 4, "2026-11-17T09:00"),
        ("2026-11-16T07:00", 8, "2026-11-16T17:00"),
        ("2026-11-16T09:00", 8, "2026-11-17T09:00"),
        ("2026-11-20T16:00", 24, "2026-11-26T16:00"),  # over a weekend and the holiday
        ("2026-11-16T05:00", 1, "2026-11-16T08:00"),
        ("2026-11-16T12:00", 1, "2026-11-16T14:00"),
    ],
)
def test_hours_are_working_hours(start: str, hours: float, expected: str) -> None:
    assert due(at(start), ProcessingTime(amount=hours, unit=TimeUnit.HOUR), PLAIN).at == at(expected)


@pytest.mark.parametrize(
    ("start", "months", "expected"),
    [
        ("2026-01-30T09:00", 1, date(2026, 3, 2)),  # no 30 February: the 28th, a Saturday
        ("2026-09-24T09:00", 2, date(2026, 11, 25)),
        ("2026-12-15T09:00", 1, date(2027, 1, 15)),
    ],
)
def test_months(start: str, months: float, expected: date) -> None:
    assert due(at(start), ProcessingTime(amount=months, unit=TimeUnit.MONTH), PLAIN).at.date() == expected


def test_years_whose_swaps_are_not_decreed_are_estimates() -> None:
    assert not due(at("2026-12-28T09:00"), days(3), PLAIN).estimated
    assert due(at("2026-12-30T09:00"), days(3), PLAIN).estimated


def test_the_offices_own_days_off_count() -> None:
    office = Calendar.of([date(2026, 11, 17)], [])
    assert due(at("2026-11-16T09:00"), days(1), office).at.date() == date(2026, 11, 18)


@given(
    st.integers(0, 3 * 365 * 24 * 60).map(lambda minutes: at("2025-01-01T00:00") + timedelta(minutes=minutes)),
    st.sampled_from([TimeUnit.WORKING_DAY, TimeUnit.DAY, TimeUnit.HOUR, TimeUnit.MONTH]),
    st.integers(1, 60),
    st.timedeltas(timedelta(0), timedelta(days=20)),
)
def test_never_on_a_day_off_and_never_earlier_for_a_later_filing(
    start: datetime, unit: TimeUnit, amount: int, later: timedelta
) -> None:
    limit = ProcessingTime(amount=amount, unit=unit)
    first, second = due(start, limit, PLAIN), due(start + later, limit, PLAIN)
    assert PLAIN.is_working_day(first.at.date())
    assert first.at > start
    assert second.at >= first.at
