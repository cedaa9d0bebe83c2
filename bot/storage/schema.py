"""The schema's version: migrations up to head, and a check that refuses what is older or newer."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError, OperationalError

from bot.errors import BadInputError
from bot.storage.database import Database

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
    """Runs the migrations up to head, all in one transaction.

    Raises:
        BadInputError: the database is newer than the program, can't be reached, or isn't a database.
    """
    try:
        with database.write() as session:
            if not database.is_sqlite:
                session.execute(text("SET LOCAL statement_timeout = 0"))
                session.execute(text("SET LOCAL lock_timeout = 0"))
                session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
            connection = session.connection()
            refuse_newer(MigrationContext.configure(connection).get_current_revision())
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DatabaseError as error:
        raise _unreachable(database, error) from error


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
