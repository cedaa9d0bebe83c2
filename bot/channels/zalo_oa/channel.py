"""The Official Account as a channel: web hooks in, consultation messages out."""

from __future__ import annotations

import asyncio
import logging
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import APIRouter
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from bot.channels.photo_fetch import fetch, zalo_hosts
from bot.channels.port import Receive, SendError
from bot.channels.rendering import LIMITS, Message, shortened
from bot.channels.zalo_oa import web_hook
from bot.channels.zalo_oa.client import MAX_IMAGE, Client, attachment
from bot.channels.zalo_oa.errors import STALE, ZaloError
from bot.channels.zalo_oa.events import CHANNEL
from bot.channels.zalo_oa.oauth import OAuth
from bot.channels.zalo_oa.tokens import NO_LOGIN, Tokens
from bot.channels.zalo_oa.wire import WHOLE_SECONDS
from bot.clock import Clock, utc_now
from bot.office_accounts import id_of
from bot.settings import Settings
from bot.storage import queue
from bot.storage.database import Database
from bot.texts import phrases

log = logging.getLogger("motcua.zalo")
STATIC = Path(__file__).resolve().parents[2] / "console" / "static"
SHARE_IMAGE = "zalo-share-phone.png"
KEEP_IMAGE = timedelta(days=6)  # an uploaded picture is good for 7 days [B]
KEEPER_SECONDS = 60.0
CHECK_ACCOUNT = timedelta(hours=1)
STORE_SECONDS = 0.1  # whoever called ``send`` gets its result on the way to the database before it is cancelled
_T = phrases("channels")["zalo"]


def text_message(message: Message) -> dict[str, Any]:
    """A message with its buttons as Zalo wants it.

    Raises:
        SendError: "failed": it exceeds a limit of Zalo's (the renderer should have seen to that).
    """
    limits = LIMITS[CHANNEL]
    text = unicodedata.normalize("NFC", message.text)
    buttons: list[dict[str, Any]] = [
        # "hide": the tap isn't shown in the chat; it comes back as a text message that says the payload [B].
        {"title": button.label, "type": "oa.query.hide", "payload": button.value}
        for button in message.buttons
    ]
    if message.link:
        buttons.append(
            {"title": message.link.label, "type": "oa.open.url", "payload": {"url": message.link.url}}
        )  # fmt: skip
    if not 1 <= len(text) <= limits.text:
        raise SendError("failed", f"tin dài {len(text)} ký tự, Zalo nhận từ 1 đến {limits.text}")
    if len(buttons) > limits.buttons:
        raise SendError("failed", f"tin có {len(buttons)} nút, Zalo nhận nhiều nhất {limits.buttons}")
    for button in buttons:
        if not 1 <= len(button["title"]) <= limits.label:
            raise SendError("failed", f"tên nút dài {len(button['title'])} ký tự, Zalo nhận từ 1 đến {limits.label}")
        if isinstance(button["payload"], str) and not 1 <= len(button["payload"]) <= limits.value:
            raise SendError("failed", f"giá trị nút dài {len(button['payload'])}, Zalo nhận từ 1 đến {limits.value}")
    return {"text": text} | (attachment("", buttons=buttons) if buttons else {})


class ZaloOa:
    """The running channel (``bot.channels.port.PushChannel``)."""

    name = CHANNEL

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock = utc_now,
        transport: httpx.AsyncBaseTransport | None = None,
        account: str | None = None,
    ) -> None:
        """``account``: the office whose own account it is; None: the one that all share."""
        self.account = account
        self.settings = settings = settings.at(account)
        self.problem: str | None = None
        self.receive: Receive | None = None
        self.clock = clock
        self._database = database
        self.tokens = Tokens(settings, database, OAuth(settings, transport), clock)
        self.client = Client(settings.zalo_base_url, self.tokens, transport)
        self._account: str | None = None  # what is wrong with the account itself
        self._pictures: dict[str, tuple[str, datetime]] = {}  # name → attachment id, until when
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = False
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self, receive: Receive) -> None:
        """Opens the web hook and begins to keep the tokens fresh; Zalo need not be reachable for that."""
        self.receive = receive
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Takes nothing more, lets sends and a refresh of the tokens come to their end, closes connections."""
        self.receive = None
        self._stopping = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), WHOLE_SECONDS)
        await self.tokens.close()
        await self.client.close()
        await asyncio.sleep(STORE_SECONDS)

    def router(self) -> APIRouter:
        """The web hook; the application has one for all accounts, and the shared one opens it."""
        return web_hook.router(self) if self.account is None else APIRouter()

    def fetch_photo(self, reference: str) -> bytes:
        """The bytes of a photo, from Zalo's picture servers only (``bot.channels.photo_fetch``)."""
        return fetch(reference, zalo_hosts(self.settings.zalo_photo_hosts))

    async def send(self, recipient: str, message: Message) -> str | None:
        """Sends one message once; Zalo's id of it.

        Raises:
            SendError: see the port.
        """
        if self._stopping:
            raise SendError("retry", "dịch vụ đang dừng", timedelta(seconds=5))
        self._under_way += 1
        self._idle.clear()
        try:
            sent = await self._send(id_of(recipient), message)
        except ZaloError as error:
            if error.kind == "account":
                self._account = str(error)
            raise
        else:
            self._account = None
            return sent
        finally:
            self._told()
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _send(self, recipient: str, message: Message) -> str | None:
        if message.contact:
            base = self.settings.public_base_url or ""
            image = f"{base}/static/{SHARE_IMAGE}" if base.startswith("https://") else None
            words = unicodedata.normalize("NFC", message.text)
            return await self.client.request_user_info(recipient, _T["share_phone"], shortened(words, 500), image)
        body = text_message(message)
        if message.image:
            # The template with a picture has no room for buttons: then the picture goes ahead, alone.
            alone = "attachment" in body
            sent = await self._with_picture(recipient, message.image, {} if alone else body)
            if sent is not None and not alone:
                return sent or None
        return await self.client.send(recipient, body)

    async def _with_picture(self, recipient: str, name: str, body: dict[str, Any]) -> str | None:
        """Sends a picture of ours, with the text of ``body`` if any; Zalo's id of it, "" where it gave none.

        Whatever keeps the picture back must not keep the text back: it is then None, and the text goes alone.

        Raises:
            ZaloError: "uncertain": picture and text may have gone.
        """
        for _ in range(2):
            try:
                picture = await self._picture(name)
                if picture is None:
                    return None
                element = {"media_type": "image", "attachment_id": picture}
                return await self.client.send(recipient, body | attachment("media", elements=[element])) or ""
            except ZaloError as error:
                if error.kind == STALE:
                    self._pictures.pop(name, None)
                elif error.kind == "uncertain" and body:
                    raise
                else:
                    log.warning("không gửi được ảnh %s, chỉ gửi chữ: %s", name, error)
                    return None
        return None

    async def _picture(self, name: str) -> str | None:
        """The attachment id of a picture under ``STATIC``, uploaded where needed; None where there is none."""
        kept = self._pictures.get(name)
        if kept is not None and self.clock() < kept[1]:
            return kept[0]
        path = STATIC / name
        data = await run_in_threadpool(path.read_bytes) if path.parent == STATIC and path.is_file() else b""
        if not 0 < len(data) <= MAX_IMAGE:
            log.warning("ảnh %s: %d byte, không gửi được qua Zalo", name, len(data))
            return None
        picture = await self.client.upload_image(name, data)
        self._pictures[name] = picture, self.clock() + KEEP_IMAGE
        return picture

    def mark_delivered(self, message_ids: tuple[str, ...]) -> int:
        """Notes that messages of ours arrived; how many were news. Blocks."""
        with self._database.write() as session:
            now = self.clock()
            return sum(
                queue.mark_delivered(session, channel, one, now)
                for one in message_ids
                for channel in (CHANNEL, "zbs_uid", "zbs_phone")  # templates' receipts come to the same hook
            )

    async def _keep(self) -> None:
        checked: datetime | None = None
        while True:
            try:
                await self.tokens.current()
                if checked is None or self._account or self.clock() >= checked + CHECK_ACCOUNT:
                    told = await self.client.account()
                    checked, self._account = self.clock(), self._other(told)
            except ZaloError as error:
                if self.tokens.optional and str(error) == NO_LOGIN:
                    self._account = None
                else:
                    self._account = str(error) if error.kind == "account" else self._account
                    log.warning("Zalo OA: %s", error)
            except SQLAlchemyError:
                log.exception("chưa đọc được token Zalo")
            self._told()
            await asyncio.sleep(KEEPER_SECONDS)

    def _other(self, told: Mapping[str, Any]) -> str | None:
        """What is wrong where the tokens are those of another account than this office's."""
        mine, theirs = self.settings.zalo_oa_id, str(told.get("oa_id") or "")
        return f"token là của OA {theirs}, không phải {mine}" if mine and theirs and mine != theirs else None

    def _told(self) -> None:
        self.problem = self.tokens.problem or self._account
