"""``python -m tests.bench_console``: the inbox with 100,000 turns on SQLite; peer: the same page with no turns at all.

Each page is asked for as a browser does, through the whole application (session, queries, template).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi.testclient import TestClient
from sqlalchemy import insert

from bot.api.app import create_app
from bot.application import open_desk, open_engine, open_talk
from bot.clock import utc_now
from bot.console.accounts import add_staff
from bot.desk import queues
from bot.service import Service
from bot.settings import Settings
from bot.storage import schema
from bot.storage.database import Database
from bot.storage.tables import Conversation, Turn

START = datetime(2026, 8, 1, tzinfo=UTC)
TURNS, CONVERSATIONS, LONGEST = 100_000, 20_000, 20_000  # a fifth of all turns is one conversation's
ROUNDS = 15
_QUEUES = (*queues.QUEUES, *["done"] * 30, *["bot"] * 66)


def _fill(database: Database, turns: int) -> None:
    with database.write() as session:
        conversations = [
            {"id": number, "channel": "web", "sender": f"v{number}", "memory": {}, "version": 1,
             "queue": _QUEUES[number % len(_QUEUES)], "queued_at": START + timedelta(minutes=number),
             "created_at": START, "last_at": START + timedelta(minutes=number)}
            for number in range(1, CONVERSATIONS * min(turns, TURNS) // TURNS + 2)
        ]  # fmt: skip
        session.execute(insert(Conversation), conversations)
        for first in range(0, turns, 5000):
            session.execute(insert(Turn), [
                {"conversation_id": 1 if number < LONGEST else number % CONVERSATIONS + 1, "inbox_id": None,
                 "text": f"làm giấy khai sinh cho con cần những gì, lần {number}", "intent": "ask_procedure",
                 "outcome": "answer", "understanding": {"procedures": ["1.001193"], "confidence": 0.97},
                 "replies": {"replies": [{"text": "Giấy tờ cần có: tờ khai, giấy chứng sinh. " * 12, "buttons": []}]},
                 "at": START + timedelta(seconds=number)}
                for number in range(first, min(first + 5000, turns))
            ])  # fmt: skip


def _median(browser: TestClient, path: str) -> float:
    took = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        assert browser.get(path).status_code == 200
        took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took)


def _measure(turns: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(var_dir=Path(folder))
        database = Database(settings.database)
        schema.upgrade(database)
        _fill(database, turns)
        with database.write() as session:
            add_staff(session, "lan", "advisor", "mat-khau-dai-lam", utc_now())
        desk = open_desk(Settings())
        service = Service(settings, database, open_talk(settings, desk, open_engine(Settings(), desk)))
        with TestClient(create_app(settings, database, service), base_url="http://127.0.0.1") as browser:
            browser.post("/staff/sign-in", data={"name": "lan", "password": "mat-khau-dai-lam"})
            pages = {
                "waiting": "/staff/inbox",
                "history": "/staff/inbox?queue=all",
                "history, deep": "/staff/inbox?queue=all&after=2026-08-03T00:00:00%2B00:00~2000",
                "thread": "/staff/inbox/1",
                "thread, deep": "/staff/inbox/1?before=5000",
            }
            found = {name: _median(browser, path) for name, path in pages.items()}
        database.close()
        return found


def main() -> None:
    """Prints a line for each page."""
    peer, full = _measure(0), _measure(TURNS)
    print(f"{'page':<16}{'empty, ms':>12}{f'{TURNS} turns, ms':>20}   (median of {ROUNDS}; the limit is 300 ms)")
    for name, took in full.items():
        print(f"{name:<16}{peer[name]:>12.1f}{took:>20.1f}")


if __name__ == "__main__":
    main()
