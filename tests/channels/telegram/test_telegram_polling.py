"""Long polling: an update is confirmed only once it is in the inbox."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from standins.telegram import TOKEN, TelegramStandIn
from standins.telegram_limits import RefusedError, too_many

from bot.channels.port import Receive
from bot.channels.telegram import Telegram
from bot.channels.telegram import channel as channel_module
from bot.conversation.model import Incoming
from bot.errors import BadInputError
from bot.settings import Settings


class Inbox:
    """Takes messages in, unless it is told to fail."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.faults: list[Exception] = []
        self.taken = threading.Condition()

    def receive(self, incoming: Incoming) -> None:
        with self.taken:
            if self.faults:
                raise self.faults.pop(0)
            self.texts.append(incoming.text)
            self.taken.notify_all()

    async def has(self, *texts: str) -> bool:
        def wait() -> bool:
            with self.taken:
                return self.taken.wait_for(lambda: self.texts == list(texts), 30)

        return await asyncio.to_thread(wait)


@asynccontextmanager
async def _polling(settings: Settings, receive: Receive) -> AsyncIterator[Telegram]:
    telegram = Telegram(settings)
    await telegram.start(receive)
    try:
        yield telegram
    finally:
        await telegram.stop()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause of a second would be waited for in earnest."""
    sleep = asyncio.sleep
    monkeypatch.setattr(channel_module.asyncio, "sleep", lambda seconds: sleep(min(seconds, 0.01)))


async def _until(api: TelegramStandIn, true: Callable[[], bool]) -> bool:
    return await asyncio.to_thread(api.wait_until, true, 30)


async def test_messages_come_in_in_order_and_are_then_confirmed(
    telegram_settings: Settings, api: TelegramStandIn
) -> None:
    inbox = Inbox()
    api.write("một")
    last = api.write("hai")
    async with _polling(telegram_settings, inbox.receive):
        assert await inbox.has("một", "hai")
        assert await _until(api, lambda: api.confirmed == last["update_id"] + 1)


async def test_a_fault_in_the_middle_confirms_what_came_before_only(
    telegram_settings: Settings, api: TelegramStandIn
) -> None:
    asked: list[int] = []
    first, second = api.write("một"), api.write("hai")

    def receive(incoming: Incoming) -> None:
        if incoming.text == "hai":
            asked.append(api.confirmed)
            if len(asked) < 3:
                raise RuntimeError("database is locked")

    async with _polling(telegram_settings, receive):
        assert await _until(api, lambda: api.confirmed == second["update_id"] + 1)
    assert asked == [0, first["update_id"] + 1, first["update_id"] + 1]


async def test_stopping_in_the_middle_of_a_commit_loses_nothing(
    telegram_settings: Settings, api: TelegramStandIn
) -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def slow(_incoming: Incoming) -> None:
        begun.set()
        go_on.wait(30)
        done.set()

    update = api.write("một")
    telegram = Telegram(telegram_settings)
    await telegram.start(slow)
    assert await asyncio.to_thread(begun.wait, 30)
    stopping = asyncio.create_task(telegram.stop())
    await asyncio.sleep(0)
    go_on.set()
    await stopping
    assert await asyncio.to_thread(done.wait, 30)
    assert api.confirmed <= update["update_id"]
    # It is brought again; the inbox knows a repeat by its id.
    inbox = Inbox()
    async with _polling(telegram_settings, inbox.receive):
        assert await inbox.has("một")


async def test_what_cannot_be_read_holds_up_nothing(
    telegram_settings: Settings, api: TelegramStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = Inbox()
    inbox.faults = [BadInputError("telegram: người gửi cần dài từ 1 đến 128 ký tự")]
    api.write("bị từ chối")
    api.queue(api.message(text=["bí mật"]))
    api.write("hai")
    with caplog.at_level(logging.WARNING, "motcua.telegram"):
        async with _polling(telegram_settings, inbox.receive):
            assert await inbox.has("hai")
    assert "sai dạng" in caplog.text
    assert "bí mật" not in caplog.text


async def test_a_tap_is_answered_also_where_it_could_not_be_taken_in(
    telegram_settings: Settings, api: TelegramStandIn
) -> None:
    inbox = Inbox()
    inbox.faults = [RuntimeError("database is locked")]
    shown = {"message_id": 1001, "chat": {"id": 77, "type": "private"}, "text": "…"}
    tap = api.queue(api.tap(shown | {"inline": [[{"text": "A", "callback_data": "a"}]]}, "A"))
    async with _polling(telegram_settings, inbox.receive):
        assert await _until(api, lambda: api.answered == [tap["callback_query"]["id"]])
        assert await inbox.has("a")
        # The second time the query is too old for Telegram; nothing comes of that.
        assert await _until(api, lambda: api.calls.count("answerCallbackQuery") == 2)
    assert len(api.answered) == 1


async def test_two_that_poll_are_told_to_staff(telegram_settings: Settings, api: TelegramStandIn) -> None:
    inbox = Inbox()
    async with _polling(telegram_settings, inbox.receive) as telegram:
        assert await _until(api, lambda: api.pollers == 1)
        api.broken["getUpdates"] = RefusedError(409, "Conflict: terminated by other getUpdates request; make sure …")
        api.write("một")  # ends the call under way
        assert await inbox.has("một")
        assert await _until(api, lambda: "một tiến trình khác" in (telegram.problem or ""))
        api.broken["getUpdates"] = RefusedError(409, "Conflict: can't use getUpdates method while webhook is active")
        assert await _until(api, lambda: "web hook" in (telegram.problem or ""))
        del api.broken["getUpdates"]
        api.write("hai")
        assert await inbox.has("một", "hai")
        assert await _until(api, lambda: telegram.problem is None)


async def test_two_that_poll_in_earnest_lose_nothing(telegram_settings: Settings, api: TelegramStandIn) -> None:
    inbox = Inbox()
    async with _polling(telegram_settings, inbox.receive) as one, _polling(telegram_settings, inbox.receive) as two:
        assert await _until(api, lambda: any("một tiến trình khác" in (each.problem or "") for each in (one, two)))
        last = api.write("một")
        assert await _until(api, lambda: api.confirmed > last["update_id"])
    assert set(inbox.texts) == {"một"}  # perhaps twice: the inbox knows a repeat


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (too_many(5), "Telegram bảo chờ 5 giây"),
        (RefusedError(401, "Unauthorized"), "Telegram không nhận TELEGRAM_TOKEN"),
        (RefusedError(502, "Bad Gateway"), "NetworkError"),
    ],
)
async def test_why_polling_does_not_work_is_told_until_it_does(
    telegram_settings: Settings, api: TelegramStandIn, fault: RefusedError, problem: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    inbox = Inbox()
    async with _polling(telegram_settings, inbox.receive) as telegram:
        api.broken["getUpdates"] = fault
        api.write("một")
        assert await _until(api, lambda: telegram.problem == problem)
        del api.broken["getUpdates"]
        api.write("hai")
        assert await inbox.has("một", "hai")
        assert await _until(api, lambda: telegram.problem is None)
    assert TOKEN not in caplog.text
