"""Backup and restore: SQLite with its own online copy, PostgreSQL with its own programs (``pg_tools``)."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from bot.errors import BadInputError
from bot.storage import pg_tools, schema
from bot.storage.database import BUSY_SECONDS, Database
from bot.storage.single import only_service


def backup(database: Database, target: Path, stopped: Callable[[], bool] = lambda: False) -> None:
    """Copies the database as it is at this moment into one new file; the service may run on.

    Args:
        database: to be copied.
        target: the file, readable by its owner only.
        stopped: asked now and then; True ends a copy of PostgreSQL half-way.

    Raises:
        BadInputError: nothing to back up, the target exists, can't be written, the data is damaged, or PostgreSQL's
            program is missing or fails.
    """
    schema.check(database)
    if target.exists():
        raise BadInputError(f"{target}: tệp đã có; hãy chọn tên khác")
    part = target.with_name(f"{target.name}.part")
    try:
        if database.path is not None:
            _copy(database.path, part)
        else:
            _empty(part)
            pg_tools.dump(database, part, stopped)
            _sync(part)
        part.replace(target)
        _sync(target.parent)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def restore(database: Database, source: Path, now: datetime) -> Path | str | None:
    """Puts a backup in the place of the database, upgraded to this program's schema.

    The copy is checked before anything is touched, and what was in use is kept.

    Returns:
        Where that is: a file beside the database, or the name of a schema on PostgreSQL; None where there was none.

    Raises:
        BadInputError: the backup is missing, damaged, not ours or newer than the program; the database is in use.
    """
    if not source.is_file():
        raise BadInputError(f"{source}: không có tệp này")
    path = database.path
    if path is None:
        return pg_tools.load(database, source, now)
    if path.exists() and source.samefile(path):
        raise BadInputError(f"{source}: đây chính là cơ sở dữ liệu đang dùng; cần một tệp sao lưu")
    with only_service(database):
        part = path.with_name(f"{path.name}.part")
        try:
            _copy(source, part)
            _prepare(part, source)
            aside = _set_aside(database, path, now)
            part.replace(path)
            _sync(path.parent)
        finally:
            for leftover in (part, *_companions(part)):
                leftover.unlink(missing_ok=True)
    return aside


def _empty(target: Path) -> None:
    """A new empty file that only its owner can read."""
    try:
        target.unlink(missing_ok=True)
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise BadInputError(f"{target}: không ghi được ({error.strerror})") from error


def _copy(source: Path, target: Path) -> None:
    """One consistent copy in a single file that only its owner can read, checked and on disk."""
    _empty(target)
    try:
        # mode=rw: a database in WAL mode can't be read without the right to make its -shm file.
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")  # one file, no companions
            faults = [row[0] for row in new.execute("PRAGMA integrity_check(1)")]
    except sqlite3.Error as error:
        raise BadInputError(f"{source}: không sao chép được, tệp hỏng hoặc không phải SQLite ({error})") from error
    if faults != ["ok"]:
        raise BadInputError(f"{source}: dữ liệu hỏng ({faults[0]})")
    _sync(target)


def _prepare(copy: Path, source: Path) -> None:
    """Brings the copy to this program's schema; refuses what isn't ours or is newer."""
    database = Database(f"sqlite:///{copy}")
    try:
        revision = schema.current(database)
        if revision is not None:
            schema.upgrade(database)
    finally:
        database.close()
    if revision is None:
        raise BadInputError(f"{source}: không phải bản sao lưu của chương trình này")
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    _sync(copy)


def _set_aside(database: Database, path: Path, now: datetime) -> Path | None:
    """Copies the present database to a file beside it and removes its log, which must never meet another file."""
    if not path.exists():
        return None
    database.close()
    try:
        # Leaving WAL mode works only for the last connection: it merges the log and proves that nobody else is here.
        with closing(sqlite3.connect(path, timeout=1)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        raise BadInputError(f"{path}: đang có chương trình khác dùng; hãy dừng rồi thử lại ({error})") from error
    except sqlite3.DatabaseError:
        pass  # damaged, perhaps the very reason to restore: kept as it is, with its log
    aside = path.with_name(f"{path.name}.{now:%Y%m%dT%H%M%S_%f}.cu")
    for old, name in ((path, aside), *((c, Path(str(c).replace(str(path), str(aside)))) for c in _companions(path))):
        if old.exists():
            shutil.copy2(old, name)
            _sync(name)
    for companion in _companions(path):
        companion.unlink(missing_ok=True)
    return aside


def _companions(path: Path) -> tuple[Path, ...]:
    return tuple(Path(f"{path}{suffix}") for suffix in ("-wal", "-shm", "-journal"))


def _sync(path: Path) -> None:
    """Makes a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
