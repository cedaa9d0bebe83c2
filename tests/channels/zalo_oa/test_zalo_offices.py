"""Official Accounts of offices under one application: one web hook for all, each account answers with its own token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlmodel import col, select
from standins.zalo_hooks import mac, text_event
from standins.zalo_oa import OA_SECRET, ZaloStandIn
from zalo_scene import Clock, log_in

from bot.api.app import create_app
from bot.application import open_desk, open_talk
from bot.channels.opening import open_channels, open_gateways
from bot.channels.rendering import Message
from bot.channels.zalo_oa.tokens import stored
from bot.channels.zalo_oa.web_hook import PATH, SIGNATURE
from bot.conversation.talk import Talk
from bot.notices.routes import Step, routes
from bot.office_accounts import OfficeAccounts
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import ChannelToken, Conversation, Dossier, Inbox, Preference
from tests.waiting import wait_until

OWN = "388613280878800002"
OWN_SECRET = "standin-own-secret"
USER = "246845883529197922"


@pytest.fixture
def own(zalo: ZaloStandIn, clock: Clock) -> Iterator[ZaloStandIn]:
    with ZaloStandIn(clock) as stand_in:
        stand_in.oa_id = OWN
        zalo.beside.append(stand_in)
        yield stand_in


@pytest.fixture
def several(office: Settings) -> Settings:
    accounts = {"dong-phuoc": OfficeAccounts(zalo_oa_id=OWN, zalo_templates='{"result_ready": "tpl-own"}')}
    return office.model_copy(update={"office_list": "chau-thanh,dong-phuoc"}).with_accounts(accounts)


@dataclass
class Province:
    client: TestClient
    database: Database
    clock: Clock

    def brings(self, zalo: ZaloStandIn, body: dict[str, Any], secret: str = OA_SECRET) -> int:
        """An event of an account, signed."""
        body = {**body, "recipient": {"id": zalo.oa_id}}
        raw = json.dumps(body).encode()
        zalo.last_interaction[USER] = self.clock()
        headers = {SIGNATURE: f"mac={mac(raw, str(body['timestamp']), secret=secret)}"}
        return self.client.post(PATH, content=raw, headers=headers).status_code

    def says(self, zalo: ZaloStandIn, text: str) -> str:
        before = len(zalo.sent)
        assert self.brings(zalo, text_event(text, self.clock())) == 200
        assert zalo.wait_for(before + 1, 20)
        return "\n".join(one["text"] for one in zalo.to(USER)[before:])


Open = Callable[[Settings], TestClient]


@pytest.fixture
def open_with(sqlite_database: Database, talk: Talk, clock: Clock) -> Open:
    def start(settings: Settings) -> TestClient:
        channels = open_channels(settings, sqlite_database, clock)
        both = open_talk(settings, open_desk(settings), talk.engine)
        service = Service(settings, sqlite_database, both, clock=clock)
        return TestClient(create_app(settings, sqlite_database, service, channels, clock), base_url="http://127.0.0.1")

    return start


@pytest.fixture
def province(
    sqlite_database: Database, several: Settings, zalo: ZaloStandIn, own: ZaloStandIn, clock: Clock, open_with: Open
) -> Iterator[Province]:
    log_in(several, sqlite_database, zalo, clock)
    log_in(several.at("dong-phuoc"), sqlite_database, own, clock)
    with open_with(several) as client:
        yield Province(client, sqlite_database, clock)


def test_each_account_answers_for_its_own_with_its_own_token(
    province: Province, zalo: ZaloStandIn, own: ZaloStandIn
) -> None:
    told = province.says(own, "địa chỉ cơ quan ở đâu")
    assert "Đông Phước" in told
    assert zalo.sent == []
    assert "hỏi xã, phường nào" in province.says(zalo, "giờ làm việc")
    with province.database.read() as session:
        senders = session.exec(select(Conversation.sender).order_by(col(Conversation.id))).all()
        assert senders == [f"dong-phuoc/{USER}", USER]
        assert [row.account for row in session.exec(select(ChannelToken).order_by(ChannelToken.account))] == [
            "1234567890", f"1234567890/{OWN}",
        ]  # fmt: skip


async def test_a_token_is_refreshed_for_its_account_alone(
    several: Settings, sqlite_database: Database, zalo: ZaloStandIn, own: ZaloStandIn, clock: Clock
) -> None:
    log_in(several, sqlite_database, zalo, clock)
    log_in(several.at("dong-phuoc"), sqlite_database, own, clock)
    shared, mine = open_channels(several, sqlite_database, clock)
    clock.move(hours=21)
    zalo.last_interaction["u1"] = own.last_interaction["u1"] = clock()
    await mine.send("dong-phuoc/u1", Message("chào"))
    assert (own.refreshes, zalo.refreshes) == (1, 0)
    assert [one["user"] for one in own.sent] == ["u1"]
    await shared.send("u1", Message("chào"))
    assert zalo.refreshes == 1
    assert len(zalo.sent) == 1
    await asyncio.gather(shared.stop(), mine.stop())
    first, second = stored(several, sqlite_database), stored(several.at("dong-phuoc"), sqlite_database)
    assert first
    assert second
    assert (first.generation, second.generation) == (2, 2)
    assert first.access != second.access


def test_an_account_with_a_secret_of_its_own_is_proven_by_it_alone(
    sqlite_database: Database, several: Settings, own: ZaloStandIn, clock: Clock, open_with: Open
) -> None:
    accounts = {"dong-phuoc": OfficeAccounts(zalo_oa_id=OWN, zalo_oa_secret=SecretStr(OWN_SECRET))}
    with open_with(several.with_accounts(accounts)) as client:
        province = Province(client, sqlite_database, clock)
        wait_until(lambda: province.brings(own, text_event("chào", clock()), OWN_SECRET) == 200)
        assert province.brings(own, text_event("chào", clock())) == 403
    with sqlite_database.read() as session:
        assert {row.sender for row in session.exec(select(Inbox))} == {f"dong-phuoc/{USER}"}


def test_nobody_need_log_in_to_a_shared_account_where_offices_have_their_own(
    sqlite_database: Database, several: Settings, own: ZaloStandIn, clock: Clock, open_with: Open
) -> None:
    log_in(several.at("dong-phuoc"), sqlite_database, own, clock)
    with open_with(several) as client:
        province = Province(client, sqlite_database, clock)
        wait_until(lambda: "zalo_oa" not in client.get("/ready").json()["reasons"])
        assert "Đông Phước" in province.says(own, "địa chỉ cơ quan ở đâu")
        assert not {"zalo_oa", "zalo_oa/dong-phuoc"} & client.get("/ready").json()["reasons"].keys()


def test_the_health_of_each_account_is_told_apart(
    sqlite_database: Database, several: Settings, zalo: ZaloStandIn, own: ZaloStandIn, clock: Clock, open_with: Open
) -> None:
    log_in(several, sqlite_database, zalo, clock)
    with open_with(several) as client:  # nobody has logged in to the office's own account
        wait_until(lambda: "chưa có token" in client.get("/ready").json()["reasons"].get("zalo_oa/dong-phuoc", ""))
        assert "zalo_oa" not in client.get("/ready").json()["reasons"]


def test_tokens_of_another_account_than_the_offices_are_told(
    sqlite_database: Database, several: Settings, zalo: ZaloStandIn, clock: Clock, open_with: Open
) -> None:
    log_in(several.at("dong-phuoc"), sqlite_database, zalo, clock)  # granted by the wrong administrator
    with open_with(several) as client:
        wait_until(lambda: "token là của OA" in client.get("/ready").json()["reasons"].get("zalo_oa/dong-phuoc", ""))


def test_templates_are_those_of_the_account_that_the_notice_leaves_from(
    several: Settings, sqlite_database: Database
) -> None:
    def ways(code: str) -> list[tuple[Step, ...]]:
        with sqlite_database.write() as session:
            dossier = Dossier(
                code=code, status=9, phone="+84951234567", consent_sms=True, created_at=Clock()(), updated_at=Clock()()
            )
            session.add(dossier)
            for recipient in (USER, f"dong-phuoc/{USER}"):
                session.add(
                    Preference(channel="zalo_oa", recipient=recipient, dossier_code=code, wants=True, at=Clock()())
                )
            session.flush()
            return routes(session, dossier, "result_ready", several)

    # The shared account has no templates: only what leaves from the office's own may take one.
    mine, shared = ways("H30.99.02-261116-0001")
    assert [step.channel for step in mine] == ["zalo_oa", "zbs_uid", "zbs_phone", "sms"]
    assert [step.channel for step in shared] == ["zalo_oa"]
    mine, shared = ways("H30.99.01-261116-0001")
    assert [step.channel for step in mine] == ["zalo_oa", "zbs_uid", "sms"]
    assert [step.channel for step in shared] == ["zalo_oa"]


async def test_a_template_is_sent_with_the_token_of_its_account(
    several: Settings, sqlite_database: Database, zalo: ZaloStandIn, own: ZaloStandIn, clock: Clock
) -> None:
    log_in(several, sqlite_database, zalo, clock)
    log_in(several.at("dong-phuoc"), sqlite_database, own, clock)
    gateways = open_gateways(several, sqlite_database, clock)
    token = gateways._token
    assert token is not None
    shared, mine = await token(office="chau-thanh"), await token(office="dong-phuoc")
    assert shared == await token()
    assert (zalo.account_of(shared), zalo.account_of(mine)) == (zalo, own)
    renewed = await token(force=True, office="dong-phuoc")
    assert renewed != mine
    assert await token() == shared
    await gateways.close()
