"""The running bot: takes updates in, sends outbox rows out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from telegram import LinkPreviewOptions
from telegram.constants import ParseMode
from telegram.error import BadRequest, Conflict, InvalidToken, TelegramError
from telegram.ext import AIORateLimiter, ExtBot
from telegram.request import HTTPXRequest

from bot.channels.port import Receive, SendError
from bot.channels.rendering import Message, utf16
from bot.channels.telegram import outgoing, photos, webhook
from bot.channels.telegram.incoming import CHANNEL, UPDATES, taken_of
from bot.channels.trust import trust
from bot.clock import Clock, utc_now
from bot.errors import BadInputError
from bot.office_accounts import at_account, id_of
from bot.settings import Settings
from bot.texts import phrases

log = logging.getLogger("motcua.telegram")
IMAGES = Path(__file__).resolve().parents[2] / "console" / "static"
POLL_SECONDS = 30
LONGEST_PAUSE = 30.0
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
_TWO_POLLERS = "một tiến trình khác cũng đang hỏi tin bằng TELEGRAM_TOKEN này; chỉ chạy một, hoặc đặt PUBLIC_BASE_URL"
_HOOK_SET = "có nơi khác vừa đặt web hook cho bot này, nên không hỏi tin được"


class CannotConnectError(Exception):
    """Telegram can't be reached or refuses the bot; the text holds no secret."""


class _Api(ExtBot[int]):
    """The library's bot, with updates as they came: its own reading of a batch fails as a whole, and logs it."""

    async def raw_updates(self, offset: int | None) -> list[Any]:
        """Waits for updates from ``offset`` on; asking for a later one confirms the earlier for good."""
        arguments = {"offset": offset, "timeout": POLL_SECONDS, "allowed_updates": list(UPDATES)}
        found = await self._post("getUpdates", arguments, read_timeout=POLL_SECONDS + 10)
        return found if isinstance(found, list) else []


class Telegram:
    """The channel (``bot.channels.port.PushChannel``)."""

    name = CHANNEL

    def __init__(self, settings: Settings, clock: Clock = utc_now, account: str | None = None) -> None:
        """``account``: the office whose own bot it is; None: the one that all share."""
        settings = settings.at(account)
        assert settings.telegram_token is not None  # noqa: S101 - the caller asked for it
        self.account = account
        self.settings = settings
        self.problem: str | None = None
        self._clock = clock
        self._token = settings.telegram_token.get_secret_value()
        self._base = settings.telegram_base_url
        public = settings.public_base_url or ""
        self._public = public if public.startswith("https://") else None
        self._receive: Receive | None = None
        self._offset: int | None = None
        self._polling: asyncio.Task[None] | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self._file_ids: dict[str, str] = {}  # picture → Telegram's id of it, once uploaded
        self.bot = _Api(
            self._token,
            base_url=f"{self._base}/bot",
            base_file_url=f"{self._base}/file/bot",
            request=HTTPXRequest(
                connection_pool_size=16,
                connect_timeout=10,
                read_timeout=20,
                write_timeout=20,
                httpx_kwargs={"verify": trust()},
            ),
            get_updates_request=HTTPXRequest(
                connection_pool_size=1, connect_timeout=10, httpx_kwargs={"verify": trust()}
            ),
            # 30 messages a second overall. What Telegram asks beyond it is the outbox's business: one citizen's
            # waiting must not hold up the others.
            rate_limiter=AIORateLimiter(max_retries=0),
        )

    async def start(self, receive: Receive) -> None:
        """Connects; asks Telegram to call the web hook, or begins to poll.

        Raises:
            CannotConnectError: with the reason, which is also ``problem``.
        """
        self._receive = receive
        try:
            await self.bot.initialize()
            await self._introduce()
            if self._public:
                secret = webhook.webhook_secret(self.settings, self.account)
                url = self._public + webhook.path_of(self.account)
                await self.bot.set_webhook(url, secret_token=secret, allowed_updates=UPDATES)
            else:
                await self.bot.delete_webhook()
        except TelegramError as error:
            self.problem = str(outgoing.failure(error))
            # Without the library's error: that of a wrong token holds it.
            raise CannotConnectError(self.problem) from None
        self.problem = None
        if not self._public:
            self._polling = asyncio.create_task(self._poll(), name="telegram polling")

    async def _introduce(self) -> None:
        """Shows our commands in Telegram's menu; nothing depends on it."""
        commands = phrases("channels")["telegram"]["commands"]
        try:
            await self.bot.set_my_commands([(name, known["about"]) for name, known in commands.items()])
        except InvalidToken:
            raise
        except TelegramError as error:
            log.warning("không đặt được danh sách lệnh: %s", outgoing.failure(error))

    async def stop(self) -> None:
        """Stops polling and closes connections; what was not committed is asked for again after the next start."""
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)
            self._polling = None
        await asyncio.gather(*self._answering, return_exceptions=True)
        await self.bot.shutdown()

    def router(self) -> APIRouter:
        """The web hook's route; Telegram repeats a call that was answered with 503."""
        return webhook.router(self.settings, self.account, lambda: self._receive is not None, self._take)

    async def _take(self, data: object) -> int:
        """Commits one update to the inbox; a button's query is answered whatever comes of it.

        Returns:
            The update's number.

        Raises:
            BadInputError: it is no update.
            Exception: of the database.
        """
        taken = taken_of(data, self.bot, self._clock())
        try:
            if taken.incoming is not None and self._receive is not None:
                await run_in_threadpool(self._receive, at_account(taken.incoming, self.account))
        finally:
            if taken.query is not None:
                self._beside(self._answer(taken.query))
        return taken.number

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, query: str) -> None:
        """Ends the button's spinner. Too late or refused: the tap itself is safe in the inbox."""
        with suppress(TelegramError):
            await self.bot.answer_callback_query(query, connect_timeout=5, read_timeout=5)

    async def _poll(self) -> None:
        """Asks for updates for ever.

        An update is confirmed, by asking for later ones, only once it is committed; the library's own updater
        confirms it as soon as it has it.
        """
        pause = 1.0
        while True:
            wait = None
            try:
                for data in await self.bot.raw_updates(self._offset):
                    await self._take_polled(data)
                self.problem, pause = None, 1.0
                continue
            except TelegramError as error:
                self.problem, wait = _polling_problem(error), outgoing.failure(error).delay
            except Exception as error:  # noqa: BLE001 - whatever the database had: asked for again
                self.problem = f"không ghi được tin: {type(error).__name__}"
            seconds = wait.total_seconds() if wait else pause
            log.warning("Telegram: %s; hỏi lại sau %.0f giây", self.problem, seconds)
            await asyncio.sleep(seconds)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _take_polled(self, data: Any) -> None:
        try:
            number = await self._take(data)
        except BadInputError as error:
            # It would come again for ever and hold up all others.
            log.warning("Telegram: bỏ tin sai dạng: %s", error)
            number = data["update_id"]
        self._offset = number + 1

    async def send(self, recipient: str, message: Message) -> str | None:
        """Sends one message, or puts it in the place of the one it ``edits``; returns Telegram's id of it."""
        chat = id_of(recipient)
        outgoing.check(chat, message)
        try:
            provider_id = await self._sent(int(chat), message)
        except SendError as error:
            if error.kind == "account":
                self.problem = outgoing.BAD_TOKEN
            raise
        if self.problem == outgoing.BAD_TOKEN:
            self.problem = None
        return provider_id

    async def _sent(self, chat: int, message: Message) -> str:
        if message.edits and message.edits.isdigit() and not message.contact:
            try:
                if await self._edited(chat, int(message.edits), message):
                    return message.edits
            except TelegramError as error:
                raise outgoing.failure(error, repeatable=True) from None
        try:
            return await self._new(chat, message)
        except TelegramError as error:
            raise outgoing.failure(error) from None

    async def _edited(self, chat: int, message_id: int, message: Message) -> bool:
        """Whether it stands there now; False where that message can't be changed any more."""
        try:
            await self.bot.edit_message_text(
                outgoing.marked(message.text), chat, message_id, parse_mode=ParseMode.HTML,
                reply_markup=outgoing.inline(message), link_preview_options=_NO_PREVIEW,
            )  # fmt: skip
        except BadRequest as error:
            if outgoing.is_not_to_edit(error):
                return False
            if not outgoing.is_unchanged(error):
                raise
        return True

    async def _new(self, chat: int, message: Message) -> str:
        text, below = outgoing.marked(message.text), outgoing.markup(message)
        picture = self._picture(message)
        if picture is None:
            sent = await self.bot.send_message(
                chat, text, parse_mode=ParseMode.HTML, reply_markup=below, link_preview_options=_NO_PREVIEW
            )
            return str(sent.message_id)
        known = self._file_ids.get(picture.name)
        try:
            sent = await self.bot.send_photo(
                chat, known or picture, caption=text, parse_mode=ParseMode.HTML, reply_markup=below
            )
        except BadRequest as error:
            if known is None or "file identifier" not in error.message.lower():
                raise
            self._file_ids.pop(picture.name, None)  # Telegram has forgotten it: uploaded again
            return await self._new(chat, message)
        if sent.photo:
            self._file_ids[picture.name] = sent.photo[-1].file_id
        return str(sent.message_id)

    def _picture(self, message: Message) -> Path | None:
        """The picture that goes along; none where the text is too long for a caption: one row is one send."""
        if not message.image or utf16(message.text) > outgoing.CAPTION:
            return None
        picture = IMAGES / message.image
        return picture if picture.parent == IMAGES and picture.is_file() else None

    def fetch_photo(self, reference: str) -> bytes:
        """The bytes of a citizen's photo; blocks.

        Raises:
            FetchError: see ``bot.channels.telegram.photos``.
        """
        return photos.fetch(self._base, self._token, reference)


def _polling_problem(error: TelegramError) -> str:
    if isinstance(error, Conflict):
        return _HOOK_SET if "webhook" in error.message.lower() else _TWO_POLLERS
    return str(outgoing.failure(error))
