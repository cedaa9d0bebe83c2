"""The frame on other sites: only on those that are named, with a cookie of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select
from web_scene import JSON, say

from bot.api.app import create_app
from bot.conversation.talk import Talk
from bot.service import Service
from bot.settings import Settings, SettingsError, load_settings
from bot.storage.database import Database
from bot.storage.tables import Inbox

HERE = "http://127.0.0.1"
SITES = "https://xa.example.vn, https://phuong.example.vn:8443"
Open = Callable[[str], AbstractContextManager[TestClient]]


@pytest.fixture
def office(sqlite_database: Database, settings: Settings, talk: Talk) -> Open:
    def start(sites: str) -> TestClient:
        chosen = settings.model_copy(update={"embed_sites": sites})
        return TestClient(create_app(chosen, sqlite_database, Service(chosen, sqlite_database, talk)), base_url=HERE)

    return start


def _ancestors(client: TestClient, path: str) -> str:
    return client.get(path).headers["content-security-policy"].partition("frame-ancestors ")[2]


def test_nobody_frames_anything_by_default(office: Open) -> None:
    with office("") as client:
        assert client.get("/nhung").status_code == 404
        assert client.get("/embed.js").status_code == 404
        assert client.post("/nhung/chat", data={"text": "chào"}, headers={"origin": HERE}).status_code == 404
        assert {_ancestors(client, path) for path in ("/", "/nhung", "/thu-tuc", "/staff/sign-in")} == {"'none'"}


def test_only_the_frame_is_framed_and_only_by_the_named_sites(office: Open) -> None:
    with office(SITES) as client:
        sites = "https://xa.example.vn https://phuong.example.vn:8443"
        assert _ancestors(client, "/nhung") == sites
        assert _ancestors(client, "/nhung/chat/events") == sites
        assert _ancestors(client, "/nhung?x=1") == sites
        assert {_ancestors(client, path) for path in ("/", "/nhungx", "/thu-tuc", "/staff/nhung")} == {"'none'"}
        page = client.get("/nhung").text
        assert 'action="/nhung/chat"' in page
        assert "/staff" not in page


def test_its_cookie_belongs_to_the_site_around_it(office: Open) -> None:
    with office(SITES) as client:
        (cookie,) = client.get("/nhung").headers.get_list("set-cookie")
        name, *about = cookie.split("; ")
        assert name.startswith("motcua_chat_nhung=")
        assert set(about) == {
            "Max-Age=2592000", "Path=/nhung", "HttpOnly", "Secure", "SameSite=None", "Partitioned",
        }  # fmt: skip
        assert "SameSite=lax" in client.get("/").headers["set-cookie"]


def test_the_two_doors_are_two_visitors(office: Open, sqlite_database: Database) -> None:
    with office(SITES) as client:
        client.base_url = "https://127.0.0.1"  # type: ignore[assignment]
        client.get("/")
        client.get("/nhung")
        say(client, "phí chứng thực bản sao")
        own = {"origin": "https://127.0.0.1"}
        framed = client.post("/nhung/chat", data={"text": "chào"}, headers=JSON | own)
        assert framed.json()["replies"]
        assert "phí chứng thực bản sao" not in client.get("/nhung").text
        assert client.post("/nhung/chat", data={"text": "chào"}, headers=own, follow_redirects=False).headers[
            "location"
        ] == "/nhung#cuoi"  # fmt: skip
    with sqlite_database.read() as session:
        assert len(set(session.exec(select(Inbox.sender)))) == 2


@pytest.mark.parametrize("headers", [{}, {"origin": "https://xa.example.vn"}, {"origin": "null"}])
def test_messages_come_only_from_inside_the_frame(
    office: Open, sqlite_database: Database, headers: dict[str, str]
) -> None:
    with office(SITES) as client:
        client.get("/nhung")
        for path in ("/nhung/chat", "/nhung/chat/photo"):
            assert client.post(path, data={"text": "chào"}, headers=headers).status_code == 403
    with sqlite_database.read() as session:
        assert session.exec(select(Inbox)).all() == []


def test_the_script_may_be_loaded_from_anywhere(office: Open) -> None:
    with office(SITES) as client:
        script = client.get("/embed.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "max-age" in script.headers["cache-control"]
    assert '"/nhung"' in script.text


@pytest.mark.parametrize(
    "sites",
    [
        "xa.example.vn", "http://xa.example.vn", "https://xa.example.vn/", "https://xa.example.vn/trang", "https://*.vn",
        "*", "'self'", "https://xa.example.vn; script-src *", "https://xa.example.vn https://b.vn", "https://a.vn:0",
        "https://a.vn:99999", "https://u@a.vn", "https://-a.vn", "https://xã.vn", "javascript:alert(1)", "https://a\nb",
    ],
)  # fmt: skip
def test_what_is_not_an_origin_stops_the_start(monkeypatch: pytest.MonkeyPatch, sites: str) -> None:
    monkeypatch.setenv("MOTCUA_EMBED_SITES", f"https://tot.example.vn,{sites}")
    with pytest.raises(SettingsError, match="MOTCUA_EMBED_SITES"):
        load_settings()


def test_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    told = "https://XA.example.vn , http://localhost:8392,http://127.0.0.1,,https://xa.example.vn"
    monkeypatch.setenv("MOTCUA_EMBED_SITES", told)
    assert load_settings().embed_origins == ("https://xa.example.vn", "http://localhost:8392", "http://127.0.0.1")
