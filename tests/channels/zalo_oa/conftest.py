"""An office with an Official Account at the stand-in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from standins.zalo_oa import APP_ID, APP_SECRET, OA_SECRET, ZaloStandIn
from zalo_scene import Clock

from bot.settings import Settings


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def zalo(clock: Clock) -> Iterator[ZaloStandIn]:
    with ZaloStandIn(clock) as stand_in:
        yield stand_in


@pytest.fixture
def office(settings: Settings, zalo: ZaloStandIn) -> Settings:
    return settings.model_copy(
        update={
            "zalo_app_id": APP_ID,
            "zalo_app_secret": SecretStr(APP_SECRET),
            "zalo_oa_secret": SecretStr(OA_SECRET),
            "zalo_oauth_base_url": zalo.url,
            "zalo_base_url": zalo.url,
            "zalo_photo_hosts": zalo.place,
            "public_base_url": "https://motcua.example.vn",
        }
    )
