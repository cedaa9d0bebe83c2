from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlmodel import select

from bot.errors import BadInputError
from bot.settings import Settings
from bot.storage.database import Database, connect
from bot.storage.tables import Heartbeat

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "url",
    ["", "motcua.db", "mysql://u:s3cret@h/x", "sqlite://", "sqlite:///:memory:", "postgresql+psycopg2://u:s3cret@h/x",
     "postgresql+psycopg://h", "nosuch://x/y", "postgresql+psycopg://u:s3cret@h:port/x"],
)  # fmt: skip
def test_a_wrong_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(BadInputError, match=r"MOTCUA_DATABASE_URL: .*cần sqlite:///") as caught:
        Database(url)
    assert "s3cret" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_named(settings: Settings) -> None:
    settings.var_dir.parent.joinpath("file").write_text("")
    with pytest.raises(BadInputError, match="không tạo được thư mục"):
        connect(settings.model_copy(update={"var_dir": settings.var_dir.parent / "file" / "var"}))


def test_sqlite_is_durable_and_patient(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        found = {
            name: session.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


def test_a_rollback_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.write() as session:
            session.add(Heartbeat(name="a", owner="x", at=NOW))
            session.flush()
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fail()
    with database.read() as session:
        assert session.exec(select(Heartbeat)).all() == []


def test_a_savepoint_undoes_only_its_own(database: Database) -> None:
    with database.write() as session:
        session.add(Heartbeat(name="outer", owner="x", at=NOW))
        session.flush()
        inner = session.begin_nested()
        session.add(Heartbeat(name="inner", owner="x", at=NOW))
        session.flush()
        inner.rollback()
    with database.read() as session:
        assert [row.name for row in session.exec(select(Heartbeat))] == ["outer"]


def test_reading_commits_nothing_and_rows_outlive_the_session(database: Database) -> None:
    with database.read() as session:
        session.add(Heartbeat(name="a", owner="x", at=NOW))
        session.flush()
    with database.write() as session:
        assert session.exec(select(Heartbeat)).all() == []
        row = Heartbeat(name="b", owner="x", at=NOW)
        session.add(row)
    assert (row.name, row.at) == ("b", NOW)


def test_read_then_write_is_safe_on_sqlite(sqlite_database: Database) -> None:
    """A count that several threads raise: with a deferred BEGIN some would fail or be lost."""
    with sqlite_database.write() as session:
        session.add(Heartbeat(name="count", owner="0", at=NOW))

    def raise_it() -> None:
        for _ in range(10):
            with sqlite_database.write() as session:
                row = session.get_one(Heartbeat, "count")
                row.owner = str(int(row.owner) + 1)

    threads = [threading.Thread(target=raise_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with sqlite_database.read() as session:
        assert session.get_one(Heartbeat, "count").owner == "40"
