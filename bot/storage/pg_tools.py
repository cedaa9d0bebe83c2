"""Backup and restore of PostgreSQL through its own programs, ``pg_dump`` and ``pg_restore``.

They must not be older than the server (pg_dump refuses that itself). Passwords go through the environment, never
through arguments, which every user of the machine can read.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from psycopg.conninfo import make_conninfo
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from bot.errors import BadInputError
from bot.logs import mask
from bot.storage import schema
from bot.storage.database import Database

_LOOK_SECONDS = 0.5  # how often a running program is looked at, whether it should end
_ASIDE = "motcua_cu_"  # schemas that a restore has set aside
_VERSION = re.compile(r"^COPY public\.alembic_version .*?;\n([^\n]+)\n\\\.", re.MULTILINE | re.DOTALL)
_PACKAGE = "cài gói postgresql-client cùng đời với máy chủ PostgreSQL (hoặc mới hơn)"


def missing() -> str | None:
    """Why no backup of PostgreSQL can be made on this machine, and what to do; None where it can."""
    if shutil.which("pg_dump") is None:
        return f"không có chương trình pg_dump; hãy {_PACKAGE}"
    return None


def dump(database: Database, target: Path, stopped: Callable[[], bool] = lambda: False) -> None:
    """Writes one consistent archive (pg_dump's custom format) of the tables into ``target``, which exists.

    Raises:
        BadInputError: the program is missing, too old, can't reach the database, or was ended by ``stopped``.
    """
    options = ["--format=custom", "--no-owner", "--no-privileges", "--schema=public", f"--file={target}"]
    _run(database, "pg_dump", options, stopped=stopped)


def load(database: Database, source: Path, now: datetime) -> str:
    """Puts an archive in the place of the tables and upgrades it to this program's schema.

    What was there is kept in a schema of its own in the same database, and put back where the restore fails.

    Returns:
        The name of that schema.

    Raises:
        BadInputError: the archive is damaged, not ours or newer than the program; the database is in use, out of
            reach or not ours to change.
    """
    schema.current(database)  # says in one line where it can't be reached
    _check(database, source)
    with database.engine.connect() as connection:
        others = connection.scalar(
            text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND backend_type = 'client backend'"
            )
        )
    if others:
        raise BadInputError(
            f"{database.url.database}: đang có {others} kết nối khác vào cơ sở dữ liệu; hãy dừng mọi bản của dịch vụ "
            "rồi thử lại"
        )
    aside = f"{_ASIDE}{now:%Y%m%dT%H%M%S_%f}".lower()
    try:
        with database.engine.begin() as connection:
            connection.execute(text(f"ALTER SCHEMA public RENAME TO {aside}"))
            connection.execute(text("CREATE SCHEMA public"))
    except ProgrammingError as error:
        raise BadInputError(
            f"{database.url.database}: cần quyền của chủ cơ sở dữ liệu để phục hồi ({type(error.orig).__name__})"
        ) from error
    try:
        _run(
            database, "pg_restore",
            ["--no-owner", "--no-privileges", "--schema=public", "--single-transaction", "--exit-on-error"], source,
        )  # fmt: skip
        database.close()  # what its connections have prepared belongs to the old tables
        schema.upgrade(database)
    except BaseException:
        _put_back(database, aside)
        raise
    return aside


def _check(database: Database, source: Path) -> None:
    """Reads the archive from end to end, and which revision it is at."""
    with source.open("rb") as file:
        if file.read(5) != b"PGDMP":
            raise BadInputError(f"{source}: không phải bản sao lưu PostgreSQL (pg_dump --format=custom)")
    try:
        _run(database, "pg_restore", ["--file=/dev/null"], source)
        told = _run(database, "pg_restore", ["--data-only", "--table=alembic_version", "--file=-"], source)
    except BadInputError as error:
        raise BadInputError(f"{source}: tệp hỏng hoặc quá mới so với pg_restore ({error})") from error
    found = _VERSION.search(told)
    if found is None:
        raise BadInputError(f"{source}: không phải bản sao lưu của chương trình này")
    schema.refuse_newer(found[1].strip())


def _put_back(database: Database, aside: str) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text(f"ALTER SCHEMA {aside} RENAME TO public"))


def _run(
    database: Database,
    program: str,
    arguments: Sequence[str],
    archive: Path | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> str:
    """Runs one of PostgreSQL's programs, against the database where it reads no archive; returns what it printed."""
    path = shutil.which(program)
    if path is None:
        raise BadInputError(f"không có chương trình {program}; hãy {_PACKAGE}")
    url = database.url
    given = {
        "host": url.host, "port": url.port, "user": url.username, "dbname": url.database, "connect_timeout": 10,
        **{name: ",".join(value) if isinstance(value, tuple) else value for name, value in url.query.items()},
    }  # fmt: skip
    password = given.pop("password", None) or url.password
    target = make_conninfo("", **{name: value for name, value in given.items() if value is not None})
    to_a_file = any(argument.startswith("--file=") for argument in arguments)
    connect = [] if program == "pg_restore" and to_a_file else [f"--dbname={target}"]
    environment = os.environ | {"LC_MESSAGES": "C"} | ({"PGPASSWORD": str(password)} if password else {})
    process = subprocess.Popen(  # noqa: S603  no shell, our own arguments
        [path, *connect, *arguments, *([str(archive)] if archive else [])], env=environment, text=True,
        errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        while True:
            try:
                told, faults = process.communicate(timeout=_LOOK_SECONDS)
                break
            except subprocess.TimeoutExpired:
                if stopped():
                    process.terminate()
    if process.returncode != 0:
        lines = [line for line in faults.splitlines() if line.strip()] or [f"mã {process.returncode}"]
        worst = next((line for line in lines if "error:" in line), lines[-1])
        raise BadInputError(mask(f"{program}: {worst.removeprefix(f'{program}: ')}")[:300])
    return told
