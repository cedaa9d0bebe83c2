"""The channel against the stand-in: what citizens see, pictures, limits, photos they send, a clean stop."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standins import zalo_oa
from standins.zalo_oa import ZaloStandIn
from zalo_scene import Clock, log_in

from bot.channels.port import FetchError, SendError
from bot.channels.rendering import Message, render
from bot.channels.zalo_oa import channel as channel_module
from bot.channels.zalo_oa.channel import SHARE_IMAGE, STATIC, ZaloOa, text_message
from bot.conversation.model import Button, Link, Reply
from bot.settings import Settings
from bot.storage.database import Database

USER = "u1"
PICTURE = SHARE_IMAGE  # any picture of ours


@pytest.fixture
async def oa(office: Settings, sqlite_database: Database, zalo: ZaloStandIn, clock: Clock) -> AsyncIterator[ZaloOa]:
    log_in(office, sqlite_database, zalo, clock)
    zalo.last_interaction[USER] = clock()
    made = ZaloOa(office, sqlite_database, clock)
    yield made
    await made.stop()


async def test_buttons_come_back_as_their_value_and_a_link_opens(oa: ZaloOa, zalo: ZaloStandIn) -> None:
    buttons = (Button("Lệ phí", "lệ phí 1.001193"), Button("Gặp cán bộ", "gặp cán bộ"))
    link = Link("Xem và in", "https://motcua.example.vn/thu-tuc/1.001193")
    assert await oa.send(USER, Message("Dạ, có ngay.", buttons, link)) == "zm1"
    assert zalo.sent[0]["raw"] == {
        "text": "Dạ, có ngay.",
        "attachment": {"type": "template", "payload": {"buttons": [
            {"title": "Lệ phí", "type": "oa.query.hide", "payload": "lệ phí 1.001193"},
            {"title": "Gặp cán bộ", "type": "oa.query.hide", "payload": "gặp cán bộ"},
            {"title": "Xem và in", "type": "oa.open.url",
             "payload": {"url": "https://motcua.example.vn/thu-tuc/1.001193"}},
        ]}},
    }  # fmt: skip


async def test_plain_text_is_composed(oa: ZaloOa, zalo: ZaloStandIn) -> None:
    await oa.send(USER, Message(unicodedata.normalize("NFD", "Hồ sơ đã xử lý")))
    assert zalo.sent[0]["raw"] == {"text": "Hồ sơ đã xử lý"}


async def test_asking_for_the_number(oa: ZaloOa, zalo: ZaloStandIn) -> None:
    await oa.send(USER, Message("Bấm nút để chia sẻ số.", contact=True))
    taken = zalo.sent[0]
    assert (taken["contact"], taken["text"]) == ("Chia sẻ số điện thoại", "Bấm nút để chia sẻ số.")
    assert taken["image_url"] == f"https://motcua.example.vn/static/{SHARE_IMAGE}"
    assert (STATIC / SHARE_IMAGE).is_file()


async def test_without_a_public_address_it_asks_without_a_picture(
    office: Settings, sqlite_database: Database, zalo: ZaloStandIn, clock: Clock
) -> None:
    log_in(office, sqlite_database, zalo, clock)
    zalo.last_interaction[USER] = clock()
    inner = ZaloOa(office.model_copy(update={"public_base_url": "http://10.0.0.5:8000"}), sqlite_database, clock)
    await inner.send(USER, Message("x" * 600, contact=True))
    assert zalo.sent[0]["image_url"] is None
    assert len(zalo.sent[0]["text"]) == 500
    await inner.stop()


async def test_a_picture_goes_with_its_text_and_is_uploaded_once(oa: ZaloOa, zalo: ZaloStandIn, clock: Clock) -> None:
    for _ in range(2):
        assert await oa.send(USER, Message("Chụp như thế này.", image=PICTURE))
    assert [(one["text"], one["image"]) for one in zalo.sent] == [("Chụp như thế này.", "image-1")] * 2
    clock.move(days=6)
    await oa.send(USER, Message("Chụp như thế này.", image=PICTURE))
    assert zalo.sent[-1]["image"] == "image-2", "used an id shortly before its end"


async def test_a_picture_beside_buttons_goes_ahead(oa: ZaloOa, zalo: ZaloStandIn) -> None:
    assert await oa.send(USER, Message("Chụp lại giúp.", (Button("Gặp cán bộ", "gặp"),), image=PICTURE)) == "zm2"
    assert [(one["text"], one.get("image")) for one in zalo.sent] == [("", "image-1"), ("Chụp lại giúp.", None)]


async def test_an_upload_that_zalo_has_lost_is_made_again(oa: ZaloOa, zalo: ZaloStandIn, clock: Clock) -> None:
    await oa.send(USER, Message("Một", image=PICTURE))
    zalo.images["image-1"] = clock()
    await oa.send(USER, Message("Hai", image=PICTURE))
    assert [(one["text"], one["image"]) for one in zalo.sent] == [("Một", "image-1"), ("Hai", "image-2")]


@pytest.mark.parametrize("code", [-233, -211, -200])
async def test_what_keeps_a_picture_back_does_not_keep_the_text_back(oa: ZaloOa, zalo: ZaloStandIn, code: int) -> None:
    zalo.plan.append(code)
    assert await oa.send(USER, Message("Chữ", image=PICTURE)) == "zm1"
    assert zalo.sent[0]["raw"] == {"text": "Chữ"}


@pytest.mark.parametrize("name", ["khong-co.png", "../templates/chat.html", "style.css/../../x"])
async def test_a_picture_that_is_not_there_leaves_the_text(oa: ZaloOa, zalo: ZaloStandIn, name: str) -> None:
    await oa.send(USER, Message("Chữ", image=name))
    assert zalo.sent[0]["raw"] == {"text": "Chữ"}
    assert zalo.images == {}


async def test_a_picture_with_text_whose_answer_never_came_is_uncertain(oa: ZaloOa, zalo: ZaloStandIn) -> None:
    zalo.plan.append("drop")
    with pytest.raises(SendError) as caught:
        await oa.send(USER, Message("Chữ", image=PICTURE))
    assert caught.value.kind == "uncertain"
    assert len(zalo.sent) == 1


@pytest.mark.parametrize(
    "message",
    [Message(""), Message("x" * 2001), Message("a", tuple(Button(str(n), "v") for n in range(6))),
     Message("a", tuple(Button(str(n), "v") for n in range(5)), Link("l", "https://a.vn")),
     Message("a", (Button("x" * 101, "v"),)), Message("a", (Button("", "v"),)), Message("a", (Button("x", ""),)),
     Message("a", (Button("x", "v" * 1001),))],
)  # fmt: skip
async def test_what_exceeds_a_limit_is_never_sent(oa: ZaloOa, zalo: ZaloStandIn, message: Message) -> None:
    with pytest.raises(SendError) as caught:
        await oa.send(USER, message)
    assert caught.value.kind == "failed"
    assert zalo.calls == []


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=120).filter(str.strip)
BUTTONS = st.lists(st.builds(Button, TEXTS, TEXTS), max_size=12).map(tuple)
LONG = st.builds(lambda text, times: text * times, TEXTS, st.integers(1, 80)).filter(str.strip)


@given(
    reply=st.builds(
        Reply, LONG, BUTTONS, link=st.none() | st.builds(Link, TEXTS.map(lambda t: t[:60]), st.just("https://a.vn/b"))
    )
)
def test_whatever_is_rendered_zalo_takes(reply: Reply) -> None:
    rendered = render(reply, "zalo_oa")
    shown: list[dict[str, Any]] = [
        zalo_oa._checked(text_message(message), lambda _picture: None) for message in rendered.messages
    ]
    values = {button["payload"] for one in shown for button in one.get("buttons", []) if isinstance(
        button["payload"], str)} | set(rendered.menu)  # fmt: skip
    # What goes out is composed (NFC), as every text of a channel is.
    assert values >= {unicodedata.normalize("NFC", button.value) for button in reply.buttons}


async def test_what_is_wrong_with_the_account_is_told_until_it_is_mended(oa: ZaloOa, zalo: ZaloStandIn) -> None:
    zalo.plan.append(-221)
    with pytest.raises(SendError):
        await oa.send(USER, Message("a"))
    assert "-221" in (oa.problem or "")
    await oa.send(USER, Message("a"))
    assert oa.problem is None


async def _settled(oa: ZaloOa, *, well: bool) -> None:
    async with asyncio.timeout(20):
        while (oa.problem is None) != well:  # noqa: ASYNC110 - nothing tells when it changes
            await asyncio.sleep(0.01)


async def test_the_keeper_finds_a_problem_and_its_end_without_any_message(
    office: Settings, sqlite_database: Database, zalo: ZaloStandIn, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "KEEPER_SECONDS", 0.01)
    oa = ZaloOa(office, sqlite_database, clock)
    await oa.start(lambda _incoming: None)
    await _settled(oa, well=False)
    assert "motcua zalo login" in (oa.problem or "")
    log_in(office, sqlite_database, zalo, clock)
    await _settled(oa, well=True)
    zalo.account_error = -221
    clock.move(hours=1)
    await _settled(oa, well=False)
    zalo.account_error = 0
    await _settled(oa, well=True)
    clock.move(hours=20)
    assert await asyncio.to_thread(zalo.wait_until, lambda: zalo.refreshes == 1), "the keeper refreshes by itself"
    await oa.stop()


async def test_a_stop_waits_for_what_is_being_sent_and_sends_nothing_more(oa: ZaloOa, zalo: ZaloStandIn) -> None:
    zalo.plan.append("hold")
    sending = asyncio.create_task(oa.send(USER, Message("a")))
    assert await asyncio.to_thread(zalo.wait_for, 1)
    stopping = asyncio.create_task(oa.stop())
    await asyncio.sleep(0)
    with pytest.raises(SendError) as caught:
        await oa.send(USER, Message("b"))
    assert caught.value.kind == "retry"
    assert not stopping.done()
    zalo.release.set()
    await stopping
    assert sending.result() == "zm1"
    assert len(zalo.sent) == 1


def test_a_photo_is_fetched_from_the_named_stand_in(
    office: Settings, sqlite_database: Database, zalo: ZaloStandIn
) -> None:
    zalo.photos["/a.jpg"] = b"\xff\xd8" + b"x" * 1000
    oa = ZaloOa(office, sqlite_database)
    assert oa.fetch_photo(f"{zalo.url}/a.jpg") == zalo.photos["/a.jpg"]
    with pytest.raises(FetchError) as caught:
        oa.fetch_photo(f"{zalo.url}/gone.jpg")
    assert caught.value.final


def test_our_pictures_fit_into_an_upload() -> None:
    sizes = {path.name: path.stat().st_size for path in Path(STATIC).glob("*.png")}
    assert sizes
    assert max(sizes.values()) <= 1024 * 1024


def test_a_picture_is_used_for_less_than_zalo_keeps_it() -> None:
    assert timedelta(0) < channel_module.KEEP_IMAGE < timedelta(days=7)
