"""``make bench``: milliseconds for the desk's pages, with 100,000 dossiers and as many notices; peer: ten of each.

The pages are asked for through the whole application, signed in, on SQLite. The peer shows what a page costs anyway
(session, template); the difference is what the rows cost.
"""

from __future__ import annotations

import re
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi.testclient import TestClient
from sqlalchemy import insert, text

from bot.api.app import create_app
from bot.application import open_desk, open_engine, open_talk
from bot.console.accounts import add_staff
from bot.conversation.talk import Talk
from bot.service import Service
from bot.settings import Settings
from bot.storage import schema
from bot.storage.database import Database
from bot.storage.tables import Dossier, Outbox

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
MANY, FEW, ROUNDS = 100_000, 10, 9
PASSWORD = "mat-khau-dai-lam"
PAGES = {
    "all": "/staff/dossiers", "overdue": "/staff/dossiers?view=overdue", "field": "/staff/dossiers?field=ho-tich",
    "search": "/staff/dossiers?q=-00000", "notices": "/staff/notices", "failed": "/staff/notices?state=failed",
}  # fmt: skip
STATUSES = (10, 10, 10, 10, 10, 10, 10, 9, 4, 2)
STATES = ("sent", "delivered", "sent", "delivered", "sent", "sent", "failed", "cancelled", "sent", "sent")


def _fill(database: Database, many: int, procedures: list[str]) -> None:
    """A few years of a busy office."""
    with database.write() as session:
        add_staff(session, "admin", "admin", PASSWORD, NOW)
        for start in range(0, many, 5000):
            numbers = range(start, min(start + 5000, many))
            codes = {number: f"H30.99.01-261116-{number:07d}" for number in numbers}
            session.connection().execute(
                insert(Dossier),
                [{"code": code, "status": STATUSES[number % 10], "procedure": procedures[number * 7 % len(procedures)],
                  "phone": f"+8495{number:07d}", "consent_sms": True, "return_mode": "counter", "demo": False,
                  "due_at": NOW + timedelta(hours=50 - number * 13 % 5000), "created_at": NOW,
                  "updated_at": NOW - timedelta(minutes=number)} for number, code in codes.items()],
            )  # fmt: skip
            session.connection().execute(
                insert(Outbox),
                [{"kind": "notice", "channel": "sms", "recipient": f"+8495{number:07d}", "dedupe_key": code,
                  "body": {"text": f"TTPVHCC xa Chau Thanh: ho so {code} da co ket qua.", "route": []},
                  "dossier_code": code, "event": "result_ready", "occurrence": "c1", "demo": False, "priority": 0,
                  "state": STATES[number % 10], "not_before": NOW, "attempts": 1, "looks": 0,
                  "error": "undelivered: 30003" if STATES[number % 10] == "failed" else None,
                  "created_at": NOW - timedelta(minutes=number)} for number, code in codes.items()],
            )  # fmt: skip
        session.exec(text("ANALYZE"))  # type: ignore[call-overload]


def _page_times(talk: Talk, many: int, procedures: list[str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(var_dir=Path(folder), demo=True)
        database = Database(settings.database)
        schema.upgrade(database)
        _fill(database, many, procedures)
        # Not entered: no background work beside the measurement.
        service = Service(settings, database, talk, clock=lambda: NOW)
        browser = TestClient(create_app(settings, database, service, clock=lambda: NOW), base_url="http://127.0.0.1")
        browser.post("/staff/sign-in", data={"name": "admin", "password": PASSWORD})
        found = {}
        for name, path in PAGES.items():
            times = []
            for _ in range(ROUNDS):
                start = time.perf_counter()
                page = browser.get(path)
                times.append((time.perf_counter() - start) * 1000)
                assert page.status_code == 200
                assert re.search(r'class="code"', page.text), name
            found[name] = statistics.median(times)
        database.close()
        return found


def main() -> None:
    """Prints the table."""
    settings = Settings()
    desk = open_desk(settings)
    talk = open_talk(settings, desk, open_engine(settings, desk))
    procedures = sorted(desk.catalog.procedures)
    many, few = (_page_times(talk, rows, procedures) for rows in (MANY, FEW))
    for name in PAGES:
        print(
            f"desk {name:<10} {many[name]:6.0f} ms with {MANY:,} dossiers and notices   peer (ten) {few[name]:.0f} ms"
        )


if __name__ == "__main__":
    main()
