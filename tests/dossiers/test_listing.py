"""The desk's list: what each filter finds, pages that lose and repeat nothing, and an index behind every query."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from sqlalchemy import insert, text

from bot.dossiers import listing
from bot.dossiers.listing import Wanted
from bot.dossiers.status import OPEN, STATUSES
from bot.storage.database import Database
from bot.storage.tables import Dossier

NOW = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)  # Wednesday, 09:00 in Vietnam


def file(database: Database, rows: list[dict[str, Any]]) -> None:
    base = {
        "status": 4, "procedure": "1.001193", "return_mode": "counter", "consent_sms": True, "demo": False,
        "due_at": None, "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    with database.write() as session:
        session.connection().execute(
            insert(Dossier),
            [{**base, "code": f"H30.99.01-261116-{number:04d}", **row} for number, row in enumerate(rows)],
        )


def found(database: Database, wanted: Wanted) -> list[int]:
    numbers: list[int] = []
    after = ""
    with database.read() as session:
        while True:
            page = listing.page(session, wanted, NOW, after, limit=2)
            numbers += [int(one.code[-4:]) for one in page.dossiers]
            if page.following is None:
                return numbers
            after = page.following


def test_each_view_finds_what_its_name_says(database: Database) -> None:
    hour = timedelta(hours=1)
    file(
        database,
        [
            {"due_at": NOW + hour},  # 0: today, not yet late
            {"due_at": NOW - hour},  # 1: today, late
            {"due_at": NOW - 24 * hour},  # 2: late since Tuesday
            {"due_at": NOW - 24 * 3 * hour},  # 3: late since Sunday
            {"due_at": NOW - 24 * hour, "status": 10},  # 4: returned
            {"status": 9},  # 5: lies at the counter
            {"status": 9, "return_mode": "post"},  # 6
            {"due_at": NOW + 15 * hour},  # 7: midnight of tomorrow
            {"due_at": NOW - 9 * hour, "procedure": None},  # 8: the first moment of today
        ],
    )
    wanted = {
        "all": {*range(9)}, "due-today": {0, 1, 8}, "overdue": {1, 2, 3, 8}, "late-this-week": {1, 2, 8},
        "uncollected": {5},
    }  # fmt: skip
    for view, numbers in wanted.items():
        assert set(found(database, Wanted(view))) == numbers, view
    assert found(database, Wanted("overdue")) == [3, 2, 8, 1]  # the longest overdue first
    with database.read() as session:
        statuses = listing.by_status(session, None)
        assert listing.counts(session, None, NOW, statuses) == {view: len(numbers) for view, numbers in wanted.items()}
        assert listing.counts(session, frozenset({"1.001193"}), NOW, {})["due-today"] == 2
        assert statuses == {4: 6, 9: 2, 10: 1}
        assert listing.by_procedure(session) == {"1.001193": 8, "": 1}
    assert found(database, Wanted(status=10)) == [4]
    assert found(database, Wanted(status=4, procedures=frozenset())) == []


@pytest.mark.parametrize(
    ("typed", "numbers"), [("h30 99 01 261116 0001", [1]), ("-0002", [2]), ("261116-000", [0, 1]), ("%", []), ("_", [])]
)
def test_a_search_takes_a_code_or_a_part_of_one_as_it_is(database: Database, typed: str, numbers: list[int]) -> None:
    file(database, [{}] * 3)
    assert found(database, Wanted(search=typed)) == numbers


@hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from(sorted(STATUSES)), st.integers(-3, 3), st.integers(0, 2)), max_size=12),
    limit=st.integers(1, 5),
)
def test_pages_show_each_dossier_once(sqlite_database: Database, rows: list[tuple[int, int, int]], limit: int) -> None:
    with sqlite_database.write() as session:
        session.exec(text("DELETE FROM dossier"))  # type: ignore[call-overload]
    if rows:
        file(
            sqlite_database,
            [
                {"status": status, "due_at": NOW + timedelta(days=due), "updated_at": NOW - timedelta(minutes=age)}
                for status, due, age in rows
            ],
        )
    late = {number for number, (status, due, _) in enumerate(rows) if status in OPEN and due < 0}
    for wanted, numbers in ((Wanted(), set(range(len(rows)))), (Wanted("overdue"), late)):
        seen = found(sqlite_database, wanted)
        assert (len(seen), set(seen)) == (len(numbers), numbers)


@pytest.mark.parametrize("key", ["", "~", "x~H30", "2026-11-25~H30", "2026-11-25T02:00:00+00:00"])
def test_a_key_that_cannot_be_read_gives_the_first_page(sqlite_database: Database, key: str) -> None:
    file(sqlite_database, [{}] * 3)
    with sqlite_database.read() as session:
        assert len(listing.page(session, Wanted(), NOW, key).dossiers) == 3


QUERIES = [
    (Wanted(), "ix_dossier_updated"),
    (Wanted(status=4), "ix_dossier_status"),
    (Wanted(procedures=frozenset({"1.001193"})), "ix_dossier_procedure"),
    (Wanted("due-today"), "ix_dossier_open_due"),
    (Wanted("overdue"), "ix_dossier_open_due"),
    (Wanted("late-this-week"), "ix_dossier_open_due"),
    (Wanted("uncollected"), "ix_dossier_status"),
    (Wanted(search="H30.99.01-261116-0001"), "dossier_pkey|sqlite_autoindex_dossier_1"),
]


def test_every_list_is_read_from_an_index(database: Database) -> None:
    statuses = (10, 10, 10, 10, 10, 10, 9, 4, 3, 2)
    procedures = [f"1.{number:06d}" for number in range(99)] + ["1.001193"]
    file(
        database,
        [
            {"code": f"H30.99.01-261116-{number:05d}", "status": statuses[number % 10],
             "procedure": procedures[number % 100], "due_at": NOW + timedelta(hours=number % 900 - 800),
             "updated_at": NOW - timedelta(minutes=number)}
            for number in range(5000)
        ],
    )  # fmt: skip
    with database.write() as session:
        session.exec(text("ANALYZE"))  # type: ignore[call-overload]
    key = f"{(NOW - timedelta(hours=40)).isoformat()}~H30.99.01-261116-02500"
    for wanted, index in QUERIES:
        for after in ("", key):
            plan = explain(database, listing.query(wanted, NOW, after, 51))
            if database.is_sqlite:
                assert any(one in plan for one in index.split("|")), (wanted, plan)
            # PostgreSQL weighs one index against another by what it knows of the rows; it must not read the table.
            assert ("Index" in plan or database.is_sqlite, "Seq Scan" in plan) == (True, False), (wanted, plan)


def explain(database: Database, statement: Any) -> str:
    """How the database would run a statement."""
    dialect = database.engine.dialect
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    told = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    with database.read() as session:
        connection = session.connection()
        rows = connection.exec_driver_sql(told + str(compiled), _bound(compiled))
        return "\n".join(str(row) for row in rows)


def _bound(compiled: Any) -> Any:
    """The parameters as the driver takes them."""
    values = {
        name: compiled._bind_processors[name](value) if name in compiled._bind_processors else value
        for name, value in compiled.params.items()
    }
    return tuple(values[name] for name in compiled.positiontup) if compiled.positional else values
