"""Processes killed (SIGKILL) at chosen steps: nothing is lost, nothing is done twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from bot.conversation.model import Incoming
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.tables import Inbox, Outbox

pytestmark = pytest.mark.service

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
LATER = timedelta(minutes=2)  # longer than a lease
ROOT = Path(__file__).parents[2]


def _receive(database: Database, senders: int, each: int) -> None:
    for number in range(senders * each):
        message = Incoming("telegram", f"s{number % senders}", str(number), "xin chào", NOW)
        with database.write() as session:
            assert queue.receive(session, message, NOW) is not None


def _run(database: Database, name: str, now: datetime, halt_at: int = 0) -> list[str]:
    """Runs a worker to its end, or to a step where it is killed; returns the steps it told."""
    url = database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.storage.crashing_worker", url, name, now.isoformat(), str(halt_at)]
    told = []
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(line.strip())
            if len(told) == halt_at:
                process.kill()
    assert process.returncode == (-signal.SIGKILL if len(told) == halt_at else 0)
    if not database.is_sqlite:
        # PostgreSQL rolls back when it notices the death; then this lock is granted. SQLite's locks die at once.
        with database.write() as session:
            session.execute(text("LOCK TABLE inbox, outbox IN ACCESS EXCLUSIVE MODE"))
    return told


def _sweep(database: Database, now: datetime) -> queue.Swept:
    with database.write() as session:
        return queue.sweep(session, now)


def _states(database: Database, table: type[Inbox | Outbox]) -> list[str]:
    with database.read() as session:
        return [row.state for row in session.exec(select(table).order_by(col(table.id)))]


# Steps of one message: claiming, claimed, put, finishing, finished; then a last "claiming"; sent, marked.
@pytest.mark.parametrize(
    ("step", "name", "left"),
    [(1, "claiming", ["waiting"]), (2, "claimed 1", ["claimed"]), (3, "put 1", ["claimed"]),
     (4, "finishing 1", ["claimed"]), (5, "finished 1", ["done"])],
)  # fmt: skip
def test_killed_while_answering(database: Database, step: int, name: str, left: list[str]) -> None:
    _receive(database, senders=1, each=1)
    assert _run(database, "killed", NOW, step)[-1] == name
    assert _states(database, Inbox) == left
    assert _states(database, Outbox) == (["waiting"] if left == ["done"] else [])
    swept = _sweep(database, NOW + LATER)
    assert swept == queue.Swept(returned=(1,) if left == ["claimed"] else ())
    told = _run(database, "next", NOW + LATER)
    assert len([line for line in told if line.startswith("sent")]) == 1
    assert (_states(database, Inbox), _states(database, Outbox)) == (["done"], ["sent"])


def test_killed_between_sending_and_noting_it(database: Database) -> None:
    _receive(database, senders=1, each=1)
    assert _run(database, "killed", NOW, 7)[-1] == "sent 1"
    assert _states(database, Outbox) == ["sending"]
    assert _sweep(database, NOW + LATER) == queue.Swept(uncertain=(1,))
    assert "sent 1" not in _run(database, "next", NOW + LATER)
    assert _states(database, Outbox) == ["uncertain"]


def test_killed_again_and_again(database: Database) -> None:
    """Every message is answered exactly once, in its sender's order; none is sent twice."""
    _receive(database, senders=2, each=5)
    told: list[str] = []
    now = NOW
    for number, halt_at in enumerate((3, 9, 14, 2, 11)):
        told += _run(database, f"killed{number}", now, halt_at)
        now += LATER
        _sweep(database, now)
    told += _run(database, "last", now)
    assert set(_states(database, Inbox)) == {"done"}
    with database.read() as session:
        replies = session.exec(select(Outbox).order_by(col(Outbox.id))).all()
    for sender in ("s0", "s1"):
        answered = [reply.inbox_id for reply in replies if reply.recipient == sender]
        assert answered == sorted(set(answered), key=lambda one: one or 0)
        assert len(answered) == 5
    sent = Counter(line for line in told if line.startswith("sent"))
    assert set(sent.values()) == {1}
    assert {f"sent {reply.id}" for reply in replies} == set(sent)
