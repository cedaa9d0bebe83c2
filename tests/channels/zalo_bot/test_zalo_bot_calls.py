"""The bot inside one process against the stand-in: what each failure means, how it polls, how it stops."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError
from standins.zalo_bot import TOKEN, ZaloBotStandIn, update

from bot.channels.port import FetchError, SendError
from bot.channels.rendering import LIMITS, Message
from bot.channels.zalo_bot import ZaloBot, channel, webhook_secret
from bot.channels.zalo_bot.client import ApiError
from bot.clock import utc_now
from bot.conversation.model import Incoming
from bot.errors import BadInputError
from bot.logs import mask
from bot.settings import Settings
from bot.storage.database import Database

Bot = Callable[..., ZaloBot]


@pytest.fixture
def office(settings: Settings, api: ZaloBotStandIn) -> Settings:
    return settings.model_copy(
        update={"zalo_bot_token": SecretStr(TOKEN), "zalo_bot_base_url": api.url, "zalo_photo_hosts": api.host}
    )


@pytest.fixture
async def bot(office: Settings, sqlite_database: Database) -> AsyncIterator[ZaloBot]:
    """Polling; whoever needs the messages starts it with a receiver of their own."""
    made = ZaloBot(office, sqlite_database, utc_now)
    yield made
    await made.stop()


@pytest.fixture
async def hooked(office: Settings, sqlite_database: Database) -> AsyncIterator[ZaloBot]:
    """With a web hook, so that only sending calls the API."""
    public = office.model_copy(update={"public_base_url": "https://motcua.example"})
    made = ZaloBot(public, sqlite_database, utc_now)
    await made.start(lambda _incoming: None)
    yield made
    await made.stop()


async def refused(bot: ZaloBot, text: str = "Dạ") -> SendError:
    with pytest.raises(SendError) as caught:
        await bot.send("u77", Message(text))
    assert TOKEN not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


# --- sending ------------------------------------------------------------------------------------------------------


async def test_a_message_of_the_longest_length_goes_out_and_its_id_is_known(
    hooked: ZaloBot, api: ZaloBotStandIn
) -> None:
    longest = "ế" * LIMITS["zalo_bot"].text
    assert await hooked.send("u77", Message(longest)) == "b1"
    assert api.sent == [("u77", longest)]
    assert (await refused(hooked, longest + "ế")).kind == "failed"


@pytest.mark.parametrize(
    ("fault", "kind", "arrived"),
    [
        (401, "account", 0), (403, "blocked", 0), (429, "retry", 0), (400, "failed", 0), (404, "failed", 0),
        (500, "uncertain", 0), (502, "uncertain", 0), (408, "uncertain", 0), ("drop", "uncertain", 1),
        ("garbage", "uncertain", 1),
    ],
)  # fmt: skip
async def test_each_failure_has_its_meaning(
    hooked: ZaloBot, api: ZaloBotStandIn, fault: int | str, kind: str, arrived: int
) -> None:
    api.faults["sendMessage"] = deque([fault])
    assert (await refused(hooked)).kind == kind
    assert len(api.sent) == arrived


async def test_an_answer_that_never_comes_is_uncertain(
    hooked: ZaloBot, api: ZaloBotStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.channels.zalo_bot.client.ANSWER_SECONDS", 0.2)
    api.faults["sendMessage"] = deque(["hold"])
    assert (await refused(hooked)).kind == "uncertain"
    assert len(api.sent) == 1


async def test_what_never_left_is_tried_again(hooked: ZaloBot, api: ZaloBotStandIn) -> None:
    api.close()
    assert (await refused(hooked)).kind == "retry"


async def test_a_token_that_is_refused_is_told_to_staff_until_it_works_again(
    hooked: ZaloBot, api: ZaloBotStandIn
) -> None:
    assert hooked.problem is None
    # Neither the message nor the question about the account is let in.
    api.faults |= {"sendMessage": deque([403]), "getMe": deque([403])}
    assert (await refused(hooked)).kind == "account"
    assert hooked.problem is not None
    assert "403" in hooked.problem
    assert TOKEN not in hooked.problem
    await hooked.send("u77", Message("Dạ"))
    assert hooked.problem is None


async def test_after_quota_exceeded_it_is_quiet_for_longer_and_longer(
    hooked: ZaloBot, api: ZaloBotStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(channel, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    delays: list[timedelta | None] = []
    for _ in range(9):
        api.faults["sendMessage"] = deque([429])
        error = await refused(hooked)
        assert error.kind == "retry"
        delays.append(error.delay)
        waiting = await refused(hooked)
        assert (waiting.kind, waiting.delay) == ("retry", error.delay)
        assert hooked.problem is not None
        clock[0] += error.delay.total_seconds() if error.delay else 0.0
    assert delays[:3] == [timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=2)]
    assert delays[-1] == timedelta(hours=1)
    assert api.calls.count("sendMessage") == 9
    await hooked.send("u77", Message("Dạ"))
    assert hooked.problem is None
    api.faults["sendMessage"] = deque([429])
    assert (await refused(hooked)).delay == timedelta(seconds=30)


async def test_no_error_and_no_log_holds_the_token(
    hooked: ZaloBot, api: ZaloBotStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for fault in (400, 401, 429, 500, "drop", "garbage"):
        api.faults["sendMessage"] = deque([fault])
        hooked._quiet_until = 0.0
        with pytest.raises(SendError) as caught:
            await hooked.send("u77", Message("Dạ"))
        assert TOKEN not in repr(caught.value.args)
    # The HTTP library tells addresses; they are masked in whatever is written.
    assert TOKEN not in mask(caplog.text)
    assert TOKEN not in "".join(r.getMessage() for r in caplog.records if r.name.startswith("motcua"))


# --- connecting ---------------------------------------------------------------------------------------------------


async def test_with_a_public_address_it_sets_a_web_hook_with_a_secret(
    hooked: ZaloBot, api: ZaloBotStandIn, office: Settings
) -> None:
    assert api.hook == "https://motcua.example/webhooks/zalo-bot"
    assert api.secret == webhook_secret(office)
    assert len(api.secret) == 64
    own = office.model_copy(update={"zalo_bot_webhook_secret": SecretStr("s" * 20)})
    assert webhook_secret(own) == "s" * 20


async def test_without_one_it_takes_the_web_hook_away_and_polls(bot: ZaloBot, api: ZaloBotStandIn) -> None:
    api.hook, api.secret = "https://old.example/", "s" * 8
    await bot.start(lambda _incoming: None)
    assert await asyncio.to_thread(api.until, lambda: "getUpdates" in api.calls)
    assert api.hook is None
    await bot.stop()
    await bot.start(lambda _incoming: None)  # there is none to take away: 404 is no fault
    assert bot.problem is None


@pytest.mark.parametrize("method", ["getMe", "deleteWebhook"])
async def test_what_can_not_connect_says_why(bot: ZaloBot, api: ZaloBotStandIn, method: str) -> None:
    api.faults[method] = deque([401])
    with pytest.raises(ApiError):
        await bot.start(lambda _incoming: None)
    await bot.stop()
    assert bot.problem is not None
    assert "401" in bot.problem
    await bot.start(lambda _incoming: None)
    assert bot.problem is None


async def test_a_photo_is_fetched_from_the_listed_server_only(bot: ZaloBot, api: ZaloBotStandIn) -> None:
    api.pictures["/a.jpg"] = b"\xff\xd8"
    assert await asyncio.to_thread(bot.fetch_photo, f"{api.url}/a.jpg") == b"\xff\xd8"
    with pytest.raises(FetchError) as caught:
        bot.fetch_photo("https://evil.example/a.jpg")
    assert caught.value.final


# --- polling ------------------------------------------------------------------------------------------------------


class Inbox:
    """Takes messages in as the service does, and can be made to fail first."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = deque(failures)
        self.messages: list[Incoming] = []
        self.changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __call__(self, incoming: Incoming) -> None:
        if self.failures:
            raise self.failures.popleft()
        self.messages.append(incoming)
        self._loop.call_soon_threadsafe(self.changed.set)

    async def texts(self, number: int) -> list[str]:
        async with asyncio.timeout(30):
            while len(self.messages) < number:
                await self.changed.wait()
                self.changed.clear()
        return [message.text for message in self.messages]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rests are told, not slept through, except the one of a replica that doesn't poll."""
    real = ZaloBot._rest

    async def rest(self: ZaloBot, seconds: float) -> None:
        await real(self, seconds / 100)

    monkeypatch.setattr(ZaloBot, "_rest", rest)


async def test_updates_come_in_one_at_a_time_in_order(bot: ZaloBot, api: ZaloBotStandIn) -> None:
    inbox = Inbox()
    await bot.start(inbox)
    texts = [f"tin {number}" for number in range(12)]
    api.write(*texts)
    assert await inbox.texts(12) == texts
    assert api.pollers == 1
    assert bot.problem is None


async def test_what_is_no_update_is_passed_over(
    bot: ZaloBot, api: ZaloBotStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = Inbox(BadInputError("zalo_bot: mã tin quá dài"))
    group = api.said("nhóm", chat={"id": "g", "chat_type": "GROUP"})
    api.write("bị từ chối", {"event_name": "message.text.received", "message": "bí mật"}, group, "còn lại")
    await bot.start(inbox)
    assert await inbox.texts(1) == ["còn lại"]
    assert "bí mật" not in caplog.text


async def test_a_message_is_held_while_the_database_is_away(
    bot: ZaloBot, api: ZaloBotStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    down = OperationalError("INSERT … 'tin riêng'", {}, Exception("away"))
    inbox = Inbox(down, down, down)
    api.write("tin riêng", "tin sau")
    await bot.start(inbox)
    assert await inbox.texts(2) == ["tin riêng", "tin sau"]
    assert "tin riêng" not in caplog.text
    assert await asyncio.to_thread(api.until, lambda: api.calls[-1] == "getUpdates")


async def test_polling_goes_on_after_failures_and_tells_them_meanwhile(bot: ZaloBot, api: ZaloBotStandIn) -> None:
    problems: list[str | None] = []

    class Told(deque[int | str]):
        def popleft(self) -> int | str:
            problems.append(bot.problem)
            return super().popleft()

    inbox = Inbox()
    api.faults["getUpdates"] = Told([401, 429, 500, "drop", "garbage", 409])
    await bot.start(inbox)
    assert await asyncio.to_thread(api.until, lambda: not api.faults["getUpdates"])
    api.write("sau lỗi")
    assert await inbox.texts(1) == ["sau lỗi"]
    assert problems[0] is None
    assert all(problems[1:])
    assert await asyncio.to_thread(api.until, lambda: api.polling)  # the call after that message
    assert bot.problem is None


async def test_stopping_awaits_the_call_under_way_so_that_nothing_handed_out_is_lost(
    bot: ZaloBot, api: ZaloBotStandIn
) -> None:
    inbox = Inbox()
    await bot.start(inbox)
    assert await asyncio.to_thread(api.until, lambda: api.polling)
    stopping = asyncio.create_task(bot.stop())
    api.write("vừa kịp")
    await stopping
    assert [message.text for message in inbox.messages] == ["vừa kịp"]
    assert not api.polling


async def test_an_idle_answer_at_once_does_not_make_it_run(bot: ZaloBot, api: ZaloBotStandIn) -> None:
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 3:
            bot._stopping.set()

    bot._rest = rest  # type: ignore[method-assign]
    api.idle_seconds = 0.0
    await bot.start(lambda _incoming: None)
    assert bot._polling is not None
    await bot._polling
    assert rests == [1, 1, 1]


@pytest.mark.postgres
async def test_of_two_replicas_one_polls_and_the_other_takes_over(
    office: Settings, postgres_database: Database, api: ZaloBotStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (ZaloBot(office, postgres_database, utc_now) for _ in range(2))
    inbox, other = Inbox(), Inbox()
    await first.start(inbox)
    assert await asyncio.to_thread(api.until, lambda: api.polling)
    await second.start(other)
    api.write("một", "hai", "ba")
    assert await inbox.texts(3) == ["một", "hai", "ba"]
    await first.stop()
    api.write("bốn")
    assert await other.texts(1) == ["bốn"]
    await second.stop()
    assert (len(inbox.messages), api.pollers) == (3, 1)


# --- the web hook without a process -------------------------------------------------------------------------------


async def test_the_web_hook_before_the_start_and_without_the_database(
    office: Settings, sqlite_database: Database, api: ZaloBotStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    public = office.model_copy(update={"public_base_url": "https://motcua.example"})
    bot = ZaloBot(public, sqlite_database, utc_now)
    app = FastAPI()
    app.include_router(bot.router())
    headers = {"x-bot-api-secret-token": webhook_secret(public)}
    async with AsyncClient(transport=ASGITransport(app), base_url="http://in") as client:

        async def call() -> int:
            return (await client.post("/webhooks/zalo-bot", json=update("tin riêng"), headers=headers)).status_code

        assert await call() == 503
        inbox = Inbox(OperationalError("INSERT … 'tin riêng'", {}, Exception("away")))
        await bot.start(inbox)
        assert await call() == 503
        assert await call() == 200
        await bot.stop()
        assert await call() == 503
    assert [message.text for message in inbox.messages] == ["tin riêng"]
    assert "tin riêng" not in caplog.text
