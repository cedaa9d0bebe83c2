"""Updates as the platform writes them, and whatever else somebody may send to the web hook."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standins.zalo_bot import update

from bot.channels.zalo_bot.updates import incoming_of
from bot.conversation.model import Incoming
from bot.errors import BadInputError

NOW = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
IMAGE = {"text": None, "event": "message.image.received"}


def test_a_text_wrapped_and_unwrapped_is_the_same_message() -> None:
    body = update("Xin chào", "6ede9afa66b88fe6d6a9", "2d758cb5e222177a4e35")
    expected = Incoming(
        "zalo_bot", "6ede9afa66b88fe6d6a9", "m2d758cb5e222177a4e35", "Xin chào", datetime.fromtimestamp(1764000000, UTC)
    )
    assert incoming_of(body, NOW) == expected
    assert incoming_of({"ok": True, "result": body}, NOW) == expected
    assert incoming_of({"message": body["message"]}, NOW) == expected


@pytest.mark.parametrize("field", ["photo", "photo_url"])
def test_a_picture_under_either_name(field: str) -> None:
    found = incoming_of(update(**IMAGE, **{field: "https://photo.zdn.vn/a.jpg", "caption": "hồ sơ của tôi"}), NOW)
    assert found is not None
    assert (found.kind, found.photo, found.text) == ("photo", "https://photo.zdn.vn/a.jpg", "hồ sơ của tôi")
    unnamed = update(None, **{field: "https://photo.zdn.vn/a.jpg"})
    del unnamed["event_name"]
    assert (incoming_of(unnamed, NOW) or found).photo == found.photo


@pytest.mark.parametrize(
    ("event", "kind"),
    [("sticker", "sticker"), ("voice", "voice"), ("unsupported", "other"), ("link", "other"), ("image", "photo")],
)
def test_what_is_no_text_has_a_kind_that_is_answered_politely(event: str, kind: str) -> None:
    found = incoming_of(update(None, event=f"message.{event}.received"), NOW)
    assert found is not None
    assert (found.kind, found.text, found.photo) == (kind, "", None)


def test_of_protected_users_even_the_id_may_be_missing() -> None:
    body = update(None, event="message.unsupported.received", message_id=None)
    first, again = incoming_of(body, NOW), incoming_of(json.loads(json.dumps(body)), NOW)
    other = incoming_of(update(None, event="message.unsupported.received", message_id=None, date=1764000000001), NOW)
    assert first is not None
    assert first == again
    assert other is not None
    assert other.message_id != first.message_id


@pytest.mark.parametrize(
    "body",
    [
        update("Xin chào", chat={"id": "g1", "chat_type": "GROUP"}),
        update("Xin chào", **{"from": {"id": "b", "is_bot": True}}),
        {"event_name": "bot.added", "bot": {"id": "1"}},
    ],
)
def test_only_what_a_person_says_to_the_bot_alone_is_taken(body: Any) -> None:
    assert incoming_of(body, NOW) is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "update"),
        ("tin", "update"),
        ({}, "message"),
        ({"ok": True, "result": [update("a")]}, "result"),
        ({"event_name": 5, "message": {}}, "event_name"),
        ({"event_name": "message.text.received", "message": "a"}, "message"),
        (update("a", chat="u77"), "chat"),
        (update("a", chat={"id": "u77", "chat_type": 1}), "chat_type"),
        (update("a", **{"from": None}), "from"),
        (update("a", chat={"chat_type": "PRIVATE"}), "chat.id"),
        (update("a", chat={"id": "", "chat_type": "PRIVATE"}), "chat.id"),
        (update("a", chat={"id": "x" * 129, "chat_type": "PRIVATE"}), "chat.id"),
        (update("a", chat={"id": "u\n77", "chat_type": "PRIVATE"}), "chat.id"),
        (update("a", chat={"id": True, "chat_type": "PRIVATE"}), "chat.id"),
        (update("a", message_id=None), "message_id"),
        (update("a", message_id=1.5), "message_id"),
        (update(["a"]), "text"),  # type: ignore[arg-type]
        (update(**IMAGE, photo={"url": "https://photo.zdn.vn/a"}), "photo"),
        (update("a", date="hôm nay"), "date"),
        (update("a", date=True), "date"),
        (update("a", date=10**30), "date"),
        (update("a", date=float("nan")), "date"),
    ],
)
def test_a_wrong_field_is_named_and_its_value_is_not_repeated(body: Any, field: str) -> None:
    with pytest.raises(BadInputError, match=rf"^zalo_bot: {field}: cần ") as caught:
        incoming_of(body, NOW)
    assert "hôm nay" not in str(caught.value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below, max_size=3),
    max_leaves=8,
)
_FIELDS = ("message_id", "date", "from", "chat", "text", "photo", "photo_url", "caption")


_EVENTS = st.sampled_from(("text", "image", "voice", "unsupported"))


@given(_JSON, _EVENTS, st.dictionaries(st.sampled_from(_FIELDS), _JSON))
def test_anything_is_a_message_or_refused(any_body: Any, event: str, fields: dict[str, Any]) -> None:
    near = update("a", event=f"message.{event}.received")
    near["message"] |= fields
    for body in (any_body, {"ok": True, "result": any_body}, near):
        try:
            found = incoming_of(body, NOW)
        except BadInputError:
            continue
        assert found is None or (1 <= len(found.sender) <= 128 and len(found.message_id) > 1)
