"""The whole service behind its web hooks, with every channel connected to its stand-in; nothing is worked off."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlmodel import delete, select
from standins.telegram import TOKEN as TELEGRAM_TOKEN
from standins.telegram import TelegramStandIn
from standins.twilio import ACCOUNT, SENDER, TOKEN, signed_form
from standins.zalo_bot import TOKEN as ZALO_BOT_TOKEN
from standins.zalo_bot import ZaloBotStandIn
from standins.zalo_hooks import mac
from standins.zalo_oa import APP_ID, APP_SECRET, OA_SECRET, ZaloStandIn

from bot.api.app import create_app
from bot.channels.opening import open_channels
from bot.channels.telegram.webhook import webhook_secret as telegram_secret
from bot.channels.zalo_bot.channel import webhook_secret as zalo_bot_secret
from bot.clock import utc_now
from bot.conversation.talk import Talk
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Inbox
from tests.waiting import wait_until

PUBLIC = "https://motcua.example"
SMS_SECRET = "a secret of more than thirty-two letters"


class Keeping(Service):
    """Takes in and answers nothing, so that what is kept stays as it came."""

    def work_off(self, only: int | None = None, most: int = 1) -> frozenset[str]:  # noqa: ARG002 - the parent's
        return frozenset()


@dataclass
class Hooks:
    """Each method calls a web hook as its provider does, rightly signed, and gives the HTTP status."""

    http: TestClient
    settings: Settings
    database: Database

    def telegram(self, raw: bytes) -> int:
        return self._post("telegram", raw, {"x-telegram-bot-api-secret-token": telegram_secret(self.settings)})

    def zalo_bot(self, raw: bytes) -> int:
        return self._post("zalo-bot", raw, {"x-bot-api-secret-token": zalo_bot_secret(self.settings)})

    def zalo_oa(self, raw: bytes) -> int:
        return self._post("zalo-oa", raw, {"x-zevent-signature": f"mac={mac(raw, _timestamp(raw))}"})

    def generic(self, raw: bytes, kind: str = "application/json") -> int:
        at = str(int(utc_now().timestamp()))
        signature = hmac.new(SMS_SECRET.encode(), f"{at}.".encode() + raw, hashlib.sha256).hexdigest()
        headers = {"content-type": kind, "x-motcua-timestamp": at, "x-motcua-signature": signature}
        return self._post("sms/generic/inbound", raw, headers)

    def twilio(self, what: str, fields: dict[str, str]) -> int:
        url = f"{PUBLIC}/webhooks/sms/twilio/{what}"
        body, headers = signed_form(url, fields)
        return self._post(f"sms/twilio/{what}", body, headers)

    def esms(self, fields: dict[str, str]) -> int:
        return self.http.get(f"/webhooks/sms/esms/status?{urlencode(fields)}").status_code

    def _post(self, name: str, raw: bytes, headers: dict[str, str]) -> int:
        return self.http.post(f"/webhooks/{name}", content=raw, headers=headers).status_code

    def believed(self) -> list[Inbox]:
        """What was taken in since it was last asked."""
        with self.database.write() as session:
            rows = list(session.exec(select(Inbox)))
            session.exec(delete(Inbox))
        return rows


def _timestamp(raw: bytes) -> str:
    try:
        body = json.loads(raw)
        return str(body["timestamp"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""


@contextmanager
def hooks_of(settings: Settings, database: Database, talk: Talk) -> Iterator[Hooks]:
    """The running service; ends with the ``with``."""
    with ExitStack() as stack:
        telegram, zalo = stack.enter_context(TelegramStandIn()), stack.enter_context(ZaloStandIn())
        zalo_bot = stack.enter_context(closing(ZaloBotStandIn()))
        values: dict[str, Any] = {
            "public_base_url": PUBLIC,
            "telegram_token": SecretStr(TELEGRAM_TOKEN), "telegram_base_url": telegram.url,
            "zalo_bot_token": SecretStr(ZALO_BOT_TOKEN), "zalo_bot_base_url": zalo_bot.url,
            "zalo_app_id": APP_ID, "zalo_app_secret": SecretStr(APP_SECRET), "zalo_oa_secret": SecretStr(OA_SECRET),
            "zalo_oauth_base_url": zalo.url, "zalo_base_url": zalo.url, "zalo_photo_hosts": zalo.place,
            "twilio_account_sid": ACCOUNT, "twilio_auth_token": SecretStr(TOKEN), "twilio_from": SENDER,
            "sms_inbound_secret": SecretStr(SMS_SECRET),
        }  # fmt: skip
        office = settings.model_copy(update=values)
        channels = open_channels(office, database, utc_now)
        app = create_app(office, database, Keeping(office, database, talk), channels)
        http = stack.enter_context(TestClient(app, base_url="http://127.0.0.1"))
        wait_until(lambda: telegram.hook is not None and zalo_bot.hook is not None)
        wait_until(lambda: "đang kết nối" not in http.get("/ready").json()["reasons"].values())
        yield Hooks(http, office, database)
