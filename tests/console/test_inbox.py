"""The inbox on the web: two advisors and a citizen, what each sees, and what must not be lost or said twice."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import col, select

from bot.clock import utc_now
from bot.console.inbox import live
from bot.console.inbox.live import Live, Page
from bot.desk import queues
from bot.service import Service
from bot.storage.database import Database
from bot.storage.tables import Audit, CannedReply, Conversation, DeskMessage, Held, Outbox, StaffSession, Turn
from tests.console.conftest import Clock, Visitor

JSON = {"accept": "application/json"}
Visit = Callable[..., Visitor]


class Citizen:
    """A browser at the chat page."""

    def __init__(self, visitor: Visitor) -> None:
        self.browser = visitor
        visitor.get("/")

    def say(self, text: str) -> list[str]:
        answer = self.browser.post("/chat", data={"text": text}, headers=JSON).json()
        assert answer["done"]
        return [reply["text"] for reply in answer["replies"]]

    def page(self) -> str:
        return self.browser.get("/").text


@pytest.fixture
def citizen(visit: Visit) -> Citizen:
    return Citizen(visit())


@pytest.fixture
def lan(visit: Visit) -> Visitor:
    return visit("advisor")


@pytest.fixture
def minh(visit: Visit) -> Visitor:
    return visit("admin")


def key_on(page: str) -> str:
    found = re.search(r'name="key" value="([^"]+)"', page)
    assert found
    return found[1]


def test_a_citizen_waits_is_taken_answered_and_given_back(citizen: Citizen, lan: Visitor, minh: Visitor) -> None:
    lan.submit("/staff/me/name", display_name="Lan")
    citizen.say("cho tôi gặp cán bộ, việc đất của tôi")
    waiting = lan.get("/staff/inbox").text
    assert "việc đất của tôi" in waiting
    assert "xin gặp cán bộ" in waiting
    assert "Đang giữ" not in lan.submit("/staff/inbox/1/take").text
    assert "Cán bộ tư vấn Lan đang trả lời ông/bà" in citizen.page()
    late = minh.submit("/staff/inbox/1/take")
    assert late.status_code == 409
    assert "Cán bộ tư vấn Lan đã nhận cuộc trò chuyện này trước." in late.text
    assert citizen.say("đất nhà tôi chưa có sổ") == []
    thread = lan.get("/staff/inbox/1").text
    assert "đất nhà tôi chưa có sổ" in thread
    assert "Trợ lý gợi ý (chưa gửi)" in thread
    key = key_on(thread)
    for _ in range(2):  # a double click
        assert lan.submit("/staff/inbox/1/send", text="Mời ông/bà <b>ra quầy</b> số 2.", key=key).status_code == 200
    assert citizen.page().count("Cán bộ tư vấn Lan: Mời ông/bà &lt;b&gt;ra quầy&lt;/b&gt; số 2.") == 1
    assert minh.submit("/staff/inbox/1/send", text="Tôi nữa", key="key-00000001").status_code == 409
    assert "Tôi nữa" in minh.submit("/staff/inbox/1/send", text="Tôi nữa", key="key-00000001").text  # not lost
    lan.submit("/staff/inbox/1/done")
    assert "đã trả lời xong" in citizen.page()
    assert "Người dân 1" in lan.get("/staff/inbox?queue=done").text
    assert citizen.say("phí chứng thực bản sao bao nhiêu")
    log = minh.get("/staff/audit").text
    for action in ("nhận cuộc trò chuyện", "trả lời người dân", "trả lời xong", "đổi tên hiển thị"):
        assert action in log
    assert "ra quầy" not in log


def test_script_in_what_anyone_writes_is_shown_as_text(citizen: Citizen, lan: Visitor) -> None:
    citizen.say("<script>alert(1)</script> gặp cán bộ <img src=x onerror=alert(1)>")
    citizen.say("gặp cán bộ")
    lan.submit("/staff/inbox/canned", shortcut="x", text='"><script>alert(2)</script>')
    lan.submit("/staff/inbox/1/take")
    for path in ("/staff/inbox", "/staff/inbox?queue=all", "/staff/inbox/1", "/staff/inbox/canned"):
        page = lan.get(path).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)" in lan.get("/staff/inbox/1").text


def test_phone_and_id_numbers_are_masked(citizen: Citizen, lan: Visitor, service: Service) -> None:
    citizen.say("gặp cán bộ, số tôi 0951234567, căn cước 093012345678")
    from bot.conversation.model import Incoming  # noqa: PLC0415

    service.receive(Incoming("sms", "+84951234567", "s1", "gap can bo", utc_now()))
    while service.work_off():
        pass
    for path in ("/staff/inbox?queue=all", "/staff/inbox/1", "/staff/inbox/2"):
        page = lan.get(path).text
        assert "0951234567" not in page
        assert "+84951234567" not in page
        assert "093012345678" not in page
    assert "+8495****567" in lan.get("/staff/inbox/2").text


def test_a_form_after_the_session_ended_is_kept_and_sent_once(
    citizen: Citizen, lan: Visitor, sqlite_database: Database
) -> None:
    citizen.say("gặp cán bộ")
    lan.submit("/staff/inbox/1/take")
    key = key_on(lan.get("/staff/inbox/1").text)
    with sqlite_database.write() as session:
        for one in session.exec(select(StaffSession).where(StaffSession.staff == "advisor")):
            session.delete(one)
    text = "Một câu trả lời dài đã gõ mười phút, không được mất dù phiên làm việc đã hết."
    script = lan.post("/staff/inbox/1/send", data={"text": text, "key": key},
                      headers={**JSON, "x-csrf-token": lan.csrf})  # fmt: skip
    assert script.status_code == 401
    assert "đăng nhập lại" in script.json()["error"]
    form = lan.submit("/staff/inbox/1/send", text=text, key=key)
    assert form.status_code == 401
    kept = re.search(r'name="kept" value="([^"]+)"', form.text)
    assert kept
    import html  # noqa: PLC0415

    again = lan.post("/staff/sign-in", data={"name": "advisor", "password": "mat-khau-dai-lam",
                                             "kept": html.unescape(kept[1])})  # fmt: skip
    assert text in again.text
    assert f'<input type="hidden" name="key" value="{key}">' in again.text
    csrf = re.search(r'name="csrf" value="([^"]+)"', again.text)
    assert csrf
    for _ in range(2):
        lan.post("/staff/inbox/1/send", data={"text": text, "key": key, "csrf": csrf[1]})
    assert citizen.page().count(text) == 1


def test_scripts_get_json_and_a_repeat_is_said_to_be_one(citizen: Citizen, lan: Visitor) -> None:
    citizen.say("gặp cán bộ")
    lan.submit("/staff/inbox/1/take")
    headers = {**JSON, "x-csrf-token": lan.csrf}
    said = [
        lan.post("/staff/inbox/1/send", data={"text": "Dạ", "key": "key-00000001"}, headers=headers).json()["said"]
        for _ in range(2)
    ]
    assert said == ["Đã gửi.", "Tin này đã gửi rồi, không gửi lần nữa."]
    assert lan.post("/staff/inbox/1/active", headers=headers).json() == {"mine": True}
    refused = lan.post("/staff/inbox/1/send", data={"text": "", "key": "key-00000002"}, headers=headers)
    assert (refused.status_code, refused.json()["error"]) == (409, "Chưa có nội dung để gửi.")


def test_a_held_answer_is_edited_and_sent_from_the_page(
    citizen: Citizen, lan: Visitor, minh: Visitor, sqlite_database: Database
) -> None:
    citizen.say("phí chứng thực bản sao bao nhiêu")
    with sqlite_database.write() as session:
        turn = session.exec(select(Turn)).one()
        replies = {"replies": [{"text": "Phí 2.000 đồng", "buttons": []}]}
        session.add(Held(conversation_id=1, inbox_id=turn.inbox_id or 0, replies=replies, created_at=utc_now(),
                         deadline_at=utc_now() + timedelta(minutes=10)))  # fmt: skip
        queues.place(session, queues.locked(session, 1), utc_now())
    assert "Người dân 1" in lan.get("/staff/inbox?queue=held").text
    assert "Phí 2.000 đồng" in lan.get("/staff/inbox/1").text
    assert lan.submit("/staff/inbox/2/held/1", edit="1", text="x").status_code == 404
    lan.submit("/staff/inbox/1/held/1", edit="1", text="Phí 2.000 đồng một trang")
    second = minh.submit("/staff/inbox/1/held/1", edit="1", text="Bản của tôi")
    assert second.status_code == 409
    assert "xử lý lúc" in second.text
    assert "Bản của tôi" in second.text  # what was typed is not lost
    assert "Cán bộ tư vấn advisor: Phí 2.000 đồng một trang" in citizen.page()
    assert "Bản của tôi" not in citizen.page()


def test_canned_replies_are_added_changed_and_removed(
    lan: Visitor, minh: Visitor, sqlite_database: Database, citizen: Citizen
) -> None:
    lan.submit("/staff/inbox/canned", shortcut="/Gio", text="Chúng tôi làm việc từ 7 giờ.")
    assert "Đã có câu mẫu /gio" in minh.submit("/staff/inbox/canned", shortcut="gio", text="Khác").text
    assert "Tên gõ tắt" in minh.submit("/staff/inbox/canned", shortcut="có dấu", text="Khác").text
    lan.submit("/staff/inbox/canned/1", shortcut="gio", text="Từ 7 giờ đến 17 giờ.", version="1")
    lost = minh.submit("/staff/inbox/canned/1", shortcut="gio", text="Bản của Minh", version="1")
    assert lost.status_code == 409
    assert "advisor vừa sửa câu mẫu này" in lost.text
    assert "Bản của Minh" in lost.text
    citizen.say("gặp cán bộ")
    lan.submit("/staff/inbox/1/take")
    assert "Từ 7 giờ đến 17 giờ." in lan.get("/staff/inbox/1?template=1").text.split("<textarea")[1]
    lan.submit("/staff/inbox/canned/1/remove")
    assert minh.submit("/staff/inbox/canned/1/remove").status_code == 409
    with sqlite_database.read() as session:
        assert session.exec(select(CannedReply)).all() == []
        actions = [row.action for row in session.exec(select(Audit).order_by(col(Audit.id)))]
    assert [one for one in actions if one.startswith("canned")] == ["canned_add", "canned_change", "canned_remove"]


def test_an_advisor_links_their_own_chat(lan: Visitor, service: Service) -> None:
    from bot.conversation.model import Incoming  # noqa: PLC0415

    code = re.search(r"CB-[A-Z0-9]{8}", lan.submit("/staff/me/chat").text)
    assert code
    service.receive(Incoming("telegram", "100200300", "t1", code[0], utc_now()))
    while service.work_off():
        pass
    page = lan.get("/staff/me").text
    assert "Telegram …0300" in page
    assert code[0] not in page
    lan.submit("/staff/me/chat/1/remove")
    assert "…0300" not in lan.get("/staff/me").text


def test_reception_and_leaders_set_no_name_and_read_nothing(visit: Visit) -> None:
    reception = visit("reception")
    assert "Tên hiển thị" not in reception.get("/staff/me").text
    assert "Hộp thư" not in reception.get("/staff/me").text
    assert reception.submit("/staff/me/name", display_name="X").status_code == 403


@pytest.mark.parametrize("path", [
    "/staff/inbox/999", f"/staff/inbox/{10**30}", "/staff/inbox?after=rubbish&queue=none", "/staff/inbox/0?before=x",
    "/staff/inbox?after=2026-01-01T00:00:00~5", f"/staff/inbox/stream?conversation={'9' * 40}x",
])  # fmt: skip
def test_rubbish_in_an_address_is_no_fault(lan: Visitor, path: str) -> None:
    assert lan.get(path).status_code in {200, 404, 422}


@pytest.mark.parametrize("act", ["take", "done", "back", "transfer", "send", "active", "held/1"])
def test_rubbish_in_a_form_is_no_fault(lan: Visitor, act: str) -> None:
    assert lan.submit(f"/staff/inbox/{10**30}/{act}").status_code in {404, 409}
    assert lan.submit(f"/staff/inbox/7/{act}", counter="x" * 5000, text="\0" * 10, key="'").status_code in {404, 409}


def test_a_send_that_failed_is_shown_to_the_advisor(citizen: Citizen, lan: Visitor, sqlite_database: Database) -> None:
    citizen.say("gặp cán bộ")
    lan.submit("/staff/inbox/1/take")
    lan.submit("/staff/inbox/1/send", text="Dạ", key="key-00000001")
    with sqlite_database.write() as session:
        message = session.exec(select(DeskMessage).where(DeskMessage.kind == "advisor")).one()
        row = session.get_one(Outbox, message.outbox_id)
        row.state, row.error = "failed", "quá 7 ngày"
    assert "gửi không được: quá 7 ngày" in lan.get("/staff/inbox/1").text


def test_long_texts_stay_whole_in_the_thread_and_short_in_the_list(citizen: Citizen, lan: Visitor) -> None:
    citizen.say("gặp cán bộ " + "đất " * 400)
    if "Người dân 1" not in lan.get("/staff/inbox").text:
        citizen.say("gặp cán bộ")
    assert len(re.findall("đất", lan.get("/staff/inbox/1").text.split("said-list")[1])) >= 400


async def _never() -> None:
    await asyncio.Event().wait()


async def test_news_say_what_stands_where_and_when_to_ring(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0)
    news, page = Live(sqlite_database, _never), Page("lan", 0)
    now = utc_now()
    answer = news.open(page, lambda: asyncio.sleep(0, result=True))
    assert answer is not None
    body = answer.body_iterator
    assert str(await anext(body)).startswith("retry")

    async def event() -> dict[str, object]:
        await news.look()
        got: dict[str, object] = json.loads(str(await asyncio.wait_for(anext(body), 10)).removeprefix("data: "))
        return got

    assert await event() == {"counts": {"waiting": 0, "taken": 0, "held": 0}, "changed": True, "ring": False}
    with sqlite_database.write() as session:
        session.add(Conversation(channel="web", sender="w", created_at=now, last_at=now, queue="waiting", version=1))
    assert await event() == {"counts": {"waiting": 1, "taken": 0, "held": 0}, "changed": True, "ring": True}
    with sqlite_database.write() as session:
        queues.claim(session, 1, "lan", now)
    assert (await event())["ring"] is False
    with sqlite_database.write() as session:
        conversation = queues.locked(session, 1)
        conversation.last_at = now + timedelta(seconds=1)
        queues.place(session, conversation, now)
    assert (await event())["ring"] is True
    news.close()
    with pytest.raises(StopAsyncIteration):
        await anext(body)
    assert news.open(page, lambda: asyncio.sleep(0, result=True)) is None


async def test_a_stream_ends_with_the_session(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.01)
    news = Live(sqlite_database, _never)
    answer = news.open(Page("lan", 0), lambda: asyncio.sleep(0, result=False))
    assert answer is not None
    events = [str(one) async for one in answer.body_iterator]
    assert events[-1] == "event: expired\ndata: {}\n\n"


def test_the_background_keeps_the_deadlines(
    citizen: Citizen, sqlite_database: Database, clock: Clock, lan: Visitor
) -> None:
    citizen.say("chào")
    lan.submit("/staff/inbox/1/take")
    with sqlite_database.read() as session:
        assert session.get_one(Conversation, 1).taken_by == "advisor"
    clock.at = utc_now() + timedelta(minutes=16)

    def taken_by() -> str | None:
        with sqlite_database.read() as session:
            return session.get_one(Conversation, 1).taken_by

    until = time.monotonic() + 20
    while taken_by() is not None:
        assert time.monotonic() < until, "nobody took it back"
        citizen.browser.get("/health")  # time passes; the sweep runs beside
