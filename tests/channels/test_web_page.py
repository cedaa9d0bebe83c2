"""The page and its posts: each message answered once whatever happens, and the whole talk on the page again."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlmodel import col, select
from web_scene import JSON, listening, say, serving, tell, visiting, visitor_of

from bot.api.app import create_app
from bot.channels.web import shown
from bot.clock import utc_now
from bot.conversation.talk import Talk
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Inbox, Outbox, Turn

ROOT = Path(__file__).resolve().parents[2]
SAID = re.compile(r'<div class="bubble (me|bot)"([^>]*)><span class="hidden">[^<]*</span><p class="text">([^<]*)</p>')


@pytest.fixture
def office(sqlite_database: Database, settings: Settings, talk: Talk) -> Iterator[TestClient]:
    app = create_app(settings, sqlite_database, Service(settings, sqlite_database, talk))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        client.get("/")
        yield client


def _bubbles(client: httpx.Client) -> list[tuple[str, str, str]]:
    """(who, attributes, text) as the page shows them, without the greeting."""
    page = client.get("/").text.partition("<template")[0]
    return [(who, about.strip(), unescape(text)) for who, about, text in SAID.findall(page)][1:]


def test_an_answer_has_ids_and_names_its_question(office: TestClient) -> None:
    (reply,) = say(office, "phí chứng thực bản sao", "abcdefgh-1")["replies"]
    assert reply["to"] == "abcdefgh-1"
    assert {"label", "value"} == reply["buttons"][0].keys()
    me, bot = _bubbles(office)
    assert me == ("me", 'data-message="abcdefgh-1" data-answered', "phí chứng thực bản sao")
    assert bot == ("bot", f'data-id="{reply["id"]}" data-to="abcdefgh-1"', reply["text"])


def test_messages_beside_the_turns_stand_where_they_were_said(office: TestClient, sqlite_database: Database) -> None:
    say(office, "chào")
    tell(sqlite_database, visitor_of(office), "Cán bộ xin chào", "a")
    say(office, "cảm ơn")
    told = [text for _, _, text in _bubbles(office)]
    assert told.index("chào") < told.index("Cán bộ xin chào") < told.index("cảm ơn")
    with sqlite_database.read() as session:
        assert set(session.exec(select(Outbox.state))) == {"delivered"}


def test_only_the_last_turns_are_shown(
    office: TestClient, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown, "TURNS", 2)
    tell(sqlite_database, visitor_of(office), "rất cũ", "a", utc_now() - timedelta(days=1))
    for text in ("chào", "cảm ơn", "tạm biệt"):
        say(office, text)
    assert [text for who, _, text in _bubbles(office) if who == "me"] == ["cảm ơn", "tạm biệt"]
    assert "rất cũ" not in office.get("/").text


def test_a_reply_keeps_its_place_after_the_outbox_forgot_it(office: TestClient, sqlite_database: Database) -> None:
    (reply,) = say(office, "chào")["replies"]
    with sqlite_database.write() as session:
        session.get_one(Outbox, reply["id"]).body = {}
    _, (_, about, text) = _bubbles(office)
    assert text == reply["text"]
    assert f'data-id="{reply["id"]}"' in about


def test_link_and_picture(office: TestClient, sqlite_database: Database) -> None:
    told = tell(sqlite_database, visitor_of(office), "Mời xem", "a")
    with sqlite_database.write() as session:
        link = {"label": "Tờ <hướng dẫn>", "url": "https://mc.example.vn/thu-tuc/1?a=1&b=2"}
        session.get_one(Outbox, told).body = {"text": "Mời xem", "buttons": [], "link": link, "image": "receipt.png"}
    page = office.get("/").text
    assert '<a href="https://mc.example.vn/thu-tuc/1?a=1&amp;b=2" target="_blank" rel="noopener">Tờ &lt;hướng' in page
    assert re.search(r'<img class="picture" src="/static/receipt.png" alt="[^"]{20,}">', page)
    picture = office.get("/static/receipt.png")
    assert (picture.headers["content-type"], len(picture.content) < 60_000) == ("image/png", True)


def test_a_message_that_waits_is_on_the_page(office: TestClient, sqlite_database: Database) -> None:
    visitor = visitor_of(office)
    with sqlite_database.write() as session:
        # As if another process were at it.
        session.add(
            Inbox(
                channel="web", sender=visitor, message_id=shown.message_id(visitor, "abcdefgh"),
                payload={"text": "chưa ai đọc"},
                state="claimed", lease_until=utc_now() + timedelta(hours=1), next_try_at=utc_now(),
                received_at=utc_now(),
            )
        )  # fmt: skip
    assert _bubbles(office) == [("me", 'data-message="abcdefgh"', "chưa ai đọc")]


def test_what_was_erased_is_on_no_page(office: TestClient) -> None:
    say(office, "phí chứng thực bản sao")
    say(office, "xóa dữ liệu của tôi")
    say(office, "đồng ý")
    assert [who for who, _, _ in _bubbles(office)] == ["bot"]
    assert say(office, "phí chứng thực bản sao", "abcdefgh")["done"]


def test_without_script_a_form_leads_back_to_the_page(office: TestClient) -> None:
    answer = office.post("/chat", data={"text": "phí chứng thực bản sao"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/#cuoi")
    assert [text for who, _, text in _bubbles(office) if who == "me"] == ["phí chứng thực bản sao"]
    assert "autofocus" in office.get("/").text


@pytest.mark.postgres
def test_five_times_at_once_on_two_replicas_is_one_turn(
    settings: Settings, postgres_database: Database, talk: Talk
) -> None:
    database = Database(postgres_database.url.render_as_string(hide_password=False))
    with (
        serving(settings, postgres_database, talk) as one,
        serving(settings, database, talk) as other,
        visiting(one.url) as here,
        visiting(other.url, here.cookies) as there,
        ThreadPoolExecutor(5) as at_once,
    ):
        sent = [at_once.submit(say, client, "gặp cán bộ", "abcdefgh") for client in (here, there, here, there, here)]
        answers = [one.result() for one in sent]
    database.close()
    assert answers[0]["replies"]
    assert all(answer == answers[0] for answer in answers)
    with postgres_database.read() as session:
        assert len(session.exec(select(Turn)).all()) == 1
        assert len(session.exec(select(Inbox)).all()) == 1


@pytest.mark.service
def test_killed_between_taking_and_answering(settings: Settings, database: Database, talk: Talk) -> None:
    """The page sends again with the same id, and gets the one answer; its stream gets the same."""
    url = database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.channels.crashing_web", url, str(settings.var_dir)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        client = httpx.Client(base_url=process.stdout.readline().strip(), timeout=20)
        with client, ThreadPoolExecutor(1) as browser:
            client.get("/")
            waiting = browser.submit(say, client, "gặp cán bộ", "abcdefgh")
            assert process.stdout.readline() == "in turn\n"
            process.kill()
            with pytest.raises(httpx.TransportError):
                waiting.result()
            cookies = client.cookies
    with database.read() as session:
        assert [row.state for row in session.exec(select(Inbox))] == ["claimed"]
        assert session.exec(select(Turn)).all() == []
    # Later than the dead process's claim lasts.
    later = serving(settings, database, talk, lambda: utc_now() + timedelta(minutes=2))
    with later as office, visiting(office.url, cookies) as again, listening(again) as messages:
        first = say(again, "gặp cán bộ", "abcdefgh")
        assert next(messages) == first["replies"][0]
        assert say(again, "gặp cán bộ", "abcdefgh") == first
    with database.read() as session:
        assert len(session.exec(select(Turn)).all()) == 1
        assert [row.inbox_id for row in session.exec(select(Outbox).order_by(col(Outbox.id)))] == [1]


def test_an_answer_that_is_not_ready_is_said_to_come(
    office: TestClient, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Service, "wait_for", lambda *_: False)
    monkeypatch.setattr(Service, "work_off", lambda *_, **__: None)
    answer = office.post("/chat", data={"text": "chào", "id": "abcdefgh"}, headers=JSON)
    assert (answer.status_code, answer.json()) == (202, {"replies": [], "done": False})
