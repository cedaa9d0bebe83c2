"""What only one may do at a time: ``serve`` on one SQLite file, one task among the replicas on PostgreSQL.

Both locks are gone with the process that held them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from bot.errors import BadInputError
from bot.storage.database import Database


@contextmanager
def only_service(database: Database) -> Iterator[None]:
    """Holds ``<db>.serve.lock`` while the service runs; does nothing on PostgreSQL, where replicas are welcome.

    Raises:
        BadInputError: another process serves this file.
    """
    if database.path is None:
        yield
        return
    real = database.path.resolve()  # the same file under another name is the same file
    lock = Path(f"{real}.serve.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadInputError(f"{lock}: không mở được tệp khóa ({error.strerror})") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInputError(
                f"{real}: đang có một dịch vụ khác chạy trên tệp này; hãy dừng dịch vụ đó trước, "
                "hoặc dùng PostgreSQL để chạy nhiều bản"
            ) from None
        yield
    finally:
        os.close(descriptor)  # the file stays: removing it would let two processes lock two files of one name


class Baton:
    """Lets one replica do a task that must not be done by two: a lock of a PostgreSQL session.

    On SQLite there is only one ``serve`` (``only_service``), which always holds it. A pooler in front of PostgreSQL
    must keep sessions apart (pgbouncer: ``pool_mode = session``). All methods block.
    """

    def __init__(self, database: Database, task: str) -> None:
        self._database = database
        self._task = task
        self._connection: Connection | None = None

    def held(self) -> bool:
        """Takes the baton where it is free; whether it is ours now. To be asked again before each piece of work.

        Raises:
            SQLAlchemyError: the database can't be asked.
        """
        if self._database.is_sqlite:
            return True
        if self._connection is None:
            connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            connection.detach()  # closed when it is closed, not kept for others with our lock
            taken = connection.scalar(select(func.pg_try_advisory_lock(func.hashtextextended(self._task, 0))))
            if not taken:
                connection.close()
                return False
            self._connection = connection
        try:
            self._connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            self.release()  # the session is gone, and the lock with it
            raise
        return True

    def release(self) -> None:
        """Lets another have it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):  # a session that is gone has no lock; one that only closes keeps it a while
                connection.execute(select(func.pg_advisory_unlock(func.hashtextextended(self._task, 0))))
            connection.close()
