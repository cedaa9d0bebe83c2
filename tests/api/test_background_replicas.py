"""Replicas on PostgreSQL wake each other: what one commits, the others take up at once, without having to look.

The sweep is put off for an hour here, so that only what was heard can explain an answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, cast

import pytest
from fastapi import APIRouter
from prometheus_client import REGISTRY
from sqlalchemy import text

from bot.api import background as module
from bot.api.background import Background
from bot.channels.port import PushChannel
from bot.channels.rendering import Message
from bot.clock import utc_now
from bot.conversation.model import Incoming
from bot.conversation.talk import Talk
from bot.service import Service
from bot.settings import Settings
from bot.storage import listening, queue
from bot.storage.database import Database
from bot.storage.tables import Outbox

pytestmark = [pytest.mark.postgres, pytest.mark.service]
SECONDS = 30  # until a test gives up


class Chat:
    """A channel that keeps what it is given to send."""

    name = "telegram"
    account = None
    problem = None

    def __init__(self) -> None:
        self.sent: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def start(self, _receive: object) -> None:
        return None

    async def stop(self) -> None:
        return None

    async def send(self, recipient: str, message: Message) -> str | None:
        self.sent.put_nowait((recipient, message.text))
        return None

    def router(self) -> APIRouter:
        return APIRouter()


class Replica(Background):
    """One process of the service; whether its loops rest can be seen from outside."""

    def __init__(self, settings: Settings, url: str, talk: Talk, chat: Chat | None, workers: int) -> None:
        database = Database(url)
        service = Service(settings, database, talk)
        super().__init__(settings, database, service, [cast("PushChannel", chat)] if chat else [], utc_now)
        self.chat = chat or Chat()
        self.workers = workers
        self.heard: list[str] = []
        self.resting: Counter[str] = Counter()

    def _heard(self, told: str) -> None:
        self.heard.append(told)
        super()._heard(told)

    async def news(self, name: str) -> None:
        self.resting[name] += 1
        try:
            await super().news(name)
        finally:
            self.resting[name] -= 1

    def rests(self) -> bool:
        """Connected, and every loop waits for news without any being there."""
        loops = {"sms": 1} | dict.fromkeys(self.channels, 1)
        if self.workers:
            loops["inbox"] = self.workers
        told = any(self._event(name).is_set() for name in loops)
        return bool(self.heard) and not told and all(self.resting[name] == number for name, number in loops.items())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.01)


def message(number: int, channel: str = "telegram") -> Incoming:
    return Incoming(channel, "77", f"m{number}", "chào", utc_now())


def say_something(database: Database, key: str, now: datetime, channel: str = "telegram") -> None:
    with database.write() as session:
        row = Outbox(kind="reply", channel=channel, recipient="77", dedupe_key=key, body={"text": key},
                     not_before=now, created_at=now)  # fmt: skip
        queue.put_outbox(session, row)


@pytest.fixture
async def start(
    postgres_database: Database, settings: Settings, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Any]:
    """Starts a replica, and waits until there is nothing for it to do."""
    monkeypatch.setattr(module, "SWEEP_SECONDS", 3600.0)
    monkeypatch.setattr(listening, "CHECK_SECONDS", 3600.0)
    monkeypatch.setattr(listening, "FIRST_PAUSE", 0.01)
    url = postgres_database.url.render_as_string(hide_password=False)
    running: list[Replica] = []

    async def one(chat: Chat | None = None, workers: int = module.INBOX_WORKERS) -> Replica:
        monkeypatch.setattr(module, "INBOX_WORKERS", workers)
        replica = Replica(settings, url, talk, chat, workers)
        running.append(replica)
        await replica.start()
        await until(replica.rests)
        return replica

    yield one
    for replica in running:
        await replica.stop()
        replica.database.close()


async def test_a_message_is_answered_by_another_replica_than_received_it(start: Any) -> None:
    receiving, working = await start(workers=0), await start(Chat())
    assert await asyncio.to_thread(receiving.receive, message(1)) == 1
    async with asyncio.timeout(SECONDS):
        assert (await working.chat.sent.get())[0] == "77"


async def test_a_reply_is_sent_by_another_replica_than_made_it(start: Any) -> None:
    answering, sending = await start(), await start(Chat(), workers=0)
    assert await asyncio.to_thread(answering.receive, message(1)) == 1
    async with asyncio.timeout(SECONDS):
        assert (await sending.chat.sent.get())[0] == "77"


async def test_open_pages_hear_of_what_another_replica_did(start: Any) -> None:
    answering, showing = await start(), await start(workers=0)
    await asyncio.gather(showing.news("web"), showing.news("desk"))  # what connecting told
    pages = [asyncio.create_task(showing.news(name)) for name in ("web", "desk")]
    await until(lambda: showing.resting["web"] == showing.resting["desk"] == 1)
    assert await asyncio.to_thread(answering.receive, message(1, "web")) == 1
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(*pages)


async def test_what_is_rolled_back_wakes_nobody(start: Any) -> None:
    replica = await start(workers=0)
    heard = len(replica.heard)
    with pytest.raises(ZeroDivisionError), replica.database.write() as session:  # noqa: PT012
        queue.receive(session, message(1), utc_now())
        raise ZeroDivisionError
    say_something(replica.database, "after", utc_now())
    await until(lambda: len(replica.heard) > heard)
    assert replica.heard[heard:] == ["outbox:telegram"]


async def test_a_killed_connection_comes_back_and_what_was_missed_is_found(
    start: Any, postgres_database: Database
) -> None:
    replica = await start(Chat(), workers=0)
    heard = len(replica.heard)
    assert REGISTRY.get_sample_value("motcua_listening_problem") == 0
    with postgres_database.write() as session:
        # In one transaction with the kill: said when nobody listens any more.
        killed = session.execute(
            text(
                "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity "
                "WHERE application_name = :name AND datname = current_database()"
            ),
            {"name": listening.APPLICATION},
        ).all()
        assert killed == [(True,)]
        now = utc_now()
        session.add(
            Outbox(kind="reply", channel="telegram", recipient="77", dedupe_key="missed", body={"text": "missed"},
                   not_before=now, created_at=now)
        )  # fmt: skip
    async with asyncio.timeout(SECONDS):
        assert (await replica.chat.sent.get())[1] == "missed"
    await until(lambda: listening.ANYTHING in replica.heard[heard:] and replica.rests())
    assert replica.listener.problem is None
    say_something(postgres_database, "heard again", utc_now())
    async with asyncio.timeout(SECONDS):
        assert (await replica.chat.sent.get())[1] == "heard again"


async def test_a_server_that_is_away_is_tried_again_and_told(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "FIRST_PAUSE", 0.01)
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = listening.Listener(postgres_database, heard.put_nowait)
    right = dict(listener._arguments)
    listener._arguments["dbname"] = "not_there"
    task = asyncio.create_task(listener.listen())
    await until(lambda: listener.problem is not None)
    assert REGISTRY.get_sample_value("motcua_listening_problem") == 1
    listener._arguments |= right
    async with asyncio.timeout(SECONDS):
        assert await heard.get() == listening.ANYTHING
    assert (listener.problem, REGISTRY.get_sample_value("motcua_listening_problem")) == (None, 0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_one_process_on_sqlite_listens_to_nobody(
    sqlite_database: Database, settings: Settings, talk: Talk
) -> None:
    service = Service(settings, sqlite_database, talk)
    assert Background(settings, sqlite_database, service, [], utc_now).listener is None
