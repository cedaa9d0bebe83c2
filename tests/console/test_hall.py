"""The screens of the hall: what a scanned receipt shows, limits, calls, the board's codes, the survey's form."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlmodel import select

from bot.clock import utc_now
from bot.console.office_settings import switch
from bot.desk import answering, queues
from bot.dossiers import registry
from bot.dossiers.board import board
from bot.dossiers.records import DossierRecord
from bot.errors import BadInputError
from bot.figures import hall
from bot.figures.period import month_of
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Conversation, Handoff, Lookup, OfficeSetting, Outbox, Survey
from bot.survey import surveys
from tests.console.conftest import Clock, Visitor

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
JSON = {"accept": "application/json"}
WORKED_ON, RETURNED = "H30.99.01-261116-0001", "H30.99.01-261116-0005"
UNKNOWN = "H30.99.01-261116-9999"


@pytest.fixture
def screen(app: FastAPI) -> TestClient:
    """A browser in the hall; nobody is signed in."""
    return TestClient(app, base_url="http://127.0.0.1")


def scan(screen: TestClient, code: str) -> dict[str, str]:
    answer = screen.post("/kiosk/ho-so", data={"code": code}, headers=JSON)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, str] = answer.json()
    return found


# --- the kiosk -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scanned", [WORKED_ON, "h30 99 01 261116 0001\r", f"https://xa.example.vn/tra-cuu?ma={WORKED_ON}"]
)
def test_a_receipt_shows_its_status_and_nothing_personal(screen: TestClient, scanned: str) -> None:
    told = scan(screen, scanned)
    assert f"Hồ sơ {WORKED_ON}: đang xử lý" in told["text"]
    assert "khai sinh" not in told["text"].lower()
    assert "0951000001" not in told["text"].replace(" ", "")
    assert told["survey"] == ""


def test_an_unknown_code_and_no_code_are_told_apart_from_nothing_else(screen: TestClient) -> None:
    assert "Không tìm thấy" in scan(screen, UNKNOWN)["text"]
    assert "quét lại" in scan(screen, "abc")["text"]
    assert "quét lại" in scan(screen, "")["text"]
    assert scan(screen, "x" * 5000)["survey"] == ""


def test_look_ups_at_the_kiosk_share_the_limits_of_the_network(
    screen: TestClient, office_settings: Settings, sqlite_database: Database
) -> None:
    told = [scan(screen, f"H30.99.01-261116-{number:04d}")["text"] for number in range(5000, 5042)]
    limited = ["quá nhiều" in text for text in told]
    most = office_settings.unknown_codes_per_sender_hour * 5
    assert limited == [False] * most + [True] * (42 - most)
    with sqlite_database.read() as session:
        assert {row.channel for row in session.exec(select(Lookup))} == {"kiosk"}


def test_without_script_the_answer_is_a_page_that_nothing_keeps(screen: TestClient) -> None:
    page = screen.post("/kiosk/ho-so", data={"code": WORKED_ON})
    assert "đang xử lý" in page.text
    assert page.headers["cache-control"] == "no-store"
    assert '<noscript><meta http-equiv="refresh" content="60;url=/kiosk">' in page.text
    assert "Đã gọi cán bộ" in screen.post("/kiosk/goi").text


def test_other_sites_neither_look_up_nor_call(screen: TestClient, sqlite_database: Database) -> None:
    for path in ("/kiosk/ho-so", "/kiosk/goi", "/kiosk/in"):
        assert screen.post(path, headers={"origin": "https://xau.example"}).status_code == 403
    with sqlite_database.read() as session:
        assert session.exec(select(Lookup)).all() == session.exec(select(Handoff)).all() == []


def test_every_field_and_search_lead_to_guides_that_can_be_printed(
    screen: TestClient, sqlite_database: Database
) -> None:
    fields = re.findall(r'href="(/kiosk/linh-vuc/[a-z-]+)"', screen.get("/kiosk").text)
    assert len(fields) > 20
    listed = {code for path in fields for code in re.findall(r'href="/kiosk/thu-tuc/([\d.]+)"', screen.get(path).text)}
    assert len(listed) > 100
    assert "/kiosk/thu-tuc/1.001193" in screen.get("/kiosk/tim", params={"q": "giay khai sinh"}).text
    assert "&lt;script&gt;" in screen.get("/kiosk/tim", params={"q": "<script>"}).text
    assert "Chưa tìm thấy" in screen.get("/kiosk/tim").text
    guide = screen.get("/kiosk/thu-tuc/1.001193").text
    assert "data-print" in guide
    assert 'href="/"' not in guide
    assert 'href="/thu-tuc' not in guide
    assert screen.get("/kiosk/thu-tuc/9.999999").status_code == 404
    assert screen.get("/kiosk/linh-vuc/khong-co").status_code == 404
    assert screen.post("/kiosk/in").status_code == 204
    with sqlite_database.read() as session:
        assert hall.uses(session, month_of(datetime.now(UTC).date())) == {"guide": 1, "print": 1}


def test_a_call_rings_once_and_tells_nothing_of_who_called(
    screen: TestClient, sqlite_database: Database, clock: Clock
) -> None:
    def call() -> str:
        told: str = screen.post("/kiosk/goi", headers=JSON).json()["text"]
        return told

    clock.at = NOW
    assert call().startswith("Đã gọi cán bộ")
    assert "sắp đến" in call()
    for _ in range(11):
        clock.at += timedelta(minutes=4)
        assert call().startswith("Đã gọi")
    clock.at += timedelta(minutes=4)
    assert "đến thẳng quầy" in call()
    with sqlite_database.read() as session:
        calls = session.exec(select(Handoff)).all()
        assert len(calls) == 12
        assert {(one.kind, one.state, one.text) for one in calls} == {
            ("handoff", "open", "Có người cần giúp tại máy tra cứu trong sảnh.")
        }
        assert [(one.channel, one.sender) for one in session.exec(select(Conversation))] == [("kiosk", "kiosk")]


# --- the board -------------------------------------------------------------------------------------------------------


class Register:
    """The one-stop software of a test."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database, self.settings = database, settings

    def tell(self, number: int, *statuses: int, at: datetime = NOW, **more: object) -> str:
        told = {"due_at": NOW + timedelta(hours=3), "phone": "+84951234567"} | more
        code = f"H30.99.01-261120-{number:04d}"
        for status in statuses:
            record = DossierRecord(code=code, status=status, **told)
            with self.database.write() as session:
                registry.upsert(session, record, source="api", settings=self.settings, now=at, quiet=True)
        return code

    def board(self, *, days: int = 7, demo: bool = False) -> tuple[tuple[str, ...], tuple[str, ...]]:
        with self.database.read() as session:
            found = board(session, NOW, days=days, demo=demo)
        return found.ready, found.due


def test_the_board_shows_results_at_the_counter_and_what_is_due_today(database: Database, settings: Settings) -> None:
    register = Register(database, settings)
    first = register.tell(1, 4, 9, at=NOW - timedelta(days=2))
    second = register.tell(2, 4, 9, at=NOW - timedelta(days=1))
    again = register.tell(3, 4, 9, 4, 9, at=NOW)
    register.tell(4, 4, 9, return_mode="post")
    register.tell(5, 4, 9, return_mode="electronic")
    register.tell(6, 4, 9, 10)
    register.tell(7, 4, 9, demo=True)
    old = register.tell(8, 4, 9, at=NOW - timedelta(days=8))
    due = register.tell(9, 4)
    sooner = register.tell(10, 5, due_at=NOW + timedelta(hours=1))
    register.tell(11, 4, due_at=NOW + timedelta(days=1))
    register.tell(12, 4, due_at=datetime(2026, 11, 24, 17, 0, tzinfo=UTC))  # midnight in Vietnam: tomorrow
    register.tell(13, 4, due_at=datetime(2026, 11, 23, 16, 59, tzinfo=UTC))  # yesterday
    register.tell(14, 8)
    assert register.board() == ((again, second, first), (sooner, due))
    assert register.board(days=9)[0] == (again, second, first, old)
    assert len(register.board(demo=True)[0]) == 4


def test_the_board_page_lists_codes_without_script_and_follows_the_setting(
    screen: TestClient,
    visit: Callable[..., Visitor],
    sqlite_database: Database,
    office_settings: Settings,
    clock: Clock,
) -> None:
    clock.at = NOW
    register = Register(sqlite_database, office_settings)
    code = register.tell(1, 4, 9, at=NOW - timedelta(days=2))
    page = screen.get("/bang").text
    assert f"<li>{code[:-4]}<b>{code[-4:]}</b></li>" in page
    assert "khai sinh" not in page
    assert "095" not in page.split("</head>")[1].replace(code, "")
    numbers = screen.get("/bang/so")
    assert code in numbers.json()["ready"]
    assert numbers.headers["cache-control"] == "no-store"
    with sqlite_database.write() as session:
        switch(session, "board_days", 1, "admin", NOW)
    assert code not in screen.get("/bang/so").json()["ready"]


# --- the survey ------------------------------------------------------------------------------------------------------


def test_a_returned_dossier_is_asked_about_once(screen: TestClient, sqlite_database: Database) -> None:
    address = scan(screen, RETURNED)["survey"]
    assert address.startswith("/khao-sat/")
    form = screen.get(address)
    assert "kết thúc bằng 0005" in form.text
    assert RETURNED not in form.text
    assert form.text.count("<fieldset") == 7
    missing = screen.post(address, data={"waiting": "4", "comment": "<b>Tốt</b>"})
    assert missing.status_code == 422
    assert "&lt;b&gt;Tốt&lt;/b&gt;" in missing.text  # what was typed is kept
    assert re.search(r'name="waiting" value="4" checked', missing.text)
    assert screen.post(address, data={"overall": "9"}).status_code == 422
    done = screen.post(address, data={"overall": "5", "extra_payment": "no", "comment": "Nhanh. 0951234567"})
    assert "Cảm ơn ông/bà đã trả lời" in done.text
    assert "đã được trả lời rồi" in screen.post(address, data={"overall": "1"}).text
    assert "đã được trả lời rồi" in screen.get(address).text
    assert scan(screen, RETURNED)["survey"] == ""
    with sqlite_database.read() as session:
        (survey,) = session.exec(select(Survey)).all()
    assert (survey.channel, survey.answers) == ("kiosk", {"overall": 5, "extra_payment": False})
    assert (survey.comment, survey.comment_state) == ("Nhanh. ***", "new")


def test_links_that_lead_nowhere_say_so(
    screen: TestClient, sqlite_database: Database, office_settings: Settings, clock: Clock
) -> None:
    address = scan(screen, RETURNED)["survey"].partition("?")[0]
    for wrong in ("/khao-sat/aaaaaaaaaaaaaaaa", "/khao-sat/0", "/khao-sat/" + "x" * 500):
        assert screen.get(wrong).status_code == 404
        assert screen.post(wrong, data={"overall": "5"}).status_code == 404
    assert screen.post(address, data={"overall": "5"}, headers={"origin": "https://xau.example"}).status_code == 403
    clock.at = datetime.now(UTC) + timedelta(days=31)
    assert screen.get(address).status_code == 410
    assert screen.post(address, data={"overall": "5"}).status_code == 410
    with sqlite_database.read() as session:
        assert [one.state for one in session.exec(select(Survey))] == ["sent"]
        token = surveys.token_of(office_settings, RETURNED)
        assert address.endswith(token)


def test_where_the_office_does_not_ask_the_kiosk_does_not(screen: TestClient, sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        session.add(OfficeSetting(key="survey", value={"value": False}, by="a", at=NOW))
    assert scan(screen, RETURNED)["survey"] == ""


def test_a_call_from_the_kiosk_waits_in_the_inbox_and_nothing_is_sent_there(
    visit: Callable[..., Visitor], sqlite_database: Database
) -> None:
    visit().post("/kiosk/goi")
    with sqlite_database.read() as session:
        (kiosk,) = session.exec(select(Conversation).where(Conversation.channel == "kiosk")).all()
    assert kiosk.queue == "waiting"
    with sqlite_database.write() as session:
        assert queues.claim(session, kiosk.id or 0, "advisor", utc_now())
        with pytest.raises(BadInputError, match="ki-ốt"):
            answering.send(session, kiosk.id or 0, "advisor", "Mời ông/bà vào.", "abcdefgh", utc_now())
        queues.finish(session, kiosk.id or 0, "advisor", utc_now())
    with sqlite_database.read() as session:
        assert session.exec(select(Outbox).where(Outbox.channel == "kiosk")).all() == []
        assert session.get_one(Conversation, kiosk.id).queue == "done"
