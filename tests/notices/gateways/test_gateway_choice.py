from __future__ import annotations

from datetime import timedelta

import pytest
from gateway_scene import NOW, PARCEL, Tokens, changed, with_esms, with_zalo
from notice_scene import with_twilio

from bot.notices.gateways import gateway_for, gateway_name
from bot.notices.gateways.base import PermanentError
from bot.settings import Settings

NOWHERE = "http://127.0.0.1:9"


def test_sms_go_through_twilio_then_esms_then_the_simulator(settings: Settings) -> None:
    both = with_twilio(with_esms(settings, NOWHERE), NOWHERE)
    for one, name in (
        (settings, "simulator"),
        (with_esms(settings, NOWHERE), "esms"),
        (both, "twilio"),
        (changed(both, sms_gateway="esms"), "esms"),
        (changed(both, sms_gateway="twilio"), "twilio"),
        (changed(both, sms_gateway="simulator"), "simulator"),
    ):
        assert gateway_name(one, "sms", demo=False) == name
        assert gateway_for(one, "sms", demo=False).name == name


@pytest.mark.parametrize("channel", ["sms", "zbs_uid", "zbs_phone"])
def test_demo_messages_never_go_through_a_real_gateway(settings: Settings, channel: str) -> None:
    everything = with_zalo(with_twilio(with_esms(settings, NOWHERE), NOWHERE), NOWHERE)
    assert gateway_name(everything, channel, demo=True) == "simulator"
    assert gateway_for(everything, channel, demo=True, token=Tokens()).name == "simulator"


@pytest.mark.parametrize("channel", ["zbs_uid", "zbs_phone"])
async def test_without_a_token_zalo_templates_are_refused(settings: Settings, channel: str) -> None:
    settings = with_zalo(settings, NOWHERE)
    assert gateway_for(settings, channel, demo=False, token=Tokens()).name == channel
    with pytest.raises(PermanentError) as caught:
        await gateway_for(settings, channel, demo=False).send(PARCEL)
    assert caught.value.kind == "account"


@pytest.mark.parametrize("demo", [True, False])
def test_other_channels_have_no_gateway(settings: Settings, demo: bool) -> None:
    with pytest.raises(ValueError, match="telegram"):
        gateway_for(settings, "telegram", demo=demo)


async def test_the_simulator_takes_everything(settings: Settings) -> None:
    simulator = gateway_for(settings, "sms", demo=False)
    assert (await simulator.send(PARCEL)).status == "sent"
    assert await simulator.find(PARCEL) == []
    assert simulator.found_until(NOW) > NOW + timedelta(days=365)
    await simulator.close()
