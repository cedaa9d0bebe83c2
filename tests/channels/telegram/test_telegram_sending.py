"""Messages on their way out: each call of the Bot API and each way it can fail, over real HTTP."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from standins.telegram import TOKEN, TelegramStandIn
from standins.telegram_limits import RefusedError, bad, too_many

from bot.channels.port import FetchError, SendError
from bot.channels.rendering import Message
from bot.channels.telegram import Telegram, photos
from bot.channels.telegram import channel as channel_module
from bot.channels.telegram.channel import CannotConnectError
from bot.channels.telegram.incoming import PHOTO_BYTES
from bot.conversation.model import Button, Link
from bot.settings import Settings

CHOICES = (Button("Khai sinh", "1.001193"), Button("Kết hôn", "1.000894"))


async def _fails(channel: Telegram, message: Message, recipient: str = "77") -> SendError:
    with pytest.raises(SendError) as told:
        await channel.send(recipient, message)
    assert TOKEN not in str(told.value)
    return told.value


async def test_a_message_goes_out_once_with_marks_buttons_and_link(channel: Telegram, api: TelegramStandIn) -> None:
    link = Link("Trang của thủ tục", "https://xa.example/thu-tuc/1.001193")
    provider_id = await channel.send("77", Message("Khai sinh\n1 < 2 & 3", CHOICES, link))
    (sent,) = api.sent
    assert provider_id == str(sent["message_id"])
    assert sent["html"] == "<b>Khai sinh</b>\n1 &lt; 2 &amp; 3"
    assert [[b["text"] for b in row] for row in sent["inline"]] == [["Khai sinh"], ["Kết hôn"], ["Trang của thủ tục"]]


async def test_an_answer_takes_the_place_of_the_choice(channel: Telegram, api: TelegramStandIn) -> None:
    chosen = await channel.send("77", Message("Chọn:", CHOICES, menu=True))
    assert await channel.send("77", Message("Lệ phí: miễn phí.", edits=chosen)) == chosen
    (only,) = api.sent
    assert (only["text"], only.get("inline")) == ("Lệ phí: miễn phí.", None)
    # The same once more (its answer was lost): Telegram says that nothing changed, so it stands there.
    assert await channel.send("77", Message("Lệ phí: miễn phí.", edits=chosen)) == chosen
    assert (len(api.sent), api.edits) == (1, 1)


@pytest.mark.parametrize("edits", ["999", "x1"])
async def test_what_cannot_be_edited_is_sent_anew(channel: Telegram, api: TelegramStandIn, edits: str) -> None:
    await channel.send("77", Message("Chọn:", CHOICES, menu=True))
    assert await channel.send("77", Message("Dạ.", edits=edits)) == str(api.sent[1]["message_id"])
    assert [sent["text"] for sent in api.sent] == ["Chọn:", "Dạ."]


async def test_another_citizens_message_is_never_edited(channel: Telegram, api: TelegramStandIn) -> None:
    foreign = await channel.send("78", Message("Chọn:", CHOICES, menu=True))
    await channel.send("77", Message("Dạ.", edits=foreign))
    assert [(sent["chat"]["id"], sent["text"]) for sent in api.sent] == [(78, "Chọn:"), (77, "Dạ.")]


async def test_an_edit_whose_answer_never_came_may_be_tried_again(channel: Telegram, api: TelegramStandIn) -> None:
    chosen = await channel.send("77", Message("Chọn:", CHOICES, menu=True))
    api.plan.append("drop")
    assert (await _fails(channel, Message("Dạ.", edits=chosen))).kind == "retry"
    assert await channel.send("77", Message("Dạ.", edits=chosen)) == chosen
    assert [sent["text"] for sent in api.sent] == ["Dạ."]


async def test_a_new_message_whose_answer_never_came_is_uncertain(channel: Telegram, api: TelegramStandIn) -> None:
    api.plan.append("drop")
    assert (await _fails(channel, Message("Dạ."))).kind == "uncertain"
    assert [sent["text"] for sent in api.sent] == ["Dạ."]
    # Also where it was to be an edit first: from then on it is a new message.
    api.plan.append("drop")
    assert (await _fails(channel, Message("Vâng.", edits="999"))).kind == "uncertain"


async def test_what_telegram_asks_to_wait_is_passed_on(channel: Telegram, api: TelegramStandIn) -> None:
    api.plan.append(too_many(17))
    error = await _fails(channel, Message("Dạ."))
    assert (error.kind, error.delay) == ("retry", timedelta(seconds=17))
    await channel.send("78", Message("Dạ."))  # others don't wait for it
    assert [sent["chat"]["id"] for sent in api.sent] == [78]


async def test_who_blocked_the_bot_or_is_gone_is_blocked(channel: Telegram, api: TelegramStandIn) -> None:
    api.blocked.add("77")
    api.unknown.add("78")
    assert (await _fails(channel, Message("Dạ."))).kind == "blocked"
    assert (await _fails(channel, Message("Dạ."), "78")).kind == "blocked"
    assert api.sent == []


@pytest.mark.parametrize(
    ("planned", "kind"),
    [
        (bad("can't parse entities"), "failed"),
        (RefusedError(500, "Internal Server Error"), "uncertain"),
        (RefusedError(502, "Bad Gateway"), "uncertain"),
    ],
)
async def test_other_refusals(channel: Telegram, api: TelegramStandIn, planned: RefusedError, kind: str) -> None:
    api.plan.append(planned)
    assert (await _fails(channel, Message("Dạ."))).kind == kind


async def test_a_token_withdrawn_is_the_accounts_fault_until_it_works_again(
    channel: Telegram, api: TelegramStandIn
) -> None:
    api.token = "another"
    assert (await _fails(channel, Message("Dạ."))).kind == "account"
    assert channel.problem == "Telegram không nhận TELEGRAM_TOKEN"
    api.token = TOKEN
    await channel.send("77", Message("Dạ."))
    assert channel.problem is None


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


async def test_what_never_left_is_tried_again(telegram_settings: Settings) -> None:
    away = telegram_settings.model_copy(update={"telegram_base_url": f"http://127.0.0.1:{_free_port()}"})
    channel = Telegram(away)
    with pytest.raises(CannotConnectError):
        await channel.start(lambda _incoming: None)
    assert (await _fails(channel, Message("Dạ."))).kind == "retry"
    await channel.stop()


async def test_the_number_is_asked_for_with_a_keyboard_that_the_next_plain_message_removes(
    channel: Telegram, api: TelegramStandIn
) -> None:
    await channel.send("77", Message("Hoặc bấm nút dưới đây", contact=True))
    await channel.send("77", Message("Dạ, đúng rồi."))
    assert api.sent[0]["reply"] == [[{"text": "Chia sẻ số của tôi", "request_contact": True}]]
    assert api.sent[1]["remove"] is True


async def test_a_picture_is_uploaded_once(
    channel: Telegram, api: TelegramStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "receipt.png").write_bytes(b"\x89PNG picture")
    monkeypatch.setattr(channel_module, "IMAGES", tmp_path)
    for text in ("Chụp như thế này & <gần>", "Lần nữa"):
        await channel.send("77", Message(text, CHOICES, image="receipt.png"))
    assert api.uploads == [b"\x89PNG picture"]
    assert [(sent["text"], bool(sent["photo"])) for sent in api.sent] == [
        ("Chụp như thế này & <gần>", True), ("Lần nữa", True),
    ]  # fmt: skip
    api.files.clear()  # Telegram has forgotten it
    await channel.send("77", Message("Lần ba", image="receipt.png"))
    assert len(api.uploads) == 2
    # One row is one send: the text comes first.
    await channel.send("77", Message("ấ" * 1025, image="receipt.png"))
    await channel.send("77", Message("Không có ảnh", image="gone.png"))
    await channel.send("77", Message("Không phải ảnh của trang", image="../secret.png"))
    assert ["photo" in sent for sent in api.sent] == [True, True, True, False, False, False]


async def test_a_bot_that_telegram_does_not_know_says_so_without_its_token(
    telegram_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = telegram_settings.model_copy(update={"telegram_token": SecretStr("12:short")})
    channel = Telegram(wrong)
    with pytest.raises(CannotConnectError) as told:
        await channel.start(lambda _incoming: None)
    await channel.stop()
    assert channel.problem == str(told.value) == "Telegram không nhận TELEGRAM_TOKEN"
    assert told.value.__suppress_context__
    assert "12:short" not in caplog.text


async def test_the_menu_of_commands_is_set_and_nothing_depends_on_it(
    telegram_settings: Settings, api: TelegramStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    public = telegram_settings.model_copy(update={"public_base_url": "https://xa.example"})
    channel = Telegram(public)
    await channel.start(lambda _incoming: None)
    await channel.stop()
    assert [command["command"] for command in api.commands] == [
        "start", "help", "tra_cuu", "gap_can_bo", "ngung_nhan_tin",
    ]  # fmt: skip
    (hook,) = api.hooks
    assert hook["url"] == "https://xa.example/webhooks/telegram"
    assert hook["allowed_updates"] == '["message", "callback_query", "my_chat_member"]'
    api.broken["setMyCommands"] = RefusedError(500, "Internal Server Error")
    with caplog.at_level(logging.WARNING, "motcua.telegram"):
        await channel.start(lambda _incoming: None)
        await channel.stop()
    assert len(api.hooks) == 2
    assert channel.problem is None
    assert "danh sách lệnh" in caplog.text


async def test_a_web_hook_address_that_telegram_refuses_is_told(
    telegram_settings: Settings, api: TelegramStandIn
) -> None:
    channel = Telegram(telegram_settings.model_copy(update={"public_base_url": "https://xa.example:8000"}))
    with pytest.raises(CannotConnectError, match="ports 80, 88, 443 or 8443"):
        await channel.start(lambda _incoming: None)
    await channel.stop()
    assert "ports" in (channel.problem or "")


def _photo_id(api: TelegramStandIn, content: bytes) -> str:
    file_id: str = api.photo(content)["message"]["photo"][-1]["file_id"]
    return file_id


def test_a_photo_is_fetched(telegram_settings: Settings, api: TelegramStandIn) -> None:
    assert Telegram(telegram_settings).fetch_photo(_photo_id(api, b"picture " * 1000)) == b"picture " * 1000


def test_why_a_photo_cannot_be_fetched(telegram_settings: Settings, api: TelegramStandIn) -> None:
    channel = Telegram(telegram_settings)

    def fails(file_id: str) -> FetchError:
        with pytest.raises(FetchError) as told:
            channel.fetch_photo(file_id)
        assert TOKEN not in str(told.value)
        assert told.value.__cause__ is None
        return told.value

    assert fails("unknown").final
    large = _photo_id(api, b"x" * (PHOTO_BYTES + 1))
    assert fails(large).final
    odd = _photo_id(api, b"picture")
    for path in ("/etc/passwd", "../secret", "photos/../../secret"):
        api.paths[odd] = path
        assert fails(odd).final, path
    api.broken["getFile"] = too_many(3)
    assert not fails("any").final
    api.broken["getFile"] = RefusedError(500, "Internal Server Error")
    assert not fails("any").final
    api.token = "another"
    assert not fails("any").final


def test_a_file_larger_than_it_was_said_to_be_is_not_taken(
    telegram_settings: Settings, api: TelegramStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "PHOTO_BYTES", 10)
    file_id = _photo_id(api, b"x" * 11)
    monkeypatch.setattr(
        api, "_getFile", lambda form: {"file_id": form["file_id"], "file_path": f"photos/{file_id}.jpg"}
    )
    with pytest.raises(FetchError, match="lớn hơn"):
        Telegram(telegram_settings).fetch_photo(file_id)


def test_a_photo_that_trickles_in_is_given_up(
    telegram_settings: Settings, api: TelegramStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "SECONDS", 0.0001)
    with pytest.raises(FetchError) as told:
        Telegram(telegram_settings).fetch_photo(_photo_id(api, b"picture"))
    assert not told.value.final


def test_a_telegram_that_cannot_be_reached_may_be_later(telegram_settings: Settings) -> None:
    away = telegram_settings.model_copy(update={"telegram_base_url": f"http://127.0.0.1:{_free_port()}"})
    with pytest.raises(FetchError, match=re.escape("ConnectError")) as told:
        Telegram(away).fetch_photo("any")
    assert not told.value.final


async def test_a_slow_answer_holds_up_nobody_else(channel: Telegram, api: TelegramStandIn) -> None:
    api.plan.append("hold")
    slow = asyncio.create_task(channel.send("77", Message("Dạ.")))
    assert await asyncio.to_thread(api.wait_for, 1)
    await channel.send("78", Message("Dạ."))
    assert not slow.done()
    api.release.set()
    assert await slow == str(api.sent[0]["message_id"])
