"""A photo of the receipt on its way in: what is read counts as typed, the picture is nowhere afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select
from web_scene import JSON

from bot.api.app import create_app
from bot.channels.web import photo
from bot.clock import utc_now
from bot.conversation.talk import Talk
from bot.dossiers.demo import seed
from bot.receipts import Reading, read_receipt
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Inbox, Lookup, Outbox, Turn
from tests.receipts.drawing import photograph
from tests.receipts.symbols import dice, qr

CODE = "H30.99.01-261116-0002"
FORM = "multipart/form-data; boundary=x"
PICTURE = b"\xff\xd8\xff" + bytes(range(256)) * 8000  # 2 MB: more than a form's library keeps in memory by itself


@pytest.fixture
def office(sqlite_database: Database, settings: Settings, talk: Talk) -> Iterator[TestClient]:
    settings = settings.model_copy(update={"demo": True, "lookups_per_sender_hour": 2})
    with sqlite_database.write() as session:
        seed(session, settings, utc_now())
    app = create_app(settings, sqlite_database, Service(settings, sqlite_database, talk))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        client.get("/")
        yield client


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The pictures that the reader was given; it finds the code on ``PICTURE`` only."""
    pictures: list[bytes] = []

    def read(data: bytes) -> Reading:
        pictures.append(data)
        return Reading((CODE,)) if data == PICTURE else Reading((), "not_an_image")

    monkeypatch.setattr(photo, "read_receipt", read)
    return pictures


def _send(
    client: TestClient, data: bytes, kind: str = "image/jpeg", message_id: str = ""
) -> tuple[int, dict[str, Any]]:
    headers = JSON | {"content-type": kind}
    answer = client.post("/chat/photo", params={"id": message_id}, content=data, headers=headers)
    return answer.status_code, answer.json()


def test_the_code_on_it_is_answered_as_if_it_were_typed(
    office: TestClient, sqlite_database: Database, seen: list[bytes]
) -> None:
    status, answer = _send(office, PICTURE, message_id="abcdefgh")
    assert status == 200
    assert answer["done"]
    assert CODE in answer["replies"][0]["text"]
    assert answer["replies"][0]["to"] == "abcdefgh"
    assert seen == [PICTURE]
    with sqlite_database.read() as session:
        (row,) = session.exec(select(Inbox))
        assert (row.payload["kind"], row.payload["text"], row.payload["photo"]) == ("photo", CODE, None)
        assert len(session.exec(select(Lookup)).all()) == 1
    assert '<p class="text">Ảnh giấy hẹn</p>' in office.get("/").text


def test_a_real_photo_is_read(office: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo, "read_receipt", read_receipt)
    status, answer = _send(office, photograph(dice(7), qr(CODE, "m"), ("perspective",)))
    assert (status, CODE in answer["replies"][0]["text"]) == (200, True)


def test_the_limits_on_looking_up_hold_for_photos_too(office: TestClient) -> None:
    texts = [_send(office, PICTURE)[1]["replies"][0]["text"] for _ in range(3)]
    typed = office.post("/chat", data={"text": CODE}, headers=JSON).json()["replies"][0]["text"]
    assert f"Hồ sơ {CODE}: đang xử lý" in texts[0]
    assert texts[2] == typed != texts[1]


def test_a_repeated_photo_is_answered_once(office: TestClient, sqlite_database: Database) -> None:
    first = _send(office, PICTURE, message_id="abcdefgh")
    assert _send(office, PICTURE, message_id="abcdefgh") == first
    with sqlite_database.read() as session:
        assert len(session.exec(select(Turn)).all()) == 1


def test_an_unreadable_one_shows_how_to_take_a_better_one(office: TestClient) -> None:
    (reply,) = _send(office, b"x" * 100)[1]["replies"]
    assert reply["image"] == "receipt.png"
    assert "không phải ảnh" in reply["text"]


def test_without_script_a_form_brings_it_and_it_touches_no_disk(
    office: TestClient, seen: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def rolled(_self: object) -> None:
        raise AssertionError("the picture went to the disk")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", rolled)
    form = {"photo": ("giấy hẹn.jpg", PICTURE, "image/jpeg")}
    answer = office.post("/chat/photo", files=form, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/#cuoi")
    assert seen == [PICTURE]
    assert CODE in office.get("/").text


@pytest.mark.parametrize(
    ("kind", "data", "status"),
    [
        ("text/plain", b"H30.99.01-261116-0002", 415),
        ("application/json", b"{}", 415),
        ("application/x-www-form-urlencoded", b"photo=x", 415),
        ("", b"x", 415),
        ("image/jpeg", b"", 422),
        ("multipart/form-data", b"--x--", 400),
        (FORM, b"--x\rbroken", 400),
        (FORM, b'--x\r\nContent-Disposition: form-data; name="photo"\r\n\r\ntext\r\n--x--', 422),
    ],
)  # fmt: skip
def test_what_brings_no_photo(
    office: TestClient, sqlite_database: Database, seen: list[bytes], kind: str, data: bytes, status: int
) -> None:
    told, answer = _send(office, data, kind)
    assert (told, "Chưa nhận được ảnh" in answer["error"]) == (status, True)
    page = office.post("/chat/photo", content=data, headers={"content-type": kind})
    assert (page.status_code, "Chưa nhận được ảnh" in page.text) == (status, True)
    assert seen == []
    with sqlite_database.read() as session:
        assert session.exec(select(Inbox)).all() == []


@pytest.mark.parametrize("size", [photo.MAX_PHOTO + 1, 10 * 2**20])
def test_too_large(office: TestClient, sqlite_database: Database, seen: list[bytes], size: int) -> None:
    def in_pieces() -> Iterator[bytes]:
        for _ in range(size // 2**20):
            yield bytes(2**20)
        yield bytes(size % 2**20)

    kind = {"content-type": "image/jpeg"}
    refused = office.post("/chat/photo", content=bytes(size), headers=kind)
    assert (refused.status_code, "8 MB" in refused.text) == (413, True)
    assert office.post("/chat/photo", content=in_pieces(), headers=kind).status_code == 413
    assert office.post("/chat/photo", files={"photo": ("a.jpg", bytes(size), "image/jpeg")}).status_code == 413
    # Only photos may be large.
    assert office.post("/chat", content=bytes(70_000), headers=kind).status_code == 413
    assert seen == []
    with sqlite_database.read() as session:
        assert session.exec(select(Outbox)).all() == []


@pytest.mark.parametrize("most", ["AT_ONCE", "OF_ONE_NETWORK"])
def test_no_more_uploads_at_once_than_fit(office: TestClient, monkeypatch: pytest.MonkeyPatch, most: str) -> None:
    monkeypatch.setattr(photo, most, 0)
    answer = office.post("/chat/photo", content=PICTURE, headers=JSON | {"content-type": "image/jpeg"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_a_place_is_free_again_after_each_upload(office: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo, "AT_ONCE", 1)
    assert _send(office, b"", "image/png")[0] == 422
    assert _send(office, PICTURE)[0] == 200
    assert _send(office, PICTURE)[0] == 200


def test_six_a_minute(office: TestClient) -> None:
    for _ in range(6):
        assert _send(office, b"x")[0] == 200
    status, answer = _send(office, b"x")
    assert (status, "đợi" in answer["error"]) == (429, True)


def test_a_photo_from_another_site_is_refused(office: TestClient, seen: list[bytes]) -> None:
    headers = {"origin": "https://xau.example", "content-type": "image/jpeg"}
    assert office.post("/chat/photo", content=PICTURE, headers=headers).status_code == 403
    assert seen == []
