"""PostgreSQL's own programs, from the same folder as the server of the tests."""

from __future__ import annotations

import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlmodel import select, text

from bot.errors import BadInputError
from bot.storage import pg_tools, schema
from bot.storage.backup import backup, restore
from bot.storage.database import Database
from bot.storage.tables import Heartbeat

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
pytestmark = pytest.mark.postgres


@pytest.fixture
def office(empty_postgres: Database, postgres_tools: None) -> Database:
    """An upgraded database of its own, whose tools are found."""
    schema.upgrade(empty_postgres)
    return empty_postgres


def _write(database: Database, name: str) -> None:
    with database.write() as session:
        session.add(Heartbeat(name=name, owner="x", at=NOW))


def _names(database: Database) -> list[str]:
    with database.read() as session:
        return sorted(session.exec(select(Heartbeat.name)))


def test_there_and_back_twice(office: Database, tmp_path: Path) -> None:
    saved = tmp_path / "saved.dump"
    _write(office, "before")
    backup(office, saved)
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    _write(office, "after")
    office.close()
    aside = restore(office, saved, NOW)
    assert _names(office) == ["before"]
    with office.read() as session:
        session.execute(text(f"SET search_path = {aside}"))
        assert sorted(session.exec(select(Heartbeat.name))) == ["after", "before"]
    schema.check(office)
    # What was set aside is not carried along.
    again = tmp_path / "again.dump"
    backup(office, again)
    office.close()
    restore(office, again, NOW.replace(hour=3))
    assert _names(office) == ["before"]
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".dump" and path.is_file()] == []


def test_no_restore_while_anybody_is_connected(office: Database, tmp_path: Path) -> None:
    backup(office, tmp_path / "saved")
    other = Database(office.url.render_as_string(hide_password=False))
    with other.read() as session:
        session.execute(text("SELECT 1"))
        office.close()
        with pytest.raises(BadInputError, match="1 kết nối khác"):
            restore(office, tmp_path / "saved", NOW)
    other.close()


def test_a_bad_archive_changes_nothing(office: Database, tmp_path: Path) -> None:
    good, torn, text_file = (tmp_path / name for name in ("good", "torn", "text"))
    backup(office, good)
    _write(office, "kept")
    torn.write_bytes(good.read_bytes()[:-2000])
    text_file.write_text("không phải PostgreSQL")
    with office.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    newer = tmp_path / "newer"
    pg_tools.dump(office, newer)
    with office.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": schema.head()})
    office.close()
    for path, message in (
        (torn, "tệp hỏng"), (text_file, "không phải bản sao lưu PostgreSQL"), (newer, "mới hơn chương trình"),
        (tmp_path / "missing", "không có tệp này"),
    ):  # fmt: skip
        with pytest.raises(BadInputError, match=message):
            restore(office, path, NOW)
        assert _names(office) == ["kept"]
        office.close()


def test_what_fails_half_way_is_put_back(office: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backup(office, tmp_path / "saved")
    _write(office, "kept")
    office.close()

    def broken(_database: Database) -> None:
        raise RuntimeError

    monkeypatch.setattr(schema, "upgrade", broken)
    with pytest.raises(RuntimeError):
        restore(office, tmp_path / "saved", NOW)
    assert _names(office) == ["kept"]


def test_without_the_programs_it_says_what_to_install(
    office: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInputError, match="postgresql-client"):
        backup(office, tmp_path / "saved")
    assert list(tmp_path.glob("saved*")) == []


def test_a_backup_under_load_holds_whole_transactions(office: Database, tmp_path: Path) -> None:
    """Each transaction writes a pair: the copy holds both or neither, and none of the earlier ones is missing."""
    stop, begun = threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        with psycopg.connect(office.url.set(drivername="postgresql").render_as_string(hide_password=False)) as db:
            while not stop.is_set():
                number += 1
                for half in ("a", "b"):
                    db.execute("INSERT INTO heartbeat VALUES (%s, 'x', now())", (f"{number:06d}{half}",))
                db.commit()
                if number == 20:
                    begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert begun.wait(10)
        backup(office, tmp_path / "saved")
    finally:
        stop.set()
        writer.join()
    office.close()
    restore(office, tmp_path / "saved", NOW)
    names = _names(office)
    assert len(names) >= 40
    assert names == [f"{n:06d}{half}" for n in range(1, len(names) // 2 + 1) for half in "ab"]
