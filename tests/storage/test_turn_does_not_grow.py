"""What a turn and its send cost the database, by SQLite's own count of steps, must not grow with what is stored."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import event, insert
from sqlmodel import select

from bot.conversation.model import Incoming
from bot.conversation.talk import Talk
from bot.service import Service
from bot.settings import Settings
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.tables import METADATA, Outbox

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
EACH = 10  # steps between two calls of the counter
QUESTIONS = ("làm giấy khai sinh cho con cần gì", "gặp cán bộ", "H30.99.01-261116-0001", "xin chào", "zzz qqq")


class _Steps:
    """Counts what SQLite does on the connections of a database, none of which may be in use."""

    def __init__(self, database: Database) -> None:
        self.taken = 0
        database.engine.dispose()
        event.listen(database.engine, "connect", self._watch)

    def _watch(self, raw: sqlite3.Connection, _record: object) -> None:
        raw.set_progress_handler(self._step, EACH)

    def _step(self) -> int:
        self.taken += 1
        return 0


def _crowd(database: Database, first: int, last: int) -> None:
    """Other citizens of today: each has a turn, was answered, and every third waits for a person."""
    at = NOW - timedelta(hours=1)
    rows: dict[str, list[dict[str, Any]]] = {"conversation": [], "inbox": [], "turn": [], "outbox": [], "handoff": []}
    for one in range(first, last + 1):
        who = {"channel": "telegram", "sender": f"c{one}"}
        waits = one % 3 == 0
        rows["conversation"].append(
            {**who, "id": one, "memory": {}, "created_at": at, "last_at": at, "queue": "waiting" if waits else "bot",
             "queued_at": at, "version": 1}
        )  # fmt: skip
        rows["inbox"].append(
            {**who, "id": one, "message_id": f"c{one}", "payload": {}, "state": "done", "attempts": 1,
             "next_try_at": at, "received_at": at, "done_at": at}
        )  # fmt: skip
        rows["turn"].append(
            {"conversation_id": one, "inbox_id": one, "text": "giờ làm việc", "intent": "office_hours",
             "outcome": "answer", "understanding": {}, "replies": {}, "at": at, "doubt": 0, "doubt_why": "",
             "reviewed": False}
        )  # fmt: skip
        rows["outbox"].append(
            {"kind": "reply", "channel": "telegram", "recipient": f"c{one}", "dedupe_key": f"reply:{one}:0",
             "body": {"text": "chào"}, "inbox_id": one, "demo": False, "priority": 0, "state": "sent", "not_before": at,
             "attempts": 1, "looks": 0, "created_at": at, "sent_at": at}
        )  # fmt: skip
        if waits:
            rows["handoff"].append(
                {"conversation_id": one, "kind": "handoff", "text": "", "state": "open", "created_at": at}
            )
    with database.write() as session:
        for table, values in rows.items():
            session.connection().execute(insert(METADATA.tables[table]), values)


def _talk_to(service: Service, database: Database, who: str) -> None:
    """A citizen who writes and gets each answer."""
    for number, text in enumerate(QUESTIONS):
        service.receive(Incoming("telegram", who, f"{who}{number}", text, NOW))
        service.work_off(most=16)
        with database.write() as session:
            rows = queue.claim_several(
                session, owner="o", now=NOW, lease=timedelta(minutes=2), channels=["telegram"], most=8
            )
            for row in rows:
                queue.mark_sent(session, row.id or 0, "o", NOW, str(row.id))
    service.sweep()


def _all_answered(database: Database, who: str) -> None:
    with database.read() as session:
        states = session.exec(select(Outbox.state).where(Outbox.recipient == who)).all()
    assert len(states) >= len(QUESTIONS)
    assert set(states) == {"sent"}


def test_a_turn_costs_the_same_whatever_others_wrote_today(
    sqlite_database: Database, settings: Settings, talk: Talk
) -> None:
    service = Service(settings, sqlite_database, talk, clock=lambda: NOW)
    steps, took = _Steps(sqlite_database), list[int]()
    for first, last in ((1, 100), (1001, 5000)):
        _crowd(sqlite_database, first, last)
        before = steps.taken
        _talk_to(service, sqlite_database, f"citizen {last}")
        took.append(steps.taken - before)
        _all_answered(sqlite_database, f"citizen {last}")
    assert took[0] > 0
    assert took[1] < took[0] * 1.3, f"{took} × {EACH} steps with 100 and with 4,100 other citizens"
