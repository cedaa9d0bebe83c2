"""The office's own facts as forms: hours, counters, address, days off, the council's fees."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI

from bot.catalog.office import hours_text
from bot.clock import utc_now
from bot.console.accounts import add_staff
from bot.conversation.model import Memory
from bot.dossiers.offline import OfflineDossiers
from bot.service import Service
from bot.storage.database import Database
from tests.console.conftest import PASSWORD, Clock, Visitor
from tests.console.procedure_scene import confirm, edit, form_of, send, texts

NOON = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
Visit = Callable[..., Visitor]
WEEK = {
    "hours__0__days": "thứ Hai đến thứ Sáu", "hours__0__shifts__0__opens": "07:00",
    "hours__0__shifts__0__closes": "11:00", "source": "Quy chế 1",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _a_second_advisor(app: FastAPI, sqlite_database: Database, clock: Clock) -> None:
    clock.at = NOON
    with sqlite_database.write() as session:
        add_staff(session, "lan", "advisor", PASSWORD, utc_now())


def told(service: Service, question: str) -> str:
    """What the chat answers."""
    now = service.clock()
    memory = Memory(greeted=True, at=now)
    turn = service.talk.turn(question, memory, now, OfflineDossiers(lambda _code: None, service.talk.desk(now)), "web")
    return "\n".join(reply.text for reply in turn.replies)


def test_hours_are_told_from_their_day_on(visit: Visit, service: Service, clock: Clock) -> None:
    saved = edit(visit("advisor"), "/staff/office/hours", **WEEK, valid_from="2026-12-01")
    assert saved.headers["location"] == "/staff/office?done=later"
    assert "07:00" not in told(service, "giờ làm việc")
    clock.at = datetime(2026, 12, 1, 1, 0, tzinfo=UTC)
    assert "thứ Hai đến thứ Sáu, 07:00–11:00" in told(service, "giờ làm việc")


def test_the_preview_of_hours_is_the_chats_own_answer(visit: Visit) -> None:
    advisor, path = visit("advisor"), "/staff/office/hours"
    named = {name.replace("__", "."): value for name, value in WEEK.items()}
    seen = texts(send(advisor, path, form_of(advisor.get(path)), "preview", **named))
    assert "thứ Hai đến thứ Sáu, 07:00–11:00" in seen
    assert "thu Hai den thu Sau, 07:00-11:00" in seen  # as an SMS says it


def test_a_second_shift_goes_into_the_empty_row(visit: Visit, service: Service) -> None:
    edit(visit("advisor"), "/staff/office/hours", **WEEK)
    edit(visit("advisor"), "/staff/office/hours", hours__0__shifts__1__opens="13:00",
         hours__0__shifts__1__closes="17:00", source="Quy chế 1")  # fmt: skip
    now = service.clock()
    assert hours_text(service.talk.desk(now).office, NOON.date()) == "thứ Hai đến thứ Sáu, 07:00–11:00, 13:00–17:00"


def test_hours_the_wrong_way_round_are_refused_beside_the_shift(visit: Visit) -> None:
    wrong = edit(visit("advisor"), "/staff/office/hours", **{**WEEK, "hours__0__shifts__0__closes": "06:00"})
    assert wrong.status_code == 422
    assert "Giờ mở cửa phải trước giờ đóng cửa." in texts(wrong)
    wrong = edit(visit("advisor"), "/staff/office/hours", **{**WEEK, "hours__0__shifts__0__closes": "25:00"})
    assert "Giờ không đúng; cần dạng 07:30." in texts(wrong)


def test_address_and_phone_are_told_at_once(visit: Visit, service: Service) -> None:
    edit(
        visit("advisor"), "/staff/office/contact", address="Số 1, ấp Thị Trấn", phone="0950 111 222", source="Chi nhánh"
    )
    assert "Số 1, ấp Thị Trấn" in told(service, "địa chỉ cơ quan ở đâu")
    assert "0950 111 222" in told(service, "cho xin số điện thoại")
    assert service.base(service.clock()).office.address is None  # the files are as they were


def test_a_counter_is_told_where_its_fields_are_filed(visit: Visit, service: Service) -> None:
    edit(visit("advisor"), "/staff/office/counters", counters__0__name="Công an xã", counters__0__fields=["cu-tru"],
         counters__0__address="số 9", counters__0__hours__0__days="sáng thứ Bảy",
         counters__0__hours__0__shifts__0__opens="07:30", counters__0__hours__0__shifts__0__closes="11:30",
         source="Quy chế 2")  # fmt: skip
    assert "Công an xã, số 9, sáng thứ Bảy, 07:30–11:30" in told(service, "nộp ở đâu 1.004194")


def test_a_fee_of_the_council_needs_two_people(visit: Visit, service: Service) -> None:
    fee = {"fees__0__code": "1.001193", "fees__0__what": "đăng ký quá hạn", "fees__0__amount": "5.000",
           "fees__0__source": "Nghị quyết 9/2026/NQ-HĐND", "fees__0__valid_from": "2026-11-01",
           "source": "Công báo 3"}  # fmt: skip
    edit(visit("advisor"), "/staff/office/province_fees", **fee)
    assert "5.000" not in told(service, "lệ phí 1.001193")
    assert confirm(visit("lan"), "/staff/office").status_code == 303
    assert "5.000 đồng (Nghị quyết 9/2026/NQ-HĐND)" in told(service, "lệ phí 1.001193")


def test_a_day_off_moves_the_day_of_the_result(visit: Visit, service: Service) -> None:
    before = told(service, "1.004194 nộp hôm nay thì khi nào xong")
    edit(visit("advisor"), "/staff/office/days_off", days_off__0="2026-11-25", days_off__1="2026-11-26",
         source="Thông báo nghỉ")  # fmt: skip
    assert told(service, "1.004194 nộp hôm nay thì khi nào xong") != before


def test_a_part_that_does_not_exist_is_said_so(visit: Visit) -> None:
    assert visit("advisor").get("/staff/office/name").status_code == 404
    assert visit("advisor").submit("/staff/office/procedure").status_code == 404
