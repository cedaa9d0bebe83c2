"""A number shared on Zalo: asked for and believed only where the office says so, else the other ways are shown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlmodel import col, select

from bot.conversation.model import Incoming
from bot.conversation.talk import Talk
from bot.dossiers.demo import seed
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Inbox, Outbox

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
CODE = "H30.99.01-261116-0001"


def _said(settings: Settings, database: Database, talk: Talk, *incoming: Incoming) -> list[Outbox]:
    """What is put into the outbox for the last of the messages."""
    service = Service(settings, database, talk, clock=lambda: NOW)
    with database.write() as session:
        seed(session, settings, NOW)
    for one in incoming:
        last = service.receive(one)
        while service.work_off():
            pass
    with database.read() as session:
        return list(session.exec(select(Outbox).where(Outbox.inbox_id == last).order_by(col(Outbox.id))).all())


def _message(channel: str, number: int, text: str = "", kind: str = "text", phone: str | None = None) -> Incoming:
    return Incoming(channel, "u1", f"m{number}", text, NOW, kind=kind, phone=phone)


@pytest.mark.parametrize(
    ("channel", "trusted", "asked"),
    [("zalo_oa", False, False), ("zalo_oa", True, True), ("telegram", False, True), ("zalo_bot", True, False)],
)
def test_a_number_is_asked_for_only_where_it_can_prove_something(
    settings: Settings, sqlite_database: Database, talk: Talk, channel: str, *, trusted: bool, asked: bool
) -> None:
    settings = settings.model_copy(update={"zalo_trust_shared_phone": trusted})
    rows = _said(settings, sqlite_database, talk, _message(channel, 1, f"xem chi tiết hồ sơ {CODE}"))
    assert any(row.body.get("contact") for row in rows) is asked
    assert ("chia sẻ số điện thoại" in rows[0].body["text"]) is asked


def test_an_unverified_number_opens_nothing_and_shows_the_other_ways(
    settings: Settings, sqlite_database: Database, talk: Talk
) -> None:
    asked = _message("zalo_oa", 1, f"xem chi tiết hồ sơ {CODE}")
    [row] = _said(settings, sqlite_database, talk, asked, _message("zalo_oa", 2, kind="contact_unverified"))
    assert "không xác nhận được số" in row.body["text"]
    assert [button["value"] for button in row.body["buttons"]] == ["gửi mã xác nhận"]
    with sqlite_database.read() as session:
        assert session.get_one(Inbox, 2).state == "done"
