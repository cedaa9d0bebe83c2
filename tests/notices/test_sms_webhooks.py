from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from notice_scene import PHONE, Office
from standins.twilio import ACCOUNT, TwilioStandIn, sign, signed_form

from bot.api.sms_webhooks import MAX_BODY, router
from bot.conversation.model import Incoming
from bot.errors import BadInputError
from bot.storage.tables import Outbox

STATUS = "https://motcua.example/webhooks/sms/twilio/status"
INBOUND = "https://motcua.example/webhooks/sms/twilio/inbound"
SMS = {
    "MessageSid": "SM" + "7" * 32,
    "AccountSid": ACCOUNT,
    "From": PHONE,
    "To": "+15017122661",
    "Body": "tra cứu H30.99.01-261116-0001 & «đã xong?»",
    "NumMedia": "0",
    "NumSegments": "1",
    "FromCountry": "",
}


class Door:
    """The routes, and the messages they hand on."""

    def __init__(self, office: Office) -> None:
        self.received: list[Incoming] = []
        self.refuse = False
        app = FastAPI()
        app.include_router(router(office.settings, office.database, lambda: office.now, self._receive))
        # The inner address differs from the public one, as behind a proxy.
        self.client = TestClient(app, base_url="http://127.0.0.1:8000")

    def _receive(self, incoming: Incoming) -> None:
        if self.refuse:
            raise BadInputError("sms: người gửi cần dài từ 1 đến 128 ký tự")
        self.received.append(incoming)

    def post(self, url: str, body: bytes, headers: dict[str, Any]) -> int:
        return self.client.post(url.removeprefix("https://motcua.example"), content=body, headers=headers).status_code


@pytest.fixture
def door(office: Office, twilio: TwilioStandIn) -> Door:
    return Door(office)


@pytest.fixture
def sent(office: Office, twilio: TwilioStandIn) -> str:
    """A notice that Twilio has taken: its sid."""
    office.file()
    office.enter(9)
    office.later(minutes=4)
    office.run()
    return str(twilio.messages[0]["sid"])


def row(office: Office) -> Outbox:
    return office.rows()[0]


def test_a_report_is_stored(office: Office, twilio: TwilioStandIn, door: Door, sent: str) -> None:
    assert door.post(*twilio.callback(sent, "sent")) == 204
    assert (row(office).state, row(office).provider_status, row(office).delivered_at) == ("sent", "sent", None)
    assert door.post(*twilio.callback(sent, "delivered")) == 204
    assert (row(office).state, row(office).provider_status) == ("delivered", "delivered")
    assert row(office).delivered_at == office.now


def test_reports_out_of_order_and_repeated_only_move_forward(
    office: Office, twilio: TwilioStandIn, door: Door, sent: str
) -> None:
    for status in ("delivered", "sent", "queued", "delivered", "undelivered", "sending"):
        assert door.post(*twilio.callback(sent, status)) == 204
        assert (row(office).state, row(office).provider_status) == ("delivered", "delivered")


@pytest.mark.parametrize("status", ["undelivered", "failed"])
def test_what_did_not_arrive_is_failed_with_the_reason(
    office: Office, twilio: TwilioStandIn, door: Door, sent: str, status: str
) -> None:
    door.post(*twilio.callback(sent, status, error_code="30003"))
    assert (row(office).state, row(office).error) == ("failed", f"{status}: 30003")
    office.later(days=1)
    office.run()
    assert twilio.posts == 1


def test_an_unknown_status_or_message_changes_nothing(
    office: Office, twilio: TwilioStandIn, door: Door, sent: str
) -> None:
    assert door.post(*twilio.callback(sent, "vanished")) == 204
    fields = {"MessageSid": "SM" + "9" * 32, "MessageStatus": "delivered"}
    assert door.post(f"{STATUS}?notice=1", *signed_form(f"{STATUS}?notice=1", fields)) == 204
    assert row(office).provider_status == "queued"


def test_a_report_settles_a_send_whose_answer_never_came(office: Office, twilio: TwilioStandIn, door: Door) -> None:
    office.file()
    office.enter(9)
    office.later(minutes=4)
    twilio.next_is("drop")
    office.run()
    assert row(office).state == "uncertain"
    sid = twilio.messages[0]["sid"]
    door.post(*twilio.callback(sid, "delivered"))
    assert (row(office).state, row(office).provider_id) == ("delivered", sid)


def test_sha256_signatures_are_understood(office: Office, twilio: TwilioStandIn, door: Door, sent: str) -> None:
    assert door.post(*twilio.callback(sent, "delivered", algorithm="sha256")) == 204
    assert row(office).state == "delivered"


def test_forged_reports_are_refused(office: Office, twilio: TwilioStandIn, door: Door, sent: str) -> None:
    url, body, headers = twilio.callback(sent, "delivered")
    unsigned = {k: v for k, v in headers.items() if k != "X-Twilio-Signature"}
    assert door.post(url, body, unsigned) == 403
    assert door.post(url, body + b"&ErrorCode=1", headers) == 403
    assert door.post(url.replace("notice=1", "notice=2"), body, headers) == 403
    assert door.post(*twilio.callback(sent, "delivered", token="another")) == 403
    md5 = {**headers, "X-Twilio-Webhooks-Signature-Settings": "key=k,algorithm=HMAC_MD5"}
    assert door.post(url, body, md5) == 403
    assert door.post(url, body, {**headers, "X-Twilio-Signature": b"\xff"}) == 403
    assert row(office).provider_status == "queued"


def test_a_signature_for_the_inner_address_is_refused(office: Office, door: Door, sent: str) -> None:
    inner = "http://127.0.0.1:8000/webhooks/sms/twilio/status"
    body, headers = signed_form(inner, {"MessageSid": sent, "MessageStatus": "delivered"})
    assert door.post(STATUS, body, headers) == 403


def test_the_published_vector() -> None:
    fields = {
        "MessageSid": "SM00000000000000000000000000000001",
        "AccountSid": "AC00000000000000000000000000000001",
        "From": "+84901234567",
        "To": "+15017122661",
        "Body": "TRA CUU H29.12-261124-0001",
        "NumMedia": "0",
        "NumSegments": "1",
    }
    # reference/channels.md §6.2: holds the stand-in to Twilio's own signature.
    assert sign("12345", "https://mycompany.com/sms/inbound", fields) == "Cs4sgv7nAjRZLCJZnuXlJDBcX7I="


def test_unknown_providers_are_not_found(door: Door) -> None:
    body, headers = signed_form(STATUS, SMS)
    for path in ("/webhooks/sms/esms/status", "/webhooks/sms/nobody/inbound"):
        assert door.post(path, body, headers) == 404


def test_without_twilio_nothing_can_be_verified(office: Office) -> None:
    assert Door(office).post(INBOUND, *signed_form(INBOUND, SMS, token="")) == 403


def test_no_form_and_too_large(door: Door) -> None:
    assert door.post(INBOUND, b"x" * (MAX_BODY + 1), {}) == 413
    assert door.post(INBOUND, b"\xff\xfe", {}) == 400
    assert door.post(INBOUND, b"&".join(b"a=1" for _ in range(300)), {}) == 400
    assert door.post(STATUS, *signed_form(STATUS, {"MessageSid": "", "MessageStatus": "sent"})) == 400


def test_an_sms_is_handed_on(office: Office, door: Door) -> None:
    body, headers = signed_form(INBOUND, SMS)
    answer = door.client.post("/webhooks/sms/twilio/inbound", content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/xml")
    assert answer.text == '<?xml version="1.0" encoding="UTF-8"?><Response />'
    (incoming,) = door.received
    assert incoming == Incoming("sms", PHONE, SMS["MessageSid"], SMS["Body"], office.now)
    assert incoming.phone is None  # the sender of an SMS proves nothing


def test_a_picture_message_is_told_apart(door: Door) -> None:
    assert door.post(INBOUND, *signed_form(INBOUND, SMS | {"NumMedia": "1", "Body": ""})) == 200
    assert door.received[0].kind == "photo"


def test_forged_sms_are_refused(door: Door) -> None:
    body, headers = signed_form(INBOUND, SMS, token="another")
    assert door.post(INBOUND, body, headers) == 403
    assert door.post(INBOUND, urlencode(SMS).encode(), {}) == 403
    assert door.received == []


def test_what_cannot_be_taken_in_is_a_bad_request(door: Door) -> None:
    door.refuse = True
    assert door.post(INBOUND, *signed_form(INBOUND, SMS)) == 400
