"""Each gateway with its stand-in, and limits of time that tests can wait for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gateway_scene import NOW, with_esms, with_zalo
from notice_scene import with_twilio
from standins.esms import EsmsStandIn
from standins.twilio import TwilioStandIn
from standins.zalo_template import ZaloTemplateStandIn

from bot.notices.gateways import esms as esms_gateway
from bot.notices.gateways import twilio as twilio_gateway
from bot.notices.gateways import zalo_template
from bot.notices.gateways.wire import Limits
from bot.settings import Settings


@pytest.fixture
def twilio() -> Iterator[TwilioStandIn]:
    with TwilioStandIn(clock=lambda: NOW) as stand_in:
        yield stand_in


@pytest.fixture
def esms() -> Iterator[EsmsStandIn]:
    with EsmsStandIn(clock=lambda: NOW) as stand_in:
        yield stand_in


@pytest.fixture
def zalo() -> Iterator[ZaloTemplateStandIn]:
    with ZaloTemplateStandIn(clock=lambda: NOW) as stand_in:
        yield stand_in


@pytest.fixture
def twilio_settings(settings: Settings, twilio: TwilioStandIn) -> Settings:
    return with_twilio(settings, twilio.url)


@pytest.fixture
def esms_settings(settings: Settings, esms: EsmsStandIn) -> Settings:
    return with_esms(settings, esms.url)


@pytest.fixture
def zalo_settings(settings: Settings, zalo: ZaloTemplateStandIn) -> Settings:
    return with_zalo(settings, zalo.url)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that says nothing for a fifth of a second, or takes more than one, is given up."""
    _limit(monkeypatch, connect=5, read=0.2, total=1)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection has to come about within a fifth of a second."""
    _limit(monkeypatch, connect=0.2, read=5, total=10)


def _limit(monkeypatch: pytest.MonkeyPatch, connect: float, read: float, total: float) -> None:
    for name, seconds in (("CONNECT_SECONDS", connect), ("TIMEOUT_SECONDS", read), ("TOTAL_SECONDS", total)):
        monkeypatch.setattr(twilio_gateway, name, seconds)
    for module in (esms_gateway, zalo_template):
        monkeypatch.setattr(module, "LIMITS", Limits(connect, read, total))
