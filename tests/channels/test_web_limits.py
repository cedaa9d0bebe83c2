"""How often one visitor and one network may write; what they are told when it is too often."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from sqlmodel import select
from web_scene import JSON, say

from bot.api.app import create_app
from bot.channels.web import streams
from bot.channels.web.door import network_of
from bot.channels.web.limits import Limits
from bot.conversation.talk import Talk
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Inbox


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"web_messages_per_minute": 3, "web_messages_per_network_minute": 5})


@pytest.fixture
def office(sqlite_database: Database, settings: Settings, talk: Talk) -> Iterator[TestClient]:
    app = create_app(settings, sqlite_database, Service(settings, sqlite_database, talk))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        client.get("/")
        yield client


def test_one_visitor(office: TestClient, sqlite_database: Database) -> None:
    for _ in range(3):
        say(office, "chào")
    refused = office.post("/chat", data={"text": "chào"}, headers=JSON)
    assert refused.status_code == 429
    seconds = int(refused.headers["retry-after"])
    assert 1 <= seconds <= 60
    assert f"{seconds} giây" in refused.json()["error"]
    with sqlite_database.read() as session:
        assert len(session.exec(select(Inbox)).all()) == 3


def test_without_script_the_words_stay_in_the_field(office: TestClient) -> None:
    for _ in range(3):
        say(office, "chào")
    page = office.post("/chat", data={"text": 'phí "chứng thực" <b>'})
    assert page.status_code == 429
    assert "retry-after" in page.headers
    assert 'role="alert">Tin nhắn đến nhanh quá' in page.text
    assert 'value="phí &#34;chứng thực&#34; &lt;b&gt;"' in page.text


def test_one_network(office: TestClient) -> None:
    told = []
    for _ in range(6):
        office.cookies.clear()  # each time as a new visitor
        told.append(office.post("/chat", data={"text": "chào"}, headers=JSON).status_code)
    assert told == [200] * 5 + [429]


def test_connecting(office: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PER_PROCESS", 0)
    assert [office.get("/chat/events").status_code for _ in range(4)] == [503, 503, 503, 429]
    assert office.get("/chat/events").headers["retry-after"] != "5"
    say(office, "chào")


def test_the_minute_moves(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(settings)
    start = time.time()
    assert [limits.wait("chat", "v", "n") for _ in range(3)] == [0, 0, 0]
    monkeypatch.setattr("limits.storage.memory.time.time", lambda: start + 45)
    assert limits.wait("chat", "v", "n") in {15, 16}
    assert limits.wait("photo", "v", "n") == 0  # counted apart
    monkeypatch.setattr("limits.storage.memory.time.time", lambda: start + 62)
    assert limits.wait("chat", "v", "n") == 0


def test_strangers_are_forgotten(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(settings)
    for number in range(100):
        limits.wait("chat", f"stranger {number}", None)
    assert len(limits._storage.events) == 100
    later = time.time() + 100
    monkeypatch.setattr("limits.storage.memory.time.time", lambda: later)
    monkeypatch.setattr("bot.channels.web.limits._FORGET_EVERY", 1)
    for _ in range(3):
        limits.wait("chat", "v", None)
        limits._storage.timer.join()  # the library empties in a thread
    assert len(limits._storage.events) == 1


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("113.161.1.2", "113.161.1.2"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:113.161.1.2", "113.161.1.2"),
        ("testclient", "testclient"),
        (None, None),
    ],
)
def test_the_network(host: str | None, network: str | None) -> None:
    scope = {"type": "http", "headers": [], "client": (host, 1) if host else None}
    assert network_of(Request(scope)) == network
