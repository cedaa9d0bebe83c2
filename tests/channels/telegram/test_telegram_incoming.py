"""From the Bot API's updates to what a citizen said."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standins.telegram import TOKEN, TelegramStandIn
from standins.telegram_updates import CITIZEN
from telegram import Bot

from bot.channels.telegram.incoming import PHOTO_BYTES, Taken, meant, taken_of
from bot.conversation.model import Incoming
from bot.errors import BadInputError

BOT = Bot(TOKEN)
NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
CODE = "H30.99.01-261116-0001"


@pytest.fixture(scope="module")
def api() -> Iterator[TelegramStandIn]:
    with TelegramStandIn() as standin:
        yield standin


def _taken(update: Any) -> Taken:
    return taken_of(update, BOT, NOW)


def _incoming(update: Any) -> Incoming:
    incoming = _taken(update).incoming
    assert incoming is not None
    return incoming


def test_a_text_is_what_was_typed(api: TelegramStandIn) -> None:
    update = api.text("làm khai sinh")
    message = update["message"]
    at = datetime.fromtimestamp(message["date"], UTC)
    said = Incoming("telegram", str(CITIZEN), f"m{CITIZEN}:{message['message_id']}", "làm khai sinh", at)
    assert _taken(update) == Taken(update["update_id"], said)


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("/start", "xin chào"),
        ("/START@motcua_bot", "xin chào"),
        ("/start H30_99_01_261116_0001", CODE),
        ("/start 1_001193", "1.001193"),
        ("/start quang-cao", "xin chào"),
        ("/start dong_y", "xin chào"),
        ("/help", "trợ giúp"),
        ("/tra_cuu", "xem hồ sơ đã nộp"),
        (f"/tra_cuu {CODE}", CODE),
        (f"/tra_cuu@motcua_bot   {CODE.lower()} ", CODE.lower()),
        ("/tra_cuu hôm trước", "xem hồ sơ đã nộp, hôm trước"),
        ("/gap_can_bo", "gặp cán bộ"),
        ("/gap_can_bo đất bị lấn", "gặp cán bộ, đất bị lấn"),
        ("/ngung_nhan_tin", "ngừng nhận tin"),
        ("/dang_ky_khai_sinh", "dang ky khai sinh"),
        ("/", "/"),
        ("12/2026", "12/2026"),
        ("/thu-tuc/1.001193", "/thu-tuc/1.001193"),
    ],
)
def test_a_command_stands_for_ordinary_words(typed: str, text: str) -> None:
    assert meant(typed) == text


def test_a_tap_names_the_message_and_wants_an_answer(api: TelegramStandIn) -> None:
    button = {"text": "Lệ phí", "callback_data": "lệ phí 1.001193"}
    shown = {"message_id": 1001, "chat": {"id": CITIZEN, "type": "private"}, "text": "…", "inline": [[button]]}
    update = api.tap(shown, "Lệ phí")
    query = update["callback_query"]["id"]
    said = Incoming("telegram", str(CITIZEN), f"c{query}", "lệ phí 1.001193", NOW, tapped="1001")
    assert _taken(update) == Taken(update["update_id"], said, query)
    # Telegram no longer shows an old message to us, but tells which one it was.
    update["callback_query"]["message"] = {"message_id": 1001, "date": 0, "chat": shown["chat"]}
    assert _incoming(update).tapped == "1001"
    del update["callback_query"]["message"]
    assert _taken(update) == Taken(update["update_id"], None, query)


@pytest.mark.parametrize("number", ["84951000001", "+84951000001", "+84 951 000 001"])
def test_only_ones_own_contact_counts(api: TelegramStandIn, number: str) -> None:
    owners = (CITIZEN, 78, None)
    shared = [_incoming(api.contact(number, owner=owner)) for owner in owners]
    assert [(said.kind, said.phone) for said in shared] == [
        ("contact", "+84951000001"), ("contact", None), ("contact", None),
    ]  # fmt: skip


def test_a_contact_without_a_readable_number_proves_nothing(api: TelegramStandIn) -> None:
    assert _incoming(api.contact("gọi tôi nhé")).phone is None


_FILE = {"file_id": "f1", "file_unique_id": "u1", "file_size": 10}
_PLACE = {"latitude": 10.0, "longitude": 105.8}
_VIDEO = {**_FILE, "width": 1, "height": 1, "duration": 1}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"voice": {**_FILE, "duration": 3}}, "voice"),
        ({"audio": {**_FILE, "duration": 3}}, "voice"),
        ({"video": _VIDEO}, "video"),
        ({"video_note": {**_FILE, "length": 1, "duration": 1}}, "video"),
        ({"animation": _VIDEO, "document": {**_FILE, "mime_type": "video/mp4"}}, "video"),
        ({"sticker": {**_FILE, "type": "regular", "width": 1, "height": 1, "is_animated": False, "is_video": False}},
         "sticker"),
        ({"location": _PLACE}, "location"),
        ({"location": _PLACE, "venue": {"location": _PLACE, "title": "Chợ", "address": "Ấp 1"}}, "location"),
        ({"document": {**_FILE, "mime_type": "application/pdf"}}, "file"),
        ({"document": _FILE}, "file"),
        ({"dice": {"emoji": "🎲", "value": 3}}, "other"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_has_a_kind(api: TelegramStandIn, content: dict[str, Any], kind: str) -> None:
    said = _incoming(api.message(**content))
    assert (said.kind, said.text, said.photo) == (kind, "", None)


def test_of_a_photo_the_largest_size_that_is_small_enough(api: TelegramStandIn) -> None:
    update = api.photo(b"content", caption="giấy hẹn của tôi")
    sizes = update["message"]["photo"]
    said = _incoming(update)
    assert (said.kind, said.photo, said.text) == ("photo", sizes[2]["file_id"], "giấy hẹn của tôi")
    sizes[2]["file_size"] = PHOTO_BYTES + 1
    assert _incoming(update).photo == sizes[1]["file_id"]
    del sizes[2]["file_size"]
    assert _incoming(update).photo == sizes[2]["file_id"]
    for size in sizes:
        size["file_size"] = PHOTO_BYTES + 1
    assert (_incoming(update).kind, _incoming(update).photo, _incoming(update).problem) == ("photo", None, "too_large")


def test_a_picture_sent_as_a_file_is_a_photo(api: TelegramStandIn) -> None:
    said = _incoming(api.message(document={**_FILE, "mime_type": "image/jpeg"}))
    assert (said.kind, said.photo) == ("photo", "f1")


def test_blocking_is_an_unfollow_and_unblocking_nothing(api: TelegramStandIn) -> None:
    said = _incoming(api.membership("kicked"))
    assert (said.kind, said.sender, said.text) == ("unfollow", str(CITIZEN), "")
    assert _taken(api.membership("member")).incoming is None


@pytest.mark.parametrize(
    "update",
    [
        {"update_id": 5},
        {"update_id": 5, "edited_message": {"message_id": 1}},
        {"update_id": 5, "poll": 7},
        {"update_id": 5, "a_kind_of_the_future": {"deep": [1, 2]}},
        {"update_id": 5, "message": {"message_id": 1, "date": 1764000000, "chat": {"id": 7, "type": "private"}}},
    ],
)
def test_other_kinds_ask_for_nothing(update: dict[str, Any]) -> None:
    assert _taken(update) == Taken(5)


def test_groups_are_not_answered(api: TelegramStandIn) -> None:
    assert _taken(api.message(chat_type="group", text="xin chào")).incoming is None
    assert _taken(api.message(chat_type="supergroup", photo=[])).incoming is None
    group = {"message_id": 1001, "chat": {"id": -5, "type": "group"}, "text": "…"}
    update = api.tap(group | {"inline": [[{"text": "A", "callback_data": "a"}]]}, "A")
    assert _taken(update) == Taken(update["update_id"], None, update["callback_query"]["id"])


def test_what_telegram_notes_in_a_chat_is_no_message_of_a_citizen(api: TelegramStandIn) -> None:
    assert _taken(api.message(message_auto_delete_timer_changed={"message_auto_delete_time": 86400})).incoming is None


@pytest.mark.parametrize(
    "wrong", [None, 7, "update", [], {}, {"update_id": "5"}, {"update_id": True}, {"update_id": -1}]
)
def test_what_is_no_update_is_refused(wrong: object) -> None:
    with pytest.raises(BadInputError):
        _taken(wrong)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything within an update."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from _places(inner, (*path, key))


@given(st.data())
def test_a_wrong_type_anywhere_is_refused_or_ignored_and_never_believed(
    api: TelegramStandIn, data: st.DataObject
) -> None:
    update = copy.deepcopy(data.draw(st.sampled_from(_samples(api))))
    path = data.draw(st.sampled_from(sorted(_places(update), key=repr)))
    inside = update
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = data.draw(_ANY)
    try:
        taken = _taken(update)
    except BadInputError:
        return
    said = taken.incoming
    if said is not None:
        assert said.sender.isdigit()
        texts = (said.message_id, said.text, said.photo or "", said.phone or "+1", said.tapped or "")
        assert all(isinstance(text, str) for text in texts)
        assert (said.message_id + (said.photo or "")).isascii()


def _samples(api: TelegramStandIn) -> list[dict[str, Any]]:
    shown = {"message_id": 1001, "chat": {"id": CITIZEN, "type": "private"}, "text": "…"}
    return [
        api.text("/start 1_001193"),
        api.contact("+84951000001"),
        api.photo(b"content", caption="giấy hẹn"),
        api.message(document={**_FILE, "mime_type": "image/png"}),
        api.tap(shown | {"inline": [[{"text": "A", "callback_data": "a"}]]}, "A"),
        api.membership("kicked"),
    ]
