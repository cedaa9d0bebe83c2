"""The web hook in process, over a real database: what is taken, what is refused, and that refusals leave nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlmodel import select
from standins.zalo_hooks import USER, event, mac, text_event
from standins.zalo_oa import APP_ID, APP_SECRET, OA_ID, OA_SECRET, ZaloStandIn
from zalo_scene import Clock

from bot.api.app import Guard
from bot.channels.zalo_oa.channel import ZaloOa
from bot.conversation.model import Incoming
from bot.settings import Settings
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.tables import Inbox, Outbox

PATH = "/webhooks/zalo-oa"
SECRET_WORDS = "con tôi tên Đào Thị Bí Mật 0951234567"


class Door:
    """The web hook of a running channel, and what lies behind it."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self.settings, self.database, self.clock = settings, database, clock
        self.channel = ZaloOa(settings, database, clock)
        app = FastAPI()
        app.add_middleware(Guard)
        app.include_router(self.channel.router())
        self.channel.receive = self.receive
        self.http = TestClient(app)

    def receive(self, incoming: Incoming) -> object:
        with self.database.write() as session:
            return queue.receive(session, incoming, self.clock())

    def post(self, body: object, signature: str | None = None) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        if signature is None and isinstance(body, dict):
            signature = f"mac={mac(raw, str(body.get('timestamp')))}"
        headers = {b"x-zevent-signature": signature.encode("latin-1")} if signature else {}
        return self.http.post(PATH, content=raw, headers=headers)

    def inbox(self) -> list[Inbox]:
        with self.database.read() as session:
            return list(session.exec(select(Inbox)).all())


@pytest.fixture
def door(office: Settings, sqlite_database: Database, clock: Clock) -> Iterator[Door]:
    made = Door(office, sqlite_database, clock)
    with made.http:
        yield made


def test_a_message_is_in_the_inbox_before_the_answer(door: Door, clock: Clock) -> None:
    assert door.post(text_event("xin chào", clock(), msg_id="m1")).status_code == 200
    row = door.inbox()[0]
    assert (row.channel, row.sender, row.message_id, row.payload["text"]) == ("zalo_oa", USER, "m1", "xin chào")


def test_the_same_web_hook_five_times_is_one_message(door: Door, clock: Clock) -> None:
    body = text_event("xin chào", clock())
    assert {door.post(body).status_code for _ in range(5)} == {200}
    assert len(door.inbox()) == 1


def test_the_console_looks_whether_it_is_there(door: Door) -> None:
    assert door.http.get(PATH).status_code == 200
    for nothing in (b"", b"{}", b" {}\n"):
        assert door.post(nothing).status_code == 200
    assert door.inbox() == []


def test_the_callback_of_a_login_says_what_to_do(door: Door) -> None:
    page = door.http.get(PATH, params={"code": "abc", "oa_id": OA_ID})
    assert "motcua zalo login" in page.text
    assert "abc" not in page.text


def test_what_needs_no_answer_is_taken_and_forgotten(
    door: Door, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("oa_send_text", "user_seen_message", "anonymous_send_text"):
        assert door.post(event(name, clock(), message={"text": SECRET_WORDS})).status_code == 200
    assert caplog.records == []
    for _ in range(3):
        assert door.post(event("user_does_handstand", clock(), message={"text": SECRET_WORDS})).status_code == 200
    assert door.inbox() == []
    assert caplog.text.count("user_does_handstand") == 1
    assert "Bí Mật" not in caplog.text


def _sent(database: Database, clock: Clock, **values: Any) -> int:
    row = Outbox(
        kind="reply", channel="zalo_oa", recipient=USER, dedupe_key=f"k{values}", not_before=clock(),
        created_at=clock(), **values,
    )  # fmt: skip
    with database.write() as session:
        return queue.put_outbox(session, row) or 0


def _state(database: Database, row_id: int) -> str:
    with database.read() as session:
        return session.get_one(Outbox, row_id).state


def test_a_receipt_marks_our_message_delivered_only_forward(door: Door, clock: Clock) -> None:
    sent = _sent(door.database, clock, state="sent", provider_id="zm1")
    failed = _sent(door.database, clock, state="failed", provider_id="zm2")
    sms = _sent(door.database, clock, state="sent", provider_id="zm3", gateway="twilio")
    for message in ("zm1", "zm1", "zm2", "zm3", "zm4"):
        body = event("user_received_message", clock(), message={"msg_id": message, "delivery_time": "1"})
        assert door.post(body).status_code == 200
    assert [_state(door.database, one) for one in (sent, failed, sms)] == ["delivered", "failed", "sent"]


def _deep(clock: Clock) -> bytes:
    return json.dumps(text_event("a", clock())).encode()[:-1] + b', "x": ' + b"[" * 50_000 + b"]" * 10 + b"}"


BAD: dict[str, tuple[int, Callable[[Clock], tuple[object, str | None]]]] = {
    "no signature": (403, lambda clock: (text_event(SECRET_WORDS, clock()), "")),
    "an empty signature": (403, lambda clock: (text_event(SECRET_WORDS, clock()), "mac=")),
    "a wrong signature": (403, lambda clock: (text_event(SECRET_WORDS, clock()), f"mac={'0' * 64}")),
    "a signature that is no ASCII": (403, lambda clock: (text_event(SECRET_WORDS, clock()), "mac=\xe9\xff")),
    "another application": (403, lambda clock: (text_event(SECRET_WORDS, clock()) | {"app_id": "99999"}, None)),
    "a stale one played again": (
        403, lambda clock: (text_event(SECRET_WORDS, clock() - timedelta(hours=25)), None)
    ),
    "one of tomorrow": (403, lambda clock: (text_event(SECRET_WORDS, clock() + timedelta(hours=1)), None)),
    "10 MB": (413, lambda _clock: (SECRET_WORDS.encode() * 300_000, "mac=0")),
    "100 kB": (413, lambda _clock: (SECRET_WORDS.encode() * 2000, "mac=0")),
    "deep JSON": (400, lambda clock: (_deep(clock), "mac=0")),
    "half a JSON": (400, lambda clock: (json.dumps(text_event(SECRET_WORDS, clock())).encode()[:-9], "mac=0")),
    "no UTF-8": (400, lambda _clock: (b'{"app_id": "\xff\xfe"}', "mac=0")),
    "a list": (400, lambda clock: ([text_event(SECRET_WORDS, clock())], "mac=0")),
    "a number as the event": (400, lambda clock: (text_event(SECRET_WORDS, clock()) | {"event_name": 1}, None)),
    "a list as the time": (400, lambda clock: (text_event(SECRET_WORDS, clock()) | {"timestamp": [1]}, "mac=0")),
    "no sender": (400, lambda clock: (text_event(SECRET_WORDS, clock()) | {"sender": None}, None)),
    "an object as the text": (
        400, lambda clock: (text_event("", clock()) | {"message": {"text": {"a": SECRET_WORDS}}}, None)
    ),
    "an object as the id": (
        400, lambda clock: (text_event("", clock()) | {"message": {"text": SECRET_WORDS, "msg_id": {}}}, None)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_changes_nothing_and_shows_nobody(
    door: Door, clock: Clock, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.DEBUG)
    status, made = BAD[name]
    body, signature = made(clock)
    answer = door.post(body, signature)
    assert answer.status_code == status
    assert door.inbox() == []
    for personal in ("Bí Mật", "0951234567", USER):
        assert personal not in caplog.text
        assert personal not in answer.text
    told = [record for record in caplog.records if record.name == "motcua.zalo"]
    assert len(told) == (0 if name == "10 MB" else 1), "each refusal is one line in the log"


@pytest.mark.parametrize(
    ("first", "secret", "told"),
    [(OA_ID, OA_SECRET, "oa_id + ZALO_OA_SECRET"), (APP_ID, APP_SECRET, "app_id + ZALO_APP_SECRET")],
)
def test_a_signature_by_another_rule_is_refused_and_reported_once(
    door: Door, clock: Clock, caplog: pytest.LogCaptureFixture, first: str, secret: str, told: str
) -> None:
    for _ in range(3):
        body = text_event(SECRET_WORDS, clock())
        raw = json.dumps(body, ensure_ascii=False).encode()
        assert door.post(body, f"mac={mac(raw, body['timestamp'], first, secret)}").status_code == 403
    assert caplog.text.count(told) == 1
    assert door.inbox() == []


def test_before_the_start_and_after_the_stop_zalo_is_asked_to_call_again(door: Door, clock: Clock) -> None:
    door.channel.receive = None
    assert door.post(text_event("a", clock())).status_code == 503
    assert door.inbox() == []


def test_a_database_that_fails_is_no_200(
    office: Settings, sqlite_database: Database, clock: Clock, zalo: ZaloStandIn
) -> None:
    door = Door(office, sqlite_database, clock)

    def broken(_incoming: Incoming) -> object:
        raise OSError("disk full")

    door.channel.receive = broken
    with TestClient(door.http.app, raise_server_exceptions=False) as door.http:
        assert door.post(text_event("a", clock())).status_code == 500
    door.channel.receive = door.receive
    with TestClient(door.http.app) as door.http:
        assert door.post(text_event("a", clock(), msg_id="again")).status_code == 200
    assert len(door.inbox()) == 1


def test_ids_and_texts_that_no_database_takes_are_taken_all_the_same(
    office: Settings, database: Database, clock: Clock
) -> None:
    door = Door(office, database, clock)
    with door.http:
        body = event("user_send_text", clock(), message={"text": "a\0b\ud800", "msg_id": "\ud800\0"})
        raw = json.dumps(body).encode()
        for _ in range(2):
            assert door.post(raw, f"mac={mac(raw, body['timestamp'])}").status_code == 200
    assert [row.payload["text"] for row in door.inbox()] == ["ab"]
