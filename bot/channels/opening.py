"""Which channels the settings switch on."""

from __future__ import annotations

from bot.channels.port import PushChannel
from bot.clock import Clock
from bot.notices.gateways.pool import Gateways
from bot.notices.gateways.zalo_template import TokenSource
from bot.settings import Settings
from bot.storage.database import Database


def open_channels(settings: Settings, database: Database, clock: Clock) -> list[PushChannel]:
    """The channels that push, not connected yet; each library is imported only where its channel is on."""
    channels: list[PushChannel] = []
    if telegram := settings.accounts("telegram_token"):
        from bot.channels.telegram import Telegram  # noqa: PLC0415

        channels += [Telegram(settings, clock, account) for account in telegram]
    if zalo_bots := settings.accounts("zalo_bot_token"):
        from bot.channels.zalo_bot import ZaloBot  # noqa: PLC0415

        channels += [ZaloBot(settings, database, clock, account) for account in zalo_bots]
    if settings.has_zalo_oa:
        from bot.channels.zalo_oa.channel import ZaloOa  # noqa: PLC0415

        accounts = [None, *settings.owners("zalo_oa_id")]
        channels += [ZaloOa(settings, database, clock, account=account) for account in accounts]
    return channels


def open_gateways(settings: Settings, database: Database, clock: Clock) -> Gateways:
    """The gateways of notices, with the Official Account's token where there is one."""
    token: TokenSource | None = None
    if settings.has_zalo_oa:
        from bot.channels.zalo_oa.template_token import TemplateToken  # noqa: PLC0415

        token = TemplateToken(settings, database, clock)
    return Gateways(settings, token)
