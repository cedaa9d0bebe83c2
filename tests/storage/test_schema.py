from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Integer, MetaData, Table, text

from bot.errors import BadInputError
from bot.settings import Settings
from bot.storage import schema
from bot.storage.database import Database, open_database
from bot.storage.tables import METADATA


def _differences(database: Database, metadata: MetaData) -> list[object]:
    with database.read() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        return compare_metadata(context, metadata)


def test_migrations_match_tables(empty_database: Database) -> None:
    schema.upgrade(empty_database)
    assert _differences(empty_database, METADATA) == []


def test_a_change_of_the_tables_without_migration_is_noticed(database: Database) -> None:
    changed = MetaData()
    for table in METADATA.sorted_tables:
        table.to_metadata(changed)
    changed.tables["turn"].append_column(Column("mood", Integer))
    Table("extra", changed, Column("id", Integer, primary_key=True))
    assert len(_differences(database, changed)) == 2


def test_ids_that_other_rows_name_are_never_used_twice(sqlite_database: Database) -> None:
    with sqlite_database.read() as session:
        made = dict(
            session.connection().exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type='table'").all()
        )
    never_again = {name for name, sql in made.items() if "AUTOINCREMENT" in (sql or "")}
    assert never_again == {"inbox", "outbox", "conversation"}
    assert never_again == {t.name for t in METADATA.sorted_tables if t.dialect_options["sqlite"]["autoincrement"]}


def test_upgrade_twice_changes_nothing(empty_database: Database) -> None:
    assert schema.current(empty_database) is None
    schema.upgrade(empty_database)
    schema.upgrade(empty_database)
    assert schema.current(empty_database) == schema.head()
    schema.check(empty_database)


def test_replicas_that_upgrade_together_do_not_disturb_each_other(empty_database: Database) -> None:
    failures: list[BaseException] = []
    url = empty_database.url.render_as_string(hide_password=False)
    start = threading.Barrier(4)

    def upgrade() -> None:
        replica = Database(url)
        try:
            start.wait()
            schema.upgrade(replica)
        except BaseException as error:  # noqa: BLE001  looked at below, in the test's own thread
            failures.append(error)
        finally:
            replica.close()

    threads = [threading.Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    schema.check(empty_database)


def test_a_newer_database_is_refused_and_left_alone(database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(BadInputError, match="9999, mới hơn chương trình"):
        schema.check(database)
    with pytest.raises(BadInputError, match="mới hơn chương trình"):
        schema.upgrade(database)
    assert schema.current(database) == "9999"


def test_a_database_without_tables_says_what_to_run(settings: Settings) -> None:
    with pytest.raises(BadInputError, match="motcua db upgrade"):
        open_database(settings)
    assert list(settings.var_dir.iterdir()) == []


def test_an_upgraded_database_opens(sqlite_database: Database, settings: Settings) -> None:
    opened = open_database(settings)
    assert opened.path == sqlite_database.path
    opened.close()


def test_a_file_that_is_no_database_is_named(settings: Settings) -> None:
    settings.var_dir.mkdir()
    file = settings.var_dir / "motcua.sqlite3"
    file.write_text("không phải cơ sở dữ liệu" * 100)
    with pytest.raises(BadInputError, match=r"motcua\.sqlite3: không mở được"):
        open_database(settings)


def test_a_server_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    database = Database(f"postgresql+psycopg://user:s3cret@/motcua?host={tmp_path}")
    with pytest.raises(BadInputError, match="không mở được cơ sở dữ liệu") as caught:
        schema.check(database)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    database.close()
