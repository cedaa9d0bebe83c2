"""The desk's dossiers: scan, move, undo, pile, two people, what a page shows and hides."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import select

from bot.clock import utc_now
from bot.dossiers import registry
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Audit, Consent, Dossier, Outbox, Preference, StatusChange
from tests.console.conftest import Clock, Visitor

WORKED_ON, OTHER, LATE, READY, RETURNED = (f"H30.99.01-261116-{number:04d}" for number in (2, 1, 9, 4, 5))


@pytest.fixture
def desk(visit: Callable[..., Visitor]) -> Visitor:
    return visit("reception")


def notices(database: Database, code: str) -> list[Outbox]:
    with database.read() as session:
        return list(session.exec(select(Outbox).where(Outbox.dossier_code == code).order_by(Outbox.id)))  # type: ignore[arg-type]


def change_of(page: str) -> str:
    found = re.search(r'name="change" value="(\d+)"', page)
    assert found, page
    return found[1]


@pytest.mark.parametrize(
    "typed", [WORKED_ON, WORKED_ON.lower(), "h30 99 01 261116 0002", f"https://x.example/#/tra?ma={WORKED_ON.lower()}"]
)
def test_a_scan_opens_its_dossier(desk: Visitor, typed: str) -> None:
    page = desk.submit("/staff/dossiers/scanned", code=typed, current=OTHER)
    assert page.url.path == f"/staff/dossiers/{WORKED_ON}"
    assert desk.get("/staff/dossiers/find", params={"code": typed}).url.path == f"/staff/dossiers/{WORKED_ON}"
    assert "autofocus" in page.text


def test_what_is_no_code_or_not_on_file_says_so(desk: Visitor) -> None:
    assert "Không đọc được mã" in desk.submit("/staff/dossiers/scanned", code="<script>xin</script>").text
    assert "<script>xin" not in desk.submit("/staff/dossiers/scanned", code="<script>xin</script>").text
    unknown = desk.submit("/staff/dossiers/scanned", code="H30.99.01-261116-9999")
    assert (unknown.status_code, "9999 trong sổ" in unknown.text) == (404, True)
    assert desk.submit("/staff/dossiers/scanned", code="", current="").status_code == 404
    assert "0001" in desk.submit("/staff/dossiers/scanned", code="0001").text


def test_enter_alone_sets_it_once_and_undo_takes_it_back_before_the_notice_goes(
    desk: Visitor, sqlite_database: Database
) -> None:
    page = desk.submit("/staff/dossiers/scanned", current=WORKED_ON)
    assert "Đã ghi «có kết quả»" in page.text
    assert "tin báo gửi sau <strong>3 phút" in page.text
    again = desk.submit("/staff/dossiers/scanned", current=WORKED_ON)
    assert (again.status_code, "đã có kết quả từ trước" in again.text) == (409, True)
    undone = desk.submit(f"/staff/dossiers/{WORKED_ON}/undo", change=change_of(page.text))
    assert "Đã hoàn tác" in undone.text
    assert [row.state for row in notices(sqlite_database, WORKED_ON)] == ["cancelled"]
    assert "Hoàn tác, về" not in undone.text  # an undo is not undone
    with sqlite_database.read() as session:
        told = {row.action: row.detail for row in session.exec(select(Audit).where(Audit.subject == WORKED_ON))}
    assert told == {"set_status": {"before": 4, "after": 9}, "undo_status": {"before": 9, "after": 4}}


def test_no_undo_once_the_notice_is_out(desk: Visitor, sqlite_database: Database, clock: Clock) -> None:
    page = desk.submit("/staff/dossiers/scanned", current=WORKED_ON)
    with sqlite_database.write() as session:
        session.exec(select(Outbox)).one().state = "sending"
    refused = desk.submit(f"/staff/dossiers/{WORKED_ON}/undo", change=change_of(page.text))
    assert (refused.status_code, "không hoàn tác được nữa" in refused.text) == (409, True)
    with sqlite_database.read() as session:
        assert session.get_one(Dossier, WORKED_ON).status == 9


def test_one_that_was_returned_is_not_called_a_second_time_by_a_scan(desk: Visitor, sqlite_database: Database) -> None:
    assert "đã trả kết quả rồi" in desk.submit("/staff/dossiers/scanned", current=RETURNED).text
    assert notices(sqlite_database, RETURNED) == []


def test_a_pile_sets_what_it_can_and_tells_the_rest_line_by_line(desk: Visitor, sqlite_database: Database) -> None:
    typed = f"{WORKED_ON}\n{OTHER.lower()}\n{WORKED_ON}\n{READY}\n{RETURNED}\nH30.99.01-261116-9999\n<b>\n\n0010"
    page = desk.submit("/staff/dossiers/scan", codes=typed, do="check")
    assert re.findall(r'<li class="(\w+)">', page.text) == [
        "ready", "ready", "already", "returned", "unknown", "unreadable", "unreadable",
    ]  # fmt: skip
    assert notices(sqlite_database, WORKED_ON) == []
    page = desk.submit("/staff/dossiers/scan", codes=typed)
    assert "«có kết quả» cho 2 hồ sơ; 5 hồ sơ không ghi" in page.text
    assert "<b>" not in page.text
    again = desk.submit("/staff/dossiers/scan", codes=typed)
    assert "cho 0 hồ sơ; 7 hồ sơ không ghi" in again.text
    assert len(notices(sqlite_database, WORKED_ON)) == len(notices(sqlite_database, OTHER)) == 1
    assert desk.submit("/staff/dossiers/scan", codes=" \n").status_code == 409
    many = desk.submit("/staff/dossiers/scan", codes="\n".join(str(number) for number in range(300)), do="check")
    assert (many.text.count('<li class="unreadable">'), "nhiều nhất 200 mã" in many.text) == (200, True)


def test_one_scan_of_a_pile_is_told_as_json(desk: Visitor) -> None:
    assert desk.get("/staff/dossiers/scan/state", params={"code": OTHER.lower()}).json() == [
        {"code": OTHER, "state": "ready", "told": "sẽ ghi «có kết quả»"}
    ]
    assert desk.get("/staff/dossiers/scan/state", params={"code": " "}).json() == []


def test_of_two_people_the_second_is_told_and_nothing_is_overwritten(
    desk: Visitor, visit: Callable[..., Visitor], sqlite_database: Database
) -> None:
    admin = visit("admin")
    for who in (desk, admin):
        assert 'name="was" value="4"' in who.get(f"/staff/dossiers/{WORKED_ON}").text
    assert desk.submit(f"/staff/dossiers/{WORKED_ON}/status", to="5", was="4", back="dossier").status_code == 200
    second = admin.submit(f"/staff/dossiers/{WORKED_ON}/status", to="9", was="4", back="dossier")
    assert (second.status_code, "reception vừa chuyển" in second.text) == (409, True)
    due = re.search(r'name="was" value="(\d{4}-[^"]+)"', desk.get(f"/staff/dossiers/{LATE}").text)
    assert due
    assert desk.submit(f"/staff/dossiers/{LATE}/due", due="2099-01-05", was=due[1], back="dossier").status_code == 200
    later = admin.submit(f"/staff/dossiers/{LATE}/due", due="2099-02-05", was=due[1], back="dossier")
    assert (later.status_code, "vừa được đổi" in later.text) == (409, True)
    with sqlite_database.read() as session:
        assert session.get_one(Dossier, WORKED_ON).status == 5
    assert [row.event for row in notices(sqlite_database, LATE)] == ["overdue"]


def test_the_page_of_a_dossier_masks_and_escapes(
    desk: Visitor, sqlite_database: Database, office_settings: Settings
) -> None:
    now = utc_now()
    with sqlite_database.write() as session:
        dossier = session.get_one(Dossier, WORKED_ON)
        dossier.note = "<script>alert(1)</script>" + "dài " * 100
        for table, more in ((Consent, {"given": True, "wording": "x"}), (Preference, {"wants": False})):
            session.add(
                table(
                    dossier_code=WORKED_ON, channel="telegram", recipient="99887766554", at=now, **more,
                    evidence="gọi từ 0951000002",
                )
            )  # fmt: skip
        registry.set_status(session, WORKED_ON, 5, by="<i>", settings=office_settings, now=now)
    page = desk.get(f"/staff/dossiers/{WORKED_ON}").text
    assert "<script>alert" not in page
    assert "<i>" not in page
    for hidden in ("+84951000002", "99887766554", "0951000002"):
        assert hidden not in page
    assert "+8495****002" in page
    assert "đồng ý nhận tin về hồ sơ này" in page
    assert "từ chối tin về hồ sơ này" in page


def test_an_advisor_sees_but_does_not_move(visit: Callable[..., Visitor], sqlite_database: Database) -> None:
    advisor = visit("advisor")
    page = advisor.get(f"/staff/dossiers/{WORKED_ON}").text
    assert 'action="/staff/dossiers/find"' in page
    assert 'method="post" action="/staff/dossiers' not in page
    assert advisor.submit("/staff/dossiers/scanned", current=WORKED_ON).status_code == 403
    with sqlite_database.read() as session:
        assert session.get_one(Dossier, WORKED_ON).status == 4


def test_filters_count_what_they_find_and_pages_follow_by_key(
    desk: Visitor, sqlite_database: Database, clock: Clock
) -> None:
    clock.at = now = utc_now()
    with sqlite_database.write() as session:
        for number in range(120):
            session.add(
                Dossier(
                    code=f"H30.99.02-261116-{number:04d}", status=4, procedure="1.001193",
                    due_at=now - timedelta(days=9), created_at=now, updated_at=now,
                )
            )  # fmt: skip
    page, seen = desk.get("/staff/dossiers", params={"view": "overdue"}), []
    assert re.search(r'view=overdue"[^>]*aria-current="true">Quá hẹn <span class="count">121<', page.text)
    while True:
        seen += re.findall(r'<a class="code" href="/staff/dossiers/([^"]+)"', page.text)
        following = re.search(r'rel="next" href="([^"]+)"', page.text)
        if following is None:
            break
        page = desk.get(following[1].replace("&amp;", "&"))
    assert len(seen) == len(set(seen)) == 121
    assert seen[-1] == LATE
    kind = desk.get("/staff/dossiers", params={"view": "overdue", "procedure": "1.001193"}).text
    assert '<span class="count">120<' in kind
    assert LATE not in kind
    assert '<span class="count">121<' in desk.get("/staff/dossiers", params={"field": "ho-tich"}).text
    assert "Không có hồ sơ nào" in desk.get("/staff/dossiers", params={"field": "khong-co"}).text
    for rubbish in ({"after": "x~y"}, {"view": "x", "status": "99", "after": "2026-01-01~"}, {"q": "%'\"<"}):
        assert desk.get("/staff/dossiers", params=rubbish).status_code == 200


def test_history_tells_who_moved_it(desk: Visitor, sqlite_database: Database) -> None:
    desk.submit(f"/staff/dossiers/{WORKED_ON}/status", to="5", was="4", note="Thiếu bản sao", back="dossier")
    page = desk.get(f"/staff/dossiers/{WORKED_ON}").text
    assert re.search(
        r"5\. cần bổ sung giấy tờ</strong> <span class=\"soft\">reception.*?Thiếu bản sao", page, re.DOTALL
    )
    with sqlite_database.read() as session:
        assert len(session.exec(select(StatusChange).where(StatusChange.dossier_code == WORKED_ON)).all()) == 2
