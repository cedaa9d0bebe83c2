"""Ways out for notices: Twilio and eSMS for SMS, Zalo templates, the phone simulator.

None of them keeps a connection, so ``gateway_for`` may be called as often as one likes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.clock import Clock, utc_now
from bot.notices.gateways.base import Gateway
from bot.notices.gateways.simulator import Simulator
from bot.settings import Settings, SmsGateway

if TYPE_CHECKING:
    from bot.notices.gateways.zalo_template import TokenSource

SMS = "sms"
ZALO_TEMPLATES = frozenset({"zbs_uid", "zbs_phone"})


def gateway_name(settings: Settings, channel: str, *, demo: bool) -> str:
    """The name of the gateway that ``gateway_for`` would give.

    Raises:
        ValueError: no gateway serves this channel.
    """
    if channel != SMS and channel not in ZALO_TEMPLATES:
        raise ValueError(channel)
    if demo:
        return Simulator.name
    return settings.sms_goes_through.value if channel == SMS else channel


def gateway_for(
    settings: Settings, channel: str, *, demo: bool, token: TokenSource | None = None, clock: Clock = utc_now
) -> Gateway:
    """The gateway a message goes through; the one place that keeps demo messages off real ones.

    Args:
        settings: which accounts there are.
        channel: "sms", "zbs_uid" or "zbs_phone".
        demo: whether the message belongs to a demo dossier.
        token: the Official Account's access token; without it Zalo's templates are refused.
        clock: for hours of the night.

    Raises:
        ValueError: no gateway serves this channel.
    """
    name = gateway_name(settings, channel, demo=demo)
    # Each is loaded only where it is used.
    if name == SmsGateway.TWILIO:
        from bot.notices.gateways.twilio import Twilio  # noqa: PLC0415

        return Twilio(settings)
    if name == SmsGateway.ESMS:
        from bot.notices.gateways.esms import Esms  # noqa: PLC0415

        return Esms(settings)
    if name in ZALO_TEMPLATES:
        from bot.notices.gateways.zalo_template import ZaloTemplate  # noqa: PLC0415

        return ZaloTemplate(settings, name, token, clock)
    return Simulator()
