"""The desk's notices: queue, pauses, decisions, tests to oneself, and the words of the templates."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import select

from bot.api.background import Background
from bot.clock import local, utc_now
from bot.dossiers.demo import seed
from bot.notices import control, templates, trial
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Audit, Dossier, GatewayPause, NoticeTemplate, Outbox, Preference, Spend
from tests.console.conftest import Visitor

CODE = "H30.99.01-261116-0006"
TEMPLATE = "/staff/notices/templates/stopped"
SMS = "{office}: hồ sơ {code} cần trao đổi. Mời gọi quầy."
CHAT = "{office}: hồ sơ {code} cần trao đổi."


@pytest.fixture
def office_settings(settings: Settings) -> Settings:
    more = {"sms_segments_per_day": 10, "telegram_token": "1:a"}
    return settings.model_copy(update={"demo": True, "notice_from_hour": 0, "notice_to_hour": 24, **more})


@pytest.fixture
def admin(visit: Callable[..., Visitor]) -> Visitor:
    return visit("admin")


def put(database: Database, **changes: object) -> None:
    now = utc_now()
    values = {"state": "uncertain", "error": "TimeoutError", "not_before": now, "created_at": now, **changes}
    with database.write() as session:
        count = len(session.exec(select(Outbox)).all())
        session.add(
            Outbox(
                kind="notice", channel="sms", recipient="+84951000006", dedupe_key=f"k{count}", gateway="twilio",
                body={"text": "<script>x</script>"}, dossier_code=CODE, event="papers_wanted", demo=True, **values,
            )
        )  # fmt: skip


def audited(database: Database) -> list[tuple[str, str, dict[str, object]]]:
    with database.read() as session:
        rows = session.exec(select(Audit).where(Audit.action != "sign_in").order_by(Audit.id))  # type: ignore[arg-type]
        return [(row.action, row.subject, row.detail) for row in rows]


def test_the_page_tells_queue_failures_spend_and_alerts(
    visit: Callable[..., Visitor], sqlite_database: Database
) -> None:
    long_ago = utc_now() - timedelta(minutes=125)
    with sqlite_database.write() as session:  # first, or what waits would be sent
        session.merge(GatewayPause(channel="sms", by="hệ thống", reason="<b>20003", at=utc_now(), until=None))
        session.add(Spend(day=local(utc_now()).date(), channel="sms", messages=9, segments=9, dong=4680))
    put(sqlite_database, state="failed", error="undelivered: 30005")
    put(sqlite_database)
    put(sqlite_database, state="waiting", not_before=long_ago, error=None)
    page = visit("reception").get("/staff/notices").text
    for told in (
        "Đã dùng 90 % hạn mức", "1 tin chưa rõ", "2 giờ 5 phút", "số nhận không còn dùng", "9 tin, 9 SMS, 4.680 đ",
        "9 / 10 tin SMS", "&lt;b&gt;20003", "Telegram", "+8495****006", "&lt;script&gt;x",
    ):  # fmt: skip
        assert told in page, told
    assert "<script>x" not in page
    assert "+84951000006" not in page
    assert 'method="post" action="/staff/notices' not in page  # who only looks gets no forms


def test_the_list_keeps_to_its_filters(admin: Visitor, sqlite_database: Database) -> None:
    for state in ("failed", "uncertain"):
        put(sqlite_database, state=state)
    shown = admin.get("/staff/notices", params={"state": "failed", "channel": "sms"}).text.split('id="danh-sach"')[1]
    assert shown.count('class="code"') == 1
    for rubbish in ({"state": "x"}, {"channel": "'"}, {"after": "x"}, {"done": "x", "about": "<b>"}):
        assert admin.get("/staff/notices", params=rubbish).status_code == 200


def test_pause_and_resume_with_a_reason_and_the_second_is_told(admin: Visitor, sqlite_database: Database) -> None:
    assert "Cần ghi lý do" in admin.submit("/staff/notices/pause", channel="sms", reason=" ").text
    assert "Không có kênh" in admin.submit("/staff/notices/pause", channel="fax", reason="x").text
    assert "Đã tạm dừng tin báo qua SMS" in admin.submit("/staff/notices/pause", channel="sms", reason="sai mẫu").text
    second = admin.submit("/staff/notices/pause", channel="sms", reason="khác")
    assert (second.status_code, "đã được admin dừng" in second.text) == (409, True)
    assert "đi tiếp" in admin.submit("/staff/notices/resume", channel="sms").text
    assert "không bị dừng" in admin.submit("/staff/notices/resume", channel="sms").text
    assert audited(sqlite_database) == [
        ("pause_notices", "sms", {"reason": "sai mẫu"}), ("resume_notices", "sms", {"before": "sai mẫu"}),
    ]  # fmt: skip


def test_an_uncertain_one_is_decided_once(admin: Visitor, sqlite_database: Database) -> None:
    put(sqlite_database)
    there = f"/staff/dossiers/{CODE}"
    assert 'action="/staff/notices/1/resolve"' in admin.get(there).text
    for number, verdict in (("1", "nothing"), ("x", "sent"), ("99", "sent"), ("9" * 30, "sent")):
        assert admin.submit(f"/staff/notices/{number}/resolve", verdict=verdict).status_code == 409
    decided = admin.submit("/staff/notices/1/resolve", verdict="again", back=there)
    assert (decided.url.path, "Đã ghi quyết định cho tin 1" in decided.text) == (there, True)
    second = admin.submit("/staff/notices/1/resolve", verdict="drop")
    assert (second.status_code, "có người vừa quyết định" in second.text) == (409, True)
    assert audited(sqlite_database) == [("resolve_notice", "1", {"verdict": "again"})]
    for number, back in ((2, "//xau.example"), (3, "/staff/dossiers/..//xau.example"), (4, "https://xau.example")):
        put(sqlite_database)
        outside = admin.submit(f"/staff/notices/{number}/resolve", follow_redirects=False, verdict="drop", back=back)
        assert outside.headers["location"].split("?")[0] in {"/staff", "/staff/notices"}


def test_a_test_goes_to_the_simulator_and_is_limited(admin: Visitor, sqlite_database: Database) -> None:
    assert "số di động Việt Nam" in admin.submit("/staff/notices/test", phone="12").text
    for left in range(trial.PER_DAY - 1, -1, -1):
        page = admin.submit("/staff/notices/test", phone="095 100 0042", template="overdue" if left else "")
        assert f"Hôm nay còn {left} tin" in page.text
    assert "nhiều nhất 5 tin" in admin.submit("/staff/notices/test", phone="0951000042").text
    assert "0951000042" not in page.text
    with sqlite_database.read() as session:
        rows = session.exec(select(Outbox).where(Outbox.kind == "test")).all()
    assert (len(rows), {row.demo for row in rows}) == (5, {True})
    assert audited(sqlite_database)[0] == ("test_notice", "+8495****042", {"template": "overdue"})


def version(page: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', page)
    assert found
    return found[1]


def test_words_are_saved_tried_refused_and_taken_back(admin: Visitor, sqlite_database: Database) -> None:
    opened = admin.get(TEMPLATE).text
    tried = admin.submit(TEMPLATE, sms=SMS, chat=CHAT, segments="1", version=version(opened), do="preview")
    assert "ho so H30.99.01-261116-0001 can trao doi. Moi goi quay." in tried.text
    wrong = admin.submit(TEMPLATE, sms="{office} {ten} <b>", chat=CHAT, segments="1", version="0")
    assert (wrong.status_code, "không có trường {ten}" in wrong.text) == (409, True)
    assert html.escape("{office} {ten} <b>") in wrong.text
    assert "Đã lưu mẫu" in admin.submit(TEMPLATE, sms=SMS, chat=CHAT, segments="1", version="0").text
    saved = admin.get(TEMPLATE).text
    assert (version(saved), "Về mẫu gốc" in saved) == ("1", True)
    assert "Mời gọi quầy" in saved.split('id="da-sua"')[1]
    reset = admin.submit(f"{TEMPLATE}/reset", version="0")
    assert (reset.status_code, "chưa ghi đè gì" in reset.text) == (409, True)
    assert "về mẫu gốc" in admin.submit(f"{TEMPLATE}/reset", version="1").text
    (action, subject, detail), (again, _, _) = audited(sqlite_database)
    assert (action, subject, again) == ("notice_template", "stopped", "notice_template_reset")
    assert detail["before"] == {
        "sms": templates.templates()["stopped"]["sms"], "chat": templates.templates()["stopped"]["chat"], "segments": 1,
    }  # fmt: skip
    assert detail["after"] == {"sms": SMS, "chat": CHAT, "segments": 1}


def test_of_two_who_edit_the_second_sees_both_and_decides(admin: Visitor, visit: Callable[..., Visitor]) -> None:
    other = visit("admin")
    assert "Đã lưu" in other.submit(TEMPLATE, sms=SMS, chat=CHAT, segments="1", version="0").text
    mine = CHAT + " Của tôi."
    second = admin.submit(TEMPLATE, sms=SMS, chat=mine, segments="1", version="0")
    assert (second.status_code, "vừa lưu mẫu này" in second.text) == (409, True)
    assert mine in second.text
    assert version(second.text) == "1"
    assert "Đã lưu" in admin.submit(TEMPLATE, sms=SMS, chat=mine, segments="1", version="1").text


def test_the_preview_of_a_script_says_what_the_server_would(
    visit: Callable[..., Visitor], sqlite_database: Database
) -> None:
    reception = visit("reception")
    told = reception.submit(f"{TEMPLATE}/preview", sms=SMS, chat=CHAT, segments="1").json()
    assert (told["faults"], told["longest"]["count"], told["now"]["encoding"]) == ([], 1, "gsm7")
    assert told["marked"]["encoding"] == "ucs2"
    odd = reception.submit(f"{TEMPLATE}/preview", sms="{", chat="{code.x}", segments="x").json()
    assert odd["sms"] == ""
    assert len(odd["faults"]) >= 3
    assert reception.submit("/staff/notices/templates/x/preview").status_code == 404
    assert reception.submit(TEMPLATE, sms=SMS, chat=CHAT, segments="1", version="0").status_code == 403
    assert "<form" not in reception.get(TEMPLATE).text.split("<main")[1]
    with sqlite_database.read() as session:
        assert session.exec(select(NoticeTemplate)).all() == []


def test_an_unknown_template_is_told(admin: Visitor) -> None:
    for answer in (
        admin.get("/staff/notices/templates/<b>"),
        admin.submit("/staff/notices/templates/x", sms=SMS),
        admin.submit("/staff/notices/templates/x/reset"),
    ):
        assert (answer.status_code, "<b>" in answer.text) == (404, False)


def test_a_paused_chat_holds_its_notices_and_still_answers(
    sqlite_database: Database, service: Service, office_settings: Settings
) -> None:
    background = Background(office_settings, sqlite_database, service, [], utc_now)
    now = utc_now()
    with sqlite_database.write() as session:
        seed(session, office_settings, now)
        session.get_one(Dossier, CODE).status = 5
        session.add(Preference(channel="telegram", recipient="7", dossier_code=CODE, wants=True, at=now))
        for kind in ("notice", "reply"):
            session.add(
                Outbox(
                    kind=kind, channel="telegram", recipient="7", dedupe_key=kind, body={"text": "x"}, not_before=now,
                    dossier_code=CODE, event="papers_wanted", created_at=now,
                )
            )  # fmt: skip
        control.pause(session, "telegram", "an", "thử", now)

    def next_kind() -> str | None:
        rows = background._claim("telegram", 1)
        return rows[0].kind if rows else None

    assert (next_kind(), next_kind()) == ("reply", None)
    with sqlite_database.write() as session:
        control.resume(session, "telegram")
    assert next_kind() == "notice"
