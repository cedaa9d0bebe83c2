"""The running bot: takes updates in, by polling or by web hook, and sends outbox rows out."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from contextlib import suppress
from datetime import timedelta

from fastapi import APIRouter, HTTPException, Request, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from bot.channels.photo_fetch import fetch, zalo_hosts
from bot.channels.port import Receive, SendError
from bot.channels.rendering import Message
from bot.channels.zalo_bot.client import ApiError, Client
from bot.channels.zalo_bot.updates import CHANNEL, incoming_of
from bot.clock import Clock
from bot.conversation.model import Incoming
from bot.errors import BadInputError
from bot.office_accounts import at_account, id_of, key
from bot.secrets import digest
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.single import Baton

log = logging.getLogger("motcua.zalo_bot")
WEBHOOK_PATH = "/webhooks/zalo-bot"
POLL_SECONDS = 10  # short: an update handed out to a call that nobody awaits any more is lost
STOP_SECONDS = 5.0  # longer than a call should take, an orderly stop doesn't wait
LONGEST_PAUSE = 60.0  # between polls that fail
BATON_SECONDS = 5.0  # until a replica that doesn't poll looks whether it should
_FIRST_QUIET, _LONGEST_QUIET = 30.0, 3600.0  # after "quota exceeded", which names no time


def webhook_secret(settings: Settings, account: str | None = None) -> str:
    """The secret Zalo sends back with each call: from the environment, else derived from the office's key.

    Args:
        settings: of this account (``Settings.at``).
        account: of an office, so that one bot's secret opens no other's web hook.
    """
    if settings.zalo_bot_webhook_secret is not None:
        return settings.zalo_bot_webhook_secret.get_secret_value()
    return digest(settings, "zalo-bot-webhook", account or "")


class ZaloBot:
    """``bot.channels.port.PushChannel`` for the Zalo Bot Platform."""

    name = CHANNEL

    def __init__(self, settings: Settings, database: Database, clock: Clock, account: str | None = None) -> None:
        """``account``: the office whose own bot it is; None: the one that all share."""
        settings = settings.at(account)
        assert settings.zalo_bot_token is not None  # noqa: S101 - the caller asked for it
        self.account = account
        self._path = key(WEBHOOK_PATH, account)
        self._token = settings.zalo_bot_token.get_secret_value()
        self._base = settings.zalo_bot_base_url
        self._secret = webhook_secret(settings, account)
        self._hosts = zalo_hosts(settings.zalo_photo_hosts)
        self._public = settings.public_base_url if (settings.public_base_url or "").startswith("https://") else None
        self._clock = clock
        self._baton = Baton(database, f"poll/{key(CHANNEL, account)}")
        self._client: Client | None = None
        self._receive: Receive | None = None
        self._polling: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._problems: dict[str, str] = {}  # "receive" or "send" → what is wrong with it
        self._quiet, self._quiet_until = 0.0, 0.0  # seconds of the last pause; its end (monotonic)

    @property
    def problem(self) -> str | None:
        """Why it can't work at the moment; None: all is well."""
        return next(iter(self._problems.values()), None)

    async def start(self, receive: Receive) -> None:
        """Checks the token; asks Zalo to call the web hook, or begins to poll.

        Raises:
            ApiError: it can't connect now.
        """
        self._client = client = Client(self._base, self._token)
        try:
            await client.call("getMe", {})
            if self._public:
                hook = {"url": self._public + self._path, "secret_token": self._secret}
                await client.call("setWebhook", hook)
            else:
                await self._without_hook(client)
        except ApiError as error:
            self._problems["receive"] = str(error)
            raise
        self._problems.clear()
        self._receive = receive
        if not self._public:
            self._stopping.clear()
            self._polling = asyncio.create_task(self._poll(client, receive), name="zalo_bot polling")

    async def stop(self) -> None:
        """Waits for the call under way, whose update would be lost else, and closes connections."""
        self._stopping.set()
        if self._polling is not None:
            await asyncio.wait({self._polling}, timeout=POLL_SECONDS + STOP_SECONDS)
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)  # it lets go of its connection first
            self._polling = None
        self._receive = None
        if self._client is not None:
            await self._client.close()
            self._client = None

    @staticmethod
    async def _without_hook(client: Client) -> None:
        """Ends the web hook: with one, Zalo hands nothing out."""
        try:
            await client.call("deleteWebhook", {})
        except ApiError as error:
            if error.status != 404:  # there was none
                raise

    # --- in -------------------------------------------------------------------------------------------------------

    async def _poll(self, client: Client, receive: Receive) -> None:
        """Asks for updates, one at a time and on one replica at a time, so that each citizen's stay in order."""
        pause = 1.0
        try:
            while not self._stopping.is_set():
                began = time.monotonic()
                try:
                    if not await run_in_threadpool(self._baton.held):
                        await self._rest(BATON_SECONDS)
                        continue
                    updates = await client.updates(POLL_SECONDS)
                except (ApiError, SQLAlchemyError) as error:
                    told = str(error) if isinstance(error, ApiError) else type(error).__name__
                    log.warning("không hỏi được tin, thử lại sau %.0f giây: %s", pause, told)
                    self._problems["receive"] = told
                    await self._rest(pause)
                    pause = min(pause * 2, LONGEST_PAUSE)
                    continue
                for update in updates:
                    await self._take(update, receive)
                pause = 1.0
                self._problems.pop("receive", None)
                if not updates and time.monotonic() - began < 1:
                    await self._rest(1)  # idle at once: never as fast as the network allows
        except Exception:  # a fault of ours: staff must hear of it
            log.exception("dừng hỏi tin")
            self._problems["receive"] = "dừng hỏi tin vì lỗi; khởi động lại dịch vụ"
        finally:
            await run_in_threadpool(self._baton.release)

    async def _take(self, update: object, receive: Receive) -> None:
        """Commits an update; while the database is away it is held, because nobody else has it."""
        try:
            incoming = self._incoming(update)
        except BadInputError as error:
            log.warning("bỏ qua một cập nhật: %s", error)
            return
        pause = 1.0
        while incoming is not None:
            try:
                await run_in_threadpool(receive, incoming)
            except BadInputError as error:
                log.warning("bỏ qua một tin: %s", error)
            except Exception as error:  # noqa: BLE001 - whatever it is, the message is kept and tried again
                log.warning("chưa lưu được tin, thử lại sau %.0f giây: %s", pause, type(error).__name__)
                self._problems["receive"] = f"không lưu được tin: {type(error).__name__}"
                if not self._stopping.is_set():
                    await self._rest(pause)
                    pause = min(pause * 2, LONGEST_PAUSE)
                    continue
                log.warning("dừng khi chưa lưu được một tin; tin đó bị mất")
            return

    async def _rest(self, seconds: float) -> None:
        """Sleeps, or ends at once when the service stops."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def router(self) -> APIRouter:
        """The web hook: 200 once the message is committed; Zalo repeats a call that was answered otherwise."""
        routes = APIRouter(include_in_schema=False)

        @routes.post(self._path)
        async def hook(request: Request) -> Response:
            header = request.headers.get("x-bot-api-secret-token", "")
            if not hmac.compare_digest(header.encode(), self._secret.encode()):
                log.warning("yêu cầu đến %s không có mã bí mật đúng", self._path)
                raise HTTPException(403)
            receive = self._receive
            if receive is None:
                raise HTTPException(503)
            incoming = self._read(await request.body())
            if incoming is not None:
                try:
                    await run_in_threadpool(receive, incoming)
                except BadInputError as error:
                    raise _refused(error) from None
                except SQLAlchemyError as error:
                    # Its text holds the message; only what it is called may be told.
                    log.warning("chưa lưu được tin: %s", type(error).__name__)
                    raise HTTPException(503) from None
            return Response(status_code=200)

        return routes

    def _incoming(self, update: object) -> Incoming | None:
        incoming = incoming_of(update, self._clock())
        return None if incoming is None else at_account(incoming, self.account)

    def _read(self, body: bytes) -> Incoming | None:
        try:
            return self._incoming(json.loads(body))
        except BadInputError as error:
            raise _refused(error) from None
        except (ValueError, RecursionError) as error:
            raise _refused(error) from None

    # --- out ------------------------------------------------------------------------------------------------------

    async def send(self, recipient: str, message: Message) -> str | None:
        """Sends one message; returns Zalo's id of it."""
        client = self._client
        if client is None:
            raise SendError("retry", "chưa kết nối")
        if (left := self._quiet_until - time.monotonic()) > 0:
            raise SendError("retry", "hết lượt gửi, đang chờ", timedelta(seconds=left))
        try:
            result = await client.call("sendMessage", {"chat_id": id_of(recipient), "text": message.text})
        except ApiError as error:
            raise await self._explained(client, error) from None
        self._quiet = 0.0
        self._problems.pop("send", None)
        sent = result.get("message_id") if isinstance(result, dict) else None
        return str(sent) if sent is not None else None

    async def _explained(self, client: Client, error: ApiError) -> SendError:
        """What a refused send means for this message, and for the channel."""
        if error.status == 429:
            # Of several refused at once only the first lengthens the pause.
            if self._quiet_until <= time.monotonic():
                self._quiet = min(max(self._quiet * 2, _FIRST_QUIET), _LONGEST_QUIET)
                self._quiet_until = time.monotonic() + self._quiet
            self._problems["send"] = f"hết lượt gửi: {error}"
            return SendError("retry", str(error), timedelta(seconds=self._quiet))
        if error.status == 403:
            # Grade [D]: no page says whether it is about the account or about this citizen; the account can be asked.
            with suppress(ApiError):
                await client.call("getMe", {})
                return SendError("blocked", str(error))
        if error.kind == "account":
            self._problems["send"] = str(error)
        return error

    def fetch_photo(self, reference: str) -> bytes:
        """The bytes of a photo, from Zalo's picture servers only (``bot.channels.photo_fetch``)."""
        return fetch(reference, self._hosts)


def _refused(error: Exception) -> HTTPException:
    told = str(error) if isinstance(error, BadInputError) else type(error).__name__
    log.warning("%s: tin không đúng dạng: %s", WEBHOOK_PATH, told)
    return HTTPException(400, told if isinstance(error, BadInputError) else None)
