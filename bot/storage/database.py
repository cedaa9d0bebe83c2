"""The database: one engine, two kinds of session. SQLite alone, or PostgreSQL for many replicas.

SQLite runs in WAL mode with ``synchronous=FULL``: a committed message survives a
power cut. Writers begin with BEGIN IMMEDIATE, so that two never deadlock half-way.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlmodel import Session

from bot.errors import BadInputError
from bot.settings import Settings

BUSY_SECONDS = 10
# A statement that takes longer is stuck: an error and another try are better than a service that hangs.
_POSTGRES_LIMITS = "-c statement_timeout=30000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=60000"
_EXPECTED = "cần sqlite:///đường/dẫn/tệp hoặc postgresql+psycopg://người_dùng@máy/tên"


def _connect_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's BEGIN below decides, not the driver
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={BUSY_SECONDS * 1000}", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError:
            # Two that open a new file at once: here SQLite gives up at once, in spite of the busy timeout.
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    mode = connection.get_execution_options().get("begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")


class Database:
    """Sessions on one database, shared by all threads of the process.

    Attributes:
        is_sqlite: SQLite, not PostgreSQL.
        path: the SQLite file; None on PostgreSQL.
        url: the parsed address; never print it with its password.
    """

    def __init__(self, url: str, pool: int = 10) -> None:
        """Opens no connection yet.

        Args:
            url: of SQLite or PostgreSQL.
            pool: at most so many connections to PostgreSQL at once (2 or more), half of them kept open.

        Raises:
            BadInputError: the address is not one of SQLite or PostgreSQL.
        """
        self.url = _parsed(url)
        self.is_sqlite = self.url.drivername == "sqlite"
        self.path = Path(self.url.database or "").absolute() if self.is_sqlite else None
        self.engine: Engine = _sqlite_engine(self.url) if self.is_sqlite else _postgres_engine(self.url, pool)
        self._writer = self.engine.execution_options(begin="IMMEDIATE") if self.is_sqlite else self.engine
        self._turn = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading (one consistent view on SQLite); nothing is committed."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session whose changes are committed together at the end, or not at all.

        On SQLite its first statement takes the write lock, so what is read stays true until the commit: keep it
        short, and never open a second one inside. Rows loaded here stay readable after the commit.
        """
        with self._one_at_a_time(), Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Threads of one process wait for SQLite's write lock in line: SQLite itself would have them sleep and retry.

        Whoever waits longer than ``BUSY_SECONDS`` tries without, and gets SQLite's own error where it is still locked.
        """
        mine = self.is_sqlite and self._turn.acquire(timeout=BUSY_SECONDS)
        try:
            yield
        finally:
            if mine:
                self._turn.release()

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()


def connect(settings: Settings) -> Database:
    """The configured database, whatever its schema; makes the folder of an SQLite file.

    Raises:
        BadInputError: a wrong address, or a folder that can't be made.
    """
    database = Database(settings.database, settings.database_pool)
    try:
        settings.var_dir.mkdir(parents=True, exist_ok=True)
        if database.path:
            database.path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{error.filename}: không tạo được thư mục ({error.strerror})") from error
    return database


def open_database(settings: Settings) -> Database:
    """Opens the configured database and checks that its schema is this program's.

    Raises:
        BadInputError: it cannot be reached, was never set up, or is newer than the program.
    """
    from bot.storage.schema import check  # noqa: PLC0415 - Alembic is slow to import

    database = connect(settings)
    try:
        check(database)
    except BaseException:
        database.close()
        raise
    return database


def _parsed(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The address may hold a password: it isn't repeated.
        raise BadInputError(f"MOTCUA_DATABASE_URL: không đọc được địa chỉ; {_EXPECTED}") from None
    name = {"sqlite+pysqlite": "sqlite", "postgresql": "postgresql+psycopg"}.get(url.drivername, url.drivername)
    if name not in {"sqlite", "postgresql+psycopg"}:
        raise BadInputError(f"MOTCUA_DATABASE_URL: chỉ dùng được SQLite hoặc PostgreSQL; {_EXPECTED}")
    if not url.database or url.database == ":memory:":
        raise BadInputError(f"MOTCUA_DATABASE_URL: thiếu tên cơ sở dữ liệu; {_EXPECTED}")
    return url.set(drivername=name)


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _connect_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgres_engine(url: URL, pool: int) -> Engine:
    arguments = {"connect_timeout": BUSY_SECONDS, "application_name": "motcua", "options": _POSTGRES_LIMITS}
    given = {name: value for name, value in arguments.items() if name not in url.query}
    kept = pool // 2
    return create_engine(url, pool_pre_ping=True, pool_size=kept, max_overflow=pool - kept, connect_args=given)
