"""Reading web hooks: the reference's signature vector, every kind of event, and whatever else may come."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standins.zalo_hooks import USER, event, sent_event, text_event
from standins.zalo_oa import APP_ID

from bot.channels.zalo_oa.events import Delivered, Hook, Ignored, event_of, in_time, mac, read_hook, signed
from bot.conversation.model import Incoming
from bot.errors import BadInputError

AT = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
# reference/channels.md §1.3
VECTOR = (
    '{"app_id":"1234567890","sender":{"id":"246845883529197922"},"user_id_by_app":"552177279717587730",'
    '"recipient":{"id":"388613280878808645"},"event_name":"user_send_text",'
    '"message":{"text":"xin chào","msg_id":"96d3cdf3af150460909"},"timestamp":"1732420800000"}'
).encode()
VECTOR_MAC = "fd2653a5656644137e601dab14898616ba0c3f80d411d9352aaf6b41f8c13e58"


def _read(body: dict[str, Any], *, trust_phone: bool = False) -> Incoming | Delivered | Ignored:
    return event_of(read_hook(json.dumps(body).encode()), trust_phone=trust_phone)


def _taken(body: dict[str, Any], *, trust_phone: bool = False) -> Incoming:
    found = _read(body, trust_phone=trust_phone)
    assert isinstance(found, Incoming)
    return found


def test_the_reference_vector_is_right() -> None:
    hook = read_hook(VECTOR)
    assert mac("1234567890", hook, "oaSecret") == VECTOR_MAC
    assert signed(f"mac={VECTOR_MAC}", hook, "1234567890", "oaSecret")
    assert _read(json.loads(VECTOR)) == Incoming(
        "zalo_oa", "246845883529197922", "96d3cdf3af150460909", "xin chào", datetime(2024, 11, 24, 4, 0, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("header", "app_id", "secret"),
    [("", APP_ID, "oaSecret"), ("mac=", APP_ID, "oaSecret"), (f"mac={VECTOR_MAC[:-1]}9", APP_ID, "oaSecret"),
     (f"mac={VECTOR_MAC}", "1234567891", "oaSecret"), (f"mac={VECTOR_MAC}", APP_ID, "other"),
     (f"mac={VECTOR_MAC}ả", APP_ID, "oaSecret")],
)  # fmt: skip
def test_any_other_signature_is_wrong(header: str, app_id: str, secret: str) -> None:
    assert not signed(header, read_hook(VECTOR), app_id, secret)


def test_a_body_changed_by_one_byte_is_not_signed() -> None:
    hook = read_hook(VECTOR.replace(b"xin", b"Xin"))
    assert not signed(f"mac={VECTOR_MAC}", hook, "1234567890", "oaSecret")


@pytest.mark.parametrize(
    ("kind", "payload", "expected"),
    [("image", {"url": "https://photo.zdn.vn/a.jpg"}, "photo"), ("audio", {"url": "https://a"}, "voice"),
     ("video", {"url": "https://a"}, "video"), ("sticker", {"id": "1"}, "sticker"), ("gif", {"url": "u"}, "sticker"),
     ("location", {"coordinates": {"latitude": "10.76", "longitude": "106.66"}}, "location"),
     ("file", {"url": "https://a", "name": "a.pdf", "size": "1", "type": "pdf"}, "file"),
     ("link", {"url": "https://a"}, "other"), ("business_card", {"qrCodeUrl": "u", "phone": "1"}, "other")],
)  # fmt: skip
def test_each_kind_of_message(kind: str, payload: dict[str, Any], expected: str) -> None:
    incoming = _taken(sent_event(kind, payload, AT))
    assert (incoming.kind, incoming.sender, incoming.at) == (expected, USER, AT)
    assert incoming.photo == ("https://photo.zdn.vn/a.jpg" if kind == "image" else None)


def test_follow_and_unfollow_have_an_id_of_their_own() -> None:
    follow, unfollow = _taken(event("follow", AT)), _taken(event("unfollow", AT))
    assert (follow.kind, follow.sender) == ("follow", USER)
    assert (unfollow.kind, unfollow.sender) == ("unfollow", USER)
    assert follow.message_id != unfollow.message_id
    assert follow.message_id == _taken(event("follow", AT)).message_id
    assert follow.message_id != _taken(event("follow", AT + timedelta(seconds=1))).message_id


def test_a_shared_number_proves_nothing_unless_the_office_says_so() -> None:
    body = event("user_submit_info", AT, info={"name": "Nguyễn Văn A", "phone": "84951234567"})
    assert (_taken(body).kind, _taken(body).phone) == ("contact_unverified", None)
    trusted = _taken(body, trust_phone=True)
    assert (trusted.kind, trusted.phone) == ("contact", "+84951234567")
    assert "Nguyễn" not in repr(trusted)
    odd = event("user_submit_info", AT, info={"phone": ["84951234567"]})
    assert (_taken(odd, trust_phone=True).kind, _taken(odd, trust_phone=True).phone) == ("contact", None)


def test_receipts_and_echoes() -> None:
    assert _read(event("user_received_message", AT, message={"msg_id": "a", "delivery_time": "1"})) == Delivered(("a",))
    assert _read(event("user_received_message", AT, message={"msg_ids": ["a", 3, "b"]})) == Delivered(("a", "b"))
    for name in ("oa_send_text", "oa_send_sticker", "user_seen_message", "anonymous_send_text"):
        assert _read(event(name, AT)) == Ignored(known=True)
    assert _read(event("user_does_handstand", AT)) == Ignored(known=False)


def test_ids_that_no_database_takes_still_tell_repeats_from_new_ones() -> None:
    odd = ["\ud800", "\0", "dấu", "x" * 5000, "with blank"]
    found = [_taken(text_event("a", AT, msg_id=one)).message_id for one in odd]
    assert found == [_taken(text_event("a", AT, msg_id=one)).message_id for one in odd]
    assert len(set(found)) == len(odd)
    assert all(one.isascii() and len(one) <= 200 for one in found)


def test_a_message_without_id_is_told_by_event_time_and_sender() -> None:
    body = event("user_send_text", AT, message={"text": "a"})
    assert _taken(body).message_id == f"user_send_text:{body['timestamp']}:{USER}"


@pytest.mark.parametrize(
    ("change", "told"),
    [({"timestamp": None}, "timestamp"), ({"timestamp": "24/11"}, "timestamp"), ({"timestamp": "9" * 15}, "timestamp"),
     ({"timestamp": True}, "timestamp"), ({"app_id": {}}, "app_id"), ({"app_id": "\ud800"}, "app_id"),
     ({"event_name": 5}, "event_name"), ({"event_name": ""}, "event_name"), ({"sender": "x"}, "sender"),
     ({"sender": {"id": ["x"]}}, "sender.id"), ({"sender": {"id": "a b"}}, "sender.id"),
     ({"sender": {"id": "1" * 129}}, "sender.id"), ({"message": []}, "message"),
     ({"message": {"text": {}}}, "message.text"), ({"message": {"text": "a", "msg_id": {}}}, "message.msg_id")],
)  # fmt: skip
def test_wrong_types_are_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        _read(text_event("a", AT) | change)


@pytest.mark.parametrize("raw", [b"[", b"\xff", b"[]", b"null", b"1" * 5000, b"[" * 60_000, b'{"a":' * 10_000])
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(BadInputError, match="JSON"):
        read_hook(raw)


NAMES = st.sampled_from(["id", "text", "msg_id", "msg_ids", "attachments", "payload", "url", "phone"])
WORDS = st.text("a1 \0\ud800ả", max_size=5) | st.sampled_from(["x" * 300, "84951234567", "https://photo.zdn.vn/a"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)


@given(
    name=st.sampled_from(
        ["user_send_text", "user_send_image", "user_submit_info", "follow", "user_received_message", "oa_send_text"]
    ),
    parts=st.fixed_dictionaries({}, optional=dict.fromkeys(("sender", "message", "info", "follower"), JSON)),
)
def test_any_body_is_read_or_refused(name: str, parts: dict[str, Any]) -> None:
    hook = Hook(b"", APP_ID, "1732420800000", name, event(name, AT) | parts)
    try:
        found = event_of(hook, trust_phone=True)
    except BadInputError:
        return
    if isinstance(found, Incoming):
        assert 1 <= len(found.sender) <= 128
        assert 1 <= len(found.message_id) <= 200
        json.dumps([found.sender, found.message_id, found.photo]).encode("ascii")


def test_a_stale_time_and_one_of_tomorrow_are_not_in_time() -> None:
    hook = read_hook(json.dumps(text_event("a", AT)).encode())
    assert in_time(hook, AT + timedelta(hours=24))
    assert not in_time(hook, AT + timedelta(hours=24, seconds=1))
    assert in_time(hook, AT - timedelta(minutes=10))
    assert not in_time(hook, AT - timedelta(minutes=10, seconds=1))
