"""The chat page, the staff pages and the web hooks through the real application (no browser)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from bot.api.app import create_app
from bot.clock import utc_now
from bot.console.accounts import add_staff
from bot.conversation.talk import Talk
from bot.dossiers.demo import seed
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Handoff, Inbox, Outbox, Turn

PASSWORD = "mat-khau-dai-lam"
CODE = "H30.99.01-261116-0002"


@pytest.fixture
def office(sqlite_database: Database, settings: Settings, talk: Talk) -> Iterator[TestClient]:
    settings = settings.model_copy(update={"demo": True, "notice_from_hour": 0, "notice_to_hour": 24})
    with sqlite_database.write() as session:
        seed(session, settings, utc_now())
        add_staff(session, "canbo", "admin", PASSWORD, utc_now())
    app = create_app(settings, sqlite_database, Service(settings, sqlite_database, talk))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def _say(client: TestClient, text: str, message_id: str = "") -> list[str]:
    response = client.post("/chat", data={"text": text, "id": message_id}, headers={"accept": "application/json"})
    assert response.status_code == 200
    return [reply["text"] for reply in response.json()["replies"]]


def test_a_question_is_answered_and_stays_on_the_page(office: TestClient) -> None:
    office.get("/")
    (told,) = _say(office, "làm giấy khai sinh cho con cần gì <b>")
    assert "Giấy chứng sinh" in told
    page = office.get("/").text
    assert "cần gì &lt;b&gt;" in page
    assert "Giấy chứng sinh" in page


def test_a_repeated_message_is_answered_once(office: TestClient, sqlite_database: Database) -> None:
    office.get("/")
    first = _say(office, "gặp cán bộ", "abcdef0123456789")
    assert _say(office, "gặp cán bộ", "abcdef0123456789") == first
    with sqlite_database.read() as session:
        assert len(session.exec(select(Turn)).all()) == 1
        assert len(session.exec(select(Handoff)).all()) == 1
        assert {row.state for row in session.exec(select(Outbox)).all()} == {"delivered"}


def test_what_a_page_refuses(office: TestClient, sqlite_database: Database) -> None:
    office.get("/")
    assert office.post("/chat", data={"text": "chào"}, headers={"origin": "https://xau.example"}).status_code == 403
    refused = office.post("/chat", data={"text": "x" * 70_000})
    assert (refused.status_code, refused.headers["x-content-type-options"]) == (413, "nosniff")
    assert _say(office, "   ") == []
    with sqlite_database.read() as session:
        assert session.exec(select(Inbox)).all() == []


@pytest.mark.parametrize("text", ["\u0000\u0007", "😀", "x" * 30_000, "a\u0301" * 9000, "\u202ehủy\u200b"])
def test_odd_messages_are_answered(office: TestClient, text: str) -> None:
    office.get("/")
    assert all(_say(office, text))


def test_security_headers(office: TestClient) -> None:
    headers = office.get("/").headers
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "httponly" in headers["set-cookie"].lower()


def _sign_in(client: TestClient) -> str:
    client.post("/staff/sign-in", data={"name": "canbo", "password": PASSWORD})
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/staff/dossiers").text)
    assert found
    return found[1]


def test_staff_page_needs_a_login(office: TestClient) -> None:
    first = office.get("/staff/dossiers", follow_redirects=False).headers["location"]
    assert first == "/staff/sign-in?next=%2Fstaff%2Fdossiers"
    assert office.post("/staff/sign-in", data={"name": "canbo", "password": "sai"}).status_code == 401
    assert office.post("/staff/sign-in", data={"name": "khong-co", "password": "sai"}).status_code == 401
    entered = {"name": "canbo", "password": PASSWORD, "next": "/staff/dossiers"}
    assert "chuyển" in office.post("/staff/sign-in", data=entered).text.lower()


def test_five_wrong_passwords_lock_the_account(office: TestClient) -> None:
    for _ in range(5):
        office.post("/staff/sign-in", data={"name": "canbo", "password": "sai"})
    assert office.post("/staff/sign-in", data={"name": "canbo", "password": PASSWORD}).status_code == 401


def test_one_notice_and_undo(office: TestClient, sqlite_database: Database) -> None:
    csrf = _sign_in(office)
    move = f"/staff/dossiers/{CODE}/status"
    assert office.post(move, data={"to": 9}).status_code == 403
    page = office.post(move, data={"to": 9, "csrf": csrf}).text
    assert CODE in page
    assert "+8495****002" in page
    assert "+84951000002" not in page
    with sqlite_database.read() as session:
        (notice,) = session.exec(select(Outbox)).all()
    assert notice.state == "waiting"
    assert (notice.not_before - datetime.now(notice.not_before.tzinfo)).total_seconds() > 120
    office.post(move, data={"to": 4, "csrf": csrf})
    with sqlite_database.read() as session:
        assert [row.state for row in session.exec(select(Outbox)).all()] == ["cancelled"]


def test_a_move_that_staff_may_not_make_says_so(office: TestClient, sqlite_database: Database) -> None:
    csrf = _sign_in(office)
    page = office.post(f"/staff/dossiers/{CODE}/status", data={"to": 1, "csrf": csrf}).text
    assert "chỉ chuyển được sang" in page
    with sqlite_database.read() as session:
        assert session.exec(select(Outbox)).all() == []


def test_a_move_that_changes_nothing_says_so(office: TestClient) -> None:
    csrf = _sign_in(office)
    page = office.post(f"/staff/dossiers/{CODE}/status", data={"to": 4, "csrf": csrf}).text
    assert "không có gì thay đổi" in page


def test_a_late_dossier_gets_a_new_date_and_its_owner_an_apology(office: TestClient, sqlite_database: Database) -> None:
    csrf = _sign_in(office)
    late = "H30.99.01-261116-0009"
    assert f"/staff/dossiers/{late}/due" in office.get("/staff/dossiers").text
    assert office.post(f"/staff/dossiers/{late}/due", data={"due": "2099-01-05"}).status_code == 403
    assert "sai" in office.post(f"/staff/dossiers/{late}/due", data={"due": "mai", "csrf": csrf}).text
    assert late in office.post(f"/staff/dossiers/{late}/due", data={"due": "2099-01-05", "csrf": csrf}).text
    with sqlite_database.read() as session:
        (notice,) = session.exec(select(Outbox)).all()
    assert "05/01/2099" in notice.body["text"]


def test_a_link_cannot_put_words_on_the_staff_page(office: TestClient) -> None:
    _sign_in(office)
    page = office.get("/staff/dossiers", params={"error": "gọi ngay số này", "done": "gọi ngay số này"}).text
    assert "gọi ngay" not in page


def test_web_hooks_that_are_off_or_forged(office: TestClient) -> None:
    assert office.post("/webhooks/telegram", json={"update_id": 1}).status_code == 404
    assert office.post("/webhooks/sms/twilio/status", data={"MessageSid": "SM1"}).status_code == 403
    assert office.post("/webhooks/sms/nobody/status", data={"MessageSid": "SM1"}).status_code == 404


def test_health_ready_metrics_docs(office: TestClient) -> None:
    assert office.get("/health").json() == {"status": "ok"}
    assert office.get("/ready").json()["status"] == "ready"
    assert "motcua_turns_total" in office.get("/metrics").text
    assert "/api/dossiers/{code}" in office.get("/api/openapi.json").json()["paths"]


def test_no_simulator_without_demo(sqlite_database: Database, settings: Settings, talk: Talk, tmp_path: Path) -> None:
    app = create_app(settings, sqlite_database, Service(settings, sqlite_database, talk))
    with TestClient(app) as client:
        assert client.get("/simulator").status_code == 404
        page = client.get("/").text
    assert "chưa có dữ liệu, mời đến quầy" in page
    assert "[cán bộ chưa nhập" not in page
