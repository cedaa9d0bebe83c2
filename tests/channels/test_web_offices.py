"""The chat pages of several offices: each speaks for its own, and one browser at two of them is two visitors."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select
from web_scene import JSON

from bot.api.app import create_app
from bot.application import open_desk, open_talk
from bot.conversation.talk import Talk
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Inbox

HERE = "https://127.0.0.1"
SITE = "https://xa.example.vn"


@pytest.fixture
def province(sqlite_database: Database, settings: Settings, talk: Talk) -> Iterator[TestClient]:
    chosen = settings.model_copy(update={"office_list": "chau-thanh,dong-phuoc", "embed_sites": SITE})
    both = open_talk(chosen, open_desk(chosen), talk.engine)
    app = create_app(chosen, sqlite_database, Service(chosen, sqlite_database, both))
    with TestClient(app, base_url=HERE) as client:
        yield client


def _say(client: TestClient, door: str, text: str, **more: str) -> str:
    answer: dict[str, Any] = client.post(
        f"{door}/chat", data={"text": text} | more, headers=JSON | {"origin": HERE}
    ).json()
    return "\n".join(reply["text"] for reply in answer["replies"])


def test_what_is_asked_on_an_offices_page_is_answered_about_it_without_asking(province: TestClient) -> None:
    for door in ("/xa/dong-phuoc", "/xa/dong-phuoc/nhung"):
        page = unescape(province.get(door).text)
        assert "Trung tâm Phục vụ hành chính công xã Đông Phước" in page
        assert f'action="{door}/chat"' in page
        told = _say(province, door, "địa chỉ cơ quan ở đâu")
        assert "Đông Phước" in told
        assert "hỏi xã, phường nào" not in told


def test_the_shared_page_stays_and_leads_to_those_of_the_offices(province: TestClient) -> None:
    page = unescape(province.get("/").text)
    assert "Trung tâm Phục vụ hành chính công các xã, phường" in page
    assert '<a href="/xa/dong-phuoc">xã Đông Phước</a>' in page
    assert "hỏi xã, phường nào" in _say(province, "", "giờ làm việc")


def test_one_browser_at_two_offices_is_two_visitors_whose_talks_do_not_mix(
    province: TestClient, sqlite_database: Database
) -> None:
    for door in ("", "/xa/chau-thanh", "/xa/dong-phuoc", "/xa/dong-phuoc/nhung"):
        province.get(door or "/")
        _say(province, door, f"phí chứng thực bản sao, trang {door or 'chung'}", id="abcdefgh-1")
    with sqlite_database.read() as session:
        rows = session.exec(select(Inbox)).all()
    assert len({row.sender for row in rows}) == len({row.message_id for row in rows}) == 4
    assert [row.payload["account"] for row in rows] == [None, "chau-thanh", "dong-phuoc", "dong-phuoc"]
    page = province.get("/xa/dong-phuoc").text
    assert "trang /xa/dong-phuoc<" in page
    assert "trang chung" not in page
    assert "trang /xa/chau-thanh" not in page
    posted = province.post("/xa/dong-phuoc/chat", data={"text": "chào"}, follow_redirects=False)
    assert posted.headers["location"] == "/xa/dong-phuoc#cuoi"


def test_the_cookies_of_an_office_go_to_its_page_alone(province: TestClient) -> None:
    own = province.get("/xa/dong-phuoc").headers["set-cookie"]
    framed = province.get("/xa/dong-phuoc/nhung").headers["set-cookie"]
    assert "Path=/xa/dong-phuoc;" in own
    assert "SameSite=lax" in own
    assert "Path=/xa/dong-phuoc/nhung;" in framed
    assert "Partitioned" in framed
    assert "Path=/;" in province.get("/").headers["set-cookie"]


def test_only_its_frame_is_framed_and_its_script_opens_it(province: TestClient) -> None:
    def ancestors(path: str) -> str:
        return province.get(path).headers["content-security-policy"].partition("frame-ancestors ")[2]

    assert ancestors("/xa/dong-phuoc/nhung/chat/events") == SITE  # no cookie yet: no endless stream
    assert ancestors("/xa/dong-phuoc/nhung") == SITE
    assert {ancestors(path) for path in ("/xa/dong-phuoc", "/xa/dong-phuoc/nhungx", "/xa/la/nhung")} == {"'none'"}
    assert '"/xa/dong-phuoc/nhung"' in province.get("/xa/dong-phuoc/embed.js").text
    assert province.post("/xa/dong-phuoc/nhung/chat", data={"text": "chào"}).status_code == 403


def test_a_photo_may_be_as_large_there_as_on_the_shared_page(province: TestClient) -> None:
    large = b"x" * (200 * 1024)
    for door in ("", "/xa/dong-phuoc"):
        answer = province.post(f"{door}/chat/photo", content=large, headers={"content-type": "image/jpeg"} | JSON)
        assert answer.status_code == 200
        assert answer.json()["replies"]


def test_the_poster_of_an_office_leads_to_its_page(province: TestClient) -> None:
    picture = province.get("/xa/dong-phuoc/qr.svg")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert picture.text.startswith("<?xml")
    assert picture.text != province.get("/xa/chau-thanh/qr.svg").text


@pytest.mark.parametrize("path", ["", "/nhung", "/embed.js", "/qr.svg", "/chat/events"])
def test_an_address_of_no_office_here_is_not_found(province: TestClient, path: str) -> None:
    assert province.get(f"/xa/la{path}").status_code == 404


def test_who_mistypes_an_offices_address_is_told_so_and_nothing_is_taken_in(
    province: TestClient, sqlite_database: Database
) -> None:
    page = province.get("/xa/la")
    assert "Địa chỉ này không phải của cơ quan nào ở đây" in unescape(page.text)
    assert 'href="/"' in page.text
    assert "set-cookie" not in page.headers
    assert province.post("/xa/la/chat", data={"text": "chào"}, headers={"origin": HERE}).status_code == 404
    with sqlite_database.read() as session:
        assert session.exec(select(Inbox)).all() == []


def test_a_lone_office_has_its_page_too_and_the_shared_one_is_as_ever(
    sqlite_database: Database, settings: Settings, talk: Talk
) -> None:
    app = create_app(settings, sqlite_database, Service(settings, sqlite_database, talk))
    with TestClient(app, base_url=HERE) as client:
        shared, own = client.get("/").text, client.get("/xa/chau-thanh").text
        assert "Giờ làm việc" in shared
        assert "Trang riêng của từng" not in shared
        assert own.replace("/xa/chau-thanh", "") == shared
        assert client.get("/xa/chau-thanh/nhung").status_code == 404
