from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from gateway_scene import NOW, PARCEL, PHONE, TEXT, changed
from notice_scene import with_twilio
from standins.twilio import TwilioStandIn

from bot.notices.gateways.base import PermanentError, TemporaryError
from bot.notices.gateways.twilio import CODES, NEWEST, Twilio
from bot.settings import Settings

FIELDS = {"To": PHONE, "Body": TEXT, "From": "MotCua"}


async def test_the_wire(twilio_settings: Settings, twilio: TwilioStandIn) -> None:
    sent = await Twilio(twilio_settings).send(PARCEL)
    assert twilio.messages[0]["fields"] == {
        "To": PHONE,
        "Body": TEXT,
        "From": "MotCua",
        "ValidityPeriod": "36000",  # Twilio's own limit
        "StatusCallback": "https://motcua.example/webhooks/sms/twilio/status?notice=7",
    }
    assert (sent.provider_id, sent.status, sent.cost) == (twilio.messages[0]["sid"], "queued", None)


@pytest.mark.parametrize(("left", "seconds"), [(timedelta(hours=1), "3600"), (timedelta(seconds=-5), "1")])
async def test_a_shorter_validity_is_told(
    twilio_settings: Settings, twilio: TwilioStandIn, left: timedelta, seconds: str
) -> None:
    await Twilio(twilio_settings).send(replace(PARCEL, valid_for=left))
    assert twilio.messages[0]["fields"]["ValidityPeriod"] == seconds


async def test_a_messaging_service_takes_the_senders_place(twilio_settings: Settings, twilio: TwilioStandIn) -> None:
    service = "MG" + "1" * 32
    settings = changed(twilio_settings, twilio_messaging_service_sid=service, public_base_url=None)
    await Twilio(settings).send(PARCEL)
    fields = twilio.messages[0]["fields"]
    assert fields["MessagingServiceSid"] == service
    assert fields.keys() == {"To", "Body", "MessagingServiceSid", "ValidityPeriod"}


@pytest.mark.parametrize(
    ("price", "cost"),
    [((None, "VND"), None), (("-520.00", "VND"), Decimal(520)), (("-0.285", "USD"), None), (("free", "VND"), None)],
)
async def test_what_it_costs_is_told_in_dong_only(
    twilio_settings: Settings, twilio: TwilioStandIn, price: tuple[str | None, str], cost: Decimal | None
) -> None:
    twilio.price = price
    assert (await Twilio(twilio_settings).send(PARCEL)).cost == cost
    (found,) = await Twilio(twilio_settings).find(PARCEL)
    assert found.cost == cost


@pytest.mark.parametrize("code", sorted(CODES))
async def test_every_code_of_the_table(twilio_settings: Settings, twilio: TwilioStandIn, code: int) -> None:
    twilio.refuse(code)
    meaning = CODES[code]
    with pytest.raises((TemporaryError, PermanentError), match=f"{meaning.told} .mã {code}: ") as caught:
        await Twilio(twilio_settings).send(PARCEL)
    assert getattr(caught.value, "kind", "temporary") == meaning.kind
    assert twilio.messages == []


# reference/channels.md §6.1.
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (20003, "account"), (20429, "temporary"), (21211, "number"), (21408, "account"), (21606, "account"),
        (21612, "account"), (21608, "account"), (21610, "opted_out"), (21614, "number"), (21617, "content"),
        (30003, "number"), (30004, "number"), (30005, "number"), (30006, "number"), (30007, "content"),
        (30008, "number"), (30042, "account"),
    ],
)  # fmt: skip
def test_the_codes_of_the_reference(code: int, kind: str) -> None:
    assert CODES[code].kind == kind


async def test_a_code_that_is_not_known_is_judged_by_its_status(
    twilio_settings: Settings, twilio: TwilioStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    twilio.refuse(29999)
    with pytest.raises(PermanentError, match=r"bị từ chối \(mã 29999: ") as caught:
        await Twilio(twilio_settings).send(PARCEL)
    assert caught.value.kind == "content"
    assert caplog.messages == []


async def test_errors_of_the_newer_form_are_understood(twilio_settings: Settings, twilio: TwilioStandIn) -> None:
    twilio.next_is("problem")
    with pytest.raises(PermanentError, match="mã 21211: To") as caught:
        await Twilio(twilio_settings).send(PARCEL)
    assert caught.value.kind == "number"


async def test_a_wrong_token_is_for_staff_to_mend(twilio_settings: Settings, twilio: TwilioStandIn) -> None:
    with pytest.raises(PermanentError, match="20003") as caught:
        await Twilio(changed(twilio_settings, twilio_auth_token="wrong")).send(PARCEL)
    assert caught.value.kind == "account"
    assert "wrong" not in str(caught.value)


async def test_a_number_that_is_none_is_final(twilio_settings: Settings, twilio: TwilioStandIn) -> None:
    with pytest.raises(PermanentError, match="21211") as caught:
        await Twilio(twilio_settings).send(replace(PARCEL, to="0951234567"))
    assert caught.value.kind == "number"
    assert twilio.messages == []


async def test_finding_looks_through_all_pages_of_this_number_and_text(
    twilio_settings: Settings, twilio: TwilioStandIn
) -> None:
    wanted = twilio.take(FIELDS | {"Body": "Sent from your Twilio trial account - " + TEXT})
    twilio.take(FIELDS | {"To": "+84951111222"})
    for _ in range(120):
        twilio.take(FIELDS | {"Body": "another"})
    twilio.take(FIELDS | {"Body": f"ends with {TEXT}"})
    again = twilio.take(FIELDS)
    found = await Twilio(twilio_settings).find(PARCEL)
    assert [sent.provider_id for sent in found] == [wanted["sid"], again["sid"]]
    assert twilio.lists == 2
    assert await Twilio(twilio_settings).find(replace(PARCEL, since=NOW + timedelta(minutes=1))) == []


async def test_a_message_that_is_listed_late_is_found_by_a_later_look(settings: Settings) -> None:
    now = NOW
    with TwilioStandIn(clock=lambda: now) as twilio:
        twilio.listed_after = timedelta(minutes=8)
        gateway = Twilio(with_twilio(settings, twilio.url))
        twilio.take(FIELDS)
        assert await gateway.find(PARCEL) == []
        now += gateway.settle
        assert [sent.provider_id for sent in await gateway.find(PARCEL)] == [twilio.messages[0]["sid"]]
    assert gateway.looks >= 2
    assert gateway.found_until(NOW) >= NOW + gateway.looks * gateway.settle


async def test_more_messages_than_are_looked_through_prove_nothing(
    twilio_settings: Settings, twilio: TwilioStandIn
) -> None:
    for _ in range(NEWEST):
        twilio.take(FIELDS | {"Body": "another"})
    with pytest.raises(TemporaryError, match="không thấy hết"):
        await Twilio(twilio_settings).find(PARCEL)


@pytest.mark.parametrize("listing", [401, 404, 500, "garbled", "list", "empty", "lose", "reset", "busy"])
async def test_a_list_that_cannot_be_had_is_no_answer(
    twilio_settings: Settings, twilio: TwilioStandIn, listing: str | int
) -> None:
    twilio.take(FIELDS)
    twilio.listing = listing
    with pytest.raises(TemporaryError, match="không hỏi được Twilio"):
        await Twilio(twilio_settings).find(PARCEL)


@pytest.mark.usefixtures("impatient")
async def test_a_list_that_hangs_is_no_answer(twilio_settings: Settings, twilio: TwilioStandIn) -> None:
    twilio.listing = "hang"
    with pytest.raises(TemporaryError):
        await Twilio(twilio_settings).find(PARCEL)


@pytest.mark.usefixtures("impatient")
async def test_a_list_that_does_not_end_is_no_answer(twilio_settings: Settings, twilio: TwilioStandIn) -> None:
    twilio.listing = "slow"
    with pytest.raises(TemporaryError, match="TimeoutError"):
        await Twilio(twilio_settings).find(PARCEL)
