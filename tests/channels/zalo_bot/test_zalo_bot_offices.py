"""Zalo bots of offices: each answers for its own, over its own web hook or its own polling."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlmodel import col, select
from standins.zalo_bot import TOKEN, ZaloBotStandIn

from bot.api.app import create_app
from bot.application import open_desk, open_talk
from bot.channels.opening import open_channels
from bot.clock import utc_now
from bot.conversation.talk import Talk
from bot.office_accounts import OfficeAccounts
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Conversation, Inbox

OWN = "9876543210987654321:standInSecret-standInSecret-0123456789"
PUBLIC = "https://motcua.example"


@pytest.fixture
def own(api: ZaloBotStandIn) -> Iterator[ZaloBotStandIn]:
    standin = ZaloBotStandIn()
    standin.token = OWN
    api.beside[OWN] = standin
    yield standin
    standin.close()


@pytest.fixture(params=["web hook", "polling"])
def province(
    request: pytest.FixtureRequest, sqlite_database: Database, settings: Settings, talk: Talk, api: ZaloBotStandIn,
    own: ZaloBotStandIn,
) -> Iterator[TestClient]:  # fmt: skip
    told = {
        "office_list": "chau-thanh,dong-phuoc", "zalo_bot_token": SecretStr(TOKEN), "zalo_bot_base_url": api.url,
        "public_base_url": PUBLIC if request.param == "web hook" else None,
    }  # fmt: skip
    accounts = {"dong-phuoc": OfficeAccounts(zalo_bot_token=SecretStr(OWN))}
    several = settings.model_copy(update=told).with_accounts(accounts)
    channels = open_channels(several, sqlite_database, utc_now)
    both = open_talk(several, open_desk(several), talk.engine)
    app = create_app(several, sqlite_database, Service(several, sqlite_database, both), channels)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        client.headers["x-way"] = request.param
        yield client


def _says(client: TestClient, bot: ZaloBotStandIn, text: str) -> str:
    before = len(bot.sent)
    if client.headers["x-way"] == "polling":
        bot.write(text)
    else:
        assert bot.until(lambda: bot.hook is not None, 20)
        headers = {"x-bot-api-secret-token": bot.secret or ""}
        path = (bot.hook or "").removeprefix(PUBLIC)
        assert client.post(path, json={"ok": True, "result": bot.said(text)}, headers=headers).status_code == 200
    assert bot.until(lambda: len(bot.sent) > before, 30)
    return bot.sent[before][1]


def test_each_bot_answers_for_its_own_and_one_person_at_both_has_two_conversations(
    province: TestClient, api: ZaloBotStandIn, own: ZaloBotStandIn, sqlite_database: Database
) -> None:
    assert "Đông Phước" in _says(province, own, "địa chỉ cơ quan ở đâu")
    assert api.sent == []
    assert "hỏi xã, phường nào" in _says(province, api, "giờ làm việc")
    assert {chat for bot in (api, own) for chat, _ in bot.sent} == {"u77"}
    with sqlite_database.read() as session:
        senders = session.exec(select(Conversation.sender).order_by(col(Conversation.id))).all()
    assert senders == ["dong-phuoc/u77", "u77"]
    if own.hook is not None:
        assert own.hook == f"{PUBLIC}/webhooks/zalo-bot/dong-phuoc"
        assert own.secret != api.secret
        headers = {"x-bot-api-secret-token": api.secret or ""}
        body = {"ok": True, "result": own.said("chào")}
        assert province.post("/webhooks/zalo-bot/dong-phuoc", json=body, headers=headers).status_code == 403
    with sqlite_database.read() as session:
        assert len(session.exec(select(Inbox)).all()) == 2
