"""``PUT /api/dossiers/{code}`` as a one-stop software calls it."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlmodel import select

from bot.api.dossiers import router
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Dossier, Outbox, StatusChange

KEY = "khoa-thu-nghiem-dai-24-ky-tu"
CODE = "H30.99.01-261116-0001"
PATH = f"/api/dossiers/{CODE}"
READY = {"status": 9, "phone": "0951234567", "consent_sms": True, "office": "TTPVHCC", "change_id": "c1"}


def client_of(database: Database, settings: Settings) -> TestClient:
    app = FastAPI()
    app.include_router(router(settings, database, lambda: datetime(2026, 11, 25, 2, 0, tzinfo=UTC)))
    return TestClient(app, headers={"authorization": f"Bearer {KEY}"})


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"api_key": SecretStr(KEY)})


@pytest.fixture
def client(database: Database, settings: Settings) -> TestClient:
    return client_of(database, settings)


def problem(answer: Any, status: int) -> str:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    return str(body["detail"])


def rows(database: Database, table: type[Any]) -> list[Any]:
    with database.read() as session:
        return list(session.exec(select(table)))


def test_created_then_unchanged_then_changed(client: TestClient, database: Database) -> None:
    first = client.put(PATH, json=READY)
    assert (first.status_code, first.json()) == (201, {"code": CODE, "result": "created", "notice": True})
    again = client.put(PATH, json=READY)
    assert (again.status_code, again.json()) == (200, {"code": CODE, "result": "unchanged", "notice": False})
    moved = client.put(PATH, json={**READY, "status": 10, "change_id": "c2"})
    assert (moved.status_code, moved.json()["result"]) == (200, "changed")
    assert len(rows(database, Outbox)) == 1
    assert [change.after for change in rows(database, StatusChange)] == [9, 10]


@pytest.mark.parametrize("code", ["h30.99.01 261116 0001", "H30990126111600O1", "h30.99.01–261116–0001"])
def test_the_code_is_read_in_any_spelling(client: TestClient, database: Database, code: str) -> None:
    assert client.put(f"/api/dossiers/{code}", json={"status": 4}).json()["code"] == CODE
    assert [dossier.code for dossier in rows(database, Dossier)] == [CODE]


@pytest.mark.parametrize(
    "header", [None, "", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", KEY, f"Basic {KEY}", "Bearer", "Bearer khóa".encode()]
)
def test_without_the_key_nothing_is_read_nor_changed(
    client: TestClient, database: Database, header: str | bytes | None
) -> None:
    del client.headers["authorization"]
    headers = {} if header is None else {"authorization": header}
    for body in (b"{", b'{"status": 4}'):
        answer = client.put(PATH, content=body, headers={**headers, "content-type": "application/json"})
        problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
    assert rows(database, Dossier) == []


def test_the_scheme_may_be_written_small(client: TestClient) -> None:
    assert client.put(PATH, json={"status": 4}, headers={"authorization": f"bearer {KEY}"}).status_code == 201


def test_without_a_configured_key_it_says_so(database: Database, settings: Settings) -> None:
    client = client_of(database, settings.model_copy(update={"api_key": None}))
    assert "MOTCUA_API_KEY" in problem(client.put(PATH, json={"status": 4}), 503)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "status: thiếu"),
        ({"status": 11}, "status: cần số từ 1 đến 10"),
        ({"status": "bốn"}, "status: "),
        ({"status": 4, "name": "Nguyễn Văn A"}, "name: không có trường này"),
        ({"status": 4, "phone": "123"}, "phone: không phải số di động"),
        ({"status": 4, "due_at": "31/02/2026"}, "due_at: ngày"),
        ({"status": 4, "procedure": "1001193"}, "procedure: "),
        ({"status": 4, "return_mode": "email"}, "return_mode: "),
        ({"status": 4, "note": "x" * 501}, "note: quá dài"),
        ({"status": 4, "note": "a\0b"}, "note: có ký tự điều khiển"),
        ({"status": 4, "note": "\ud800"}, "note: "),
        ({"status": 4, "change_id": ""}, "change_id: "),
        ({"status": 4, "change_id": "a\0"}, "change_id: "),
        ([], "nội dung: "),
    ],
)
def test_wrong_bodies_are_told_in_vietnamese(client: TestClient, database: Database, body: Any, told: str) -> None:
    answer = client.put(PATH, content=json.dumps(body), headers={"content-type": "application/json"})
    assert problem(answer, 422).startswith(told)
    assert rows(database, Dossier) == []


def test_what_is_no_json_is_told(client: TestClient) -> None:
    answer = client.put(PATH, content=b"{", headers={"content-type": "application/json"})
    assert "không phải JSON" in problem(answer, 422)


@pytest.mark.parametrize(
    "code", ["1.001193", "h291234261023001", "H30.99.01-260230-0001", "092209012345", f"{CODE} {CODE[:-1]}2"]
)
def test_what_is_no_code_is_refused(client: TestClient, database: Database, code: str) -> None:
    assert problem(client.put(f"/api/dossiers/{code}", json={"status": 4}), 422).startswith("code: ")
    assert rows(database, Dossier) == []


def test_equal_calls_at_the_same_moment_make_one_dossier_and_one_notice(client: TestClient, database: Database) -> None:
    answers: list[int] = []
    start = threading.Barrier(4)

    def call() -> None:
        start.wait()
        answers.append(client.put(PATH, json=READY).status_code)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 200, 200, 201]
    assert len(rows(database, Outbox)) == len(rows(database, StatusChange)) == 1


def test_it_is_documented_with_its_key(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    operation = described["paths"]["/api/dossiers/{code}"]["put"]
    assert operation["security"] == [{"HTTPBearer": []}]
    assert {"200", "201", "401", "422", "503"} <= operation["responses"].keys()


def test_bytes_that_are_no_text_are_a_problem_like_any_other(client: TestClient, database: Database) -> None:
    answer = client.put(PATH, content=b"\xff7\x0f", headers={"content-type": "application/json"})
    assert "JSON" in problem(answer, 422)
    assert rows(database, Dossier) == []
