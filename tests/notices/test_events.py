"""The events beside the status changes: new date after a delay, reminder, survey; switched on and off by the office."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from notice_scene import CODE, Office

from bot.catalog.office import Notify
from bot.clock import VIETNAM
from bot.dossiers import registry
from bot.errors import BadInputError
from bot.notices import policy
from bot.notices.reminders import remind


@pytest.fixture
def switches(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The office reminds after three working days, asks how it was, and doesn't tell of stops."""
    profile = policy.configured_office(office.settings.catalog, office.settings.office)
    assert profile is not None
    changed = profile.model_copy(update={"notify": Notify(off=("stopped",), reminder_after=3, survey=True)})
    monkeypatch.setattr(policy, "configured_office", lambda _root, _slug: changed)


def day(number: int, month: int = 11) -> datetime:
    return datetime(2026, month, number, 17, 0, tzinfo=VIETNAM)


def postpone(office: Office, to: datetime) -> registry.Change:
    with office.database.write() as session:
        return registry.postpone(session, CODE, to, by="an", settings=office.settings, now=office.now)


def test_a_new_date_after_a_delay_is_told_with_an_apology_once(office: Office) -> None:
    office.file(due_at=day(23))
    assert postpone(office, day(30)).notice is not None
    assert postpone(office, day(30)).kind == "unchanged"
    office.later(minutes=4)
    office.run()
    (row,) = office.rows()
    assert row.state == "sent"
    assert "xin loi ong/ba" in row.body["text"]
    assert "30/11/2026" in row.body["text"]


def test_without_a_delay_there_is_no_apology(office: Office) -> None:
    office.file(due_at=day(27))
    assert postpone(office, day(30)).notice is None


def test_another_date_takes_the_place_of_the_one_not_yet_told(office: Office) -> None:
    office.file(due_at=day(23))
    postpone(office, day(30))
    office.change(due_at=day(23))
    postpone(office, day(2, 12))
    office.later(minutes=4)
    office.run()
    assert office.states() == ["cancelled", "sent"]


def test_a_finished_dossier_cannot_be_postponed_nor_to_the_past(office: Office) -> None:
    office.file(status=9, due_at=day(23))
    with pytest.raises(BadInputError, match="không hẹn lại"):
        postpone(office, day(30))
    office.change(status=4)
    with pytest.raises(BadInputError, match="phải ở sau hôm nay"):
        postpone(office, day(20))


@pytest.mark.usefixtures("switches")
def test_a_result_not_collected_is_reminded_of_once_after_working_days(office: Office) -> None:
    office.file()
    office.enter(9)  # Tuesday 24 November, a holiday; the next three working days end on Friday
    put = []
    for _ in range(9):
        office.later(days=1)
        with office.database.write() as session:
            put.append(remind(session, office.settings, office.now))
    assert sum(put) == 1
    assert put.index(1) == 2  # Friday
    office.run()
    assert [(row.event, row.state) for row in office.rows()][-1] == ("reminder", "sent")


@pytest.mark.usefixtures("switches")
def test_no_reminder_once_it_was_collected(office: Office) -> None:
    office.file()
    office.enter(9)
    office.later(days=3)
    with office.database.write() as session:
        assert remind(session, office.settings, office.now) == 1
    office.enter(10)
    office.later(days=1)
    office.run()
    told = {row.event: row.state for row in office.rows()}
    assert told["reminder"] == "cancelled"
    assert told["survey"] == "sent"


def test_no_survey_and_no_reminder_by_default(office: Office) -> None:
    office.file()
    office.enter(9)
    office.later(days=9)
    with office.database.write() as session:
        assert remind(session, office.settings, office.now) == 0
    assert office.enter(10) is None


@pytest.mark.usefixtures("switches")
def test_an_event_that_is_off_is_not_told(office: Office) -> None:
    office.file()
    assert office.enter(8) is None


@pytest.mark.usefixtures("switches")
def test_an_old_dossier_loaded_late_gets_no_survey(office: Office) -> None:
    with office.database.write() as session:
        record = registry.DossierRecord(code=CODE, status=10, phone="+84951234567", consent_sms=True)
        made = registry.upsert(session, record, source="import", settings=office.settings, now=office.now)
    assert made.notice is None


def test_the_same_status_a_hundred_times_in_any_order_with_a_wrong_clock_is_told_once(office: Office) -> None:
    def source(status: int, at: datetime) -> None:
        with office.database.write() as session:
            record = registry.DossierRecord(code=CODE, status=status, phone="+84951234567", consent_sms=True)
            registry.upsert(session, record, source="api", settings=office.settings, now=office.now, changed_at=at)

    start = office.now
    received, worked = start - timedelta(days=2), start - timedelta(days=1)
    ready = start + timedelta(days=400)  # the source's clock is more than a year ahead
    source(2, received)
    for _ in range(100):
        source(9, ready)
        source(4, worked)  # late, again and again
        source(2, received)
        office.later(seconds=1)
    office.later(minutes=4)
    office.run()
    assert office.states() == ["sent"]
    source(10, office.now)  # the clock was mended: what is new is not taken for late
    with office.database.read() as session:
        assert registry.get(session, CODE).status == 10  # type: ignore[union-attr]
