"""One row, field by field: what is taken, what is refused and why."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.clock import VIETNAM
from bot.dossiers.records import COLUMNS, DossierRecord, dossier_code, moment, phone_number, record_of, status_number
from bot.errors import BadInputError
from nlu.codes import is_canonical

GOOD = {
    "code": "h30.99.01 261116 0001",
    "procedure": "1.001193",
    "status": "4",
    "received_at": "16/11/2026 08:30",
    "due_at": "2026-11-19",
    "office": "TTPVHCC  xã Châu Thành",
    "phone": "0951 234 567",
    "consent_sms": "1",
    "return_mode": "post",
    "lookup_code": "K7-12",
    "note": "",
}


def at(*numbers: int) -> datetime:
    return datetime(*numbers, tzinfo=VIETNAM)


def test_a_good_row() -> None:
    assert record_of(GOOD) == DossierRecord(
        code="H30.99.01-261116-0001",
        status=4,
        procedure="1.001193",
        received_at=at(2026, 11, 16, 8, 30),
        due_at=at(2026, 11, 19, 17, 0),
        office="TTPVHCC xã Châu Thành",
        phone="+84951234567",
        consent_sms=True,
        return_mode="post",
        lookup_code="K7-12",
        note=None,
    )


def test_only_code_and_status_are_needed() -> None:
    bare = dict.fromkeys(COLUMNS, "") | {"code": "H30.99.01-261116-0001", "status": "10"}
    assert record_of(bare) == DossierRecord(code="H30.99.01-261116-0001", status=10)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("code", ""),
        ("code", "1.001193"),
        ("code", "h291234261023001"),
        ("code", "H30.99.01-261116-0001 H30.99.01-261116-0002"),
        ("status", ""),
        ("status", "0"),
        ("status", "11"),
        ("status", "4.5"),
        ("status", "bốn"),
        ("status", "9" * 5000),
        ("procedure", "1001193"),
        ("procedure", "1.00119"),
        ("received_at", "31/02/2026"),
        ("received_at", "2026-13-01"),
        ("received_at", "16/11/26"),
        ("received_at", "0001-01-01T00:00+14:00"),
        ("received_at", "2026-W47-1"),
        ("due_at", "16/11/2026 25:00"),
        ("due_at", "hôm qua"),
        ("phone", "0951"),
        ("phone", "02923888999"),  # a landline
        ("phone", "+33612345678"),  # a mobile, but not of Vietnam
        ("phone", "0912FLOWER"),
        ("consent_sms", "2"),
        ("return_mode", "email"),
        ("office", "x" * 201),
        ("note", "x" * 501),
        ("note", "a\0b"),
        ("note", "a\ud800b"),
        ("note", "=HYPERLINK(1)"),
        ("office", "@SUM(A1)"),
        ("phone", "=0951234567"),
        ("note", "+cmd|calc"),
        ("note", "-2+3+cmd"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: str) -> None:
    with pytest.raises(BadInputError) as refused:
        record_of(GOOD | {field: value})
    assert str(refused.value).startswith(f"{field}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["0951234", "0292 388 8999", "+33612345678", "=0951234567"])
def test_a_refused_number_is_not_repeated(text: str) -> None:
    with pytest.raises(BadInputError) as refused:
        record_of(GOOD | {"phone": text})
    assert text.strip("=") not in str(refused.value)


def test_an_id_number_in_place_of_a_code_is_masked() -> None:
    with pytest.raises(BadInputError) as refused:
        dossier_code("092209012345")
    assert "092209012345" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["0951234567", "+84951234567", "84951234567", "095 123 4567", "095.123.4567", "951234567", "(095) 123-4567"]
)
def test_phone_numbers_in_any_spelling(text: str) -> None:
    assert phone_number(text) == "+84951234567"


def test_real_mobile_prefixes_are_taken() -> None:
    assert phone_number("0912 345 678") == "+84912345678"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("16/11/2026", at(2026, 11, 16, 7, 0)),
        ("6/1/2026 8:05", at(2026, 1, 6, 8, 5)),
        ("2026-11-16", at(2026, 11, 16, 7, 0)),
        ("2026-11-16T08:30", at(2026, 11, 16, 8, 30)),
        ("2026-11-16 08:30:15", at(2026, 11, 16, 8, 30, 15)),
        ("2026-11-16T01:30:00Z", at(2026, 11, 16, 8, 30)),
        ("2026-11-16T08:30+07:00", at(2026, 11, 16, 8, 30)),
        ("  ", None),
    ],
)
def test_dates_are_vietnamese_unless_they_name_a_zone(text: str, expected: datetime | None) -> None:
    assert moment("received_at", text) == expected


@given(st.integers(0, 60 * 24 * 365 * 30))
def test_both_ways_to_write_a_time_mean_the_same(minutes: int) -> None:
    told = at(2000, 1, 1) + timedelta(minutes=minutes)
    assert moment("due_at", f"{told:%d/%m/%Y %H:%M}") == told == moment("due_at", f"{told:%Y-%m-%dT%H:%M}")


@given(st.text(max_size=30), st.sampled_from(COLUMNS))
def test_whatever_stands_in_a_cell_is_taken_or_refused_in_one_line(text: str, field: str) -> None:
    try:
        told = record_of(GOOD | {field: text}).code
    except BadInputError as refused:
        told = str(refused)
    assert told == "H30.99.01-261116-0001" or told.startswith(f"{field}: ") or (field == "code" and is_canonical(told))
    assert "\n" not in told


def test_status_numbers() -> None:
    assert [status_number(text) for text in ("1", " 05 ", "10")] == [1, 5, 10]
