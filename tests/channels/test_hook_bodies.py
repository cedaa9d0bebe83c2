"""Whatever comes to a web hook, rightly signed: never an internal error, and nothing malformed is believed."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hook_scene import Hooks, hooks_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standins.telegram_updates import CITIZEN, Updates
from standins.twilio import ACCOUNT
from standins.zalo_bot import update
from standins.zalo_hooks import event, sent_event, text_event

from bot.clock import utc_now
from bot.conversation.talk import Talk
from bot.notices.gateways.esms_reports import callback_key
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.queue import incoming_of
from bot.storage.tables import Outbox

KINDS = {"text", "photo", "voice", "video", "sticker", "location", "file", "contact", "contact_unverified", "follow",
         "unfollow", "other"}  # fmt: skip
FEW = settings(
    max_examples=60, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
ODD = st.sampled_from(["", "\0", "\ud800", "x" * 300, "9" * 400, "{}", "-1", "1e999", "84951234567", "ả\r\n"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=10) | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | ODD.filter(lambda text: "\ud800" not in text)
SMS = {"MessageSid": "SM" + "7" * 32, "AccountSid": ACCOUNT, "From": "+84951234567", "To": "+15017122661",
       "Body": "tra cứu", "NumMedia": "0", "OptOutType": ""}  # fmt: skip
REPORT = {"MessageSid": "SM" + "7" * 32, "MessageStatus": "delivered", "AccountSid": ACCOUNT, "ErrorCode": "30003"}


@pytest.fixture
def hooks(settings: Settings, database: Database, talk: Talk) -> Iterator[Hooks]:
    with hooks_of(settings, database, talk) as running:
        yield running


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from _places(inner, (*path, key))


def _leaves(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(_leaves, value.values()))
    if isinstance(value, list):
        return set().union(*map(_leaves, value))
    return {value if isinstance(value, str) else str(value)} if type(value) in (str, int) else set()


@st.composite
def bodies(draw: st.DrawFn, real: list[dict[str, Any]]) -> bytes:
    """Any JSON; a real event with anything in a place of it, or without that place; one with broken bytes."""
    how = draw(st.sampled_from(["any", "changed", "changed", "changed", "without", "bytes"]))
    if how == "any":
        return json.dumps(draw(JSON)).encode()
    body = copy.deepcopy(draw(st.sampled_from(real)))
    if how == "bytes":
        raw, cut = bytearray(json.dumps(body).encode()), draw(st.integers(0, 10_000))
        raw[cut % len(raw) : cut % len(raw) + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
        return bytes(raw)
    path = draw(st.sampled_from(sorted(_places(body), key=repr)))
    inside: Any = body
    for key in path[:-1]:
        inside = inside[key]
    if how == "without":
        del inside[path[-1]]
    else:
        inside[path[-1]] = draw(JSON)
    return json.dumps(body).encode()


def _nothing_wrong(hooks: Hooks, status: int, raw: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """No internal error was answered or logged; what was taken in stood in the body, and can be read back."""
    assert status in {200, 204, 400, 403}, status
    assert not [line.getMessage() for line in caplog.records if line.levelno >= logging.ERROR or line.exc_info]
    caplog.clear()
    rows = hooks.believed()
    if not rows:
        return
    assert status == 200
    told = _leaves(json.loads(raw))
    for row in rows:
        said = incoming_of(row)
        assert said.sender in told
        assert said.kind in KINDS
        assert said.sender.isprintable()
        assert said.message_id.isprintable()
        assert said.photo is None or said.photo in told
        assert said.text == "" or len(said.text) <= len(raw)


TELEGRAM = Updates()
TAPPED = {"message_id": 1001, "chat": {"id": CITIZEN, "type": "private"}, "text": "…",
          "inline": [[{"text": "A", "callback_data": "a"}]]}  # fmt: skip


@FEW
@given(bodies([
    TELEGRAM.text("/start 1_001193"), TELEGRAM.contact("+84951000001"), TELEGRAM.photo(b"content", caption="giấy hẹn"),
    TELEGRAM.tap(TAPPED, "A"), TELEGRAM.membership("kicked"),
]))  # fmt: skip
def test_telegram(hooks: Hooks, caplog: pytest.LogCaptureFixture, raw: bytes) -> None:
    _nothing_wrong(hooks, hooks.telegram(raw), raw, caplog)


@FEW
@given(bodies([
    update("xin chào"), {"ok": True, "result": update("xin chào")},
    update(None, event="message.image.received", photo="https://photo.zdn.vn/a.jpg", caption="giấy hẹn"),
    update(None, event="message.sticker.received"), update(None, event="message.unsupported.received", message_id=None),
]))  # fmt: skip
def test_zalo_bot(hooks: Hooks, caplog: pytest.LogCaptureFixture, raw: bytes) -> None:
    _nothing_wrong(hooks, hooks.zalo_bot(raw), raw, caplog)


@FEW
@given(st.data())
def test_zalo_oa(hooks: Hooks, caplog: pytest.LogCaptureFixture, data: st.DataObject) -> None:
    now = utc_now()  # an event of another day is refused before it is read
    real = [
        text_event("xin chào", now), sent_event("image", {"url": "https://photo.zdn.vn/a.jpg"}, now),
        sent_event("location", {"coordinates": {"latitude": "10.76", "longitude": "106.66"}}, now),
        event("follow", now), event("unfollow", now), event("user_submit_info", now, info={"phone": "84951234567"}),
        event("user_received_message", now, message={"msg_ids": ["a", "b"]}),
    ]  # fmt: skip
    raw = data.draw(bodies(real))
    _nothing_wrong(hooks, hooks.zalo_oa(raw), raw, caplog)


@FEW
@given(bodies([{"id": "m-1", "from": "+84951234567", "to": "8041", "text": "HS", "at": "2026-11-24T08:59:58+07:00"}]))
def test_sms_of_a_short_code(hooks: Hooks, caplog: pytest.LogCaptureFixture, raw: bytes) -> None:
    status = hooks.generic(raw)
    rows = [row for row in hooks.believed() if row.sender != "+84951234567"]
    assert not rows or status == 200
    _nothing_wrong(hooks, status, raw, caplog)
    _nothing_wrong(hooks, hooks.generic(raw, "application/x-www-form-urlencoded"), b"{}", caplog)


@FEW
@given(st.dictionaries(st.sampled_from([*SMS]) | FIELDS, FIELDS, max_size=3), st.sets(st.sampled_from([*SMS])))
def test_sms_by_twilio(
    hooks: Hooks, caplog: pytest.LogCaptureFixture, changed: dict[str, str], left_out: set[str]
) -> None:
    fields = {name: value for name, value in (SMS | changed).items() if name not in left_out or name in changed}
    _nothing_wrong(hooks, hooks.twilio("inbound", fields), json.dumps(fields).encode(), caplog)


@pytest.fixture
def notice(hooks: Hooks) -> int:
    """A notice that waits for its report."""
    with hooks.database.write() as session:
        row = Outbox(
            kind="notice", channel="sms", gateway="esms", recipient="+84951234567", dedupe_key="one",
            body={"text": "a"}, state="sent", provider_id="s1", provider_status="accepted",
            not_before=utc_now(), created_at=utc_now(),
        )  # fmt: skip
        session.add(row)
        session.flush()
        return row.id or 0


@FEW
@given(st.dictionaries(st.sampled_from([*REPORT]) | FIELDS, FIELDS, max_size=3), st.sets(st.sampled_from([*REPORT])))
def test_reports_of_twilio(
    hooks: Hooks, caplog: pytest.LogCaptureFixture, notice: int, changed: dict[str, str], left_out: set[str]
) -> None:
    fields = {name: value for name, value in (REPORT | changed).items() if name not in left_out or name in changed}
    _nothing_wrong(hooks, hooks.twilio("status", fields), b"{}", caplog)
    with hooks.database.read() as session:
        row = session.get_one(Outbox, notice)
        assert (row.state, row.provider_status) == ("sent", "accepted")  # it is another provider's


@FEW
@given(
    st.dictionaries(
        st.sampled_from(["SMSID", "SendStatus", "SendSuccess", "SendFailed", "TotalPrice", "notice"]) | FIELDS,
        FIELDS | st.sampled_from(["5", "7", "1e400", "-5", "NaN", "838.0000"]), max_size=5,
    )
)  # fmt: skip
def test_reports_of_esms(hooks: Hooks, caplog: pytest.LogCaptureFixture, notice: int, changed: dict[str, str]) -> None:
    right = {"notice": str(notice), "key": callback_key(hooks.settings, notice), "SMSID": "s1", "SendStatus": "7"}
    _nothing_wrong(hooks, hooks.esms(right | changed), b"{}", caplog)
    with hooks.database.read() as session:
        row = session.get_one(Outbox, notice)
        assert row.state in {"sent", "failed"}
        assert row.provider_id == "s1"
        assert row.cost is None or 0 < row.cost < 10**9
