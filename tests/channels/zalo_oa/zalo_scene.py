"""What the tests of the Official Account share: a clock that the test moves, a login, the service as a process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
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

ROOT = Path(__file__).resolve().parents[3]
_OURS = ("MOTCUA", "TELEGRAM", "TWILIO", "ZALO", "PUBLIC_BASE_URL", "PORT")
_NUMBERS = count(1)
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


class Service:
    """``python -m bot serve`` as a process of its own, with its web hook; ends with the ``with``.

    Attributes:
        hooks: Zalo's web hooks to it.
        log: everything it logged so far.
    """

    def __init__(self, folder: Path, zalo: ZaloStandIn, **more: str) -> None:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
        self.environment = clean | zalo_environment(zalo) | {"MOTCUA_VAR_DIR": str(folder), "PORT": "0"} | more
        folder.mkdir(parents=True, exist_ok=True)
        models = folder / "models"
        if not models.exists():  # trained once for all tests
            models.symlink_to(ROOT / "var" / "models")
        self._zalo = zalo
        self._log = folder / f"log-{next(_NUMBERS)}"

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bot", "serve"],
                env=self.environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                self.hooks = Hooks(found[0], self._zalo)
                break
        else:
            raise AssertionError(self.log)
        wait_until(self._ready)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate()

    def say(self, body: dict[str, Any], replies: int = 1, copies: int = 1) -> list[dict[str, Any]]:
        """A citizen says something; what they get for it."""
        zalo, user = self._zalo, body.get("sender", body.get("follower"))["id"]
        before = len(zalo.to(user))
        self.hooks.deliver(body, copies)
        assert zalo.wait_until(lambda: len(zalo.to(user)) >= before + replies), self.log
        return zalo.to(user)[before:]

    def kill(self) -> None:
        """As a power cut does."""
        self.process.kill()
        self.process.wait()

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8")

    def _ready(self) -> bool:
        assert self.process.poll() is None, self.log
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


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Waits for what no event tells: a state in the database of another process."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "never came"
        time.sleep(0.02)
