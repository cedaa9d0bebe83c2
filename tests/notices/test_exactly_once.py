"""Thousands of status changes, workers killed again and again, a gateway that fails: each citizen is told once.

``make test`` kills 5 times over 600 changes; MOTCUA_SOAK_KILLS=50 (``make soak``) as often as one likes over 2,000.
Seeded: what the gateway does
and after how many messages a worker dies is the same in every run.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from notice_scene import MORNING, Office, with_twilio
from sqlalchemy import text
from sqlmodel import col, func, select
from standins.twilio import TwilioStandIn

from bot.dossiers import registry
from bot.dossiers.records import DossierRecord
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Outbox

SOAK = os.environ.get("MOTCUA_SOAK_KILLS")
KILLS, CHANGES = (int(SOAK), 2000) if SOAK else (5, 600)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings() -> Iterator[Settings]:
    """In memory where there is room for it: processes are killed here, the power stays on."""
    memory = Path("/dev/shm")  # noqa: S108 - TemporaryDirectory makes its own folder there
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Settings(var_dir=Path(folder) / "var")


def _gateway_plan(chance: random.Random) -> list[str | int]:
    """20 % fail without sending, 10 % are taken and the connection is dropped, some say 500 and send all the same."""
    return [
        chance.choices(["503", "500", 20429, "lose", "drop", "500 taken", "ok"], [8, 6, 4, 2, 10, 2, 68])[0]
        for _ in range(CHANGES * 8)
    ]


def _file(database: Database, settings: Settings, now: datetime) -> None:
    for start in range(0, CHANGES, 200):
        with database.write() as session:
            for number in range(start, start + 200):
                record = DossierRecord(
                    code=f"H30.99.01-261124-{number:04d}", status=9, phone=f"+8495{number:07d}", consent_sms=True
                )
                registry.upsert(session, record, source="import", settings=settings, now=now, change_id=f"c{number}")


def _worker(settings: Settings, now: datetime) -> subprocess.Popen[bytes]:
    values = settings.model_dump(mode="json", exclude_defaults=True)
    values["twilio_auth_token"] = settings.twilio_auth_token.get_secret_value() if settings.twilio_auth_token else ""
    command = [sys.executable, "-m", "tests.notices.sending_worker", json.dumps(values), now.isoformat()]
    return subprocess.Popen(command, cwd=ROOT)


def _settle(database: Database) -> None:
    """PostgreSQL rolls back when it notices a death; then this lock is granted. SQLite's locks die at once."""
    if not database.is_sqlite:
        with database.write() as session:
            session.execute(text("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE"))


def _open(database: Database) -> int:
    """How many notices are neither sent nor given up."""
    with database.read() as session:
        states = ("waiting", "sending", "uncertain")
        return session.exec(select(func.count()).select_from(Outbox).where(col(Outbox.state).in_(states))).one()


def test_every_citizen_is_told_exactly_once(database: Database, settings: Settings) -> None:
    chance = random.Random(20261124)  # noqa: S311 - repeatable, not secret
    workers = 1 if database.is_sqlite else 2
    office = Office(database, settings)
    with TwilioStandIn(clock=lambda: office.now) as twilio:
        url = database.url.render_as_string(hide_password=False)
        office.settings = with_twilio(settings, twilio.url, database_url=url, sms_per_second=1000)
        twilio.plan.extend(_gateway_plan(chance))
        _file(database, office.settings, MORNING)
        office.later(minutes=4)
        for _ in range(KILLS):
            running = [_worker(office.settings, office.now) for _ in range(workers)]
            twilio.wait_for_posts(twilio.posts + chance.randrange(1, CHANGES // KILLS), running)
            for process in running:
                process.send_signal(signal.SIGKILL)
                process.wait()
            _settle(database)
            office.later(minutes=3)  # the leases of the dead end
        for _ in range(400):
            if not _open(database):
                break
            office.run()
            office.later(minutes=11)
        rows = office.rows()
    assert Counter(row.state for row in rows) == {"sent": CHANGES}
    seen = Counter((message["to"], message["body"]) for message in twilio.messages)
    assert len(seen) == CHANGES
    assert set(seen.values()) == {1}
    ids = {message["sid"] for message in twilio.messages}
    assert {row.provider_id for row in rows} == ids
