"""Working days of 2025 and 2026 as they were decreed."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.catalog.calendar import Calendar

PLAIN = Calendar()


@pytest.mark.parametrize(
    "day",
    [
        date(2025, 1, 1),
        *(date(2025, 1, 25) + timedelta(days=n) for n in range(9)),  # Tết Ất Tỵ: 25 January to 2 February
        date(2025, 4, 7),  # Giỗ Tổ
        *(date(2025, 4, 30) + timedelta(days=n) for n in range(5)),  # 2 May swapped with 26 April
        *(date(2025, 8, 30) + timedelta(days=n) for n in range(4)),  # Quốc khánh, with 1 September
        *(date(2026, 1, 1) + timedelta(days=n) for n in range(4)),  # 2 January swapped with 10 January
        *(date(2026, 2, 14) + timedelta(days=n) for n in range(9)),  # Tết Bính Ngọ: 14 to 22 February
        date(2026, 4, 27),  # Giỗ Tổ falls on Sunday 26
        *(date(2026, 4, 30) + timedelta(days=n) for n in range(4)),
        *(date(2026, 8, 29) + timedelta(days=n) for n in range(5)),  # 31 August swapped with 22 August
        date(2026, 11, 24),  # Ngày Văn hóa Việt Nam, a holiday since 2026
        date(2026, 11, 28),  # a Saturday
    ],
)
def test_days_off(day: date) -> None:
    assert not PLAIN.is_working_day(day)


@pytest.mark.parametrize(
    "day",
    [
        date(2025, 4, 26),  # swapped Saturdays
        date(2026, 1, 10),
        date(2026, 8, 22),
        date(2025, 1, 24),
        date(2025, 2, 3),
        date(2025, 11, 24),  # not a holiday yet
        date(2026, 1, 5),
        date(2026, 2, 13),
        date(2026, 2, 23),
        date(2026, 9, 3),
        date(2026, 11, 25),
    ],
)
def test_working_days(day: date) -> None:
    assert PLAIN.is_working_day(day)


def test_the_office_decides_last() -> None:
    office = Calendar.of(days_off=[date(2026, 11, 25)], working_days=[date(2026, 11, 24), date(2026, 11, 28)])
    assert office.is_working_day(date(2026, 11, 24))
    assert office.is_working_day(date(2026, 11, 28))
    assert not office.is_working_day(date(2026, 11, 25))


def test_the_next_working_day() -> None:
    assert PLAIN.on_or_after(date(2026, 11, 24)) == date(2026, 11, 25)
    assert PLAIN.on_or_after(date(2026, 11, 25)) == date(2026, 11, 25)
    assert PLAIN.after(date(2026, 2, 13), 1) == date(2026, 2, 23)  # over Tết
    assert PLAIN.after(date(2026, 8, 21), 1) == date(2026, 8, 22)


@given(st.dates(date(2025, 1, 1), date(2028, 12, 31)), st.integers(1, 40))
def test_counting_steps_only_on_working_days(day: date, count: int) -> None:
    end = PLAIN.after(day, count)
    between = [day + timedelta(days=n) for n in range(1, (end - day).days + 1)]
    assert PLAIN.is_working_day(end)
    assert sum(map(PLAIN.is_working_day, between)) == count


def test_overrides_without_any_working_day_are_refused() -> None:
    closed = Calendar.of([date(2026, 1, 1) + timedelta(days=n) for n in range(365)], [])
    with pytest.raises(ValueError, match="không có ngày làm việc"):
        closed.on_or_after(date(2026, 3, 1))
