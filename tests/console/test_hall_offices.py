"""The screens of the hall where there are several offices: each has its own kiosk and board."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from bot.api.app import create_app
from bot.application import open_desk, open_talk
from bot.clock import utc_now
from bot.conversation.talk import Talk
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Conversation, Dossier, HallUse, OfficeHallUse, StatusChange

OURS, THEIRS = "H30.99.01-261116-0001", "H30.99.02-261116-0001"


@pytest.fixture
def hall(database: Database, settings: Settings, talk: Talk) -> TestClient:
    several = settings.model_copy(update={"office_list": "chau-thanh,dong-phuoc"})
    service = Service(several, database, open_talk(several, open_desk(several), talk.engine))
    now = utc_now()
    with database.write() as session:
        for code in (OURS, THEIRS):
            session.add(Dossier(code=code, status=9, created_at=now, updated_at=now, due_at=now + timedelta(days=1)))
            session.add(StatusChange(dossier_code=code, before=4, after=9, source="api", at=now))
    return TestClient(create_app(several, database, service), base_url="http://127.0.0.1")


def test_a_board_shows_its_own_offices_codes_and_the_shared_one_all(hall: TestClient) -> None:
    assert hall.get("/bang/xa/dong-phuoc/so").json()["ready"] == [THEIRS]
    assert hall.get("/bang/xa/chau-thanh/so").json()["ready"] == [OURS]
    assert sorted(hall.get("/bang/so").json()["ready"]) == [OURS, THEIRS]
    page = hall.get("/bang/xa/dong-phuoc").text
    assert "Đông Phước" in page
    assert 'data-news="/bang/xa/dong-phuoc/so"' in page
    assert "H30.99.01" not in page
    assert [hall.get(f"/bang/xa/la{end}").status_code for end in ("", "/so")] == [404, 404]


def test_a_kiosk_stays_its_offices_on_every_page(hall: TestClient) -> None:
    root = "/kiosk/xa/dong-phuoc"
    pages = [hall.get(root + path).text for path in ("", "/tim?q=khai+sinh", "/linh-vuc/ho-tich", "/thu-tuc/1.001193")]
    pages.append(hall.post(f"{root}/ho-so", data={"code": THEIRS}).text)
    for page in pages:
        assert f'data-start="{root}"' in page
        assert 'action="/kiosk/goi"' not in page
        assert 'href="/kiosk/thu-tuc' not in page
    assert "Đông Phước" in pages[0]
    assert hall.get("/kiosk/xa/la").status_code == 404
    assert 'data-start="/kiosk"' in hall.get("/kiosk").text


def test_who_calls_at_a_kiosk_waits_for_that_office(hall: TestClient, database: Database) -> None:
    for root in ("/kiosk/xa/dong-phuoc", "/kiosk/xa/chau-thanh", "/kiosk"):
        assert hall.post(f"{root}/goi").status_code == 200
    with database.read() as session:
        waiting = session.exec(select(Conversation.office, Conversation.queue).order_by(Conversation.id)).all()
        uses = session.exec(select(OfficeHallUse.office, OfficeHallUse.times).order_by(OfficeHallUse.office)).all()
        shared = session.exec(select(HallUse.times)).all()
    assert [tuple(one) for one in waiting] == [("dong-phuoc", "waiting"), ("chau-thanh", "waiting"), (None, "waiting")]
    assert [tuple(one) for one in uses] == [("chau-thanh", 1), ("dong-phuoc", 1)]
    assert list(shared) == [1]
