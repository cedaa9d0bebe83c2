"""Telegram through python-telegram-bot: long polling without a public address, a web hook with one.

The library parses updates and sends; order, duplicates and memory are the queue's
business, so updates are committed to the inbox and replies come from the outbox.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from bot.channels.port import FetchError, Receive, SendError
from bot.channels.rendering import Message
from bot.conversation.model import Incoming
from bot.secrets import secret_key
from bot.settings import Settings

if TYPE_CHECKING:
    from telegram import Bot, Update

log = logging.getLogger("motcua.telegram")
# The library's own switch to the type that its next major version gives for ``retry_after``.
os.environ.setdefault("PTB_TIMEDELTA", "true")
CHANNEL = "telegram"
UPDATES = ["message", "callback_query"]
WEBHOOK_PATH = "/webhooks/telegram"


def webhook_secret(settings: Settings) -> str:
    """The secret Telegram sends back with each call: from the environment, else derived from the office's key."""
    if settings.telegram_webhook_secret is not None:
        return settings.telegram_webhook_secret.get_secret_value()
    return hmac.new(secret_key(settings), b"telegram-webhook", hashlib.sha256).hexdigest()


def verified(settings: Settings, header: str | None) -> bool:
    """Whether a call carries the secret (constant time)."""
    return hmac.compare_digest((header or "").encode(), webhook_secret(settings).encode())


def incoming_of(update: Update) -> Incoming | None:
    """An update as a message; None where it is nothing a citizen said in a private chat."""
    query = update.callback_query
    if query is not None:
        if query.data is None or query.message is None or query.message.chat.type != "private":
            return None
        # A button carries no time of its own; its message's is older.
        from bot.clock import utc_now  # noqa: PLC0415

        return Incoming(CHANNEL, str(query.from_user.id), f"c{query.id}", query.data, utc_now())
    message = update.message
    if message is None or message.chat.type != "private" or message.from_user is None:
        return None
    sender, at = str(message.from_user.id), message.date.astimezone(UTC)
    message_id = f"m{message.chat.id}:{message.message_id}"
    if message.text is not None:
        return Incoming(CHANNEL, sender, message_id, message.text, at)
    if message.contact is not None:
        own = message.contact.user_id == message.from_user.id
        phone = f"+{message.contact.phone_number.lstrip('+')}" if own else None
        return Incoming(CHANNEL, sender, message_id, "", at, kind="contact", phone=phone)
    return Incoming(CHANNEL, sender, message_id, message.caption or "", at, kind="photo" if message.photo else "other")


def keyboard(message: Message) -> Any:
    """Buttons as an inline keyboard, one a row; the limits are the renderer's business."""
    from telegram import InlineKeyboardButton, InlineKeyboardMarkup  # noqa: PLC0415

    rows = [[InlineKeyboardButton(button.label, callback_data=button.value)] for button in message.buttons]
    if message.link:
        rows.append([InlineKeyboardButton(message.link.label, url=message.link.url)])
    return InlineKeyboardMarkup(rows) if rows else None


class Telegram:
    """The running bot: takes updates in, sends outbox rows out."""

    name = CHANNEL

    def __init__(self, settings: Settings) -> None:
        from telegram.ext import Application  # noqa: PLC0415
        from telegram.request import HTTPXRequest  # noqa: PLC0415

        assert settings.telegram_token is not None  # noqa: S101 - the caller asked for it
        token = settings.telegram_token.get_secret_value()
        request = HTTPXRequest(connection_pool_size=8, connect_timeout=10, read_timeout=20, write_timeout=20)
        builder = Application.builder().token(token).request(request).get_updates_request(HTTPXRequest(read_timeout=40))
        base = settings.telegram_base_url
        builder = builder.base_url(f"{base}/bot").base_file_url(f"{base}/file/bot")
        self.settings = settings
        self._receive: Receive | None = None
        self.problem: str | None = None
        self._public = settings.public_base_url if (settings.public_base_url or "").startswith("https://") else None
        self._application: Any = (builder.updater(None) if self._public else builder).build()

    @property
    def bot(self) -> Bot:
        """The bot's API."""
        bot: Bot = self._application.bot
        return bot

    async def start(self, receive: Receive) -> None:
        """Connects; asks Telegram to call the web hook, or starts polling."""
        from telegram import Update  # noqa: PLC0415
        from telegram.ext import TypeHandler  # noqa: PLC0415

        self._receive = receive
        self._application.add_handler(TypeHandler(Update, self._on_update))
        await self._application.initialize()
        await self._application.start()
        if self._public:
            await self.bot.set_webhook(
                self._public + WEBHOOK_PATH, secret_token=webhook_secret(self.settings), allowed_updates=UPDATES
            )
        else:
            await self._application.updater.start_polling(
                allowed_updates=UPDATES, timeout=30, error_callback=lambda error: log.warning("Telegram: %s", error)
            )

    async def stop(self) -> None:
        """Stops polling and closes connections."""
        if self._application.updater is not None and self._application.updater.running:
            await self._application.updater.stop()
        await self._application.stop()
        await self._application.shutdown()

    async def _on_update(self, update: Update, _context: Any) -> None:
        await self.take(update, run_in_threadpool)

    async def take(self, update: Update, in_thread: Callable[..., Any]) -> None:
        """Commits one update to the inbox and answers a button's spinner."""
        from telegram.error import TelegramError  # noqa: PLC0415

        incoming = incoming_of(update)
        if incoming is not None:
            await in_thread(self._receive, incoming)
        if update.callback_query is not None:
            # Too late or already answered: the message itself is safe in the inbox.
            with suppress(TelegramError):
                await update.callback_query.answer()

    def router(self) -> APIRouter:
        """The web hook; Telegram repeats a call that was answered with 503."""
        routes = APIRouter(include_in_schema=False)

        @routes.post(WEBHOOK_PATH)
        async def hook(request: Request) -> Response:
            if not verified(self.settings, request.headers.get("x-telegram-bot-api-secret-token")):
                raise HTTPException(403)
            if self._receive is None:
                raise HTTPException(503)
            try:
                data = await request.json()
            except ValueError as error:
                raise HTTPException(400) from error
            if not isinstance(data, dict) or "update_id" not in data:
                raise HTTPException(400)
            await self._take_json(data)
            return Response(status_code=200)

        return routes

    async def _take_json(self, data: dict[str, Any]) -> None:
        from telegram import Update  # noqa: PLC0415

        update = Update.de_json(data, self.bot)
        if update is not None:
            await self.take(update, run_in_threadpool)

    async def send(self, recipient: str, message: Message) -> str | None:
        """Sends one message; returns Telegram's id of it."""
        from telegram.error import TelegramError  # noqa: PLC0415

        try:
            sent = await self.bot.send_message(
                chat_id=int(recipient), text=message.text, reply_markup=keyboard(message)
            )
        except TelegramError as error:
            kind, delay = how_it_failed(error)
            raise SendError(kind, f"{type(error).__name__}: {error}", delay) from error
        return str(sent.message_id)

    def fetch_photo(self, reference: str) -> bytes:
        """Not yet."""
        raise FetchError(reference, final=True)


def how_it_failed(error: Exception) -> tuple[str, timedelta | None]:
    """A send's error → ("retry" | "failed" | "uncertain", delay that Telegram asks for)."""
    from telegram.error import BadRequest, Forbidden, InvalidToken, NetworkError, RetryAfter, TimedOut  # noqa: PLC0415

    if isinstance(error, RetryAfter):
        after = error.retry_after
        return "retry", after if isinstance(after, timedelta) else timedelta(seconds=after)
    if isinstance(error, (Forbidden, BadRequest)):
        return "failed", None
    if isinstance(error, InvalidToken):
        return "retry", timedelta(minutes=10)
    if isinstance(error, TimedOut):
        # The request may have arrived: saying it again could say it twice.
        return "uncertain", None
    if isinstance(error, NetworkError):
        connected = "ConnectError" not in str(error) and "ConnectError" not in repr(error.__cause__)
        return ("uncertain", None) if connected else ("retry", None)
    return "retry", None
