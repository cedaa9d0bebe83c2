"""The schema's version: migrations up to head, and a check that refuses what is older or newer."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, text
from sqlalchemy.exc import DatabaseError, OperationalError

from bot.errors import BadInputError
from bot.storage.database import Database

log = logging.getLogger("motcua.schema")
LOCK_SECONDS = 3  # the work of all waits as long as a migration waits for its lock
LOCK_TRIES = 40
LOCK_PAUSE_SECONDS = 2.0
_MIGRATIONS = Path(__file__).parent / "migrations"
_UPGRADE_LOCK = 5063511  # any fixed number: replicas that start together upgrade one after the other


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def head() -> str:
    """The revision this program works with."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise RuntimeError(f"no migrations in {_MIGRATIONS}")
    return revision


def current(database: Database) -> str | None:
    """The revision the database is at; None where it was never set up.

    Raises:
        BadInputError: it can't be reached, or isn't a database.
    """
    if database.path and not database.path.exists():
        return None  # connecting would leave an empty file behind
    try:
        with database.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except DatabaseError as error:
        raise _unreachable(database, error) from error


def check(database: Database) -> None:
    """Passes only where the database is exactly at this program's revision.

    Raises:
        BadInputError: no tables yet, an older or a newer revision, or no connection.
    """
    now = current(database)
    refuse_newer(now)
    if now is None:
        raise BadInputError("cơ sở dữ liệu chưa có bảng; hãy chạy: motcua db upgrade")
    if now != head():
        raise BadInputError(f"cơ sở dữ liệu ở bản cũ {now}, chương trình cần bản {head()}; hãy chạy: motcua db upgrade")


def upgrade(database: Database) -> None:
    """Runs the migrations up to head, while the program of before may go on working (docs/deploy.md).

    SQLite: all in one transaction. PostgreSQL: one for each migration, and none for indexes, which are built beside
    the work; cut off midway, the next call goes on. A lock that isn't had within seconds is let go and asked for
    again, for all that comes after would wait behind it.

    Raises:
        BadInputError: the database is newer than the program, can't be reached, isn't a database, or is locked by
            others all the time.
    """
    try:
        if database.is_sqlite:
            with database.write() as session:
                _migrate(session.connection())
        else:
            with _alone(database) as connection:
                _migrate_patiently(connection)
    except DatabaseError as error:
        raise _unreachable(database, error) from error


def _migrate(connection: Connection) -> None:
    refuse_newer(MigrationContext.configure(connection).get_current_revision())
    config = _config()
    config.attributes["connection"] = connection
    if not connection.get_execution_options().get("begin"):
        connection.rollback()  # what was only read; each migration begins its own
    command.upgrade(config, "head")


def _migrate_patiently(connection: Connection) -> None:
    for left in reversed(range(LOCK_TRIES)):
        try:
            _migrate(connection)
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
            connection.rollback()
            if not left:
                raise BadInputError(
                    f"bảng đang bị khóa, chưa nâng cấp được sau {LOCK_TRIES} lần thử; hãy thử lại lúc ít việc hơn"
                ) from error
            log.info("bảng đang bị khóa, thử nâng cấp lại sau %.1f giây", LOCK_PAUSE_SECONDS)
            time.sleep(LOCK_PAUSE_SECONDS)
        else:
            return


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    """A connection of PostgreSQL that nobody else upgrades beside; closed at the end, and its lock with it."""
    with database.engine.connect() as connection:
        try:
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
            connection.commit()
            # Not waited for in the database: an index that another builds would wait for that waiting to end.
            while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _UPGRADE_LOCK}):
                connection.commit()
                time.sleep(0.1)
            connection.commit()
            yield connection
        finally:
            connection.invalidate()  # not kept for others, with our lock and limits


def refuse_newer(revision: str | None) -> None:
    """Passes where this program knows the revision.

    Raises:
        BadInputError: it doesn't: the database, or the backup, is newer than the program.
    """
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise BadInputError(
            f"cơ sở dữ liệu ở bản {revision}, mới hơn chương trình (bản {head()}); "
            "hãy dùng chương trình mới hơn hoặc phục hồi bản sao lưu cũ"
        )


def _unreachable(database: Database, error: DatabaseError) -> Exception:
    if type(error) not in {OperationalError, DatabaseError}:
        return error  # a fault of a migration, not of the caller
    reason = (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]
    where = database.path or database.url.render_as_string(hide_password=True)
    return BadInputError(f"{where}: không mở được cơ sở dữ liệu ({reason})")
