"""When the office is open, and how the next opening is said."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from bot.catalog.office import Hours, Office, Shift
from bot.catalog.opening import (
    answer_words,
    closing,
    known,
    last_closing,
    late_words,
    next_opening,
    open_since,
    spans,
    usual_since,
    weekdays,
)

SHIFTS = (Shift(opens="07:00", closes="11:00"), Shift(opens="13:00", closes="17:00"))
WEEK = Hours(days="thứ Hai đến thứ Sáu", shifts=SHIFTS)
SATURDAY = Hours(days="sáng thứ Bảy", shifts=(Shift(opens="07:30", closes="11:30"),))


def office(*hours: Hours, **more: object) -> Office:
    return Office(
        name="Trung tâm", short_name="TT", commune="xã", province="can-tho", hours=hours or (WEEK,), **more  # type: ignore[arg-type]
    )  # fmt: skip


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}:00+07:00")


@pytest.mark.parametrize(("words", "days"), [
    ("thứ Hai đến thứ Sáu", {0, 1, 2, 3, 4}), ("Thứ 2 - Thứ 6", {0, 1, 2, 3, 4}), ("T2–T7", {0, 1, 2, 3, 4, 5}),
    ("sáng thứ Bảy", {5}), ("thứ Ba, thứ Năm", {1, 3}), ("thứ Bảy và Chủ nhật", {5, 6}), ("cả tuần", {0, 1, 2, 3, 4}),
    ("thứ Hai tới chủ nhật", set(range(7))),
])  # fmt: skip
def test_days_are_read_from_words(words: str, days: set[int]) -> None:
    assert weekdays(words) == days


@pytest.mark.parametrize(("now", "words"), [
    ("11-25T09:00", "Cán bộ trả lời trong giờ làm việc, hôm nay đến 11 giờ."),
    ("11-25T06:10", "Hiện ngoài giờ làm việc; cán bộ trả lời sáng nay, từ 7 giờ."),
    ("11-25T11:00", "Hiện ngoài giờ làm việc; cán bộ trả lời chiều nay, từ 13 giờ."),
    ("11-25T17:00", "Hiện ngoài giờ làm việc; cán bộ trả lời sáng mai, từ 7 giờ."),
    ("11-27T18:00", "Hiện ngoài giờ làm việc; cán bộ trả lời sáng thứ Hai 30/11, từ 7 giờ."),
    # 24 November is a public holiday, 1 September the day before the national day.
    ("11-23T20:00", "Hiện ngoài giờ làm việc; cán bộ trả lời sáng thứ Tư 25/11, từ 7 giờ."),
])  # fmt: skip
def test_the_next_answer_is_said_in_words(now: str, words: str) -> None:
    assert answer_words(office(), at(now)) == words


def test_half_hours_and_saturdays_are_said() -> None:
    assert answer_words(office(WEEK, SATURDAY), at("11-27T18:00")).endswith("sáng mai, từ 7 giờ 30.")
    assert spans(office(WEEK, SATURDAY), date(2026, 11, 29)) == ()


def test_who_waited_in_vain_hears_both() -> None:
    now = "11-25T16:00"
    assert (
        late_words(office(), at(now)) == "Cán bộ trả lời trong hôm nay, trước 17 giờ; không kịp thì sáng mai, từ 7 giờ."
    )
    assert late_words(office(), at("11-25T18:00")) == answer_words(office(), at("11-25T18:00"))


def test_an_office_without_hours_promises_nothing() -> None:
    unknown = office().model_copy(update={"hours": ()})
    assert not known(unknown)
    assert answer_words(unknown, at("11-25T09:00")) == late_words(unknown, at("11-25T09:00")) == ""
    assert open_since(unknown, at("11-25T09:00")) is None
    assert next_opening(unknown, at("11-25T09:00")) is None
    assert last_closing(unknown, at("11-25T09:00")) is None


def test_staff_of_an_office_without_hours_are_disturbed_by_day_only() -> None:
    unknown = office().model_copy(update={"hours": ()})
    assert usual_since(unknown, at("11-25T09:00")) == at("11-25T07:00")
    for quiet in ("11-25T06:59", "11-25T17:00", "11-24T09:00", "11-28T09:00"):
        assert usual_since(unknown, at(quiet)) is None
    assert usual_since(office(), at("11-25T12:00")) is None


def test_days_off_and_worked_saturdays_of_the_office_count() -> None:
    own = office(days_off=(date(2026, 11, 26),), working_days=(date(2026, 11, 28),))
    assert spans(own, date(2026, 11, 26)) == ()
    assert [opens for opens, _ in spans(own, date(2026, 11, 28))] == [at("11-28T07:00"), at("11-28T13:00")]


def test_a_holiday_on_a_saturday_is_no_day_of_work() -> None:
    holiday = office(WEEK, SATURDAY, days_off=(date(2026, 11, 28),))
    assert spans(holiday, date(2026, 11, 28)) == ()


def test_hours_have_their_time() -> None:
    day = date(2026, 11, 25)
    old = WEEK.model_copy(update={"valid_to": date(2026, 11, 24)})
    new = WEEK.model_copy(update={"valid_from": date(2026, 11, 26)})
    counter = WEEK.model_copy(update={"counter": "Công an xã"})
    assert spans(office(old, new, counter), day) == ()


def test_shifts_begin_and_end() -> None:
    now = at("11-25T09:00")
    assert open_since(office(), now) == at("11-25T07:00")
    assert closing(office(), now) == at("11-25T11:00")
    assert last_closing(office(), now) == at("11-23T17:00")  # the 24th was a holiday
    assert last_closing(office(), at("11-25T12:00")) == at("11-23T17:00")  # a lunch break is no end
    assert last_closing(office(), at("11-25T17:00")) == at("11-25T17:00")
