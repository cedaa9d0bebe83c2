"""Looking codes up: limits, the log, and how little a bare code opens."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from bot.dossiers import registry
from bot.dossiers.access import Citizen
from bot.dossiers.lookup import Deadline, LookupResult, look_up
from bot.dossiers.records import DossierRecord
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Lookup

NOW = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
KNOWN, UNKNOWN = "H30.99.01-261116-0001", "H30.99.01-261116-0009"
DUE = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"lookups_per_sender_hour": 3, "lookups_per_network_hour": 5})


@pytest.fixture(autouse=True)
def _one_dossier(database: Database, settings: Settings) -> None:
    record = DossierRecord(
        code=KNOWN, status=4, procedure="1.001193", received_at=NOW, office="TTPVHCC", phone="+84951234567",
        note="Thiếu bản vẽ", lookup_code="K7",
    )  # fmt: skip
    with database.write() as session:
        registry.upsert(session, record, source="import", settings=settings, now=NOW)


def ask(
    database: Database, settings: Settings, *codes: str, sender: str = "a", network: str | None = None,
    now: datetime = NOW, deadline: Deadline | None = None,
) -> LookupResult:  # fmt: skip
    with database.write() as session:
        return look_up(session, codes, Citizen("web", sender, network), settings=settings, now=now, deadline=deadline)


def test_a_bare_code_opens_neither_procedure_nor_phone_nor_note(database: Database, settings: Settings) -> None:
    found = ask(database, settings, KNOWN, UNKNOWN)
    assert not found.limited
    assert found.views[UNKNOWN] is None
    view = found.views[KNOWN]
    assert view is not None
    assert (view.status, view.office, view.due_at) == (4, "TTPVHCC", None)
    told = str(asdict(view))
    assert not any(secret in told for secret in ("1.001193", "+84951234567", "Thiếu bản vẽ"))


def test_a_due_date_is_computed_only_where_the_software_gave_none(database: Database, settings: Settings) -> None:
    view = ask(database, settings, KNOWN, deadline=lambda _code, _at: (DUE, True)).views[KNOWN]
    assert view is not None
    assert (view.due_at, view.due_computed, view.due_estimated) == (DUE, True, True)
    given = DUE + timedelta(days=1)
    with database.write() as session:
        record = DossierRecord(code=KNOWN, status=4, procedure="1.001193", received_at=NOW, due_at=given)
        registry.upsert(session, record, source="import", settings=settings, now=NOW)
    view = ask(database, settings, KNOWN, deadline=lambda _code, _at: (DUE, True)).views[KNOWN]
    assert view is not None
    assert (view.due_at, view.due_computed, view.due_estimated) == (given, False, False)


def test_every_look_up_is_logged_with_what_it_found(database: Database, settings: Settings) -> None:
    ask(database, settings, KNOWN, UNKNOWN, network="10.0.0.1")
    with database.read() as session:
        rows = [(row.code, row.found, row.sender, row.network) for row in session.exec(select(Lookup))]
    assert rows == [(KNOWN, True, "a", "10.0.0.1"), (UNKNOWN, False, "a", "10.0.0.1")]


def test_a_sender_is_limited_by_the_hour(database: Database, settings: Settings) -> None:
    for _ in range(3):
        assert not ask(database, settings, KNOWN).limited
    limited = ask(database, settings, KNOWN)
    assert limited.limited
    assert limited.views == {KNOWN: None}  # as for an unknown code
    assert not ask(database, settings, KNOWN, sender="b").limited
    assert not ask(database, settings, KNOWN, now=NOW + timedelta(minutes=61)).limited


def test_many_codes_in_one_message_count_each(database: Database, settings: Settings) -> None:
    assert ask(database, settings, KNOWN, *(f"H30.99.01-261116-001{n}" for n in range(3))).limited


def test_a_network_is_limited_over_its_senders(database: Database, settings: Settings) -> None:
    for number in range(5):
        assert not ask(database, settings, UNKNOWN, sender=f"s{number}", network="10.0.0.1").limited
    assert ask(database, settings, KNOWN, sender="new", network="10.0.0.1").limited
    assert not ask(database, settings, KNOWN, sender="new", network="10.0.0.2").limited
