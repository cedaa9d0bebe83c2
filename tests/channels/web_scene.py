"""The web application served by a real server in a thread, and a reader of its event streams."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import uvicorn
from sqlmodel import col, select

from bot.api.app import create_app
from bot.clock import Clock, utc_now
from bot.commands.serve import _server
from bot.conversation.talk import Talk
from bot.service import Service
from bot.settings import Settings
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.tables import Outbox

JSON = {"accept": "application/json"}
PATIENCE = 20.0  # seconds after which a test that waits in vain fails


def until(true: Callable[[], bool]) -> bool:
    """Waits for a condition; False where it doesn't come."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@dataclass(frozen=True, slots=True)
class Running:
    """A server and how to end it as SIGTERM does."""

    url: str
    server: uvicorn.Server
    thread: threading.Thread

    def stop(self) -> bool:
        """Whether it ended by itself, all answers finished."""
        self.server.should_exit = True
        self.thread.join(PATIENCE)
        return not self.thread.is_alive()


@contextmanager
def serving(settings: Settings, database: Database, talk: Talk, clock: Clock = utc_now) -> Iterator[Running]:
    """One replica; it waits for ever for unfinished answers when it is stopped."""
    app = create_app(settings, database, Service(settings, database, talk, clock=clock), clock=clock)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False)
    server = _server(config, app.state.streams.close)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    assert until(lambda: server.started)
    running = Running(f"http://127.0.0.1:{listener.getsockname()[1]}", server, thread)
    try:
        yield running
    finally:
        assert running.stop()


@contextmanager
def visiting(url: str, cookies: httpx.Cookies | None = None) -> Iterator[httpx.Client]:
    """A browser that has opened the page, or the same one at another replica."""
    with httpx.Client(base_url=url, timeout=PATIENCE, cookies=cookies) as client:
        if cookies is None:
            assert client.get("/").status_code == 200
        yield client


def say(client: httpx.Client, text: str, message_id: str = "") -> dict[str, Any]:
    """Says something; the whole answer."""
    response = client.post("/chat", data={"text": text, "id": message_id}, headers=JSON)
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    return answer


def visitor_of(client: httpx.Client) -> str:
    """The token in the cookie."""
    return str(client.cookies["motcua_chat"])


def after_of(client: httpx.Client) -> int:
    """Where the page that was served last begins to listen."""
    found = re.search(r'data-after="(\d+)"', client.get("/").text)
    assert found
    return int(found[1])


@contextmanager
def listening(
    client: httpx.Client, after: int | str = 0, last: str | None = None
) -> Iterator[Iterator[dict[str, Any]]]:
    """An open stream: its messages as they come."""
    headers = {"last-event-id": last} if last is not None else {}
    with client.stream("GET", "/chat/events", params={"after": after}, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield _messages(response)


def _messages(response: httpx.Response) -> Iterator[dict[str, Any]]:
    event_id = ""
    deadline = time.monotonic() + PATIENCE
    for line in response.iter_lines():
        assert time.monotonic() < deadline, "không có tin nào đến"  # heartbeats alone would wait for ever
        if line.startswith("id: "):
            event_id = line[4:]
        if line.startswith("data: "):
            message: dict[str, Any] = json.loads(line[6:])
            assert event_id == str(message["id"])
            yield message


def tell(database: Database, visitor: str, text: str, key: str, at: datetime | None = None, **more: Any) -> int:
    """A message that answers nothing, as an advisor would write it."""
    now = at or utc_now()
    row = Outbox(
        kind="reply", channel="web", recipient=visitor, dedupe_key=key, body={"text": text, "buttons": []},
        not_before=now, created_at=now, **more,
    )  # fmt: skip
    with database.write() as session:
        return queue.put_outbox(session, row) or 0


def states(database: Database) -> list[str]:
    """The states of all outgoing messages, in order."""
    with database.read() as session:
        return list(session.exec(select(Outbox.state).order_by(col(Outbox.id))))
