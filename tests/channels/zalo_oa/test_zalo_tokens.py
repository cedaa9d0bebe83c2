"""Tokens that rotate: one refresher, nothing used before it is stored, nothing lost but by a kill."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError
from standins.zalo_oa import ZaloStandIn
from zalo_scene import Clock, log_in

from bot.channels.zalo_oa import tokens as tokens_module
from bot.channels.zalo_oa import wire
from bot.channels.zalo_oa.client import Client
from bot.channels.zalo_oa.errors import ZaloError
from bot.channels.zalo_oa.oauth import OAuth, _lifetime
from bot.channels.zalo_oa.tokens import CHANNEL, Token, Tokens, stored
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import ChannelToken

MANY = 8


class Office:
    """One replica's view, a fresh one for each ``run``."""

    def __init__(self, settings: Settings, database: Database, zalo: ZaloStandIn, clock: Clock) -> None:
        self.settings, self.database, self.zalo, self.clock = settings, database, zalo, clock

    def replica(self, transport: httpx.AsyncBaseTransport | None = None) -> tuple[Tokens, Client]:
        tokens = Tokens(self.settings, self.database, OAuth(self.settings, transport), self.clock)
        return tokens, Client(self.settings.zalo_base_url, tokens, transport)

    def run(self, work: Callable[[Tokens, Client], Awaitable[object]]) -> object:
        async def go() -> object:
            tokens, client = self.replica()
            try:
                return await work(tokens, client)
            finally:
                await tokens.close()
                await client.close()

        return asyncio.run(go())

    def at_once(self, work: Callable[[Tokens, Client], Awaitable[object]]) -> list[object]:
        """The same in many replicas at once; what came out, errors too."""
        ready = threading.Barrier(MANY)

        def one(_number: int) -> object:
            ready.wait()
            try:
                return self.run(work)
            except ZaloError as error:
                return error

        with ThreadPoolExecutor(MANY) as pool:
            return list(pool.map(one, range(MANY)))

    def row(self) -> ChannelToken:
        with self.database.read() as session:
            row = session.get(ChannelToken, (CHANNEL, self.settings.zalo_app_id))
            assert row is not None
            return row


@pytest.fixture
def scene(office: Settings, database: Database, zalo: ZaloStandIn, clock: Clock) -> Office:
    log_in(office, database, zalo, clock)
    return Office(office, database, zalo, clock)


async def _current(tokens: Tokens, _client: Client) -> Token:
    return await tokens.current()


async def _account(_tokens: Tokens, client: Client) -> object:
    return (await client.account())["name"]


def _refreshes(result: str) -> float:
    return REGISTRY.get_sample_value("motcua_zalo_token_refreshes_total", {"result": result}) or 0.0


def test_a_young_token_is_used_as_it_is(scene: Office) -> None:
    scene.clock.move(hours=19, minutes=59)
    assert scene.run(_account) == "Một Cửa thử nghiệm"
    assert (scene.zalo.refreshes, scene.row().generation) == (0, 1)


def test_at_twenty_hours_one_of_many_refreshes_and_all_go_on(scene: Office) -> None:
    scene.clock.move(hours=20)
    assert scene.at_once(_account) == ["Một Cửa thử nghiệm"] * MANY
    assert (scene.zalo.refreshes, scene.row().generation) == (1, 2)
    assert scene.row().lease_owner is None


def test_after_its_end_one_of_many_refreshes_and_the_others_wait(scene: Office) -> None:
    scene.clock.move(hours=26)
    found = scene.at_once(_current)
    assert scene.zalo.refreshes == 1
    assert {token.generation for token in found if isinstance(token, Token)} == {2}
    assert len({token.access for token in found if isinstance(token, Token)}) == 1
    assert scene.at_once(_account) == ["Một Cửa thử nghiệm"] * MANY
    assert scene.zalo.refreshes == 1


def test_a_token_that_zalo_refuses_is_replaced_once_for_all(scene: Office) -> None:
    scene.zalo.expire()
    assert scene.at_once(_account) == ["Một Cửa thử nghiệm"] * MANY
    assert (scene.zalo.refreshes, scene.row().generation) == (1, 2)


def test_whoever_was_slower_takes_the_pair_of_the_quicker_one(scene: Office) -> None:
    async def late(tokens: Tokens, _client: Client) -> Token:
        old = await tokens.current()
        await asyncio.to_thread(log_in, scene.settings, scene.database, scene.zalo, scene.clock)
        return await tokens.replacement(old)

    assert isinstance(found := scene.run(late), Token)
    assert (found.generation, scene.zalo.refreshes) == (2, 0)


class Watching(httpx.AsyncHTTPTransport):
    """Looks at the database from outside before each request leaves."""

    def __init__(self, scene: Office) -> None:
        super().__init__()
        self.scene = scene
        self.seen: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        scene = self.scene
        if "access_token" in request.headers:
            token = await asyncio.to_thread(stored, scene.settings, scene.database)
            assert token is not None
            assert request.headers["access_token"] == token.access, "used before it was stored"
        else:
            # Anybody may write meanwhile: no transaction is held while Zalo is asked.
            await asyncio.to_thread(self._write)
        self.seen.append(request.url.path)
        return await super().handle_async_request(request)

    def _write(self) -> None:
        other = Database(self.scene.database.url.render_as_string(hide_password=False))
        with other.write() as session:
            row = session.get(ChannelToken, (CHANNEL, self.scene.settings.zalo_app_id), with_for_update=True)
            assert row is not None
            assert row.lease_owner is not None
            session.add(row)
        other.close()


async def test_the_pair_is_stored_before_it_is_used_and_no_transaction_waits_for_zalo(scene: Office) -> None:
    scene.clock.move(hours=26)
    watching = Watching(scene)
    tokens, client = scene.replica(watching)
    await client.account()
    await client.close()
    assert watching.seen == ["/v4/oa/access_token", "/v2.0/oa/getoa"]
    assert tokens.problem is None


def test_an_answer_without_a_refresh_token_keeps_the_old_one(scene: Office) -> None:
    scene.zalo.oauth_plan.append("no_refresh")
    for _ in range(2):
        scene.clock.move(hours=26)
        scene.run(_account)
    assert (scene.zalo.refreshes, scene.row().generation) == (2, 3)


@pytest.mark.parametrize("silence", ["lost", "500", "garbage"])
def test_a_refresh_without_an_answer_is_tried_again_with_the_same_token(scene: Office, silence: str) -> None:
    scene.clock.move(hours=26)
    scene.zalo.oauth_plan.append(silence)
    scene.run(_account)
    assert (scene.zalo.refreshes, scene.row().generation) == (2, 2)


def test_the_token_server_out_of_reach_is_told_and_asked_again_later(scene: Office) -> None:
    scene.clock.move(hours=26)
    scene.zalo.oauth_plan.extend(["lost"] * 2)
    with pytest.raises(ZaloError, match="không đổi được token") as caught:
        scene.run(_account)
    assert (caught.value.kind, caught.value.delay) == ("account", tokens_module.SILENCE_COOL_DOWN)
    with pytest.raises(ZaloError):
        scene.run(_account)
    assert scene.zalo.refreshes == 2, "asked again before the pause was over"
    scene.clock.move(seconds=31)
    scene.run(_account)
    assert (scene.row().generation, scene.row().problem) == (2, None)


def test_a_refresh_that_fails_early_leaves_the_old_token_in_use(scene: Office) -> None:
    scene.clock.move(hours=21)
    scene.zalo.oauth_plan.extend(["lost"] * 2)
    assert scene.run(_account) == "Một Cửa thử nghiệm"
    assert "không đổi được token" in (scene.row().problem or "")
    scene.clock.move(seconds=31)
    scene.run(_account)
    assert (scene.row().generation, scene.row().problem) == (2, None)


def test_a_lost_pair_is_told_to_staff_with_what_to_do(scene: Office, caplog: pytest.LogCaptureFixture) -> None:
    scene.clock.move(hours=26)
    scene.zalo.oauth_plan.append("drop")  # minted, and the answer never came: the second try is a reuse
    refused = _refreshes("refused")
    with pytest.raises(ZaloError, match="motcua zalo login") as caught:
        scene.run(_account)
    assert caught.value.kind == "account"
    assert "-14014" in (scene.row().problem or "")
    assert _refreshes("refused") == refused + 1
    assert REGISTRY.get_sample_value("motcua_zalo_token_problem") == 1
    assert [record.levelno for record in caplog.records if "motcua zalo login" in record.message] == [logging.ERROR]
    assert "refresh-0" not in caplog.text
    log_in(scene.settings, scene.database, scene.zalo, scene.clock)
    assert scene.run(_account) == "Một Cửa thử nghiệm"
    assert REGISTRY.get_sample_value("motcua_zalo_token_problem") == 0


def test_a_crash_between_answer_and_commit_is_found_out_by_the_next(
    scene: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.clock.move(hours=26)
    with monkeypatch.context() as patched:

        def killed(*_: object, **__: object) -> Token:
            raise RuntimeError("killed")

        patched.setattr(tokens_module, "store", killed)
        with pytest.raises(RuntimeError):
            scene.run(_account)
    assert scene.row().lease_owner is not None
    scene.clock.move(seconds=91)  # the lease ends
    with pytest.raises(ZaloError, match="motcua zalo login"):
        scene.run(_account)


def test_a_database_that_hiccups_after_the_answer_does_not_lose_the_pair(
    scene: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.clock.move(hours=26)
    real, calls = tokens_module.store, []

    def hiccup(*given: object, **named: object) -> Token:
        calls.append(1)
        if len(calls) < 3:
            raise OperationalError("UPDATE", {}, Exception("database is locked"))
        return real(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(tokens_module, "store", hiccup)
    monkeypatch.setattr(tokens_module, "_COMMIT_PAUSES", (0.0,) * 5)
    assert scene.run(_account) == "Một Cửa thử nghiệm"
    assert (scene.zalo.refreshes, scene.row().generation) == (1, 2)


async def test_a_shutdown_in_the_middle_of_a_refresh_waits_for_it(scene: Office) -> None:
    scene.clock.move(hours=26)
    scene.zalo.oauth_plan.append("hold")
    tokens, client = scene.replica()
    sending = asyncio.create_task(client.account())
    assert await asyncio.to_thread(scene.zalo.wait_until, lambda: scene.zalo.refreshes == 1)
    sending.cancel()
    closing = asyncio.create_task(tokens.close())
    await asyncio.gather(sending, return_exceptions=True)
    assert not closing.done()
    scene.zalo.release.set()
    await closing
    await client.close()
    assert (scene.row().generation, scene.row().lease_owner) == (2, None)


async def test_the_late_answer_of_a_stalled_process_still_counts(scene: Office) -> None:
    """Its lease was over and another was told -14014: the pair it brings is the only good one."""
    scene.clock.move(hours=26)
    scene.zalo.oauth_plan.append("hold")
    stalled, client = scene.replica()
    first = asyncio.create_task(stalled.current())
    assert await asyncio.to_thread(scene.zalo.wait_until, lambda: scene.zalo.refreshes == 1)
    scene.clock.move(seconds=91)
    with pytest.raises(ZaloError, match="-14014"):
        await asyncio.to_thread(scene.run, _current)
    scene.zalo.release.set()
    assert (await first).generation == 2
    await client.close()
    assert scene.row().problem is None
    assert await asyncio.to_thread(scene.run, _account) == "Một Cửa thử nghiệm"


async def test_a_login_during_a_refresh_wins_over_its_late_answer(scene: Office) -> None:
    scene.clock.move(hours=26)
    scene.zalo.oauth_plan.append("hold")
    tokens, client = scene.replica()
    refreshing = asyncio.create_task(tokens.current())
    assert await asyncio.to_thread(scene.zalo.wait_until, lambda: scene.zalo.refreshes == 1)
    log_in(scene.settings, scene.database, scene.zalo, scene.clock)
    scene.zalo.release.set()
    assert (await refreshing).access.startswith("access-0003")
    await client.close()
    assert await asyncio.to_thread(scene.run, _account) == "Một Cửa thử nghiệm"


def test_a_fresh_token_refused_too_is_an_account_matter_and_no_storm(scene: Office) -> None:
    scene.zalo.last_interaction["u"] = scene.clock()

    async def send(_tokens: Tokens, client: Client) -> object:
        return await client.send("u", {"text": "chào"})

    scene.zalo.plan.extend([-216, -216, -216])
    for _ in range(2):
        with pytest.raises(ZaloError, match="-216") as caught:
            scene.run(send)
        assert caught.value.kind == "account"
    assert (scene.zalo.refreshes, scene.row().generation) == (1, 2)
    assert "-216" in (scene.row().problem or "")
    scene.clock.move(minutes=6)
    assert scene.run(send) == "zm1"
    assert scene.row().problem is None


def test_a_restored_database_without_its_key_is_told(scene: Office) -> None:
    other = scene.settings.model_copy(update={"secret_key": SecretStr("another key, also long enough to be one")})
    with pytest.raises(ZaloError, match="MOTCUA_SECRET_KEY") as caught:
        Office(other, scene.database, scene.zalo, scene.clock).run(_account)
    assert caught.value.kind == "account"


def test_tokens_do_not_lie_readable_in_the_database(scene: Office) -> None:
    row = scene.row()
    assert "access-0001" not in row.access_sealed
    assert "refresh-0001" not in row.refresh_sealed


def test_without_a_login_it_says_what_to_do(
    office: Settings, database: Database, zalo: ZaloStandIn, clock: Clock
) -> None:
    with pytest.raises(ZaloError, match="motcua zalo login") as caught:
        Office(office, database, zalo, clock).run(_account)
    assert caught.value.kind == "account"
    assert zalo.calls == []


@pytest.mark.parametrize("told", ["3600", 3600, "soon", "", None, "-1", "9" * 30])
def test_whatever_lifetime_the_answer_tells_the_token_lives_for_a_while(told: object) -> None:
    assert 3600 <= _lifetime(told).total_seconds() <= 90 * 86400


def test_the_time_limit_of_two_tries_fits_into_the_lease() -> None:
    assert tokens_module.LEASE.total_seconds() > 2 * wire.WHOLE_SECONDS
