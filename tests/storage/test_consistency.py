from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from bot.cli import main
from bot.conversation.model import Incoming
from bot.dossiers import registry
from bot.dossiers.records import DossierRecord
from bot.settings import Settings
from bot.storage import queue
from bot.storage.consistency import faults
from bot.storage.database import Database
from bot.storage.tables import Conversation, Inbox, Outbox, Turn

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
CODE = "H30.99.01-261124-0007"


@pytest.fixture
def office(database: Database, settings: Settings) -> Database:
    return _lived_in(database, settings)


@pytest.fixture
def sqlite_office(sqlite_database: Database, settings: Settings) -> Database:
    return _lived_in(sqlite_database, settings)


def _lived_in(database: Database, settings: Settings) -> Database:
    """One answered message, one reply, one dossier that moved."""
    with database.write() as session:
        inbox_id = queue.receive(session, Incoming("telegram", "77", "m1", "chào", NOW), NOW)
        (claimed,) = queue.claim_inbox(session, owner="o", now=NOW, lease=timedelta(minutes=1))
        queue.finish_inbox(session, claimed.id, "o", NOW)
        session.add(Conversation(id=1, channel="telegram", sender="77", created_at=NOW, last_at=NOW))
        session.add(Turn(conversation_id=1, inbox_id=inbox_id, text="chào", intent="greet", outcome="answer", at=NOW))
        queue.put_outbox(session, _reply(inbox_id))
        record = DossierRecord(code=CODE, status=2, procedure="1.001193", received_at=NOW)
        registry.upsert(session, record, source="import", settings=settings, now=NOW)
    with database.write() as session:
        registry.set_status(session, CODE, 4, by="cb", settings=settings, now=NOW)
    return database


def _reply(inbox_id: int | None, **more: Any) -> Outbox:
    row = {
        "kind": "reply", "channel": "telegram", "recipient": "77", "dedupe_key": "reply:1:0", "body": {"text": "a"},
        "inbox_id": inbox_id, "not_before": NOW, "created_at": NOW,
    }  # fmt: skip
    return Outbox(**(row | more))


def _set(statement: str) -> Callable[[Session], None]:
    return lambda session: (session.execute(text(statement)), None)[1]


def test_a_sound_database_has_no_faults(office: Database) -> None:
    assert faults(office, NOW) == []


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (_set("UPDATE inbox SET state = 'lost'"), "tin đến có trạng thái lạ: 1 dòng, ví dụ 1"),
        (_set("UPDATE inbox SET state = 'claimed'"), "tin đến đang xử lý mà không có hạn"),
        (_set("UPDATE inbox SET done_at = NULL"), "đã xong mà không có giờ xong"),
        (_set("DELETE FROM conversation"), "lượt trả lời không có cuộc trò chuyện"),
        (_set("UPDATE outbox SET inbox_id = 99"), "tin đi không có tin đến: 1 dòng, ví dụ 1"),
        (_set("UPDATE outbox SET state = 'sent'"), "đã gửi mà không có giờ gửi"),
        (_set("UPDATE outbox SET state = 'sending', lease_owner = 'x'"), "tin đi đang gửi mà không có hạn"),
        (_set("UPDATE dossier SET status = 11"), "ngoài 1–10"),
        (_set("UPDATE dossier SET status = 5"), f"khác lần chuyển cuối: 1 dòng, ví dụ {CODE}"),
        (_set("ALTER TABLE turn ADD COLUMN mood INTEGER"), "bảng khác với bản nâng cấp: remove_column"),
    ],
)
def test_harm_is_found(sqlite_office: Database, harm: Callable[[Session], None], told: str) -> None:
    with sqlite_office.write() as session:
        harm(session)
    assert told in "\n".join(map(str, faults(sqlite_office, NOW)))


def test_a_clock_that_was_wrong_is_found(office: Database) -> None:
    told = "\n".join(map(str, faults(office, NOW - timedelta(days=2))))
    assert "tin đến từ tương lai" in told
    assert "tin đi lập ở tương lai" in told


def test_two_claims_of_one_citizen_are_found(office: Database) -> None:
    with office.write() as session:
        for number in (8, 9):
            session.add(
                Inbox(
                    channel="telegram", sender="77", message_id=f"x{number}", state="claimed", lease_owner="a",
                    lease_until=NOW, next_try_at=NOW, received_at=NOW,
                )
            )  # fmt: skip
    assert [fault.what for fault in faults(office, NOW)] == ["hai tin của một người cùng đang xử lý"]


def test_the_command(sqlite_database: Database, settings: Settings, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setenv("MOTCUA_VAR_DIR", str(settings.var_dir))
    assert main(["db", "check"]) == 0
    with sqlite_database.write() as session:
        session.add(_reply(99))
    assert main(["db", "check"]) == 1
    assert "Dữ liệu lành.\ntin đi không có tin đến: 1 dòng, ví dụ 1\n" in capsys.readouterr().out
