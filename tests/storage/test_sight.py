from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import Session, col, func, select

from bot.clock import utc_now
from bot.storage.database import Database
from bot.storage.sight import EVERY_OFFICE, Sight, limit
from bot.storage.tables import Audit, Conversation, DeskMessage, Dossier, Outbox, StatusChange, Survey, Turn

OURS = Sight("nha", ("H30.99.01", "H30.99.07"))
TABLES = (Audit, Conversation, DeskMessage, Dossier, Outbox, StatusChange, Survey, Turn)


def _rows(office: str | None, agency: str) -> list[Any]:
    now, code = utc_now(), f"{agency}-261116-0001"
    who = {"channel": "web", "sender": f"{office}{agency}"}
    return [
        Audit(staff=str(office), action="x", subject="x", detail={}, at=now, office=office),
        Conversation(**who, created_at=now, last_at=now, office=office),
        DeskMessage(conversation_id=1, key=agency, kind="notice", text="x", at=now, office=office),
        Dossier(code=code, status=4, created_at=now, updated_at=now),
        Outbox(kind="notice", channel="sms", recipient="x", dedupe_key=code, dossier_code=code, not_before=now,
               created_at=now),
        StatusChange(dossier_code=code, after=4, source="api", at=now),
        Survey(dossier_code=code, token_digest=code, asked_at=now, expires_at=now),
        Turn(conversation_id=1, text="x", intent="greet", outcome="answer", at=now, office=office),
    ]  # fmt: skip


@pytest.fixture
def ours(database: Database) -> Iterator[Session]:
    """A session of an office that has one row in each table, beside another's."""
    with database.write() as session:
        session.add_all(_rows("nha", "H30.99.01") + _rows("ban", "H30.99.02"))
    with database.write() as session:
        limit(session, OURS)
        yield session


def test_of_each_table_the_offices_own_rows_are_seen(ours: Session) -> None:
    for table in TABLES:
        assert len(ours.exec(select(table)).all()) == 1, table
        assert ours.exec(select(func.count()).select_from(table)).one() == 1, table
        inside = select(table).subquery()
        assert ours.exec(select(func.count()).select_from(inside)).one() == 1, table
        counted = select(func.count()).select_from(table).execution_options(**{EVERY_OFFICE: True})
        assert ours.exec(counted).one() == 2, table


def test_a_row_is_not_got_by_its_key_either(ours: Session) -> None:
    assert ours.get(Dossier, "H30.99.01-261116-0001") is not None
    assert ours.get(Dossier, "H30.99.02-261116-0001") is None
    assert ours.get(Dossier, "H30.99.02-261116-0001", with_for_update=True) is None
    assert [ours.get(Conversation, number) is not None for number in (1, 2)] == [True, False]


def test_nothing_of_others_is_changed(ours: Session) -> None:
    assert ours.execute(update(Dossier).values(note="x")).rowcount == 1  # type: ignore[attr-defined]
    assert ours.execute(update(Conversation).values(counter="x")).rowcount == 1  # type: ignore[attr-defined]


def test_an_agency_that_begins_alike_is_another(ours: Session) -> None:
    now = utc_now()
    codes = ("H30.99.011-261116-0001", "H30.99.07-261116-0001", "H30.99.01-261116-0002")
    ours.add_all(Dossier(code=code, status=4, created_at=now, updated_at=now) for code in codes)
    assert list(ours.exec(select(Dossier.code).order_by(col(Dossier.code)))) == [
        "H30.99.01-261116-0001", "H30.99.01-261116-0002", "H30.99.07-261116-0001",
    ]  # fmt: skip


def test_an_office_without_agencies_sees_no_dossier(database: Database) -> None:
    with database.write() as session:
        session.add_all(_rows("nha", "H30.99.01"))
    with database.read() as session:
        limit(session, Sight("nha"))
        assert session.exec(select(Dossier)).all() == []
        assert session.exec(select(Turn)).one()


def test_who_sees_all_sees_all(database: Database) -> None:
    with database.write() as session:
        session.add_all(_rows("nha", "H30.99.01") + _rows(None, "H30.99.02"))
    with database.read() as session:
        limit(session, None)
        assert all(len(session.exec(select(table)).all()) == 2 for table in TABLES)
