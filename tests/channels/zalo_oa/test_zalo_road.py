"""Whole conversations through the service as it runs, from the web hook's bytes to the bytes sent back."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from sqlmodel import select
from standins.zalo_hooks import event, mac, sent_event, text_event
from standins.zalo_oa import ZaloStandIn
from zalo_scene import Service, log_in, stored_login

from bot.clock import utc_now
from bot.storage.database import Database
from bot.storage.tables import Conversation, Inbox, Outbox
from tests.receipts.drawing import photograph
from tests.receipts.symbols import dice, qr
from tests.waiting import wait_until

pytestmark = pytest.mark.service

CODE = "H30.99.01-261116-0001"
PUBLIC = "https://motcua.example.vn"
SECRETS = (
    "951000001", "951234567", "951999999", "Bí Mật", "Trần Văn", "standin-", "access-0", "refresh-0", "khai sinh",
    "24684588352919",
)  # fmt: skip
_USERS = count(1)


@pytest.fixture(scope="module")
def zalo() -> Iterator[ZaloStandIn]:
    with ZaloStandIn() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Path:
    made = tmp_path_factory.mktemp("office")
    shutil.copyfile(_sqlite_template, made / "motcua.sqlite3")
    return made


@pytest.fixture(scope="module")
def office(folder: Path, zalo: ZaloStandIn) -> Iterator[Database]:
    """The database behind the service."""
    database = Database(f"sqlite:///{folder / 'motcua.sqlite3'}")
    log_in(stored_login(folder), database, zalo, utc_now)
    yield database
    database.close()


@pytest.fixture(scope="module")
def service(folder: Path, office: Database, zalo: ZaloStandIn) -> Iterator[Service]:
    more = {
        "MOTCUA_DEMO": "1", "ZALO_TRUST_SHARED_PHONE": "1", "PUBLIC_BASE_URL": PUBLIC,
        "ZALO_SITE_VERIFICATION": "abc_DEF-12345", "MOTCUA_LOG_LEVEL": "DEBUG",
    }  # fmt: skip
    with Service(folder, zalo, **more) as running:
        yield running
    # Whatever has gone through it, the log shows nobody and no secret.
    assert "kênh zalo_oa đã kết nối" in running.log()
    for secret in SECRETS:
        assert secret not in running.log()
    assert "Traceback" not in running.log()


@pytest.fixture
def user() -> str:
    return f"24684588352919{next(_USERS):04d}"


def _payloads(message: dict[str, Any]) -> list[str]:
    return [button["payload"] for button in message["buttons"] if isinstance(button["payload"], str)]


def test_a_question_and_the_tap_of_a_button(service: Service, user: str) -> None:
    [answer] = service.say(text_event("phi chung thuc ban sao bao nhieu", utc_now(), user))
    assert "2.000 đồng/trang" in answer["text"]
    assert "xin đừng gửi số căn cước" in answer["text"]  # the first contact says what is kept
    assert "giấy tờ 2.000815" in _payloads(answer)
    [papers] = service.say(text_event("giấy tờ 2.000815", utc_now(), user))
    assert "Bản chính giấy tờ" in papers["text"]
    assert papers["buttons"][-1] == {
        "title": "Xem và in trang này", "type": "oa.open.url", "payload": {"url": f"{PUBLIC}/thu-tuc/2.000815"}
    }  # fmt: skip


def test_a_choice_by_number(service: Service, user: str) -> None:
    [asked] = service.say(text_event("giấy xác nhận", utc_now(), user))
    assert "2. Cấp Giấy xác nhận tình trạng hôn nhân" in asked["text"]
    [answer] = service.say(text_event("2", utc_now(), user))
    assert answer["text"].startswith("Cấp Giấy xác nhận tình trạng hôn nhân")


def test_a_new_follower_is_greeted_and_one_who_leaves_is_left_alone(
    service: Service, user: str, office: Database
) -> None:
    [greeting] = service.say(event("follow", utc_now(), user))
    assert "Dạ, chào ông/bà" in greeting["text"]
    service.hooks.deliver(event("unfollow", utc_now(), user))

    def gone() -> bool:
        with office.read() as session:
            found = session.exec(select(Conversation).where(Conversation.sender == user)).one()
            return found.unreachable_at is not None

    wait_until(gone)


def test_a_dossier_its_owner_and_the_shared_number(service: Service, user: str, office: Database) -> None:
    [status] = service.say(text_event(CODE.lower(), utc_now(), user))
    assert f"Hồ sơ {CODE}: đang xử lý" in status["text"]
    question, request = service.say(text_event(f"xem chi tiết hồ sơ {CODE}", utc_now(), user), replies=2)
    assert "chia sẻ số điện thoại" in question["text"]
    assert request["contact"]
    assert request["image_url"] == f"{PUBLIC}/static/zalo-share-phone.png"
    wrong = event("user_submit_info", utc_now(), user, info={"name": "Trần Văn Thử", "phone": "84951999999"})
    assert "không mở được hồ sơ" in service.say(wrong)[0]["text"]
    shared = event("user_submit_info", utc_now(), user, info={"name": "Trần Văn Thử", "phone": "84951000001"})
    assert "phần chỉ ông/bà xem được" in service.say(shared)[0]["text"]
    with office.read() as session:
        kept = session.exec(select(Inbox).where(Inbox.sender == user)).all()
    assert "951000001" not in json.dumps([row.payload for row in kept])


def test_a_photo_of_the_receipt(service: Service, zalo: ZaloStandIn, user: str) -> None:
    zalo.photos["/receipt.jpg"] = photograph(dice(3), qr(CODE, "m"), ("rotated",))
    photo = sent_event("image", {"url": f"{zalo.url}/receipt.jpg"}, utc_now(), user)
    [answer] = service.say(photo)
    assert "/receipt.jpg" in zalo.calls
    assert CODE in answer["text"]
    assert "đang xử lý" in answer["text"]
    elsewhere = sent_event("image", {"url": "http://127.0.0.1:9/secret"}, utc_now(), user)
    assert "gõ mã hồ sơ" in service.say(elsewhere)[0]["text"]


@pytest.mark.parametrize(
    ("kind", "told"),
    [("sticker", "cứ nhắn ạ"), ("audio", "chưa nghe được giọng nói"), ("location", "chưa dùng được vị trí"),
     ("file", "không mở tệp"), ("video", "chưa xem được video"), ("business_card", "chưa đọc được loại tin này")],
)  # fmt: skip
def test_what_is_no_text_is_answered_politely(service: Service, user: str, kind: str, told: str) -> None:
    [answer] = service.say(sent_event(kind, {"id": "1"}, utc_now(), user))
    assert told in answer["text"]


def test_the_token_ends_in_the_middle_of_a_conversation(service: Service, zalo: ZaloStandIn, user: str) -> None:
    service.say(text_event("khai sinh", utc_now(), user))
    before = zalo.refreshes
    zalo.expire()
    [answer] = service.say(text_event("lệ phí", utc_now(), user))
    assert "khai sinh" in answer["text"]
    assert zalo.refreshes == before + 1
    assert service.reasons() == {}


def test_the_same_web_hook_five_times_is_answered_once(service: Service, zalo: ZaloStandIn, user: str) -> None:
    service.say(text_event("giờ làm việc", utc_now(), user), copies=5)
    service.say(text_event("cảm ơn", utc_now(), user))
    assert len(zalo.to(user)) == 2


def test_an_answer_that_came_too_late_for_zalo_is_no_second_message(
    service: Service, zalo: ZaloStandIn, user: str
) -> None:
    moments = iter((0.0, 2.5, 10.0, 12.5, 20.0, 20.1))  # late, late, in time
    service.hooks.timer = lambda: next(moments)
    try:
        service.say(text_event("giờ làm việc", utc_now(), user))
    finally:
        service.hooks.timer = time.monotonic
    assert service.hooks.answers[-3:] == [(200, False), (200, False), (200, True)]
    service.say(text_event("cảm ơn", utc_now(), user))
    assert len(zalo.to(user)) == 2


def test_a_receipt_shows_that_it_arrived(service: Service, user: str, office: Database) -> None:
    [answer] = service.say(text_event("xin chào", utc_now(), user))

    def state() -> str:
        with office.read() as session:
            return session.exec(select(Outbox).where(Outbox.recipient == user)).one().state

    wait_until(lambda: state() == "sent")
    service.hooks.once(event("user_received_message", utc_now(), user, message={"msg_id": answer["id"]}))
    assert state() == "delivered"


def test_somebody_who_blocked_the_account_is_marked(
    service: Service, zalo: ZaloStandIn, user: str, office: Database
) -> None:
    zalo.stopped[user] = -213
    service.hooks.deliver(text_event("xin chào", utc_now(), user))

    def failed() -> bool:
        with office.read() as session:
            row = session.exec(select(Outbox).where(Outbox.recipient == user)).first()
            who = session.exec(select(Conversation).where(Conversation.sender == user)).first()
            return row is not None and row.state == "failed" and who is not None and who.unreachable_at is not None

    wait_until(failed)
    assert zalo.to(user) == []


def test_forged_and_broken_web_hooks_change_nothing(service: Service, user: str, office: Database) -> None:
    body = text_event("giấy khai sinh của Đào Bí Mật 0951234567", utc_now(), user)
    raw = json.dumps(body, ensure_ascii=False).encode()
    old = text_event("Bí Mật", utc_now() - timedelta(days=2), user)
    assert service.hooks.once(raw, "mac=" + "0" * 64) == 403
    assert service.hooks.once(raw) == 403
    assert service.hooks.once(old) == 403
    assert service.hooks.once(raw[:-1], f"mac={mac(raw, body['timestamp'])}") == 400
    assert service.hooks.once(raw * 300, "mac=0") == 413
    with office.read() as session:
        assert session.exec(select(Inbox).where(Inbox.sender == user)).all() == []


def test_the_front_page_carries_the_verification_of_the_site(service: Service) -> None:
    with urlopen(service.hooks.url.replace("/webhooks/zalo-oa", "/"), timeout=30) as page:  # noqa: S310
        told = page.read().decode()
    assert '<meta name="zalo-platform-site-verification" content="abc_DEF-12345">' in told.partition("<body")[0]
