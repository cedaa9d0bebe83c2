"""Edits in the database, on SQLite and PostgreSQL: two people at once, several processes, a base that changes."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import pytest
from sqlmodel import select

from bot.application import open_desk
from bot.catalog.answers import Desk
from bot.catalog.catalog import Catalog
from bot.catalog.schema import Fee
from bot.edits import store
from bot.edits.live import LiveEdits
from bot.edits.parts import FACTS
from bot.errors import BadInputError
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import FactEdit

CODE, OFFICE = "2.000815", "chau-thanh"
NOW = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def desk() -> Desk:
    return replace(open_desk(Settings()), today=date(2026, 11, 24))


def seen(database: Database, desk: Desk) -> str:
    with database.read() as session:
        return store.state_of(store.rows_of(session, CODE, "fees"), desk, CODE, FACTS["fees"])


def save(database: Database, desk: Desk, amount: int, by: str, was: str, *, four_eyes: bool = False) -> int:
    change = store.Change(CODE, "fees", {"fees": [{"amount": amount}]}, "Nghị quyết 1", was)
    with database.write() as session:
        return store.save(session, desk, OFFICE, change, by=by, now=NOW, four_eyes=four_eyes).id or 0


def decide(database: Database, desk: Desk, number: int, act: str, by: str) -> FactEdit:
    with database.write() as session:
        return store.decide(session, desk, OFFICE, number, act, by=by, now=NOW, four_eyes=True)


def at_once(*works: Any) -> list[object]:
    """Runs functions in threads that start together; their results, or what they raised."""
    start, results = threading.Barrier(len(works)), [None] * len(works)

    def run(number: int, work: Any) -> None:
        start.wait()
        try:
            results[number] = work()
        except Exception as error:  # noqa: BLE001  looked at by the test
            results[number] = error  # type: ignore[call-overload]

    threads = [threading.Thread(target=run, args=item) for item in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(results)


def test_of_those_who_save_at_once_one_wins_and_the_others_are_told(database: Database, desk: Desk) -> None:
    for _round in range(3):
        was = seen(database, desk)
        with database.read() as session:
            before = store.version(session)
        savers = [partial(save, database, desk, 4000 + n + before * 10, f"cb{n}", was) for n in range(4)]
        results = at_once(*savers)
        assert sum(isinstance(one, int) for one in results) == 1
        assert sum(isinstance(one, store.ChangedMeanwhileError) for one in results) == 3
        with database.read() as session:
            assert store.version(session) == before + 1


def test_of_those_who_confirm_rival_proposals_at_once_one_wins(database: Database, desk: Desk) -> None:
    first = save(database, desk, 4000, "an", seen(database, desk), four_eyes=True)
    second = save(database, desk, 5000, "an", seen(database, desk), four_eyes=True)
    deciders = [partial(decide, database, desk, n, "confirm", by) for n in (first, second) for by in ("lan", "minh")]
    results = at_once(*deciders)
    assert sum(isinstance(one, FactEdit) for one in results) == 1
    assert sum(isinstance(one, store.ChangedMeanwhileError) for one in results) == 3
    with database.read() as session:
        assert sorted(row.state for row in session.exec(select(FactEdit))) == ["active", "proposed"]


def test_who_proposes_does_not_confirm_and_only_they_withdraw(database: Database, desk: Desk) -> None:
    number = save(database, desk, 4000, "an", seen(database, desk), four_eyes=True)
    for act, by in (("confirm", "an"), ("withdraw", "lan"), ("erase", "lan")):
        with pytest.raises(BadInputError):
            decide(database, desk, number, act, by)
    assert decide(database, desk, number, "withdraw", "an").state == "withdrawn"
    with pytest.raises(store.ChangedMeanwhileError):
        decide(database, desk, number, "confirm", "lan")


def test_every_process_takes_up_what_is_confirmed_elsewhere(database: Database, desk: Desk) -> None:
    here, there = LiveEdits(database, OFFICE), LiveEdits(Database(database.url.render_as_string(False)), OFFICE)

    def fee(live: LiveEdits) -> int | None:
        return live.desk(desk).catalog.procedures[CODE].fees[0].amount

    assert (fee(here), fee(there)) == (2000, 2000)
    held = there.desk(desk)
    number = save(database, desk, 4000, "an", seen(database, desk), four_eyes=True)
    assert not there.refresh()
    decide(database, desk, number, "confirm", "lan")
    assert here.refresh()
    assert there.refresh()
    assert (fee(here), fee(there)) == (4000, 4000)
    assert held.catalog.procedures[CODE].fees[0].amount == 2000  # a turn under way goes on with the desk it has
    assert not there.refresh()
    there._database.close()


def test_staff_are_told_when_the_file_below_an_edit_has_changed(sqlite_database: Database, desk: Desk) -> None:
    number = save(sqlite_database, desk, 4000, "an", seen(sqlite_database, desk))

    def updated(amount: int) -> Desk:
        changed = desk.catalog.procedures[CODE].model_copy(update={"fees": (Fee(amount=amount),)})
        return replace(desk, catalog=Catalog({**desk.catalog.procedures, CODE: changed}, desk.catalog.fields))

    def stale(base: Desk) -> bool:
        with sqlite_database.read() as session:
            return store.is_stale(session.get_one(FactEdit, number), base)

    assert not stale(desk)
    assert stale(updated(9000))
    assert not stale(updated(4000))  # the files say the same now
    decide(sqlite_database, updated(9000), number, "keep", "lan")
    assert not stale(updated(9000))
    assert stale(desk)


def test_nothing_is_kept_of_what_is_refused(sqlite_database: Database, desk: Desk) -> None:
    was = seen(sqlite_database, desk)
    right = store.Change(CODE, "fees", {"fees": [{"amount": 1}]}, "Nghị quyết 1", was)
    wrong = [
        replace(right, source="  "), replace(right, source="x" * 301), replace(right, subject="9.999999"),
        replace(right, part="name"), replace(right, value={"fees": [{"amount": -1}]}), replace(right, seen="khác"),
        replace(right, valid_from=date(2027, 1, 2), valid_to=date(2027, 1, 1)),
        replace(right, valid_to=date(2026, 11, 23)),
        replace(right, value={"fees": [fee.model_dump(mode="json") for fee in desk.catalog.procedures[CODE].fees]}),
    ]  # fmt: skip
    for change in wrong:
        with pytest.raises(BadInputError), sqlite_database.write() as session:
            store.save(session, desk, OFFICE, change, by="an", now=NOW, four_eyes=False)
    with sqlite_database.read() as session:
        assert session.exec(select(FactEdit)).all() == []
