"""Migrations may run while the program of before works: what they do is read, statement by statement.

The rule stands in docs/deploy.md. What was done before there was a release is listed here, and nothing else may be.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import event, text

from bot.errors import BadInputError
from bot.storage import schema
from bot.storage.database import Database

# Before the first release nothing ran that could have been disturbed.
PAST = {
    "0003": "an index replaced: DROP INDEX, CREATE INDEX",
    "0004": "roles renamed: UPDATE of a table in use",
    "0005": "indexes on tables in use, queues filled by UPDATE",
    "0006": "an index on turn, doubt filled by UPDATE",
    "0008": "indexes on tables in use, spent_on filled by UPDATE",
    "0009": "an index on turn, days filled by UPDATE",
}
_BREAKS = (
    (r"DROP (?!INDEX CONCURRENTLY)", "drops what the program of before may use"),
    (r"ALTER TABLE .* DROP ", "drops what the program of before reads"),
    (r"ALTER .*\bRENAME\b", "renames what the program of before reads"),
    (r"ALTER TABLE .* ALTER .*(TYPE|SET NOT NULL)", "rewrites or reads a table whole under a lock"),
    (r"ALTER TABLE .* ADD COLUMN (?!.*DEFAULT).*NOT NULL", "the program of before can't insert"),
    (r"ALTER TABLE .* ADD (?!COLUMN)(?!.*NOT VALID)", "reads a table whole under a lock"),
    (r"CREATE UNIQUE INDEX", "refuses what the program of before may insert"),
    (r"CREATE INDEX (?!CONCURRENTLY)", "stops writing while it is built"),
    (r"(UPDATE|DELETE FROM) ", "changes the rows of a table in one go: in batches, by a job"),
)
_ADDS = re.compile(
    r"ALTER TABLE .* ADD |CREATE (TABLE|INDEX CONCURRENTLY|FUNCTION|TRIGGER)|DROP INDEX CONCURRENTLY|INSERT INTO"
)
_OURS = re.compile(r"SELECT|SET |SHOW |(INSERT INTO|UPDATE) alembic_version|CREATE TABLE alembic_version")
_TABLE = re.compile(r'(?:ALTER TABLE|UPDATE|DELETE FROM|INSERT INTO|CREATE .*INDEX .* ON) "?(\w+)"?')


def broken(statement: str, made: set[str]) -> str | None:
    """Why a statement must not be in a migration; None where it may. ``made``: the tables this migration creates."""
    said = " ".join(statement.split())
    if _OURS.match(said):
        return None
    new = re.match(r'CREATE TABLE "?(\w+)"?', said)
    if new:
        made.add(new[1])
    of = _TABLE.match(said)
    if of and of[1] in made:
        return None
    for pattern, why in _BREAKS:
        if re.match(pattern, said):
            return why
    return None if _ADDS.match(said) else "nobody has said yet whether this may be done"


@pytest.mark.postgres
def test_every_migration_lets_the_program_of_before_work(empty_postgres: Database) -> None:
    found: dict[str, list[str]] = {}
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        statements.append(statement)
        version = re.search(r"(?:SET version_num=|alembic_version \(version_num\) VALUES \()'(\w+)'", statement)
        if version:
            made: set[str] = set()
            found[version[1]] = [f"{why}: {one}" for one in statements if (why := broken(one, made))]
            statements.clear()

    event.listen(empty_postgres.engine, "before_cursor_execute", note)
    schema.upgrade(empty_postgres)
    event.remove(empty_postgres.engine, "before_cursor_execute", note)
    assert len(found) == int(schema.head())
    assert {revision: whys for revision, whys in found.items() if whys and revision not in PAST} == {}
    assert set(PAST) == {revision for revision, whys in found.items() if whys}


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE turn DROP COLUMN text",
        "ALTER TABLE turn RENAME COLUMN text TO words",
        "ALTER TABLE turn RENAME TO said",
        "ALTER TABLE turn ADD COLUMN mood INTEGER NOT NULL",
        "ALTER TABLE turn ALTER COLUMN text TYPE VARCHAR(10)",
        "ALTER TABLE turn ALTER COLUMN day SET NOT NULL",
        "ALTER TABLE turn ADD CONSTRAINT one UNIQUE (text)",
        "CREATE INDEX ix ON turn (text)",
        "CREATE UNIQUE INDEX CONCURRENTLY ix ON turn (text)",
        "UPDATE turn SET doubt = 1",
        "DELETE FROM turn",
        "DROP TABLE held",
        "DROP INDEX ix_turn_at",
        "VACUUM FULL turn",
    ],
)
def test_what_would_disturb_it_is_refused(statement: str) -> None:
    assert broken(statement, set())
    assert broken("CREATE TABLE turn (id INTEGER)", set()) is None


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE turn ADD COLUMN mood INTEGER",
        "ALTER TABLE turn ADD COLUMN mood INTEGER DEFAULT 0 NOT NULL",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix ON turn (text)",
        "CREATE INDEX ix ON just_made (text)",
    ],
)
def test_what_only_adds_is_not(statement: str) -> None:
    assert broken(statement, {"just_made"}) is None


@pytest.mark.postgres
def test_an_index_whose_building_was_cut_off_is_built_again(empty_postgres: Database) -> None:
    schema.upgrade(empty_postgres)
    with empty_postgres.write() as session:
        session.execute(text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_audit_staff'::regclass"))
        session.execute(text("DROP INDEX ix_lookup_missed"))
        session.execute(text("UPDATE alembic_version SET version_num = '0010'"))
    schema.upgrade(empty_postgres)
    with empty_postgres.read() as session:
        valid = text("SELECT bool_and(indisvalid), count(*) FROM pg_index WHERE indexrelid IN "
                     "('ix_audit_staff'::regclass, 'ix_lookup_missed'::regclass)")  # fmt: skip
        assert session.execute(valid).one() == (True, 2)


@pytest.mark.postgres
def test_a_lock_is_not_waited_for_by_everybody(empty_postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.upgrade(empty_postgres)
    with empty_postgres.write() as session:
        for table in ("inbox", "outbox", "conversation"):
            session.execute(text(f"DROP TRIGGER motcua_wake ON {table}"))
        session.execute(text("DROP FUNCTION motcua_wake(), motcua_wake_outbox()"))
        session.execute(text("UPDATE alembic_version SET version_num = '0009'"))
    monkeypatch.setattr(schema, "LOCK_SECONDS", 1)
    monkeypatch.setattr(schema, "LOCK_TRIES", 2)
    monkeypatch.setattr(schema, "LOCK_PAUSE_SECONDS", 0)
    with empty_postgres.write() as session:
        session.execute(text("LOCK TABLE outbox IN ROW EXCLUSIVE MODE"))  # somebody puts a message in
        with pytest.raises(BadInputError, match="bảng đang bị khóa"):
            schema.upgrade(empty_postgres)
    assert schema.current(empty_postgres) == "0009"
    schema.upgrade(empty_postgres)
    schema.check(empty_postgres)
