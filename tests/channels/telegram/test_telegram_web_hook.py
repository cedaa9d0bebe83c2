"""The web hook: what is refused, and that 200 means that the message is kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr, ValidationError
from sqlalchemy.exc import OperationalError
from sqlmodel import select
from standins.telegram import TelegramStandIn

from bot.api.app import create_app
from bot.channels.telegram import Telegram
from bot.channels.telegram.webhook import PATH, verified, webhook_secret
from bot.conversation.model import Incoming
from bot.conversation.talk import Talk
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Inbox, Turn

SECRET = "x-telegram-bot-api-secret-token"
PRIVATE = "bí mật 0951234567"


class _Keeping(Service):
    """Takes in and works nothing off, so that what is kept stays as it came."""

    fault: Exception | None = None

    def receive(self, incoming: Incoming) -> int | None:
        if self.fault is not None:
            raise self.fault
        return super().receive(incoming)

    def work_off(self, only: int | None = None, most: int = 1) -> frozenset[str]:  # noqa: ARG002 - the parent's
        return frozenset()


@pytest.fixture
def service(sqlite_database: Database, telegram_settings: Settings, talk: Talk) -> _Keeping:
    return _Keeping(telegram_settings, sqlite_database, talk)


@pytest.fixture
def client(
    sqlite_database: Database, telegram_settings: Settings, service: _Keeping, api: TelegramStandIn
) -> Iterator[TestClient]:
    settings = telegram_settings.model_copy(update={"public_base_url": "https://xa.example"})
    app = create_app(settings, sqlite_database, service, [Telegram(settings)])
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert api.wait_until(lambda: api.hook is not None, 30)
        client.headers[SECRET] = api.hooks[0]["secret_token"]
        yield client


def _kept(database: Database) -> list[Any]:
    with database.read() as session:
        return [row.payload["text"] for row in session.exec(select(Inbox).order_by(Inbox.id))]  # type: ignore[arg-type]


def test_a_message_is_kept_once(client: TestClient, api: TelegramStandIn, sqlite_database: Database) -> None:
    update = api.text("xin chào")
    for _ in range(5):
        assert client.post(PATH, json=update).status_code == 200
    assert client.post(PATH, json=api.text("hai")).status_code == 200
    assert _kept(sqlite_database) == ["xin chào", "hai"]


def test_without_the_secret_nothing_is_kept(
    client: TestClient, api: TelegramStandIn, sqlite_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    del client.headers[SECRET]
    for headers in ({}, {SECRET: ""}, {SECRET: "đoán mò".encode()}, {SECRET: "x" * 64}):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert client.post(PATH, json=api.text(PRIVATE), headers=headers).status_code == 403
        assert "sai mã bí mật" in caplog.text
        assert "0951234567" not in caplog.text
    assert _kept(sqlite_database) == []


def _deep(levels: int, innermost: str) -> bytes:
    return b'{"update_id":1,"message":' + b'{"reply_to_message":' * levels + innermost.encode() + b"}" * levels + b"}"


_MESSAGE = json.dumps({"message_id": 1, "date": 1, "chat": {"id": 77, "type": "private"}, "text": PRIVATE})


_WRONG = [
        b"", b"\xff\xfe\x00", PRIVATE.encode(), b"[]", b"7", b"null", b"{}", b'{"update_id":"1"}', b'{"update_id":1.5}',
        b"[" * 100_000, b'{"a":' * 20_000, _deep(900, _MESSAGE), b'{"update_id":' + b"9" * 5000 + b"}",
        json.dumps({"update_id": 1, "message": PRIVATE}).encode(),
        json.dumps({"update_id": 1, "message": [PRIVATE]}).encode(),
        json.dumps({"update_id": 1, "message": {"text": PRIVATE}}).encode(),
        json.dumps({"update_id": 1, "callback_query": {"id": 5, "data": PRIVATE}}).encode(),
        b'{"update_id":1,"message":{"message_id":1,"date":NaN,"chat":{"id":77,"type":"private"}}}',
        b'{"update_id":1,"message":{"message_id":1,"date":1e300,"chat":{"id":77,"type":"private"}}}',
]  # fmt: skip


def test_a_wrong_body_is_refused_without_a_trace(
    client: TestClient, sqlite_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    for body in _WRONG:
        caplog.clear()
        with caplog.at_level(logging.INFO):
            assert client.post(PATH, content=body).status_code == 400, body[:80]
        assert "sai dạng" in caplog.text
        assert "Traceback" not in caplog.text
        assert "0951234567" not in caplog.text
    assert _kept(sqlite_database) == []


def test_wrong_types_inside_a_message_are_refused(
    client: TestClient, api: TelegramStandIn, sqlite_database: Database
) -> None:
    for name, wrong in (
        ("text", 7),
        ("text", [PRIVATE]),
        ("message_id", "1"),
        ("message_id", 2**60),
        ("chat", PRIVATE),
    ):
        update = api.text(PRIVATE)
        update["message"][name] = wrong
        assert client.post(PATH, json=update).status_code == 400, name
    update = api.text(PRIVATE)
    update["message"]["from"]["id"] = {"a": 1}
    assert client.post(PATH, json=update).status_code == 400
    assert _kept(sqlite_database) == []


def test_ten_megabytes_are_refused(client: TestClient, sqlite_database: Database) -> None:
    assert client.post(PATH, content=b" " * 10_000_000).status_code == 413
    assert client.post(PATH, content=(b" " * 100_000 for _ in range(100))).status_code == 413
    assert _kept(sqlite_database) == []


def test_the_largest_message_that_telegram_can_bring_is_kept(
    client: TestClient, api: TelegramStandIn, sqlite_database: Database
) -> None:
    marks = [
        {"type": "text_link", "offset": n, "length": 1, "url": "https://x.example/" + "a" * 2000} for n in range(100)
    ]
    inner = api.text("ấ" * 4096)["message"] | {"entities": marks}
    update = api.text("ế" * 4096)
    update["message"] |= {"entities": marks, "reply_to_message": inner}
    assert client.post(PATH, json=update).status_code == 200
    assert _kept(sqlite_database) == ["ế" * 4096]


def test_kinds_that_are_not_ours_are_taken_and_ignored(client: TestClient, sqlite_database: Database) -> None:
    for update in ({"update_id": 1}, {"update_id": 2, "edited_message": {"x": 1}}, {"update_id": 3, "new_kind": [1]}):
        assert client.post(PATH, json=update).status_code == 200
    assert _kept(sqlite_database) == []


def test_what_no_database_can_hold_is_left_out(
    client: TestClient, api: TelegramStandIn, sqlite_database: Database
) -> None:
    body = json.dumps(api.text("a\0b")).encode().replace(b"a\\u0000b", b"a\\u0000\\ud800b")
    assert client.post(PATH, content=body).status_code == 200
    assert _kept(sqlite_database) == ["ab"]


def test_what_could_not_be_kept_is_brought_again(
    client: TestClient, api: TelegramStandIn, sqlite_database: Database, service: _Keeping,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    update = api.text(PRIVATE)
    service.fault = OperationalError("INSERT", {"payload": PRIVATE}, Exception("database is locked"))
    with caplog.at_level(logging.INFO):
        assert client.post(PATH, json=update).status_code == 503
    assert "0951234567" not in caplog.text
    service.fault = None
    assert client.post(PATH, json=update).status_code == 200
    assert _kept(sqlite_database) == [PRIVATE]


def test_a_tap_is_answered_even_where_it_could_not_be_kept(
    client: TestClient, api: TelegramStandIn, service: _Keeping
) -> None:
    shown = {"message_id": 1001, "chat": {"id": 77, "type": "private"}, "text": "…"}
    tap = api.tap(shown | {"inline": [[{"text": "A", "callback_data": "a"}]]}, "A")
    service.fault = OperationalError("INSERT", {}, Exception("database is locked"))
    assert client.post(PATH, json=tap).status_code == 503
    assert api.wait_until(lambda: api.answered == [tap["callback_query"]["id"]], 30)


def test_before_the_start_telegram_is_asked_to_come_again(telegram_settings: Settings) -> None:
    channel = Telegram(telegram_settings)
    from fastapi import FastAPI  # noqa: PLC0415

    app = FastAPI()
    app.include_router(channel.router())
    client = TestClient(app, headers={SECRET: webhook_secret(telegram_settings)})  # its lifespan is never entered
    assert client.post(PATH, json={"update_id": 1}).status_code == 503


def test_web_hook_secret(settings: Settings) -> None:
    derived = webhook_secret(settings)
    assert len(derived) == 64
    assert verified(settings, derived)
    assert not verified(settings, None)
    assert not verified(settings, "đoán mò")
    own = settings.model_copy(update={"telegram_webhook_secret": SecretStr("s" * 20)})
    assert verified(own, "s" * 20)
    with pytest.raises(ValidationError, match="TELEGRAM_WEBHOOK_SECRET"):
        Settings(telegram_webhook_secret=SecretStr("có dấu cách và dấu"))


def test_nothing_is_worked_off_here(client: TestClient, api: TelegramStandIn, sqlite_database: Database) -> None:
    """Guards the tests above: what they saw in the inbox was all there was."""
    client.post(PATH, json=api.text("xin chào"))
    with sqlite_database.read() as session:
        assert session.exec(select(Turn)).all() == []
        (row,) = session.exec(select(Inbox)).all()
    assert isinstance(row.received_at, datetime)
    assert (row.channel, row.sender, row.state) == ("telegram", "77", "waiting")
