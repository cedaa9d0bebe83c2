"""SMS of several offices: a dossier's notice leaves from its office's own sender, an answer from the number asked."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from notice_scene import CODE, PHONE, Office, with_twilio
from pydantic import SecretStr
from sqlmodel import select
from standins.esms import API_KEY, SECRET_KEY, EsmsStandIn
from standins.twilio import TwilioStandIn, signed_form
from test_sms_webhooks import INBOUND, SECRET, SMS, signed

from bot.api.sms_webhooks import router
from bot.application import open_desk, open_talk
from bot.conversation.talk import Talk
from bot.dossiers.access import Citizen, send_code
from bot.office_accounts import OfficeAccounts
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Conversation, GatewayPause

THERE = "H30.99.02-261116-0001"  # of dong-phuoc; CODE is of chau-thanh
NUMBERS = {"chau-thanh": "+84281000001", "dong-phuoc": "+84281000002"}
SHARED = "+84281000000"
OTHER = "+84951234999"


def _several(settings: Settings, url: str) -> Settings:
    own = {
        "chau-thanh": OfficeAccounts(twilio_from=NUMBERS["chau-thanh"], esms_brandname="XaChauThanh"),
        "dong-phuoc": OfficeAccounts(
            twilio_from=NUMBERS["dong-phuoc"], esms_brandname="XaDongPhuoc", sms_number="8088"
        ),
    }
    several = with_twilio(
        settings, url, office_list="chau-thanh,dong-phuoc", twilio_from=SHARED, sms_inbound_secret=SECRET
    )
    return several.with_accounts(own)


class Offices(Office):
    """Two offices of one deployment, with Twilio's stand-in behind them."""

    twilio: TwilioStandIn

    @property
    def sent(self) -> list[tuple[str, str]]:
        """Every SMS that went out: to whom, from which number."""
        return [(one["to"], one["from"]) for one in self.twilio.messages]


@pytest.fixture
def offices(sqlite_database: Database, settings: Settings) -> Iterator[Offices]:
    both = Offices(sqlite_database, settings)
    with TwilioStandIn(clock=lambda: both.now) as both.twilio:
        both.settings = _several(settings, both.twilio.url)
        yield both


def _result(office: Office, code: str, **fields: object) -> None:
    office.file(code, **fields)
    office.enter(9, code)


def test_a_notice_leaves_from_the_sender_of_its_dossiers_office(offices: Offices) -> None:
    _result(offices, THERE)
    _result(offices, CODE, phone=OTHER)
    _result(offices, "H99.99.99-261116-0001", phone="+84951234998")  # of an office that is not here
    offices.later(minutes=4)
    offices.run()
    assert sorted(offices.sent) == sorted(
        [(PHONE, NUMBERS["dong-phuoc"]), (OTHER, NUMBERS["chau-thanh"]), ("+84951234998", SHARED)]
    )


def test_a_notice_whose_answer_was_lost_is_found_again_and_not_sent_from_another_number(offices: Offices) -> None:
    _result(offices, THERE)
    offices.later(minutes=4)
    offices.twilio.next_is("drop")
    offices.run()
    assert offices.states() == ["uncertain"]
    offices.run()
    assert offices.states() == ["sent"]
    assert offices.sent == [(PHONE, NUMBERS["dong-phuoc"])]


def test_a_one_time_code_leaves_from_the_sender_of_its_dossiers_office(offices: Offices) -> None:
    offices.file(THERE)
    with offices.database.write() as session:
        send_code(session, Citizen("web", "x" * 40), THERE, offices.settings, offices.now)
    offices.run()
    assert offices.sent == [(PHONE, NUMBERS["dong-phuoc"])]


def test_a_refused_sender_of_one_office_holds_up_no_other(offices: Offices) -> None:
    _result(offices, THERE)
    offices.later(minutes=4)
    offices.twilio.refuse(21606)
    offices.run()
    (row,) = offices.rows()
    assert (row.state, row.attempts) == ("waiting", 0)
    with offices.database.read() as session:
        assert session.exec(select(GatewayPause)).all() == []
    _result(offices, CODE, phone=OTHER)
    offices.later(minutes=4)
    offices.run()
    assert offices.sent == [(OTHER, NUMBERS["chau-thanh"])]
    offices.later(minutes=30)
    offices.run()
    assert offices.sent[1:] == [(PHONE, NUMBERS["dong-phuoc"])]


def test_a_fault_of_the_account_itself_still_stops_all(offices: Offices) -> None:
    _result(offices, THERE)
    offices.later(minutes=4)
    offices.twilio.refuse(20003)
    offices.run()
    with offices.database.read() as session:
        assert [one.channel for one in session.exec(select(GatewayPause))] == ["sms"]


def test_esms_sends_under_the_brand_name_of_the_office(office: Office) -> None:
    with EsmsStandIn(clock=lambda: office.now) as esms:
        changes = {
            "office_list": "chau-thanh,dong-phuoc", "esms_api_key": SecretStr(API_KEY),
            "esms_secret_key": SecretStr(SECRET_KEY), "esms_brandname": "MotCua", "esms_base_url": esms.url,
        }  # fmt: skip
        own = {"dong-phuoc": OfficeAccounts(esms_brandname="MotCua2")}
        office.settings = office.settings.model_copy(update=changes).with_accounts(own)
        esms.brandnames = {"MotCua", "MotCua2"}
        _result(office, THERE)
        _result(office, CODE, phone=OTHER)
        office.later(minutes=4)
        office.run()
        assert sorted((one["Phone"], one["Brandname"]) for one in esms.messages) == [
            ("84951234567", "MotCua2"), ("84951234999", "MotCua"),
        ]  # fmt: skip


class Desk:
    """The web hooks with the service behind them."""

    def __init__(self, office: Offices, talk: Talk) -> None:
        self.office = office
        both = open_talk(office.settings, open_desk(office.settings), talk.engine)
        self.service = Service(office.settings, office.database, both, clock=lambda: office.now)
        app = FastAPI()
        app.include_router(router(office.settings, office.database, lambda: office.now, self.service.receive))
        self.client = TestClient(app, base_url="http://127.0.0.1:8000")
        self.number = 0

    def sms(self, text: str, to: str, **more: str) -> str:
        """An SMS to one of the numbers; what is answered, once it has left."""
        self.number += 1
        form = SMS | {"MessageSid": f"SM{self.number:032x}", "Body": text, "To": to} | more
        body, headers = signed_form(INBOUND, form)
        path = INBOUND.removeprefix("https://motcua.example")
        assert self.client.post(path, content=body, headers=headers).status_code == 200
        return self.answered()

    def answered(self) -> str:
        while self.service.work_off():
            pass
        before = len(self.office.sent)
        self.office.run()
        return "\n".join(one["body"] for one in self.office.twilio.messages[before:])


@pytest.fixture
def desk(offices: Offices, talk: Talk) -> Desk:
    return Desk(offices, talk)


def test_what_is_asked_at_an_offices_number_is_answered_about_it_and_from_it(desk: Desk) -> None:
    told = desk.sms("dia chi co quan o dau", NUMBERS["dong-phuoc"])
    assert "Dong Phuoc" in told
    assert "hoi xa, phuong nao" not in told
    assert "hoi xa, phuong nao" in desk.sms("gio lam viec", SHARED, From=OTHER)
    assert set(desk.office.sent) == {(PHONE, NUMBERS["dong-phuoc"]), (OTHER, SHARED)}


def test_one_telephone_at_two_numbers_is_one_person_answered_from_the_number_they_wrote_to(desk: Desk) -> None:
    assert "Dong Phuoc" in desk.sms("dia chi co quan o dau", NUMBERS["dong-phuoc"])
    assert "Chau Thanh" in desk.sms("dia chi co quan o dau", NUMBERS["chau-thanh"])
    senders = [sender for _, sender in desk.office.sent]
    assert senders == sorted(senders, reverse=True)
    assert set(senders) == set(NUMBERS.values())
    with desk.office.database.read() as session:
        assert [row.sender for row in session.exec(select(Conversation))] == [PHONE]


def test_stop_at_one_number_ends_the_notices_of_all_offices(desk: Desk) -> None:
    desk.sms("STOP", NUMBERS["chau-thanh"])
    before = len(desk.office.sent)
    _result(desk.office, THERE)
    desk.office.later(minutes=4)
    desk.office.run()
    assert len(desk.office.sent) == before


@pytest.mark.parametrize("to", ["8088", "0281000002", "+84281000002", "84281000002"])
def test_the_generic_web_hook_tells_by_the_number_which_office_was_written_to(desk: Desk, to: str) -> None:
    body = json.dumps({"id": "1", "from": PHONE, "text": "dia chi co quan o dau", "to": to}).encode()
    answer = desk.client.post("/webhooks/sms/generic/inbound", content=body, headers=signed(body, desk.office.now))
    assert answer.status_code == 200
    assert "Dong Phuoc" in desk.answered()
    assert set(desk.office.sent) == {(PHONE, NUMBERS["dong-phuoc"])}


def test_a_messaging_service_of_an_office_is_known_by_its_id(settings: Settings) -> None:
    service = "MG" + "1" * 32
    own = {"dong-phuoc": OfficeAccounts(twilio_messaging_service_sid=service)}
    several = settings.model_copy(update={"office_list": "chau-thanh,dong-phuoc"}).with_accounts(own)
    assert several.office_of_sms(SHARED, service) == "dong-phuoc"
    assert several.office_of_sms(SHARED, "") is None
    assert several.office_of_sms("", "") is None
    assert several.at("dong-phuoc").twilio_messaging_service_sid == service


def test_with_one_office_every_row_goes_out_as_ever(office: Office, twilio: TwilioStandIn) -> None:
    _result(office, CODE)
    office.later(minutes=4)
    office.run()
    assert [one["from"] for one in twilio.messages] == ["MotCua"]
    assert [row.office for row in office.rows()] == [None]
