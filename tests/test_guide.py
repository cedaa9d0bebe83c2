"""The public guide: index with search, one page a procedure, QR code; superseded facts are never shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from bot.api.app import create_app
from bot.catalog.schema import DocumentKind
from bot.clock import utc_now
from bot.conversation.talk import Talk
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database


@pytest.fixture
def client(sqlite_database: Database, settings: Settings, talk: Talk) -> Iterator[TestClient]:
    app = create_app(settings, sqlite_database, Service(settings, sqlite_database, talk))
    with TestClient(app, base_url="http://mot-cua.test") as client:
        yield client


def test_every_current_procedure_is_listed_and_superseded_ones_are_not(client: TestClient, talk: Talk) -> None:
    page = client.get("/thu-tuc").text
    catalog = talk.desk(utc_now()).catalog
    for procedure in catalog.procedures.values():
        assert (f'href="/thu-tuc/{procedure.code}"' in page) == (procedure.superseded_by is None)


def test_search_without_script(client: TestClient) -> None:
    page = client.get("/thu-tuc", params={"q": "ba tui mới mất"}).text
    assert "Đăng ký khai tử" in page.split('id="danh-muc"')[0]
    page = client.get("/thu-tuc", params={"q": "<script>so do"}).text
    assert "<script>so" not in page
    assert client.get("/thu-tuc", params={"q": "zzz qqq xxx"}).status_code == 200


def test_every_page_tells_its_facts_and_source(client: TestClient, talk: Talk) -> None:
    catalog = talk.desk(utc_now()).catalog
    for procedure in catalog.procedures.values():
        response = client.get(f"/thu-tuc/{procedure.code}")
        assert response.status_code == 200
        if procedure.superseded_by:
            assert f'href="/thu-tuc/{catalog.current(procedure.code)}"' in response.text
            assert 'class="card checklist"' not in response.text
        else:
            assert "Nguồn: " in response.text
            assert response.text.count('type="checkbox"') == len(
                [d for d in procedure.documents if d.kind is not DocumentKind.INTERNAL]
            )


def test_the_code_on_paper_leads_back(client: TestClient) -> None:
    picture = client.get("/thu-tuc/1.001193/qr.svg")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert "<svg" in picture.text
    assert "http://mot-cua.test/thu-tuc/1.001193" in client.get("/thu-tuc/1.001193").text
    assert client.get("/thu-tuc/9.999999").status_code == 404
    assert client.get("/thu-tuc/9.999999/qr.svg").status_code == 404
