"""What the tests of the Official Account share: a clock that the test moves, a login, the service as a process."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.error import URLError
from urllib.request import urlopen

from pydantic import SecretStr
from standins.zalo_hooks import Hooks
from standins.zalo_oa import APP_ID, APP_SECRET, OA_SECRET, ZaloStandIn

from bot.channels.zalo_oa.oauth import Pair
from bot.channels.zalo_oa.tokens import store
from bot.settings import Settings
from bot.storage.database import Database
from tests.service_process import ServiceProcess
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
START = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, **how_far: float) -> None:
        self.now += timedelta(**how_far)


def log_in(settings: Settings, database: Database, zalo: ZaloStandIn, clock: Callable[[], datetime]) -> None:
    """Stores the pair that the stand-in takes."""
    access, refresh = zalo.mint()
    with database.write() as session:
        store(settings, session, Pair(access, refresh, zalo.lifetime), clock())


def stored_login(folder: Path) -> Settings:
    """Settings that seal tokens as a service with this folder does."""
    return Settings(
        var_dir=folder, zalo_app_id=APP_ID, zalo_app_secret=SecretStr(APP_SECRET), zalo_oa_secret=SecretStr(OA_SECRET)
    )


def zalo_environment(zalo: ZaloStandIn) -> dict[str, str]:
    """The settings of an office at the stand-in, as a process gets them."""
    return {
        "ZALO_APP_ID": APP_ID, "ZALO_APP_SECRET": APP_SECRET, "ZALO_OA_SECRET": OA_SECRET,
        "ZALO_OAUTH_BASE_URL": zalo.url, "ZALO_BASE_URL": zalo.url, "ZALO_PHOTO_HOSTS": zalo.place,
    }  # fmt: skip


class Service(ServiceProcess):
    """The service with its Zalo account and its web hook; ends with the ``with``.

    Attributes:
        hooks: Zalo's web hooks to it.
    """

    def __init__(self, folder: Path, zalo: ZaloStandIn, **more: str) -> None:
        super().__init__(folder, **({"MOTCUA_DEMO": "0"} | zalo_environment(zalo) | more))
        self._zalo = zalo

    def __enter__(self) -> Self:
        self.start()
        self.hooks = Hooks(self.url, self._zalo)
        wait_until(self._ready)
        return self

    def say(self, body: dict[str, Any], replies: int = 1, copies: int = 1) -> list[dict[str, Any]]:
        """A citizen says something; what they get for it."""
        zalo, user = self._zalo, body.get("sender", body.get("follower"))["id"]
        before = len(zalo.to(user))
        self.hooks.deliver(body, copies)
        assert zalo.wait_until(lambda: len(zalo.to(user)) >= before + replies), self.log()
        return zalo.to(user)[before:]

    def _ready(self) -> bool:
        assert self.is_running, self.log()
        try:
            return self.reasons().get("zalo_oa") != "đang kết nối"
        except URLError:
            return False  # it listens a moment after it told where

    def reasons(self) -> dict[str, str]:
        """What /ready tells."""
        address = self.hooks.url.replace("/webhooks/zalo-oa", "/ready")
        with urlopen(address, timeout=30) as answer:  # noqa: S310 - our own http address
            found: dict[str, str] = json.loads(answer.read())["reasons"]
        return found
