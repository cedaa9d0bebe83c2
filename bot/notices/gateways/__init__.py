"""Ways out for SMS: Twilio, the phone simulator."""

from __future__ import annotations

from bot.notices.gateways.base import Gateway
from bot.notices.gateways.simulator import Simulator
from bot.settings import Settings


def gateway_for(settings: Settings, *, demo: bool) -> Gateway:
    """The gateway a message goes through; the one place that keeps demo messages off real ones."""
    if demo or not settings.uses_twilio:
        return Simulator()
    from bot.notices.gateways.twilio import Twilio  # noqa: PLC0415 - loaded only where it is used

    return Twilio(settings)
