"""Undoing the last move: only as long as nobody was told, and as if it had not been."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session, col, select

from bot.dossiers import registry
from bot.dossiers.undo import Undo, undo, undoable
from bot.errors import BadInputError
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Dossier, Outbox, StatusChange

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)  # 09:00 in Vietnam
CODE = "H30.99.01-261116-0001"
SETTINGS = Settings()


def file(session: Session, **changes: object) -> None:
    values = {"status": 4, "phone": "+84951234567", "consent_sms": True, **changes}
    session.add(Dossier(code=CODE, created_at=NOW, updated_at=NOW, **values))
    session.flush()


def move(session: Session, status: int, minutes: float = 0, *, staff: bool = True) -> None:
    now = NOW + timedelta(minutes=minutes)
    registry.set_status(session, CODE, status, by="an", settings=SETTINGS, now=now, staff=staff)


def last(session: Session, minutes: float = 0) -> Undo | None:
    return undoable(session, session.get_one(Dossier, CODE), SETTINGS, NOW + timedelta(minutes=minutes))


def take_back(session: Session, minutes: float = 0) -> None:
    found = last(session, minutes)
    assert found is not None
    undo(session, CODE, found.change, by="an", settings=SETTINGS, now=NOW + timedelta(minutes=minutes))


def notices(session: Session) -> list[tuple[str | None, str]]:
    return [(row.event, row.state) for row in session.exec(select(Outbox).order_by(col(Outbox.id)))]


def test_it_goes_back_and_nobody_is_told(database: Database) -> None:
    with database.write() as session:
        file(session)
        move(session, 9)
        found = last(session, 1)
        assert found is not None
        assert (found.before, found.after, found.notices) == (4, 9, 1)
        assert found.until == NOW + timedelta(minutes=3)
        take_back(session, 1)
        assert notices(session) == [("result_ready", "cancelled")]
        assert session.get_one(Dossier, CODE).status == 4
        assert last(session, 1) is None  # an undo is not undone
        move(session, 9, 2)
        assert notices(session) == [("result_ready", "cancelled"), ("result_ready", "waiting")]


def test_what_the_slip_had_cancelled_waits_again(database: Database) -> None:
    with database.write() as session:
        file(session)
        move(session, 5)
        move(session, 9, 1)
        assert notices(session) == [("papers_wanted", "cancelled"), ("result_ready", "waiting")]
        take_back(session, 2)
        assert notices(session) == [("papers_wanted", "waiting"), ("result_ready", "cancelled")]
        first = session.exec(select(Outbox.not_before).where(Outbox.event == "papers_wanted")).one()
        assert first == NOW + timedelta(minutes=5)


def test_what_was_told_already_is_not_told_again(database: Database) -> None:
    with database.write() as session:
        file(session)
        move(session, 5)
        session.exec(select(Outbox)).one().state = "sent"
        move(session, 9, 1)
        take_back(session, 2)
        assert notices(session) == [("papers_wanted", "sent"), ("result_ready", "cancelled")]


@pytest.mark.parametrize("state", ["sending", "sent", "delivered", "uncertain"])
def test_not_once_it_is_or_may_be_out(database: Database, state: str) -> None:
    with database.write() as session:
        file(session)
        move(session, 9)
        found = last(session)
        session.exec(select(Outbox)).one().state = state
        assert last(session) is None
        assert found is not None
        with pytest.raises(BadInputError, match="không hoàn tác được nữa"):
            undo(session, CODE, found.change, by="an", settings=SETTINGS, now=NOW)


def test_a_notice_that_still_waits_can_be_taken_back_however_late(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        file(session)
        move(session, 9)
        assert last(session, 600) is not None


def test_without_a_notice_the_same_delay_holds(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        file(session, consent_sms=False)
        move(session, 9)
        assert last(session, 2.9) is not None
        assert last(session, 3) is None


def test_only_the_last_move_and_only_of_staff(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        file(session)
        assert last(session) is None
        move(session, 9)
        earlier = last(session)
        move(session, 10)
        assert earlier is not None
        with pytest.raises(BadInputError):
            undo(session, CODE, earlier.change, by="an", settings=SETTINGS, now=NOW)
        change = session.exec(select(StatusChange).order_by(col(StatusChange.id).desc())).first()
        assert change is not None
        change.source = "api"
        assert last(session) is None
        with pytest.raises(BadInputError, match="không có hồ sơ mã"):
            undo(session, "H30.99.01-261116-0099", 1, by="an", settings=SETTINGS, now=NOW)


def test_a_new_date_is_no_move(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        file(session, due_at=NOW - timedelta(days=1))
        registry.postpone(session, CODE, NOW + timedelta(days=3), by="an", settings=SETTINGS, now=NOW)
        assert last(session) is None
