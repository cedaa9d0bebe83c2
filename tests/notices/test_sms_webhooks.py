from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from notice_scene import CODE, PHONE, Office
from sqlalchemy import text
from sqlmodel import col, select
from standins.esms import EsmsStandIn
from standins.twilio import ACCOUNT, TwilioStandIn, sign, signed_form

from bot.api.sms_webhooks import MAX_BODY, router
from bot.conversation.model import Incoming
from bot.errors import BadInputError
from bot.notices.delivery import record_status, settle
from bot.notices.gateways.esms_reports import callback_key
from bot.notices.inbound import MOST_ANSWERS, TOO_MANY
from bot.settings import Settings
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.tables import Inbox, Outbox, Preference, Spend
from tests.waiting import wait_until

STATUS = "https://motcua.example/webhooks/sms/twilio/status"
INBOUND = "https://motcua.example/webhooks/sms/twilio/inbound"
TEXT = "TTPVHCC xa Chau Thanh: ho so H30.99.01-261116-0001 da co ket qua."
SECRET = "a secret of more than thirty-two letters"
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
        self.office = office
        self.received: list[Incoming] = []
        self.refuse = False
        app = FastAPI()
        app.include_router(router(office.settings, office.database, lambda: office.now, self._receive))
        # The inner address differs from the public one, as behind a proxy.
        self.client = TestClient(app, base_url="http://127.0.0.1:8000")

    def _receive(self, incoming: Incoming) -> int | None:
        """As the service does."""
        if self.refuse:
            raise BadInputError("sms: người gửi cần dài từ 1 đến 128 ký tự")
        with self.office.database.write() as session:
            inbox_id = queue.receive(session, incoming, self.office.now)
        if inbox_id is not None:
            self.received.append(incoming)
        return inbox_id

    def post(self, url: str, body: bytes, headers: dict[str, Any]) -> int:
        return self.client.post(url.removeprefix("https://motcua.example"), content=body, headers=headers).status_code

    def get(self, url: str) -> int:
        return self.client.get(url.removeprefix("https://motcua.example")).status_code

    def sms(self, text: str, number: int = 1, sender: str = PHONE, **fields: str) -> int:
        """An SMS by Twilio."""
        form = SMS | {"MessageSid": f"SM{number:032x}", "From": sender, "Body": text} | fields
        return self.post(INBOUND, *signed_form(INBOUND, form))

    def told(self, fields: object, *, at: datetime | None = None, secret: str = SECRET, **changes: str) -> int:
        """An SMS by the generic web hook; ``fields`` are sent as JSON."""
        body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
        return self.post("/webhooks/sms/generic/inbound", body, signed(body, at or self.office.now, secret) | changes)


def signed(body: bytes, at: datetime, secret: str = SECRET) -> dict[str, str]:
    """The headers of a generic request, written out from the documentation."""
    timestamp = str(int(at.timestamp()))
    signature = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Motcua-Timestamp": timestamp, "X-Motcua-Signature": signature}


@pytest.fixture
def door(office: Office, twilio: TwilioStandIn) -> Door:
    office.settings = Settings(**(office.settings.model_dump() | {"sms_inbound_secret": SECRET}))
    return Door(office)


def outbox(office: Office, gateway: str, state: str, provider_id: str | None, status: str | None) -> int:
    """A notice in the outbox: its id."""
    with office.database.write() as session:
        row = Outbox(
            kind="notice", channel="sms", gateway=gateway, recipient=PHONE, dedupe_key=f"one:{gateway}",
            body={"text": TEXT}, state=state, provider_id=provider_id, provider_status=status, not_before=office.now,
            created_at=office.now,
        )  # fmt: skip
        session.add(row)
        session.flush()
        return row.id or 0


def taken(office: Office, twilio: TwilioStandIn, notice_id: int) -> str:
    """What Twilio has of a notice: the sid."""
    callback = f"{STATUS}?notice={notice_id}"
    return str(twilio.take({"To": PHONE, "Body": TEXT, "From": "MotCua", "StatusCallback": callback})["sid"])


@pytest.fixture
def sent(office: Office, twilio: TwilioStandIn) -> str:
    """A notice that Twilio has taken: its sid."""
    sid = f"SM{1:032x}"
    assert taken(office, twilio, outbox(office, "twilio", "sent", sid, "queued")) == sid
    return sid


def row(office: Office) -> Outbox:
    return office.rows()[0]


def test_a_report_is_stored(office: Office, twilio: TwilioStandIn, door: Door, sent: str) -> None:
    assert door.post(*twilio.callback(sent, "sent")) == 204
    assert (row(office).state, row(office).provider_status, row(office).delivered_at) == ("sent", "sent", None)
    assert door.post(*twilio.callback(sent, "delivered")) == 204
    assert row(office).provider_status == "delivered"


def test_reports_out_of_order_and_repeated_only_move_forward(
    office: Office, twilio: TwilioStandIn, door: Door, sent: str
) -> None:
    for status in ("delivered", "sent", "queued", "delivered", "undelivered", "sending"):
        assert door.post(*twilio.callback(sent, status)) == 204
        assert row(office).provider_status == "delivered"


@pytest.mark.parametrize("status", ["undelivered", "failed"])
def test_what_did_not_arrive_is_failed_with_the_reason(
    office: Office, twilio: TwilioStandIn, door: Door, sent: str, status: str
) -> None:
    door.post(*twilio.callback(sent, status, error_code="30003"))
    assert (row(office).state, row(office).error) == ("failed", f"{status}: 30003")


def test_an_unknown_status_or_message_changes_nothing(
    office: Office, twilio: TwilioStandIn, door: Door, sent: str
) -> None:
    assert door.post(*twilio.callback(sent, "vanished")) == 204
    fields = {"MessageSid": "SM" + "9" * 32, "MessageStatus": "delivered"}
    assert door.post(f"{STATUS}?notice=1", *signed_form(f"{STATUS}?notice=1", fields)) == 204
    assert row(office).provider_status == "queued"


def test_an_acknowledgement_of_the_network_is_no_proof_that_a_handset_has_it(
    office: Office, twilio: TwilioStandIn, door: Door, sent: str
) -> None:
    with office.database.write() as session:
        record_status(session, "twilio", sent, "delivered", office.now)
    assert (row(office).state, row(office).provider_status) == ("sent", "delivered")


def test_a_report_settles_a_send_whose_answer_never_came(office: Office, twilio: TwilioStandIn, door: Door) -> None:
    sid = taken(office, twilio, outbox(office, "twilio", "uncertain", None, None))
    door.post(*twilio.callback(sid, "delivered"))
    assert (row(office).provider_id, row(office).provider_status) == (sid, "delivered")


def test_a_report_that_comes_while_its_send_is_being_stored_is_not_lost(
    postgres_database: Database, settings: Settings
) -> None:
    office = Office(postgres_database, settings)
    number = outbox(office, "twilio", "sending", None, None)

    def report() -> bool:
        with postgres_database.write() as session:
            return record_status(session, "twilio", "SM1", "delivered", office.now, notice_id=number)

    def waits() -> bool:
        with postgres_database.read() as session:
            return bool(session.connection().scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))

    with ThreadPoolExecutor() as beside:
        with postgres_database.write() as session:
            settle(session.exec(select(Outbox).with_for_update()).one(), "SM1", "queued", office.now)
            session.flush()
            told = beside.submit(report)
            wait_until(waits)
        assert told.result()
    assert (row(office).provider_id, row(office).provider_status) == ("SM1", "delivered")


def test_sha256_signatures_are_understood(office: Office, twilio: TwilioStandIn, door: Door, sent: str) -> None:
    assert door.post(*twilio.callback(sent, "delivered", algorithm="sha256")) == 204
    assert row(office).provider_status == "delivered"


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
    assert incoming == Incoming("sms", PHONE, SMS["MessageSid"], f"tra cứu hồ sơ {CODE} & «đã xong?»", office.now)
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


# Reports of eSMS.


@pytest.fixture
def esms(office: Office) -> Iterator[EsmsStandIn]:
    """The stand-in, with one notice that it took: outbox row 1."""
    with EsmsStandIn(clock=lambda: office.now) as stand_in:
        notice_id = outbox(office, "esms", "sent", f"{1:032x}", "accepted")
        key = callback_key(office.settings, notice_id)
        callback = f"https://motcua.example/webhooks/sms/esms/status?notice={notice_id}&key={key}"
        stand_in.take({"Phone": "84951234567", "Content": TEXT, "RequestId": "mc-1", "CallbackUrl": callback})
        yield stand_in


@pytest.fixture
def esms_door(office: Office, esms: EsmsStandIn) -> Door:
    return Door(office)


@pytest.mark.parametrize("joiner", ["&", "?"])
def test_a_report_of_esms_is_stored(office: Office, esms: EsmsStandIn, esms_door: Door, joiner: str) -> None:
    sid = esms.messages[0]["SMSID"]
    assert esms_door.get(esms.callback_url(sid, "7", joiner)) == 200
    assert (row(office).state, row(office).provider_status) == ("sent", "sent")
    assert esms_door.get(esms.callback_url(sid, "5", joiner)) == 200
    assert (row(office).provider_id, row(office).provider_status) == (sid, "delivered")


def test_what_esms_says_it_cost_reaches_the_sum_of_the_day_once(
    office: Office, esms: EsmsStandIn, esms_door: Door
) -> None:
    sid = esms.messages[0]["SMSID"]
    for status in ("1", "7", "5", "5"):
        assert esms_door.get(esms.callback_url(sid, status, TotalPrice="838.0000")) == 200
    with office.database.read() as session:
        spend = session.exec(select(Spend)).one()
    assert (spend.channel, spend.messages, spend.dong, row(office).cost) == ("sms", 1, 838, 838)


@pytest.mark.parametrize("price", ["1e400", "1e9", "NaN", "-5", "0", "free"])
def test_a_price_that_no_message_has_is_not_believed(
    office: Office, esms: EsmsStandIn, esms_door: Door, price: str
) -> None:
    assert esms_door.get(esms.callback_url(esms.messages[0]["SMSID"], "5", TotalPrice=price)) == 200
    assert (row(office).provider_status, row(office).cost) == ("delivered", None)


def test_a_report_of_esms_that_says_failed_is_failed(office: Office, esms: EsmsStandIn, esms_door: Door) -> None:
    url = esms.callback_url(esms.messages[0]["SMSID"], SendSuccess="0", SendFailed="1")
    assert esms_door.get(url) == 200
    assert (row(office).state, row(office).error) == ("failed", "undelivered: SendStatus 5")


def test_reports_of_esms_out_of_order_and_repeated_only_move_forward(
    office: Office, esms: EsmsStandIn, esms_door: Door
) -> None:
    sid = esms.messages[0]["SMSID"]
    for status in ("5", "7", "2", "5", "4", "1"):
        assert esms_door.get(esms.callback_url(sid, status)) == 200
        assert row(office).provider_status == "delivered"


def test_a_report_of_esms_settles_a_send_whose_answer_never_came(
    office: Office, esms: EsmsStandIn, esms_door: Door
) -> None:
    with office.database.write() as session:
        unsure = session.get_one(Outbox, 1)
        unsure.state, unsure.provider_id = "uncertain", None
    assert esms_door.get(esms.callback_url(esms.messages[0]["SMSID"], "7")) == 200
    assert (row(office).state, row(office).provider_id) == ("sent", esms.messages[0]["SMSID"])


def test_forged_reports_of_esms_are_refused(office: Office, esms: EsmsStandIn, esms_door: Door) -> None:
    url = esms.callback_url(esms.messages[0]["SMSID"])
    key = callback_key(office.settings, 1)
    for forged in (
        url.replace(key, ""),
        url.replace(key, key[:-1]),
        url.replace(f"key={key}", ""),
        url.replace(key, callback_key(office.settings, 2)),
        url.replace("notice=1", "notice=2"),
        url.replace("notice=1", "notice="),
        url.replace(key, "%C3%A9"),
    ):
        assert forged != url
        assert esms_door.get(forged) == 403
    assert row(office).provider_status == "accepted"


def test_reports_of_esms_about_unknown_messages_or_states_change_nothing(
    office: Office, esms: EsmsStandIn, esms_door: Door
) -> None:
    url = esms.callback_url(esms.messages[0]["SMSID"])
    assert esms_door.get(url.replace("SendStatus=5", "SendStatus=42")) == 200
    assert esms_door.get(esms.callback_url(esms.messages[0]["SMSID"], SMSID="another")) == 200
    other = f"/webhooks/sms/esms/status?notice=99&key={callback_key(office.settings, 99)}&SMSID=x&SendStatus=5"
    assert esms_door.get(other) == 200
    assert row(office).provider_status == "accepted"


def test_a_report_of_esms_that_tells_nothing_is_a_bad_request(esms: EsmsStandIn, esms_door: Door) -> None:
    url = esms.callback_url(esms.messages[0]["SMSID"])
    assert esms_door.get(url.replace("SendStatus=5", "SendStatus=")) == 400
    assert esms_door.get(url.replace("&SMSID=", "&Other=")) == 400


def test_the_stand_in_calls_five_times_more_where_no_answer_comes(esms: EsmsStandIn) -> None:
    calls: list[str] = []
    done = threading.Event()

    class Silent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            calls.append(self.path)
            if len(calls) < 4:
                done.wait(5)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        url = esms.callback_url(esms.messages[0]["SMSID"]).replace(
            "https://motcua.example", f"http://127.0.0.1:{server.server_port}"
        )
        assert esms.call_back(url, seconds=0.1) == (200, 4)
        done.set()
        server.shutdown()
    assert len(set(calls)) == 1


# The generic web hook.
MESSAGE = {"id": "m-1", "from": "84951234567", "to": "8041", "text": f"HS {CODE}", "at": "2026-11-24T08:59:58+07:00"}


def test_a_signed_message_is_handed_on(office: Office, door: Door) -> None:
    assert door.told(MESSAGE) == 200
    (incoming,) = door.received
    sent_at = datetime.fromisoformat("2026-11-24T08:59:58+07:00")
    assert incoming == Incoming("sms", PHONE, "generic:m-1", f"tra cứu hồ sơ {CODE}", sent_at)
    assert incoming.phone is None


def test_a_form_will_do(office: Office, door: Door) -> None:
    body = urlencode({"id": "m-1", "from": "0951 234 567", "text": "Hủy"}).encode()
    assert door.told(body, **{"Content-Type": "application/x-www-form-urlencoded"}) == 200
    assert door.received == [Incoming("sms", PHONE, "generic:m-1", "ngừng nhận tin", office.now)]


def test_the_answer_is_json(office: Office, door: Door) -> None:
    body = json.dumps(MESSAGE).encode()
    answer = door.client.post("/webhooks/sms/generic/inbound", content=body, headers=signed(body, office.now))
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_repeated_message_is_taken_once(office: Office, door: Door) -> None:
    assert [door.told(MESSAGE), door.told(MESSAGE), door.told(MESSAGE | {"text": "khác"})] == [200, 200, 200]
    assert len(door.received) == 1


@pytest.mark.parametrize("minutes", [-6, 6, 60, -60 * 24 * 365])
def test_an_old_or_future_signature_is_refused(office: Office, door: Door, minutes: int) -> None:
    assert door.told(MESSAGE, at=office.now + timedelta(minutes=minutes)) == 403
    assert door.received == []


@pytest.mark.parametrize("minutes", [-4, 4])
def test_clocks_may_differ_a_little(office: Office, door: Door, minutes: int) -> None:
    assert door.told(MESSAGE, at=office.now + timedelta(minutes=minutes)) == 200


def test_a_request_of_five_minutes_ago_cannot_be_replayed(office: Office, door: Door) -> None:
    body = json.dumps(MESSAGE).encode()
    headers = signed(body, office.now)
    office.later(minutes=5, seconds=1)
    assert door.post("/webhooks/sms/generic/inbound", body, headers) == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"X-Motcua-Signature": ""},
        {"X-Motcua-Signature": "0" * 64},
        {"X-Motcua-Timestamp": ""},
        {"X-Motcua-Timestamp": "1"},
        {"X-Motcua-Timestamp": "9" * 30},
        {"X-Motcua-Timestamp": "-5"},
    ],
)
def test_forged_messages_are_refused(office: Office, door: Door, changes: dict[str, str]) -> None:
    assert door.told(MESSAGE, **changes) == 403
    assert door.told(MESSAGE, secret="another secret of more than thirty-two letters") == 403
    body = json.dumps(MESSAGE).encode()
    assert door.post("/webhooks/sms/generic/inbound", body + b" ", signed(body, office.now)) == 403
    assert door.received == []


@pytest.mark.parametrize("timestamp", ["soon", "1e9", "9" * 13])
def test_a_timestamp_that_is_none_is_refused_though_signed(office: Office, door: Door, timestamp: str) -> None:
    body = json.dumps(MESSAGE).encode()
    signature = hmac.new(SECRET.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Motcua-Timestamp": timestamp, "X-Motcua-Signature": signature}
    assert door.post("/webhooks/sms/generic/inbound", body, headers) == 403


def test_without_a_secret_nothing_can_be_verified(office: Office) -> None:
    assert Door(office).told(MESSAGE, secret="") == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""}, {"id": " "}, {"id": 5}, {"id": None}, {"id": ["m"]}, {"id": "m" * 181}, {"id": "m\n1"},
        {"id": "\ud800"}, {"from": ""}, {"from": 84951234567}, {"from": "+" + "8" * 200}, {"text": 1}, {"text": None},
        {"text": {"a": 1}}, {"to": 8041}, {"at": "hôm qua"}, {"at": "2026-11-24T08:59:58"}, {"at": 1764000000},
    ],
)  # fmt: skip
def test_wrong_fields_are_bad_requests(door: Door, changes: dict[str, object]) -> None:
    assert door.told(MESSAGE | changes) == 400
    assert door.received == []


@pytest.mark.parametrize("name", ["id", "from", "text"])
def test_missing_fields_are_bad_requests(door: Door, name: str) -> None:
    assert door.told({key: value for key, value in MESSAGE.items() if key != name}) == 400


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 60_000])
def test_what_is_no_json_object_is_a_bad_request(door: Door, body: bytes) -> None:
    assert door.told(body) == 400


def test_ten_megabytes_are_too_large(door: Door) -> None:
    assert door.told(b"x" * 10 * 1024 * 1024) == 413


def test_a_time_to_come_is_now(office: Office, door: Door) -> None:
    assert door.told(MESSAGE | {"at": "2031-01-01T00:00:00+07:00"}) == 200
    assert door.received[0].at == office.now


def test_text_that_no_database_can_hold_is_cleaned(office: Office, door: Door) -> None:
    assert door.told(MESSAGE | {"text": "a\0b\ud800c"}) == 200
    assert inbox(office)[0].payload["text"] == "abc"


# What an SMS says.


@pytest.mark.parametrize(
    ("text", "fields", "asked"),
    [
        ("HUY", {}, "ngừng nhận tin"),
        ("ARRET", {"OptOutType": "STOP"}, "ngừng nhận tin"),
        ("NHAN TIN", {}, "nhận tin lại"),
        ("unstop", {"OptOutType": "START"}, "nhận tin lại"),
        ("TRO GIUP", {}, "trợ giúp"),
        (f"hs {CODE}", {}, f"tra cứu hồ sơ {CODE}"),
        ("lam khai sinh can gi", {}, "lam khai sinh can gi"),
    ],
)
def test_command_words_are_understood(door: Door, text: str, fields: dict[str, str], asked: str) -> None:
    assert door.sms(text, **fields) == 200
    assert door.received[0].text == asked


# Who is not answered.


def inbox(office: Office) -> list[Inbox]:
    with office.database.read() as session:
        return list(session.exec(select(Inbox).order_by(col(Inbox.id))))


def answer(office: Office, count: int, sender: str = PHONE) -> None:
    """Answers to this number."""
    with office.database.write() as session:
        for _ in range(count):
            session.add(
                Outbox(
                    kind="reply", channel="sms", recipient=sender, dedupe_key=uuid4().hex, body={"text": "…"},
                    state="sent", not_before=office.now, created_at=office.now,
                )
            )  # fmt: skip


@pytest.mark.parametrize(
    ("sender", "text"),
    [
        (PHONE, "Day la tin nhan tu dong. Toi se goi lai sau."),
        (PHONE, "Auto-reply: out of office"),
        ("8041", "xin chào"),
        ("MotCua", "xin chào"),
    ],
)
def test_machines_are_kept_but_not_answered(
    office: Office, door: Door, caplog: pytest.LogCaptureFixture, sender: str, text: str
) -> None:
    assert door.sms(text, 1, sender) == 200
    assert door.told({"id": "m-1", "from": sender, "text": text}) == 200
    assert door.sms(text, 1, sender) == 200
    assert door.received == []
    rows = inbox(office)
    assert [(one.state, one.payload["text"], one.done_at) for one in rows] == [("done", text, office.now)] * 2
    assert rows[0].error
    assert len([line for line in caplog.messages if "không được trả lời" in line]) == 1


def test_after_ten_answers_in_an_hour_a_number_waits(
    office: Office, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    answer(office, MOST_ANSWERS - 1)
    assert door.sms("khai sinh", 1) == 200
    assert len(door.received) == 1
    answer(office, 1)
    for number in (2, 3):
        office.later(minutes=1)
        assert door.sms("khai sinh", number) == 200
    assert door.sms("khai sinh", 4, "+84951111222") == 200  # another number is not held back
    assert [one.sender for one in door.received] == [PHONE, "+84951111222"]
    kept = [one for one in inbox(office) if one.error == TOO_MANY]
    assert [one.state for one in kept] == ["done", "done"]
    assert len([line for line in caplog.messages if TOO_MANY in line]) == 1
    work_off(office)
    office.later(hours=1)
    assert door.sms("khai sinh", 5) == 200
    assert len(door.received) == 3


def work_off(office: Office) -> None:
    """Closes what was handed on."""
    with office.database.write() as session:
        for one in session.exec(select(Inbox).where(Inbox.state == "waiting")):
            one.state = "done"
            session.add(one)


def test_messages_that_wait_for_their_answer_count(office: Office, door: Door) -> None:
    for number in range(MOST_ANSWERS + 3):
        assert door.sms(f"câu hỏi {number}", number) == 200
    assert len(door.received) == MOST_ANSWERS
    assert len(inbox(office)) == MOST_ANSWERS + 3


def test_a_refusal_always_counts_but_is_answered_once(office: Office, door: Door) -> None:
    answer(office, MOST_ANSWERS)
    assert door.sms("HUY", 1) == 200
    assert [one.text for one in door.received] == ["ngừng nhận tin"]
    with office.database.write() as session:
        session.add(Preference(channel="sms", recipient=PHONE, wants=False, at=office.now))
    assert door.sms("HUY", 2) == 200
    assert len(door.received) == 1
    assert door.sms("START", 3) == 200
    assert len(door.received) == 1


@pytest.mark.parametrize("odd", ["a\0", "a\x1f", "a\n"])
def test_ids_that_no_provider_writes_are_bad_requests(door: Door, odd: str) -> None:
    assert door.sms("xin chào", sender=odd) == 400
    assert door.sms("xin chào", MessageSid=odd) == 400
    assert door.post(STATUS, *signed_form(STATUS, {"MessageSid": odd, "MessageStatus": "sent"})) == 400
    assert door.received == []


def test_a_message_without_a_sender_or_an_id_is_a_bad_request(door: Door) -> None:
    door.refuse = True
    assert door.sms("xin chào", sender="") == 400
    assert door.sms("xin chào", sender="8041", MessageSid="") == 400
