"""Months and runs of days, in Vietnam's time."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from bot.errors import BadInputError
from bot.figures.period import Period, month_before, month_of, read_days, read_month


def test_a_month_begins_and_ends_at_midnight_in_vietnam() -> None:
    period = read_month("2026-11")
    assert (period.first, period.last) == (date(2026, 11, 1), date(2026, 11, 30))
    assert period.start == datetime(2026, 10, 31, 17, tzinfo=UTC)
    assert period.end == datetime(2026, 11, 30, 17, tzinfo=UTC)
    assert len(list(period.days)) == 30
    assert (period.month, period.title) == ("2026-11", "tháng 11/2026")


def test_the_month_before_january_is_december() -> None:
    assert month_before(date(2026, 1, 15)) == month_of(date(2025, 12, 3))


def test_days_are_no_month() -> None:
    period = read_days("2026-11-02", "2026-11-30")
    assert (period.month, period.title) == ("", "từ 02/11/2026 đến 30/11/2026")
    assert read_days("2026-11-05", "2026-11-05") == Period(date(2026, 11, 5), date(2026, 11, 5))


@pytest.mark.parametrize("text", ["2026-13", "11/2026", "", "2026-1", "٢٠٢٦-11", "2026-11-01", "x" * 999])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="cần dạng 2026-11"):
        read_month(text)


@pytest.mark.parametrize(
    ("first", "last"),
    [("2026-11-31", "2026-12-01"), ("", "2026-12-01"), ("x", "y"), ("0001-01-01", "9999-12-31")],
)
def test_what_are_no_days_is_refused(first: str, last: str) -> None:
    with pytest.raises(BadInputError, match="cần dạng"):
        read_days(first, last)


@pytest.mark.parametrize(("first", "last"), [("2026-11-02", "2026-11-01"), ("2024-01-01", "2026-01-01")])
def test_days_in_the_wrong_order_or_too_far_apart_are_refused(first: str, last: str) -> None:
    with pytest.raises(BadInputError, match="Ngày cuối"):
        read_days(first, last)
