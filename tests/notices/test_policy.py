from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notice_scene import CODE, MORNING, PHONE, Office

from bot.clock import local
from bot.notices.policy import EVENTS, sending_time
from bot.settings import Settings
from bot.storage.database import Database


@pytest.fixture
def anywhere(database: Database, settings: Settings) -> Office:
    """The office on SQLite and on PostgreSQL."""
    return Office(database, settings)


def test_a_result_is_told_once(anywhere: Office) -> None:
    anywhere.file()
    notice = anywhere.enter(9)
    (row,) = anywhere.rows()
    assert row.id == notice
    assert (row.kind, row.channel, row.recipient, row.state, row.event) == (
        "notice",
        "sms",
        PHONE,
        "waiting",
        "result_ready",
    )
    assert row.body["text"].startswith("TTPVHCC xa Chau Thanh: ho so H30.99.01-261116-0001 da co ket qua.")
    assert row.not_before == MORNING + timedelta(minutes=3)
    assert row.expires_at == row.not_before + timedelta(days=7)


def test_the_same_change_told_twice_is_one_notice(anywhere: Office) -> None:
    anywhere.file()
    assert anywhere.enter(9, change_id="src-1") is not None
    anywhere.change(status=4)
    # A source that repeats itself after its change was rolled back elsewhere.
    assert anywhere.enter(9, change_id="src-1") is None
    assert len(anywhere.rows()) == 1


def test_our_own_numbers_never_meet_a_sources(office: Office) -> None:
    office.file()
    office.enter(9)
    assert office.enter(9, change_id="1") is not None


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("counter", "Moi ong/ba den quay nhan ket qua"),
        ("post", "qua buu dien"),
        ("electronic", "tren Cong Dich vu cong"),
        ("balloon", "Moi ong/ba den quay nhan ket qua"),
    ],
)
def test_only_the_counter_says_come_and_collect(office: Office, mode: str, words: str) -> None:
    office.file(return_mode=mode)
    office.enter(9)
    assert words in office.rows()[0].body["text"]


@pytest.mark.parametrize("status", range(1, 11))
def test_which_statuses_are_told(office: Office, status: int) -> None:
    office.file(status=0)
    assert (office.enter(status) is not None) == (status in {3, 5, 6, 8, 9})


def test_nothing_personal_is_told(office: Office) -> None:
    office.file(procedure="1.001193", note="thiếu giấy ly hôn", lookup_digest="d" * 64)
    for status in EVENTS:
        office.enter(status)
    for row in office.rows():
        assert PHONE[-9:] not in row.body["text"]
        assert "ly hon" not in row.body["text"]
        assert "1.001193" not in row.body["text"]


@pytest.mark.parametrize("fields", [{"phone": None}, {"phone": ""}, {"consent_sms": False}])
def test_nobody_is_told_without_phone_or_consent(office: Office, fields: dict[str, object]) -> None:
    office.file(**fields)
    assert office.enter(9) is None
    assert office.rows() == []


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ([(False, "")], False),
        ([(False, CODE)], False),
        ([(False, "H30.99.01-261116-0002")], True),
        ([(False, ""), (True, "")], True),
        ([(True, ""), (False, "")], False),
        ([(False, ""), (True, CODE)], True),
        ([(True, CODE), (False, "")], False),
    ],
)
def test_the_newest_wish_counts(office: Office, wishes: list[tuple[bool, str]], told: bool) -> None:
    office.file()
    for wants, code in wishes:
        office.prefer(wants=wants, code=code)
    assert (office.enter(9) is not None) == told


def test_a_wish_for_notices_does_not_stand_in_for_consent(office: Office) -> None:
    office.file(consent_sms=False)
    office.prefer(wants=True)
    assert office.enter(9) is None


def test_leaving_the_status_cancels_what_waits_and_returns_how_many(anywhere: Office) -> None:
    anywhere.file()
    anywhere.file("H30.99.01-261116-0002")
    anywhere.enter(9)
    anywhere.enter(9, "H30.99.01-261116-0002")
    anywhere.enter(4)
    assert anywhere.states() == ["cancelled", "waiting"]
    anywhere.enter(9)
    assert anywhere.states() == ["cancelled", "waiting", "waiting"]


def test_the_dossiers_own_office_is_named(office: Office) -> None:
    office.file(office="Trung tâm Phục vụ hành chính công xã Đông Phước")
    office.enter(9)
    assert office.rows()[0].body["text"].startswith("TTPVHCC xa Dong Phuoc:")


def test_without_a_readable_profile_the_general_name_serves(
    office: Office, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    office.settings = office.settings.model_copy(update={"catalog": tmp_path})
    office.file()
    office.enter(9)
    assert office.rows()[0].body["text"].startswith("TTPVHCC: ho so")
    assert "tin báo dùng tên chung" in caplog.text


def test_the_demo_mark_is_carried_over(office: Office) -> None:
    office.file(demo=True)
    office.enter(9)
    assert office.rows()[0].demo is True


def vn(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC) - timedelta(hours=7)


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        (vn(24, 6, 59), vn(24, 7)),
        (vn(24, 7), vn(24, 7)),
        (vn(24, 20, 59), vn(24, 20, 59)),
        (vn(24, 21), vn(25, 7)),
        (vn(24, 23, 59), vn(25, 7)),
        (vn(25, 0), vn(25, 7)),
        (vn(30, 22), vn(30, 7) + timedelta(days=1)),
    ],
)
def test_hours(settings: Settings, wanted: datetime, sent: datetime) -> None:
    assert sending_time(wanted, settings) == sent


@given(
    moment=st.integers(0, 10**8).map(lambda seconds: MORNING + timedelta(seconds=seconds)),
    hours=st.tuples(st.integers(0, 23), st.integers(1, 24)).filter(lambda h: h[0] < h[1]),
)
def test_always_within_hours_never_earlier_at_most_a_day_later(moment: datetime, hours: tuple[int, int]) -> None:
    first = sending_time(moment, Settings(notice_from_hour=hours[0], notice_to_hour=hours[1]))
    assert hours[0] <= local(first).hour < hours[1]
    assert timedelta(0) <= first - moment < timedelta(days=1)


def test_a_change_at_night_is_told_in_the_morning(office: Office) -> None:
    office.now = vn(24, 20, 58)
    office.file()
    office.enter(9)
    assert office.rows()[0].not_before == vn(25, 7)
