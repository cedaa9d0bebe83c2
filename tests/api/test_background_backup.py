"""The nightly backup as the running service makes it, and how it tells that it can't."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from bot.api import background as module
from bot.api.app import _reasons
from bot.api.background import Background
from bot.clock import utc_now
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from tests.waiting import wait_until


class _Idle:
    """A service that nobody writes to."""

    on_reply: Any = None

    def work_off(self, most: int) -> frozenset[str]:  # noqa: ARG002 - the real one's
        return frozenset()

    def sweep(self) -> None:
        return None


async def _run(database: Database, settings: Settings, done: Any) -> dict[str, str]:
    """Starts the loops, waits for something, stops them; what /ready would say."""
    background = Background(settings, database, cast("Service", _Idle()), [], utc_now)
    await background.start()
    await asyncio.to_thread(wait_until, lambda: bool(done(background)))
    await background.stop()
    with database.read() as session:
        return _reasons(session, background, utc_now())


async def test_a_service_that_runs_backs_itself_up(
    sqlite_database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BACKUP_FIRST_SECONDS", 0)
    told = await _run(sqlite_database, settings, lambda _: list(settings.backups.glob("*.sqlite3")))
    assert told == {}


async def test_what_keeps_it_from_that_stands_in_ready(
    sqlite_database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BACKUP_FIRST_SECONDS", 0)
    settings.backups.touch()  # a file where the folder should be
    told = await _run(sqlite_database, settings, lambda background: background.nightly.problem)
    assert "không sao lưu được" in told["backup"]
