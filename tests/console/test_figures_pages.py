"""The pages of figures as staff use them: a month, its report, its file, what got no answer, comments decided once."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from openpyxl import load_workbook
from sqlmodel import select

from bot.conversation.model import Incoming
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Audit, Handoff, Survey
from bot.survey import surveys
from tests.console.conftest import Clock, Visitor

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
CODE = "H30.99.01-261116-0005"


@pytest.fixture
def leader(visit: Callable[..., Visitor], clock: Clock) -> Visitor:
    visitor = visit("leader")
    clock.at = NOW
    return visitor


def _comment(database: Database, settings: Settings, text: str) -> int:
    with database.write() as session:
        survey = surveys.open_one(session, settings, CODE, NOW)
        surveys.answer(session, survey.id or 0, {"overall": 5}, text, "kiosk", NOW)
        return survey.id or 0


def test_what_was_just_asked_is_on_the_page(leader: Visitor, service: Service) -> None:
    assert "Chưa có số liệu" in leader.get("/staff/figures").text
    for number, text in enumerate(("làm giấy khai sinh cần gì", "còn phí?", "asdf qwer")):
        service.receive(Incoming("web", "an", str(number), text, NOW))
        service.work_off()
    page = leader.get("/staff/figures").text
    assert 'data-figure="questions">3<' in page
    assert 'data-figure="answered">66,7 %<' in page
    assert "Hộ tịch" in page
    assert "Đăng ký khai sinh" in page
    before = leader.get("/staff/figures?month=2026-10").text
    assert 'data-figure="questions">0<' in before
    days = leader.get("/staff/figures?first=2026-11-24&last=2026-11-24").text
    assert 'data-figure="questions">3<' in days


def test_a_wrong_month_is_told_and_this_one_shown(leader: Visitor) -> None:
    for query in ("month=2026-13", "first=2026-11-02&last=2026-11-01", "first=x", "month=<script>"):
        answer = leader.get(f"/staff/figures?{query}")
        assert answer.status_code == 400
        assert 'role="alert"' in answer.text
        assert "tháng 11/2026" in answer.text
        assert "<script>" not in answer.text


def test_charts_have_a_policy_of_their_own(leader: Visitor, service: Service) -> None:
    service.receive(Incoming("web", "an", "1", "làm giấy khai sinh cần gì", NOW))
    service.work_off()
    for name in ("days", "fields", "satisfaction", "notices"):
        picture = leader.get(f"/staff/figures/chart/{name}.svg?first=2026-11-01&last=2026-11-30")
        assert picture.headers["content-type"] == "image/svg+xml"
        assert picture.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert leader.get("/staff/figures/chart/nothing.svg?first=2026-11-01&last=2026-11-30").status_code == 404
    assert leader.get("/staff/figures/chart/days.svg").status_code == 404


def test_the_report_of_the_last_month_comes_first_and_as_a_file(leader: Visitor) -> None:
    assert "BÁO CÁO tháng 10/2026" in leader.get("/staff/figures/report").text
    assert "BÁO CÁO tháng 11/2026" in leader.get("/staff/figures/report?month=2026-11").text
    file = leader.get("/staff/figures/report.xlsx?month=2026-11")
    assert 'filename="bao-cao-mot-cua-2026-11.xlsx"' in file.headers["content-disposition"]
    assert load_workbook(io.BytesIO(file.content)).active["A3"].value.startswith("BÁO CÁO tháng 11/2026")
    assert leader.get("/staff/figures/report.xlsx?month=x").status_code == 400


def test_unanswered_questions_are_shown_as_text(leader: Visitor, service: Service) -> None:
    service.receive(Incoming("web", "an", "1", "<script>alert(1)</script> zzz qqq 0951234567", NOW))
    service.work_off()
    page = leader.get("/staff/figures/unanswered").text
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page
    assert "0951234567" not in page


def test_a_comment_is_decided_once_and_written_down(
    leader: Visitor, visit: Callable[..., Visitor], sqlite_database: Database, office_settings: Settings, clock: Clock
) -> None:
    number = _comment(sqlite_database, office_settings, "=Tận tình <b>lắm</b>")
    assert "=Tận tình &lt;b&gt;lắm&lt;/b&gt;" in leader.get("/staff/figures/comments").text
    assert "Tận tình" not in leader.get("/staff/figures/report?month=2026-11").text
    assert leader.submit(f"/staff/figures/comments/{number}", was="new", to="seen").status_code == 200
    assert "Tận tình" in leader.get("/staff/figures/report?month=2026-11").text
    second = leader.submit(f"/staff/figures/comments/{number}", was="new", to="hidden")
    assert second.status_code == 409
    assert "Người khác vừa xem" in second.text
    for wrong in ("0", "x", "９", "9" * 30):
        assert leader.submit(f"/staff/figures/comments/{wrong}", was="new", to="seen").status_code == 409
    with sqlite_database.read() as session:
        (audit,) = session.exec(select(Audit).where(Audit.action == "comment_seen")).all()
        assert (audit.staff, audit.detail) == ("leader", {"before": "new", "after": "seen"})
        assert session.exec(select(Survey.comment_state)).all() == ["seen"]


def test_charts_are_drawn_from_the_figures_of_the_page(leader: Visitor, service: Service, clock: Clock) -> None:
    """For a minute; then they are made anew."""
    leader.get("/staff/figures")
    service.receive(Incoming("web", "an", "1", "làm giấy khai sinh cần gì", NOW))
    service.work_off()
    chart = "/staff/figures/chart/fields.svg?first=2026-11-01&last=2026-11-30"
    assert "Hộ tịch" not in leader.get(chart).text
    clock.at = NOW + timedelta(minutes=2)
    assert "Hộ tịch" in leader.get(chart).text


def test_a_call_from_the_kiosk_counts_as_handed_over(leader: Visitor, sqlite_database: Database) -> None:
    assert leader.post("/kiosk/goi", headers={"accept": "application/json"}).status_code == 200
    with sqlite_database.read() as session:
        assert len(session.exec(select(Handoff)).all()) == 1
    report = leader.get("/staff/figures/report?month=2026-11").text
    assert "Trong đó gọi tại máy tra cứu</th><td>1<" in report
