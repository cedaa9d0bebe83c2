from __future__ import annotations

from datetime import timedelta

import pytest
from notice_scene import MORNING, PHONE, Office, with_twilio
from standins.twilio import TwilioStandIn

from bot.notices.gateways.base import PermanentError, Sms, TemporaryError
from bot.notices.gateways.twilio import Twilio

TEXT = "TTPVHCC xa Chau Thanh: ho so H30.99.01-261116-0001 da co ket qua."
NOTICE = Sms(7, PHONE, TEXT, timedelta(days=7))


def test_the_longest_validity_is_twilios(office: Office, twilio: TwilioStandIn) -> None:
    Twilio(office.settings).send(NOTICE)
    fields = twilio.messages[0]["fields"]
    assert fields["ValidityPeriod"] == "36000"
    assert fields["From"] == "MotCua"


def test_a_messaging_service_takes_the_senders_place(office: Office, twilio: TwilioStandIn) -> None:
    service = "MG" + "1" * 32
    settings = with_twilio(office.settings, twilio.url, twilio_messaging_service_sid=service, public_base_url=None)
    Twilio(settings).send(NOTICE)
    fields = twilio.messages[0]["fields"]
    assert fields["MessagingServiceSid"] == service
    assert "From" not in fields
    assert "StatusCallback" not in fields


def test_a_wrong_token_is_for_staff_to_mend(office: Office, twilio: TwilioStandIn) -> None:
    settings = with_twilio(office.settings, twilio.url, twilio_auth_token="wrong")
    with pytest.raises(PermanentError, match="20003") as caught:
        Twilio(settings).send(NOTICE)
    assert caught.value.admin
    assert "wrong" not in str(caught.value)


def test_a_number_that_is_none_is_final(office: Office, twilio: TwilioStandIn) -> None:
    with pytest.raises(PermanentError, match="21211") as caught:
        Twilio(office.settings).send(Sms(7, "0951234567", TEXT, timedelta(days=1)))
    assert not caught.value.admin
    assert twilio.messages == []


def test_a_host_that_does_not_resolve_is_temporary(office: Office) -> None:
    with pytest.raises(TemporaryError):
        Twilio(with_twilio(office.settings, "http://nowhere.invalid")).send(NOTICE)


def test_finding_looks_through_all_pages_of_this_number_and_text(office: Office, twilio: TwilioStandIn) -> None:
    gateway = Twilio(office.settings)
    fields = {"To": PHONE, "Body": "Sent from your Twilio trial account - " + TEXT, "From": "MotCua"}
    wanted = twilio.take(fields)
    twilio.take(fields | {"To": "+84951111222"})
    for _ in range(120):
        twilio.take(fields | {"Body": "another"})
    again = twilio.take(fields)
    found = gateway.find(PHONE, TEXT, MORNING - timedelta(minutes=1))
    assert [sent.provider_id for sent in found] == [wanted["sid"], again["sid"]]
    assert gateway.find(PHONE, TEXT, MORNING + timedelta(minutes=1)) == []


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_list_that_cannot_be_had_is_no_answer(office: Office, twilio: TwilioStandIn, status: int) -> None:
    twilio.listing = status
    with pytest.raises(TemporaryError):
        Twilio(office.settings).find(PHONE, TEXT, MORNING)
