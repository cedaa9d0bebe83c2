"""The demonstration dossiers are never real and never told of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from bot.catalog.calendar import Calendar
from bot.clock import local
from bot.dossiers.access import lookup_digest
from bot.dossiers.demo import demo_records, seed
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Dossier, Outbox
from nlu.codes import is_canonical

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


def test_codes_and_numbers_are_invented() -> None:
    records = demo_records(NOW)
    assert 8 <= len(records) <= 10
    assert len({record.code for record in records}) == len(records)
    assert len({record.lookup_code for record in records}) == len(records)
    for record in records:
        assert record.demo
        assert record.lookup_code
        assert is_canonical(record.code)
        assert record.code.startswith("H30.99.01-")
        assert record.phone is None or record.phone.startswith("+8495")
    assert {record.return_mode for record in records} == {"counter", "post", "electronic"}
    assert len({record.status for record in records}) >= 6


@given(st.integers(0, 1000))
def test_their_dates_are_working_days_around_now(days: int) -> None:
    calendar, now = Calendar(), NOW + timedelta(days=days)
    for record in demo_records(now):
        assert record.received_at is not None
        assert record.received_at <= now + timedelta(hours=12)
        for moment in (record.received_at, record.due_at):
            assert moment is None or calendar.is_working_day(local(moment).date())


def test_seeding_twice_adds_nothing_and_tells_nobody(database: Database, settings: Settings) -> None:
    with database.write() as session:
        first = seed(session, settings, NOW)
    with database.write() as session:
        again = seed(session, settings, NOW + timedelta(days=3))
    assert (first, again) == (len(demo_records(NOW)), 0)
    with database.read() as session:
        assert session.exec(select(Outbox)).all() == []
        assert all(dossier.demo for dossier in session.exec(select(Dossier)))


def test_a_trial_from_before_gets_its_look_up_codes(database: Database, settings: Settings) -> None:
    with database.write() as session:
        seed(session, settings, NOW)
        for dossier in session.exec(select(Dossier)):
            dossier.lookup_digest = None
    with database.write() as session:
        seed(session, settings, NOW)
    with database.read() as session:
        first = session.get_one(Dossier, "H30.99.01-261116-0001")
        assert first.lookup_digest == lookup_digest(settings, "KX-4711")
