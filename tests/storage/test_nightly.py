from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.settings import Settings
from bot.storage.backup import restore
from bot.storage.database import Database
from bot.storage.nightly import Nightly, due_since, last_backup, reason
from bot.storage.single import Baton

MORNING = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)  # 8:00 in Vietnam
NIGHT = datetime(2026, 11, 24, 19, 0, tzinfo=UTC)  # 2:00 the next day


@pytest.fixture
def nightly(database: Database, settings: Settings, request: pytest.FixtureRequest) -> Nightly:
    if not database.is_sqlite:
        request.getfixturevalue("postgres_tools")
    return Nightly(settings, database, "test/1")


def _files(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.backups.iterdir()) if settings.backups.exists() else []


def test_the_night_begins_at_two_in_vietnam() -> None:
    assert due_since(MORNING) == datetime(2026, 11, 23, 19, 0, tzinfo=UTC)
    assert due_since(NIGHT) == NIGHT
    assert due_since(NIGHT - timedelta(seconds=1)) == NIGHT - timedelta(days=1)


def test_one_backup_a_night_whichever_replica_looks(nightly: Nightly, settings: Settings) -> None:
    other = Nightly(settings, nightly.database, "test/2")
    made = nightly.look(MORNING)
    assert made is not None
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700
    assert [other.look(MORNING), nightly.look(NIGHT - timedelta(seconds=1))] == [None, None]
    assert other.look(NIGHT) is not None
    assert nightly.look(NIGHT + timedelta(hours=1)) is None
    assert len(_files(settings)) == 2
    with nightly.database.read() as session:
        assert last_backup(session) == NIGHT


def test_it_can_be_switched_off(nightly: Nightly, settings: Settings) -> None:
    off = settings.model_copy(update={"backup": False})
    assert Nightly(off, nightly.database, "x").look(MORNING) is None
    assert _files(off) == []
    assert reason(off, None, None, MORNING) is None


def test_what_it_made_can_be_restored(sqlite_database: Database, settings: Settings) -> None:
    made = Nightly(settings, sqlite_database, "x").look(MORNING)
    assert made is not None
    restore(sqlite_database, made, MORNING)
    # The copy was made before it was noted: the restored office makes one again.
    assert Nightly(settings, sqlite_database, "x").look(MORNING + timedelta(minutes=1)) is not None


def test_the_old_go_but_never_the_last_ones_nor_other_files(sqlite_database: Database, settings: Settings) -> None:
    few = settings.model_copy(update={"backup_keep": 3})
    nightly = Nightly(few, sqlite_database, "x")
    few.backups.mkdir(parents=True)
    for name in ("motcua-truoc-khi-nang-cap.sqlite3", "khac.txt", "motcua-20200101T000000Z.sqlite3.part"):
        (few.backups / name).touch()
    for day in range(6):
        assert nightly.look(MORNING + timedelta(days=day)) is not None
    kept = [name for name in _files(few) if name.startswith("motcua-2")]
    assert kept == [f"motcua-202611{day}T010000Z.sqlite3" for day in (26, 27, 28, 29)]  # 3 days old is not older
    assert nightly.look(MORNING + timedelta(days=90)) is not None
    assert len([name for name in _files(few) if name.startswith("motcua-2")]) == 3
    assert {"khac.txt", "motcua-truoc-khi-nang-cap.sqlite3"} <= set(_files(few))


def test_what_fails_is_said_and_tried_again(sqlite_database: Database, settings: Settings, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    nightly = Nightly(settings.model_copy(update={"backup_dir": blocked / "x"}), sqlite_database, "x")
    assert nightly.look(MORNING) is None
    assert nightly.problem is not None
    assert "không sao lưu được" in str(reason(nightly.settings, None, nightly.problem, MORNING))
    blocked.unlink()
    assert nightly.look(MORNING) is not None
    assert nightly.problem is None


def test_a_missed_night_is_said_by_every_replica(settings: Settings) -> None:
    assert reason(settings, MORNING - timedelta(hours=35), None, MORNING) is None
    assert "23:00 21/11/2026" in str(reason(settings, datetime(2026, 11, 21, 16, 0, tzinfo=UTC), None, MORNING))


@pytest.mark.postgres
def test_while_one_replica_is_at_it_the_others_leave_it(
    postgres_database: Database, settings: Settings, postgres_tools: None
) -> None:
    nightly = Nightly(settings, postgres_database, "x")
    busy = Baton(postgres_database, "motcua/backup")
    assert busy.held()
    assert nightly.look(MORNING) is None
    assert nightly.problem is None
    busy.release()
    assert nightly.look(MORNING) is not None


@pytest.mark.postgres
def test_without_pg_dump_it_says_so_and_leaves_the_baton_to_others(
    postgres_database: Database, settings: Settings, tmp_path: Path, postgres_tools: None
) -> None:
    nightly = Nightly(settings, postgres_database, "x")
    with pytest.MonkeyPatch.context() as bare:
        bare.setenv("PATH", str(tmp_path))
        assert nightly.look(MORNING) is None
    assert "pg_dump" in str(nightly.problem)
    assert Nightly(settings, postgres_database, "y").look(MORNING) is not None
    assert nightly.look(MORNING) is None
    assert nightly.problem is None


@pytest.mark.postgres
def test_a_stop_ends_pg_dump(
    postgres_database: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dump that would go on for an hour: ended, nothing left behind, nothing noted."""
    slow = tmp_path / "pg_dump"
    slow.write_text("#!/bin/sh\nexec sleep 3600\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    nightly = Nightly(settings, postgres_database, "x")
    assert nightly.look(MORNING, stopped=lambda: True) is None
    assert _files(settings) == []
    with postgres_database.read() as session:
        assert last_backup(session) is None


def test_an_old_one_that_cannot_be_deleted_does_not_make_it_copy_again(
    sqlite_database: Database, settings: Settings
) -> None:
    few = settings.model_copy(update={"backup_keep": 1})
    stuck = few.backups / "motcua-20200101T000000Z.sqlite3"
    stuck.mkdir(parents=True)  # unlink fails on a folder, also for root
    nightly = Nightly(few, sqlite_database, "x")
    assert nightly.look(MORNING) is not None
    assert nightly.look(MORNING + timedelta(minutes=5)) is None
    assert nightly.problem is None
