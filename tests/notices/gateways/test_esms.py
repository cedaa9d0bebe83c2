from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qsl, urlsplit

import pytest
from gateway_scene import PARCEL, TEXT, changed, with_esms
from hypothesis import given
from hypothesis import strategies as st
from standins.esms import API_KEY, BRANDNAME, SECRET_KEY, EsmsStandIn

from bot.clock import local
from bot.notices.gateways.base import PermanentError, TemporaryError, UncertainError
from bot.notices.gateways.esms import CODES, Esms
from bot.notices.gateways.esms_reports import callback_key, notice_of, report_of
from bot.settings import Settings


async def test_the_wire(esms_settings: Settings, esms: EsmsStandIn) -> None:
    sent = await Esms(esms_settings).send(PARCEL)
    (message,) = esms.messages
    callback = message.pop("CallbackUrl")
    assert message == {
        "ApiKey": API_KEY,
        "SecretKey": SECRET_KEY,
        "Phone": "84951234567",
        "Content": TEXT,
        "Brandname": BRANDNAME,
        "SmsType": "2",
        "IsUnicode": "0",
        "Sandbox": "0",
        "RequestId": PARCEL.reference,
        "SMSID": sent.provider_id,
    }
    assert sent.status == "accepted"
    assert urlsplit(callback)._replace(query="").geturl() == "https://motcua.example/webhooks/sms/esms/status"
    assert notice_of(esms_settings, dict(parse_qsl(urlsplit(callback).query))) == PARCEL.notice_id


async def test_without_a_public_address_no_callback_is_asked_for(esms_settings: Settings, esms: EsmsStandIn) -> None:
    await Esms(changed(esms_settings, public_base_url=None)).send(PARCEL)
    assert "CallbackUrl" not in esms.messages[0]


async def test_marks_are_told(esms_settings: Settings, esms: EsmsStandIn) -> None:
    await Esms(esms_settings).send(replace(PARCEL, text="Hồ sơ đã có kết quả."))
    assert esms.messages[0]["IsUnicode"] == "1"


async def test_the_sandbox_sends_nothing(esms_settings: Settings, esms: EsmsStandIn) -> None:
    sent = await Esms(changed(esms_settings, esms_sandbox=True)).send(PARCEL)
    assert sent.provider_id
    assert (len(esms.messages), len(esms.sandboxed)) == (0, 1)


async def test_sending_twice_under_one_reference_is_one_sms(esms_settings: Settings, esms: EsmsStandIn) -> None:
    gateway = Esms(esms_settings)
    first, second = await gateway.send(PARCEL), await gateway.send(PARCEL)
    assert first.provider_id is not None
    assert (second.provider_id, second.status) == (None, "accepted")  # only its callback tells the id
    assert len(esms.messages) == 1


@pytest.mark.parametrize(
    ("trouble", "found"), [("drop", None), ("500 taken", None), ("reset taken", None), ("lose", "id"), ("500", "id")]
)
async def test_asking_about_an_uncertain_send_leaves_exactly_one_sms(
    esms_settings: Settings, esms: EsmsStandIn, trouble: str, found: str | None
) -> None:
    gateway = Esms(esms_settings)
    esms.next_is(trouble)
    with pytest.raises(UncertainError):
        await gateway.send(PARCEL)
    (sent,) = await gateway.find(PARCEL)
    assert (sent.provider_id is None) == (found is None)
    assert len(esms.messages) == 1
    assert [one.status for one in await gateway.find(PARCEL)] == ["accepted"]
    assert len(esms.messages) == 1


async def test_a_question_that_gets_no_answer_settles_nothing(esms_settings: Settings, esms: EsmsStandIn) -> None:
    gateway = Esms(esms_settings)
    esms.next_is("drop", "lose", "503")
    for ask in (gateway.send, gateway.find, gateway.find):
        with pytest.raises((UncertainError, TemporaryError)):
            await ask(PARCEL)
    assert len(esms.messages) == 1


@pytest.mark.parametrize(
    ("tried", "until"),
    [
        ("2026-11-24T09:00", "2026-11-24T23:55"),  # by the vendor's example it is forgotten at midnight
        ("2026-11-24T00:10", "2026-11-24T23:10"),  # 23 hours
        ("2026-11-24T20:59", "2026-11-24T23:55"),
        ("2026-11-24T23:58", "2026-11-24T23:55"),  # too late to ask at all
        ("2026-12-31T21:00", "2026-12-31T23:55"),
    ],
)
def test_it_can_be_asked_until_its_day_ends(esms_settings: Settings, tried: str, until: str) -> None:
    moments = [datetime.fromisoformat(f"{moment}+07:00") for moment in (tried, until)]
    assert Esms(esms_settings).found_until(moments[0].astimezone(UTC)) == moments[1]


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_it_is_never_asked_when_it_may_have_forgotten(tried: datetime) -> None:
    until = Esms(Settings()).found_until(tried)
    assert until - tried <= timedelta(hours=23)
    assert until < tried or local(until).date() == local(tried).date()


async def test_the_stand_in_forgets_at_midnight_so_a_later_question_would_double(settings: Settings) -> None:
    now = datetime(2026, 11, 24, 16, 50, tzinfo=UTC)  # 23:50 in Vietnam
    with EsmsStandIn(clock=lambda: now) as esms:
        gateway = Esms(with_esms(settings, esms.url))
        await gateway.send(PARCEL)
        assert gateway.found_until(now) > now
        await gateway.find(PARCEL)
        assert len(esms.messages) == 1
        tried, now = now, now + timedelta(minutes=20)
        assert gateway.found_until(tried) < now
        await gateway.find(PARCEL)
    assert len(esms.messages) == 2  # what found_until is there to prevent


@pytest.mark.parametrize("code", sorted(CODES))
async def test_every_code_of_the_table(esms_settings: Settings, esms: EsmsStandIn, code: int) -> None:
    esms.refuse(code)
    meaning = CODES[code]
    with pytest.raises((TemporaryError, PermanentError), match=f"{meaning.told} .mã {code}: ") as caught:
        await Esms(esms_settings).send(PARCEL)
    assert getattr(caught.value, "kind", "temporary") == meaning.kind
    assert esms.messages == []


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"esms_api_key": "wrong"}, "account"),
        ({"esms_secret_key": "wrong"}, "account"),
        ({"esms_brandname": "Unknown"}, "account"),
    ],
)
async def test_a_wrong_account_is_for_staff_to_mend(
    esms_settings: Settings, esms: EsmsStandIn, changes: dict[str, str], kind: str
) -> None:
    with pytest.raises(PermanentError) as caught:
        await Esms(changed(esms_settings, **changes)).send(PARCEL)
    assert caught.value.kind == kind
    assert "wrong" not in str(caught.value)


async def test_a_text_that_is_not_registered_is_refused(esms_settings: Settings, esms: EsmsStandIn) -> None:
    esms.templates = [r"TTPVHCC xa Chau Thanh: ho so \S+ da co ket qua\."]
    assert (await Esms(esms_settings).send(PARCEL)).provider_id
    with pytest.raises(PermanentError, match="146") as caught:
        await Esms(esms_settings).send(replace(PARCEL, text="Something else", reference="mc-8"))
    assert caught.value.kind == "content"


async def test_a_number_that_is_none_is_told(esms_settings: Settings, esms: EsmsStandIn) -> None:
    with pytest.raises(PermanentError, match="108") as caught:
        await Esms(esms_settings).send(replace(PARCEL, to="+842438252525"))
    assert caught.value.kind == "number"


async def test_the_vendors_invalid_request_is_temporary(esms_settings: Settings, esms: EsmsStandIn) -> None:
    esms.next_is("invalid")
    with pytest.raises(TemporaryError, match="99: Invalid request"):
        await Esms(esms_settings).send(PARCEL)


async def test_an_unknown_code_is_refused_for_good_and_logged_once(
    esms_settings: Settings, esms: EsmsStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    esms.refuse(987, 987)
    for _ in range(2):
        with pytest.raises(PermanentError, match="mã 987") as caught:
            await Esms(esms_settings).send(PARCEL)
        assert caught.value.kind == "content"
    (logged,) = [one for one in caplog.messages if "987" in one]
    assert "eSMS" in logged
    assert "84951234567" not in logged


def test_a_key_opens_the_callback_of_its_own_message_only(esms_settings: Settings) -> None:
    key = callback_key(esms_settings, 7)
    assert notice_of(esms_settings, {"notice": "7", "key": key}) == 7
    for notice, wrong in (("8", key), ("7", key[:-1]), ("7", ""), ("7", "é"), ("", key), ("-7", key), ("7" * 30, key)):
        assert notice_of(esms_settings, {"notice": notice, "key": wrong}) is None
    other = changed(esms_settings, secret_key="another key of thirty-two letters")
    assert notice_of(other, {"notice": "7", "key": key}) is None


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"SendStatus": "1"}, "queued", None),
        ({"SendStatus": "2"}, "queued", None),
        ({"SendStatus": "4"}, "failed", "SendStatus 4"),
        ({"SendStatus": "5", "SendSuccess": "1", "SendFailed": "0"}, "delivered", None),
        ({"SendStatus": "5", "SendSuccess": "0", "SendFailed": "1"}, "undelivered", "SendStatus 5"),
        ({"SendStatus": "5", "SendSuccess": "0", "SendFailed": "0"}, "sent", None),
        ({"SendStatus": "5", "SendSuccess": "many"}, "sent", None),
        ({"SendStatus": "7"}, "sent", None),
        ({"SendStatus": "42"}, "SendStatus 42", None),
    ],
)
def test_every_status_of_a_callback(fields: dict[str, str], status: str, error: str | None) -> None:
    report = report_of({"SMSID": "a1", "TotalPrice": "520.0000", **fields})
    assert report is not None
    assert (report.provider_id, report.status, report.error, report.cost) == ("a1", status, error, Decimal(520))


@pytest.mark.parametrize("price", ["", "0.0000", "-1", "NaN", "Infinity", "free"])
def test_a_price_that_is_none_is_not_told(price: str) -> None:
    report = report_of({"SMSID": "a1", "SendStatus": "7", "TotalPrice": price})
    assert report is not None
    assert report.cost is None


@pytest.mark.parametrize("fields", [{}, {"SMSID": "a1"}, {"SendStatus": "5"}, {"SMSID": "", "SendStatus": "5"}])
def test_a_callback_without_message_or_status_tells_nothing(fields: dict[str, str]) -> None:
    assert report_of(fields) is None
