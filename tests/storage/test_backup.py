from __future__ import annotations

import sqlite3
import stat
import threading
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import select

from bot.errors import BadInputError
from bot.storage import schema
from bot.storage.backup import backup, restore
from bot.storage.consistency import faults
from bot.storage.database import Database
from bot.storage.single import only_service
from bot.storage.tables import Heartbeat

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


def _write(database: Database, name: str) -> None:
    with database.write() as session:
        session.add(Heartbeat(name=name, owner="x", at=NOW))


def _names(database: Database) -> list[str]:
    with database.read() as session:
        return sorted(session.exec(select(Heartbeat.name)))


def _beside(database: Database) -> set[str]:
    assert database.path is not None
    return {path.name for path in database.path.parent.iterdir()}


def test_there_and_back(sqlite_database: Database, tmp_path: Path) -> None:
    _write(sqlite_database, "before")
    saved = tmp_path / "saved.sqlite3"
    with sqlite_database.read() as reader:  # the service goes on reading and writing
        reader.exec(select(Heartbeat)).all()
        backup(sqlite_database, saved)
    _write(sqlite_database, "after")
    aside = restore(sqlite_database, saved, NOW)
    assert _names(sqlite_database) == ["before"]
    assert isinstance(aside, Path)
    old = Database(f"sqlite:///{aside}")
    assert _names(old) == ["after", "before"]
    old.close()
    _write(sqlite_database, "again")
    sqlite_database.close()
    assert not [name for name in _beside(sqlite_database) if ".part" in name or name.endswith(".sqlite3-wal")]


def test_a_backup_is_one_private_file(sqlite_database: Database, tmp_path: Path) -> None:
    saved = tmp_path / "saved.sqlite3"
    backup(sqlite_database, saved)
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("saved")] == ["saved.sqlite3"]


def test_a_backup_never_overwrites(sqlite_database: Database, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    saved.write_text("something else")
    with pytest.raises(BadInputError, match="tệp đã có"):
        backup(sqlite_database, saved)
    assert saved.read_text() == "something else"
    with pytest.raises(BadInputError, match="không ghi được"):
        backup(sqlite_database, tmp_path / "missing" / "saved")


def test_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="chưa có bảng"):
        backup(Database(f"sqlite:///{tmp_path / 'none.sqlite3'}"), tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


def test_no_restore_while_the_service_runs(sqlite_database: Database, tmp_path: Path) -> None:
    backup(sqlite_database, tmp_path / "saved")
    _write(sqlite_database, "kept")
    with only_service(sqlite_database), pytest.raises(BadInputError, match="đang có một dịch vụ khác"):
        restore(sqlite_database, tmp_path / "saved", NOW)
    assert _names(sqlite_database) == ["kept"]


def test_no_restore_while_any_program_has_it_open(sqlite_database: Database, tmp_path: Path) -> None:
    backup(sqlite_database, tmp_path / "saved")
    other = Database(str(sqlite_database.url))
    _write(other, "kept")
    with other.read() as session:
        session.exec(select(Heartbeat)).all()
        with pytest.raises(BadInputError, match="đang có chương trình khác dùng"):
            restore(sqlite_database, tmp_path / "saved", NOW)
    assert _names(other) == ["kept"]
    other.close()


def _missing(path: Path) -> None:
    path.unlink()


def _not_sqlite(path: Path) -> None:
    path.write_text("không phải SQLite " * 500)


def _torn(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 * 2 : 4096 * 6] = b"\xff" * 4096 * 4
    path.write_bytes(data)


def _foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (id INTEGER)")


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [(_missing, "không có tệp này"), (_not_sqlite, "tệp hỏng hoặc không phải SQLite"), (_torn, "hỏng"),
     (_foreign, "không phải bản sao lưu"), (_newer, "mới hơn chương trình")],
)  # fmt: skip
def test_a_bad_backup_changes_nothing(sqlite_database: Database, tmp_path: Path, spoil: object, message: str) -> None:
    saved = tmp_path / "saved"
    backup(sqlite_database, saved)
    _write(sqlite_database, "kept")
    assert callable(spoil)
    spoil(saved)
    before = _beside(sqlite_database)
    with pytest.raises(BadInputError, match=message):
        restore(sqlite_database, saved, NOW)
    assert _names(sqlite_database) == ["kept"]
    assert _beside(sqlite_database) - before <= {"motcua.sqlite3.serve.lock"}


def test_the_database_itself_is_no_backup(sqlite_database: Database) -> None:
    assert sqlite_database.path is not None
    with pytest.raises(BadInputError, match="đang dùng"):
        restore(sqlite_database, sqlite_database.path, NOW)


def test_restoring_where_nothing_or_only_ruins_are_left(sqlite_database: Database, tmp_path: Path) -> None:
    _write(sqlite_database, "saved")
    saved = tmp_path / "saved"
    backup(sqlite_database, saved)
    sqlite_database.close()
    assert sqlite_database.path is not None
    sqlite_database.path.write_bytes(b"ruins" * 1000)
    aside = restore(sqlite_database, saved, NOW)
    assert isinstance(aside, Path)
    assert aside.read_bytes() == b"ruins" * 1000
    assert _names(sqlite_database) == ["saved"]
    sqlite_database.close()
    sqlite_database.path.unlink()
    assert restore(sqlite_database, saved, NOW) is None
    assert _names(sqlite_database) == ["saved"]


def test_a_restored_database_is_ready_for_use(sqlite_database: Database, tmp_path: Path) -> None:
    backup(sqlite_database, tmp_path / "saved")
    restore(sqlite_database, tmp_path / "saved", NOW)
    schema.check(sqlite_database)
    with sqlite_database.read() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"


def test_a_backup_under_load_holds_whole_transactions(sqlite_database: Database, tmp_path: Path) -> None:
    """Each transaction writes a pair: the copy holds both or neither, and none of the earlier ones is missing."""
    stop, begun = threading.Event(), threading.Event()

    def write() -> None:
        service = Database(str(sqlite_database.url))
        for number in count(1):
            if stop.is_set():
                break
            with service.write() as session:
                session.add_all(Heartbeat(name=f"{number:06d}{half}", owner="x", at=NOW) for half in "ab")
            if number == 20:
                begun.set()
        service.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert begun.wait(10)
        backup(sqlite_database, tmp_path / "saved")
    finally:
        stop.set()
        writer.join()
    restore(sqlite_database, tmp_path / "saved", NOW)
    names = _names(sqlite_database)
    assert len(names) >= 40
    assert names == [f"{n:06d}{half}" for n in range(1, len(names) // 2 + 1) for half in "ab"]
    assert faults(sqlite_database, NOW) == []
