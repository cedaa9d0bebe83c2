"""The client against the stand-in: how each call ends, and that what is said of it is true."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from standins.zalo_oa import ZaloStandIn
from zalo_scene import Clock, log_in

from bot.channels.zalo_oa import errors, wire
from bot.channels.zalo_oa.client import MAX_FILE, MAX_IMAGE, PER_SECOND, SEND_PATH, Client
from bot.channels.zalo_oa.errors import CODES, ZaloError
from bot.channels.zalo_oa.oauth import OAuth
from bot.channels.zalo_oa.tokens import Tokens
from bot.settings import Settings
from bot.storage.database import Database

USER = "u1"
TEXT = {"text": "Dạ, chào ông/bà."}


@pytest.fixture
async def client(office: Settings, sqlite_database: Database, zalo: ZaloStandIn, clock: Clock) -> AsyncIterator[Client]:
    log_in(office, sqlite_database, zalo, clock)
    zalo.last_interaction[USER] = clock()
    made = Client(office.zalo_base_url, Tokens(office, sqlite_database, OAuth(office), clock))
    yield made
    await made.close()


async def _failure(client: Client, user: str = USER) -> ZaloError:
    with pytest.raises(ZaloError) as caught:
        await client.send(user, TEXT)
    return caught.value


# The buckets of reference/channels.md §1.2, written out from there.
@pytest.mark.parametrize(
    ("codes", "kind"),
    [((-32, -200), "retry"), ((-230, -232), "closed"), ((-213, -227, -244), "blocked"),
     ((-204, -205, -209, -211, -212, -219, -221, -223, -224, -320, -321), "account"),
     ((-201, -210, -217, -218, -233, -234, -235, -240, -242, -248, -249), "failed")],
)  # fmt: skip
async def test_each_code_is_the_failure_that_the_reference_says(
    client: Client, zalo: ZaloStandIn, codes: tuple[int, ...], kind: str
) -> None:
    for code in codes:
        client._pace._paused_until = 0
        zalo.plan.append(code)
        error = await _failure(client)
        assert (error.kind, error.code) == (kind, code)
    assert zalo.sent == []


def test_every_code_has_a_kind_that_the_queue_knows_or_the_client_settles() -> None:
    kinds = {"retry", "account", "failed", "blocked", "closed", errors.REFRESH, errors.STALE}
    assert {meaning.kind for meaning in CODES.values()} <= kinds
    assert {code for code, meaning in CODES.items() if meaning.kind == errors.REFRESH} == {-124, -216, -220}


async def test_an_unknown_code_is_final_and_logged_once(
    client: Client, zalo: ZaloStandIn, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "_seen_unknown", set())
    zalo.plan.extend([-999, -999, -998])
    for _ in range(3):
        assert (await _failure(client)).kind == "failed"
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [("-999" in line, "-998" in line) for line in told] == [(True, False), (False, True)]


@pytest.mark.parametrize(
    ("plan", "kind", "taken"), [("drop", "uncertain", 1), ("500", "uncertain", 0), ("garbage", "uncertain", 0)]
)
async def test_an_answer_that_never_comes_or_makes_no_sense_is_uncertain(
    client: Client, zalo: ZaloStandIn, plan: str, kind: str, taken: int
) -> None:
    zalo.plan.append(plan)
    assert (await _failure(client)).kind == kind
    assert len(zalo.sent) == taken
    assert zalo.calls.count(SEND_PATH) == 1, "asked twice"


async def test_a_slow_answer_is_uncertain(client: Client, zalo: ZaloStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    client._http.timeout = httpx.Timeout(0.2)
    zalo.plan.append("hold")
    assert (await _failure(client)).kind == "uncertain"
    assert len(zalo.sent) == 1
    client._http.timeout = httpx.Timeout(10)
    monkeypatch.setattr(wire, "WHOLE_SECONDS", 0.2)
    zalo.plan.append("hold")
    assert (await _failure(client)).kind == "uncertain"


async def test_what_never_left_may_be_sent_again(client: Client, zalo: ZaloStandIn, office: Settings) -> None:
    await client._tokens.current()
    client._http.base_url = httpx.URL("http://127.0.0.1:1")
    assert (await _failure(client)).kind == "retry"


@pytest.mark.parametrize(
    ("status", "kind"), [(302, "account"), (403, "account"), (404, "account"), (408, "retry"), (429, "retry"),
                         (500, "uncertain"), (502, "uncertain"), (200, "uncertain")],
)  # fmt: skip
async def test_what_a_proxy_answers_in_zalos_place(status: int, kind: str) -> None:
    def page(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, html="<h1>proxy</h1>", headers={"location": "http://127.0.0.1:1/"})

    async with wire.http_client("https://zalo.example", httpx.MockTransport(page)) as http:
        with pytest.raises(ZaloError) as caught:
            await wire.ask(http, "POST", SEND_PATH, json={})
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    "body", [b"[]", b"0", b"{}", b'{"error":true}', b'{"error":"x"}', b'{"error":null}', b"[" * 50_000, b"\xff"]
)
async def test_an_answer_without_a_readable_error_is_uncertain(body: bytes) -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, content=body))
    async with wire.http_client("https://zalo.example", transport) as http:
        with pytest.raises(ZaloError) as caught:
            await wire.ask(http, "POST", SEND_PATH, json={})
    assert caught.value.kind == "uncertain"


async def test_too_many_calls_pause_all_calls(client: Client, zalo: ZaloStandIn) -> None:
    zalo.remain = 0
    error = await _failure(client)
    assert (error.kind, error.code, error.delay) == ("retry", -32, timedelta(minutes=1))
    calls = len(zalo.calls)
    zalo.remain = None
    waiting = await _failure(client)
    assert waiting.kind == "retry"
    assert waiting.delay is not None
    assert timedelta(seconds=50) < waiting.delay <= timedelta(minutes=1)
    assert len(zalo.calls) == calls, "called during the pause"


async def test_the_last_call_of_the_minute_is_noticed_before_zalo_complains(client: Client, zalo: ZaloStandIn) -> None:
    zalo.remain = 1
    assert await client.send(USER, TEXT) == "zm1"
    assert (await _failure(client)).kind == "retry"
    assert zalo.calls.count(SEND_PATH) == 1


def test_the_pace_is_well_under_zalos_limit() -> None:
    assert PER_SECOND * 60 * 3 < 4000, "three replicas together"


async def test_the_window_and_people_who_left(client: Client, zalo: ZaloStandIn, clock: Clock) -> None:
    assert (await _failure(client, "never-wrote")).kind == "closed"
    zalo.stopped["gone"] = -213
    assert (await _failure(client, "gone")).kind == "blocked"
    clock.move(days=7, seconds=1)
    assert (await _failure(client)).kind == "closed"


async def test_uploads_and_files(client: Client, zalo: ZaloStandIn) -> None:
    token = await client.upload_file("huong-dan.pdf", b"%PDF-1.7 " + b"x" * 1000)
    assert await client.send_file(USER, token) == "zm1"
    assert zalo.sent[0]["file"] == token
    assert await client.upload_image("a.png", b"x" * MAX_IMAGE) == "image-1"
    for upload, name, size in ((client.upload_image, "a.png", MAX_IMAGE), (client.upload_file, "a.pdf", MAX_FILE)):
        calls = len(zalo.calls)
        with pytest.raises(ZaloError) as caught:
            await upload(name, b"x" * (size + 1))
        assert caught.value.kind == "failed"
        assert len(zalo.calls) == calls
    with pytest.raises(ZaloError) as caught:
        await client.upload_file("a.exe", b"MZ")
    assert caught.value.code == -201


async def test_what_zalo_knows_of_a_citizen_and_of_the_account(client: Client, clock: Clock) -> None:
    assert (await client.user(USER))["user_is_follower"] is True
    assert (await client.quota(USER))["last_interaction"] == str(int(clock().timestamp() * 1000))
    assert (await client.account())["oa_id"]


async def test_asking_twice_does_no_harm_so_it_is_never_uncertain(
    client: Client, zalo: ZaloStandIn, office: Settings
) -> None:
    await client._tokens.current()
    real = client._http
    client._http = wire.http_client(
        "https://zalo.example", httpx.MockTransport(lambda _request: httpx.Response(500, text="busy"))
    )
    with pytest.raises(ZaloError) as caught:
        await client.account()
    assert caught.value.kind == "retry"
    await client._http.aclose()
    client._http = real


async def test_the_token_goes_along_as_a_bare_header_and_never_into_a_log(
    client: Client, zalo: ZaloStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "motcua")
    zalo.plan.extend([-216, -201])
    await _failure(client)
    assert zalo.refreshes == 1
    assert "access-0" not in caplog.text
    assert "refresh-0" not in caplog.text
