"""Stopping: what was begun is finished, nothing more is begun."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any, cast

import pytest

from bot.api import background as module
from bot.api.background import Background
from bot.channels.port import PushChannel
from bot.clock import utc_now
from bot.notices.gateways.base import Parcel, Sent
from bot.notices.gateways.pool import Gateways
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Outbox


class _Busy:
    """A service whose workers are each busy with a message until they may end, and that always has another."""

    on_reply: Any = None

    def __init__(self) -> None:
        self.begun, self.release = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self.started = self.finished = 0

    def work_off(self, most: int) -> frozenset[str]:  # noqa: ARG002 - the real one's
        with self._lock:
            self.started += 1
            if self.started == module.INBOX_WORKERS:
                self.begun.set()
        self.release.wait(30)
        with self._lock:
            self.finished += 1
        return frozenset({"telegram"})

    def sweep(self) -> None:
        return None


async def test_turns_that_were_begun_are_finished_and_no_other_is_begun(
    sqlite_database: Database, settings: Settings
) -> None:
    service = _Busy()
    background = Background(settings, sqlite_database, cast("Service", service), [], utc_now)
    await background.start()
    await asyncio.to_thread(service.begun.wait, 30)
    stopping = asyncio.create_task(background.stop())
    await asyncio.sleep(0)
    assert background._ending
    service.release.set()
    await stopping
    assert service.started == service.finished == module.INBOX_WORKERS


class _Slow:
    """A gateway whose answer comes when it may."""

    name = "simulator"
    settle = timedelta()
    looks = 1

    def __init__(self) -> None:
        self.begun, self.release = asyncio.Event(), asyncio.Event()

    async def send(self, parcel: Parcel) -> Sent:
        self.begun.set()
        await self.release.wait()
        return Sent(f"id-{parcel.notice_id}", "sent")


async def test_an_sms_on_its_way_is_noted_as_sent(
    sqlite_database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = _Slow()

    def gateways(settings: Settings, *_: object) -> Gateways:
        pool = Gateways(settings)
        monkeypatch.setattr(pool, "of", lambda _channel, **_: gateway)
        return pool

    monkeypatch.setattr(module, "open_gateways", gateways)
    now = utc_now()
    with sqlite_database.write() as session:
        session.add(
            Outbox(
                kind="otp", channel="sms", recipient="+84951234567", dedupe_key="otp:1", body={"text": "mã"},
                not_before=now, created_at=now, expires_at=now + timedelta(minutes=5),
            )
        )  # fmt: skip
    idle = _Busy()
    idle.release.set()
    monkeypatch.setattr(idle, "work_off", lambda **_: frozenset())
    background = Background(settings, sqlite_database, cast("Service", idle), [], utc_now)
    await background.start()
    await asyncio.wait_for(gateway.begun.wait(), 30)
    stopping = asyncio.create_task(background.stop())
    await asyncio.sleep(0)
    assert background._ending
    gateway.release.set()
    await stopping
    with sqlite_database.read() as session:
        row = session.get_one(Outbox, 1)
    assert (row.state, row.provider_id) == ("sent", "id-1")


class _Connecting:
    """A channel that never gets to the end of its start."""

    name = "telegram"
    account = None
    problem = None

    def __init__(self) -> None:
        self.begun, self.stopped = asyncio.Event(), asyncio.Event()

    async def start(self, _receive: object) -> None:
        self.begun.set()
        await asyncio.Event().wait()

    async def stop(self) -> None:
        self.stopped.set()


async def test_a_channel_still_connecting_is_closed_too(
    sqlite_database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = _Busy()
    monkeypatch.setattr(idle, "work_off", lambda **_: frozenset())
    channel = _Connecting()
    background = Background(
        settings, sqlite_database, cast("Service", idle), [cast("PushChannel", channel)], utc_now
    )  # fmt: skip
    await background.start()
    await asyncio.wait_for(channel.begun.wait(), 30)
    await background.stop()
    assert channel.stopped.is_set()
