from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from bot.errors import BadInputError
from bot.storage.database import Database
from bot.storage.single import Baton, only_service

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys
from bot.storage.database import Database
from bot.storage.single import Baton, only_service
with only_service(Database(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_service_on_one_file_is_refused_until_the_first_ends(
    sqlite_database: Database, tmp_path: Path
) -> None:
    link = tmp_path / "other-name.sqlite3"
    link.symlink_to(sqlite_database.path or "")
    with only_service(sqlite_database):
        for other in (sqlite_database, Database(f"sqlite:///{link}")):
            with pytest.raises(BadInputError, match="đang có một dịch vụ khác"), only_service(other):
                pytest.fail("two services on one file")
    with only_service(sqlite_database):
        pass


def test_a_killed_service_leaves_no_lock_behind(sqlite_database: Database) -> None:
    command = [sys.executable, "-c", HOLDER, str(sqlite_database.url)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(BadInputError, match="đang có một dịch vụ khác"), only_service(sqlite_database):
            pytest.fail("two services on one file")
        process.kill()
    with only_service(sqlite_database):
        pass


@pytest.mark.postgres
def test_many_services_share_postgresql(postgres_database: Database) -> None:
    with only_service(postgres_database), only_service(postgres_database):
        pass


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    missing = Database(f"sqlite:///{tmp_path / 'missing' / 'x.sqlite3'}")
    with pytest.raises(BadInputError, match="không mở được tệp khóa"), only_service(missing):
        pytest.fail("locked a file in no folder")


def test_on_sqlite_the_only_service_holds_every_baton(sqlite_database: Database) -> None:
    assert Baton(sqlite_database, "poll").held()


@pytest.mark.postgres
def test_of_two_replicas_one_holds_a_baton_until_it_lets_go_or_loses_its_session(postgres_database: Database) -> None:
    first, second, other = (Baton(postgres_database, task) for task in ("poll", "poll", "refresh"))
    assert first.held()
    assert first.held()
    assert not second.held()
    assert other.held()  # another task
    first.release()
    assert second.held()
    assert not first.held()
    with postgres_database.write() as session:
        session.execute(text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"))
    with pytest.raises(OperationalError):
        second.held()
    assert first.held()
    assert not second.held()
    for baton in (first, second, other):
        baton.release()
