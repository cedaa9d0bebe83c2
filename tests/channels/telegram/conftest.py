"""A strict stand-in of the Bot API, and the channel connected to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import SecretStr
from standins.telegram import TOKEN, TelegramStandIn

from bot.channels.telegram import Telegram
from bot.settings import Settings

PUBLIC = "https://xa.example"


@pytest.fixture
def api() -> Iterator[TelegramStandIn]:
    """A fresh stand-in."""
    with TelegramStandIn() as standin:
        yield standin


@pytest.fixture
def telegram_settings(settings: Settings, api: TelegramStandIn) -> Settings:
    """Settings of an office with a bot and without a public address."""
    return settings.model_copy(update={"telegram_token": SecretStr(TOKEN), "telegram_base_url": api.url})


@pytest.fixture
async def channel(telegram_settings: Settings) -> AsyncIterator[Telegram]:
    """A connected channel with a web hook, so that nothing but the test calls the stand-in; takes nothing in."""
    telegram = Telegram(telegram_settings.model_copy(update={"public_base_url": PUBLIC}))
    await telegram.start(lambda _incoming: None)
    yield telegram
    await telegram.stop()
