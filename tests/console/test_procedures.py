"""Procedures on the console: what an advisor changes, another confirms, and citizens are told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import select

from bot.catalog.catalog import Catalog
from bot.catalog.schema import Fee
from bot.channels.rendering import render_all
from bot.cli import main
from bot.clock import utc_now
from bot.console.accounts import add_staff
from bot.console.office_settings import switch
from bot.conversation.model import Memory
from bot.dossiers.offline import OfflineDossiers
from bot.edits.live import LiveEdits
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Audit, FactEdit
from tests.console.conftest import PASSWORD, Clock, Visitor
from tests.console.procedure_scene import (
    CODE,
    RESOLUTION,
    confirm,
    edit,
    form_of,
    send,
    texts,
    waiting,
)

PAGE = f"/staff/procedures/{CODE}"
FEES = f"{PAGE}/edit/fees"
NOON = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
Visit = Callable[..., Visitor]


@pytest.fixture(autouse=True)
def _a_second_advisor(app: FastAPI, sqlite_database: Database, clock: Clock) -> None:
    clock.at = NOON
    with sqlite_database.write() as session:
        add_staff(session, "lan", "advisor", PASSWORD, utc_now())


@pytest.fixture
def alone(sqlite_database: Database, _a_second_advisor: None) -> None:
    """Nobody else has to confirm."""
    with sqlite_database.write() as session:
        switch(session, "four_eyes", value=False, by="admin", now=NOON)


def told(service: Service, question: str) -> str:
    """What the chat answers."""
    now = service.clock()
    memory = Memory(greeted=True, at=now)
    turn = service.talk.turn(question, memory, now, OfflineDossiers(lambda _code: None, service.talk.desk(now)), "web")
    return "\n".join(reply.text for reply in turn.replies)


def fee(service: Service) -> str:
    return told(service, f"lệ phí {CODE}")


def test_a_fee_is_told_only_once_somebody_else_has_confirmed_it(visit: Visit, service: Service) -> None:
    advisor, lan = visit("advisor"), visit("lan")
    assert "2.000 đồng" in fee(service)
    before = fee(service)
    saved = edit(advisor, FEES, fees__0__amount="3.500", source=RESOLUTION)
    assert saved.headers["location"] == f"{PAGE}?done=proposed"
    assert fee(service) == before
    own = confirm(advisor, PAGE)
    assert own.status_code == 409
    assert "cần người khác xác nhận" in texts(own)
    assert fee(service) == before
    assert confirm(lan, PAGE).status_code == 303
    assert "3.500 đồng" in fee(service)
    assert "2.000 đồng" not in fee(service)
    assert f"Phí, lệ phí theo {RESOLUTION}, cơ quan cập nhật ngày 24/11/2026." in fee(service)
    assert RESOLUTION not in told(service, f"thời hạn {CODE}")
    assert RESOLUTION in texts(visit().get(f"/thu-tuc/{CODE}"))


def test_without_the_second_pair_of_eyes_a_fee_is_told_at_once(visit: Visit, service: Service, alone: None) -> None:
    saved = edit(visit("advisor"), FEES, fees__0__amount="3500", source=RESOLUTION)
    assert saved.headers["location"] == f"{PAGE}?done=active"
    assert "3.500 đồng" in fee(service)


def test_other_parts_need_no_second_person(visit: Visit, service: Service) -> None:
    saved = edit(visit("advisor"), f"{PAGE}/edit/processing_times", processing_times__0__unit="same_day",
                 processing_times__0__note="Đông thì hẹn chiều.", source="Quy chế của Trung tâm")  # fmt: skip
    assert saved.headers["location"] == f"{PAGE}?done=active"
    assert "Đông thì hẹn chiều" in told(service, f"thời hạn {CODE}")


def test_of_two_who_save_the_same_fact_the_second_is_told_and_nothing_is_overwritten(
    visit: Visit, service: Service, alone: None
) -> None:
    advisor, lan = visit("advisor"), visit("lan")
    one = send(advisor, FEES, form_of(advisor.get(FEES)), "preview", **{"fees.0.amount": "3000", "source": "bản một"})
    other = send(lan, FEES, form_of(lan.get(FEES)), "preview", **{"fees.0.amount": "4000", "source": "bản hai"})
    assert send(advisor, FEES, form_of(one), "save").status_code == 303
    late = send(lan, FEES, form_of(other), "save")
    assert late.status_code == 409
    assert "người khác đã lưu phần này" in texts(late)
    assert "3.000 đồng" in fee(service)
    assert "4.000 đồng" not in fee(service)
    kept = form_of(late)
    assert (kept["fees.0.amount"], kept["source"]) == (["4000"], ["bản hai"])
    assert "3.000" in texts(late)  # what the other has saved stands beside it
    again = send(lan, FEES, kept, "preview")
    assert "3.000 đồng" in texts(again)
    assert send(lan, FEES, form_of(again), "save").status_code == 303
    assert "4.000 đồng" in fee(service)


def test_two_proposals_of_one_part_cannot_undo_each_other(visit: Visit, service: Service) -> None:
    advisor, lan = visit("advisor"), visit("lan")
    edit(advisor, FEES, fees__0__amount="3000", source="bản một")
    edit(advisor, FEES, fees__1__amount="1500", source="bản hai")
    newer, older = waiting(lan, PAGE)
    assert lan.submit(f"/staff/procedures/edits/{newer}/decide", act="confirm").status_code == 200
    refused = lan.submit(f"/staff/procedures/edits/{older}/decide", act="confirm")
    assert refused.status_code == 409
    assert "đã thay đổi sau khi bản này được đề xuất" in texts(refused)
    assert "1.500 đồng" in fee(service)
    assert "3.000 đồng" not in fee(service)


def test_what_is_decided_is_not_decided_again(visit: Visit) -> None:
    lan = visit("lan")
    edit(visit("advisor"), FEES, fees__0__amount="3000", source="bản một")
    (number,) = waiting(lan, PAGE)
    assert lan.submit(f"/staff/procedures/edits/{number}/decide", act="reject", reason="thiếu nguồn").status_code == 200
    again = lan.submit(f"/staff/procedures/edits/{number}/decide", act="confirm")
    assert again.status_code == 409
    assert "đã có người quyết định" in texts(again)
    assert "thiếu nguồn" in texts(lan.get(f"{PAGE}/history"))


def test_a_fee_with_dates_comes_and_goes_by_itself(visit: Visit, service: Service, clock: Clock, alone: None) -> None:
    edit(visit("advisor"), FEES, fees__0__amount="5000", source=RESOLUTION, valid_from="2027-01-01",
         valid_to="2027-01-31")  # fmt: skip
    answers = {}
    for day in (datetime(2026, 12, 31, 16, 59, tzinfo=UTC), datetime(2026, 12, 31, 17, 0, tzinfo=UTC),
                datetime(2027, 1, 31, 16, 59, tzinfo=UTC), datetime(2027, 1, 31, 17, 0, tzinfo=UTC)):  # fmt: skip
        clock.at = day
        answers[day] = "5.000 đồng" in fee(service)
    assert list(answers.values()) == [False, True, True, False]


def test_a_correction_today_does_not_hide_what_comes_later(
    visit: Visit, service: Service, clock: Clock, alone: None
) -> None:
    advisor = visit("advisor")
    edit(advisor, FEES, fees__0__amount="5000", source=RESOLUTION, valid_from="2027-01-01")
    edit(advisor, FEES, fees__0__amount="2500", source="đính chính")
    assert "2.500 đồng" in fee(service)
    clock.at = datetime(2027, 1, 1, 1, 0, tzinfo=UTC)
    assert "5.000 đồng" in fee(service)
    hidden = edit(visit("advisor"), FEES, fees__0__amount="9000", source="quá sớm", valid_from="2026-12-01")
    assert hidden.status_code == 409
    assert "sẽ che mất bản này" in texts(hidden)


def test_faults_stand_beside_the_field_and_nothing_typed_is_lost(visit: Visit, service: Service) -> None:
    advisor = visit("advisor")
    wrong = send(
        advisor, FEES, form_of(advisor.get(FEES)), "preview",
        **{"fees.0.amount": "2,5 nghìn", "fees.1.what": "", "fees.1.amount": "", "fees.1.note": "<b>giữ</b>",
           "source": "", "valid_from": "31/2/2027"},
    )  # fmt: skip
    assert wrong.status_code == 422
    page = texts(wrong)
    assert "Cần một số, ví dụ 8000 hoặc 8.000." in page
    assert "Cần ghi số tiền, hoặc chọn «do HĐND cấp tỉnh quy định», không cả hai." in page
    assert "Nguồn: cần ghi rõ" in page
    assert "Ngày không đúng" in page
    assert "<b>giữ" not in wrong.text
    kept = form_of(wrong)
    assert kept["fees.0.amount"] == ["2,5 nghìn"]
    assert kept["fees.1.note"] == ["<b>giữ</b>"]
    assert kept["valid_from"] == ["31/2/2027"]


@pytest.mark.parametrize("typed", ["8.5", "8,000", "8.00", "-5", "1e6", "8 000 000 000", "٣٥٠٠"])
def test_an_amount_that_may_be_misread_is_refused(visit: Visit, typed: str) -> None:
    advisor = visit("advisor")
    form = form_of(advisor.get(FEES))
    assert send(advisor, FEES, form, "preview", **{"fees.0.amount": typed, "source": RESOLUTION}).status_code == 422


def test_what_is_saved_is_what_was_previewed(visit: Visit, service: Service, alone: None) -> None:
    advisor = visit("advisor")
    seen = form_of(send(advisor, FEES, form_of(advisor.get(FEES)), "preview", **{"fees.0.amount": "3000",
                                                                                "source": RESOLUTION}))  # fmt: skip
    changed = send(advisor, FEES, seen, "save", **{"fees.0.amount": "30000"})
    assert changed.status_code == 200
    assert "Nội dung đã đổi sau lần xem trước" in texts(changed)
    assert "30.000 đồng" not in fee(service)
    assert send(advisor, FEES, form_of(changed), "save").status_code == 303
    assert "30.000 đồng" in fee(service)


def test_rows_are_added_moved_and_taken_out_without_script(visit: Visit, service: Service) -> None:
    advisor, steps = visit("advisor"), f"{PAGE}/edit/steps"
    form = form_of(advisor.get(steps))
    assert form["steps.4"] == [""]  # the extra empty row
    form = form_of(send(advisor, steps, form, "more:steps", **{"steps.4": "Bước mới."}))
    assert form["steps.4"] == ["Bước mới."]
    assert form["steps.5"] == [""]
    form = form_of(send(advisor, steps, form, "up:steps.4"))
    assert form["steps.3"] == ["Bước mới."]
    form = form_of(send(advisor, steps, form, "preview", source="Quy chế", **{"steps.0.__out": "1"}))
    assert form["steps.2"] == ["Bước mới."]
    assert send(advisor, steps, form, "save").status_code == 303
    assert "3. Bước mới." in told(service, f"các bước {CODE}")
    assert "Mang bản chính" not in told(service, f"các bước {CODE}")


def test_papers_are_changed_field_by_field(visit: Visit, service: Service) -> None:
    papers = {
        "documents__1__name": "Giấy <script>alert(1)</script> giới thiệu", "documents__1__kind": "submit",
        "documents__1__copy_kind": "original", "documents__1__count": "2", "documents__1__when": "đi thay cơ quan",
    }  # fmt: skip
    edit(visit("advisor"), f"{PAGE}/edit/documents", source="Công văn 1", **papers)
    assert confirm(visit("lan"), PAGE).status_code == 303
    answer = told(service, f"giấy tờ {CODE}")
    assert "giới thiệu (bản chính; 2 bản; nếu đi thay cơ quan)" in answer
    assert "Giấy tờ theo Công văn 1" in answer
    for page in (visit("leader").get(PAGE), visit().get(f"/thu-tuc/{CODE}")):
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert" in page.text


def test_undoing_is_a_new_edit_and_the_history_shows_who_did_what(
    visit: Visit, service: Service, sqlite_database: Database, alone: None
) -> None:
    advisor, lan = visit("advisor"), visit("lan")
    before = fee(service)
    edit(advisor, FEES, fees__0__amount="3000", source=RESOLUTION)
    undone = edit(lan, FEES, f"?undo={1}")
    assert undone.status_code == 303
    assert fee(service) == before
    history = texts(visit("leader").get(f"{PAGE}/history"))
    assert "advisor ghi lúc 12:00 24/11/2026" in history
    assert "lan ghi lúc" in history
    assert "Bỏ: Số tiền (đồng): 2.000" in history
    assert "Thêm: Số tiền (đồng): 3.000" in history
    assert "Hoàn lại bản sửa số 1" in history
    with sqlite_database.read() as session:
        logged = [(row.staff, row.action) for row in session.exec(select(Audit)) if row.action.startswith("fact_")]
        assert logged == [("advisor", "fact_save"), ("lan", "fact_save")]
        assert session.exec(select(FactEdit).where(FactEdit.id == 2)).one().after == {"base": True}


def test_a_confirmation_is_told_until_a_fact_changes_that_nobody_confirmed(visit: Visit, service: Service) -> None:
    advisor, lan = visit("advisor"), visit("lan")

    def verify(visitor: Visitor) -> Any:
        page = visitor.get(PAGE)
        fields = dict(zip(("seen", "facts"), _hidden(page.text), strict=True))
        return visitor.submit(f"{PAGE}/verify", source="Quyết định 1", act="verify", **fields)

    assert verify(advisor).status_code == 200
    assert "Chưa được cán bộ xác nhận" in fee(service)
    confirm(lan, PAGE)
    assert "Cán bộ xác nhận ngày 24/11/2026" in fee(service)
    edit(advisor, FEES, fees__0__amount="3000", source=RESOLUTION)
    confirm(lan, PAGE)  # two people have looked at this one
    assert "Cán bộ xác nhận ngày 24/11/2026" in fee(service)
    edit(advisor, f"{PAGE}/edit/steps", steps__0="Đến quầy số 2.", source="Sơ đồ mới")
    assert "Chưa được cán bộ xác nhận" in fee(service)
    assert "Cần xác nhận lại" in texts(lan.get(PAGE))
    assert f'/staff/procedures/{CODE}"' in lan.get("/staff/procedures?show=look").text


def test_a_confirmation_is_taken_back_by_anyone_at_once(visit: Visit, service: Service) -> None:
    advisor, lan = visit("advisor"), visit("lan")
    for act, then in (("verify", "Cán bộ xác nhận ngày"), ("undo", "Chưa được cán bộ xác nhận")):
        seen = dict(zip(("seen", "facts"), _hidden(lan.get(PAGE).text), strict=True))
        assert lan.submit(f"{PAGE}/verify", source="Quyết định 1", act=act, **seen).status_code == 200
        if act == "verify":
            confirm(advisor, PAGE)
        assert then in fee(service)


def test_whoever_confirms_has_seen_what_is_told_now(visit: Visit, service: Service) -> None:
    advisor = visit("advisor")
    old = dict(zip(("seen", "facts"), _hidden(advisor.get(PAGE).text), strict=True))
    edit(visit("lan"), f"{PAGE}/edit/steps", steps__0="Đến quầy số 2.", source="Sơ đồ mới")
    refused = advisor.submit(f"{PAGE}/verify", source="Quyết định 1", act="verify", **old)
    assert refused.status_code == 409
    assert waiting(advisor, PAGE) == []


def _hidden(page: str) -> tuple[str, str]:
    seen = re.search(r'name="seen" value="([^"]*)"', page)
    facts = re.search(r'name="facts" value="([^"]*)"', page)
    assert seen
    assert facts
    return seen[1], facts[1]


@pytest.mark.parametrize("channel", ["zalo_oa", "zalo_bot", "telegram", "web", "sms"])
def test_the_page_shows_what_the_channel_would_send(visit: Visit, service: Service, channel: str) -> None:
    now = service.clock()
    memory = Memory(greeted=True, at=now)
    owner = OfflineDossiers(lambda _code: None, service.talk.desk(now))
    turn = service.talk.turn(f"lệ phí {CODE}", memory, now, owner, channel)
    sent = render_all(turn.replies, channel).messages
    page = texts(visit("reception").get(f"{PAGE}?channel={channel}"))
    for message in sent:
        assert " ".join(message.text.split()) in page
        assert all(button.label in page for button in message.buttons)


def test_the_list_is_searched_and_filtered(visit: Visit) -> None:
    advisor = visit("advisor")
    assert "1 thủ tục." in texts(advisor.get(f"/staff/procedures?q={CODE}"))
    found = texts(advisor.get("/staff/procedures?q=sao y"))
    assert "Chứng thực bản sao từ bản chính (sao y)" in found
    assert "Đăng ký khai sinh" not in found
    assert "Đã sửa (0)" in found
    edit(advisor, FEES, fees__0__amount="3000", source=RESOLUTION)
    assert "Chờ người xác nhận (1)" in texts(advisor.get("/staff/procedures?field=chung-thuc"))
    assert "1 thủ tục." in texts(advisor.get("/staff/procedures?show=waiting"))


def test_staff_are_told_when_an_update_changes_what_lies_below_an_edit(
    visit: Visit, service: Service, alone: None
) -> None:
    advisor = visit("advisor")
    edit(advisor, FEES, fees__0__amount="3000", source=RESOLUTION)
    edit(advisor, f"{PAGE}/edit/steps", steps__0="Đến quầy số 2.", source="Sơ đồ mới")
    files = service.base(NOON)
    updated = files.catalog.procedures[CODE].model_copy(update={"fees": (Fee(amount=9000),)})
    catalog = Catalog({**files.catalog.procedures, CODE: updated}, files.catalog.fields)
    service.base = lambda now: replace(files, catalog=catalog, today=now.date())
    page = visit("advisor").get(PAGE)
    assert "Phí, lệ phí: dữ liệu gốc dưới bản sửa của cơ quan đã thay đổi" in texts(page)
    assert "3.000 đồng" in texts(page)
    assert "1 thủ tục." in texts(advisor.get("/staff/procedures?show=look"))
    (number,) = re.findall(r"edits/(\d+)/decide[^>]*>(?:(?!</form>).)*Giữ bản sửa", page.text, re.DOTALL)
    assert advisor.submit(f"/staff/procedures/edits/{number}/decide", act="keep").status_code == 200
    assert "0 thủ tục." in texts(advisor.get("/staff/procedures?show=look"))


def test_an_edit_that_no_longer_fits_is_shown_and_harms_nothing(
    visit: Visit, service: Service, sqlite_database: Database, alone: None
) -> None:
    edit(visit("advisor"), FEES, fees__0__amount="3000", source=RESOLUTION)
    with sqlite_database.write() as session:
        session.exec(select(FactEdit)).one().after = {"value": {"fees": [{"amount": "nhiều", "unit": "trang"}]}}
    fresh = LiveEdits(sqlite_database, "chau-thanh")
    assert fresh.desk(service.base(NOON)).catalog.procedures[CODE].fees[0].amount == 2000
    page = texts(visit("advisor").get(PAGE))
    assert "bản sửa không còn hợp với dữ liệu mới nên không dùng (fees.0.amount: cần số nguyên" in page
    assert "2.000 đồng" in page


def test_commands_tell_what_citizens_are_told(
    visit: Visit, office_settings: Settings, alone: None, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("MOTCUA_VAR_DIR", str(office_settings.var_dir))
    edit(visit("advisor"), FEES, fees__0__amount="3000", source=RESOLUTION)
    assert main(["answer", CODE, "--aspect", "fee", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "3.000 đồng" in told["aspects"]["fee"]
    assert RESOLUTION in told["sources"]
    assert main(["answer", CODE, "--aspect", "fee", "--catalog", str(office_settings.catalog)]) == 0
    assert "2.000 đồng" in capsys.readouterr().out


def test_who_may_only_look_gets_no_forms(visit: Visit) -> None:
    edit(visit("advisor"), FEES, fees__0__amount="3000", source=RESOLUTION)
    for role in ("reception", "leader"):
        page = visit(role).get(PAGE)
        assert page.status_code == 200
        assert "/decide" not in page.text
        assert "/edit/" not in page.text
        assert visit(role).get(FEES).status_code == 403


def test_a_form_whose_session_ended_is_taken_up_again(visit: Visit, app: FastAPI, service: Service) -> None:
    advisor = visit("advisor")
    form = form_of(advisor.get(FEES))
    form["fees.0.note"] = ["dài " * 140]
    advisor.cookies.clear()
    asked = send(advisor, FEES, form, "preview", **{"fees.0.amount": "3000", "source": RESOLUTION})
    assert asked.status_code == 401
    kept = re.search(r'name="kept" value="([^"]*)"', asked.text)
    assert kept
    resumed = advisor.post("/staff/sign-in", data={"name": "advisor", "password": PASSWORD, "kept": unescape(kept[1])})
    assert RESOLUTION in resumed.text
    assert 'name="fees.0.amount"' in resumed.text
