"""What those who run it see: one turn through the JSON logs, no secret in them, the backup, /ready and /metrics."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from standins.telegram import TOKEN, TelegramStandIn

from tests.service_process import SECRETS, ServiceProcess
from tests.waiting import wait_until

pytestmark = pytest.mark.service

# Invented; each would be found in the log wherever it stood.
_GIVEN = {
    "MOTCUA_SECRET_KEY": "invented-secret-key-of-the-office-0123456789",
    "MOTCUA_API_KEY": "invented-api-key-0123456789",
    "TWILIO_AUTH_TOKEN": "invented-twilio-token",
    "ESMS_API_KEY": "invented-esms-key",
    "ESMS_SECRET_KEY": "invented-esms-secret",
    "SMS_INBOUND_SECRET": "invented-inbound-secret-0123456789",
    "TELEGRAM_TOKEN": TOKEN,
    "TELEGRAM_WEBHOOK_SECRET": "invented-telegram-hook",
    "ZALO_APP_SECRET": "invented-zalo-app-secret",
    "ZALO_OA_SECRET": "invented-zalo-oa-secret",
    "ZALO_BOT_TOKEN": "1234567890123456789:inventedSecret-0123456789",
    "ZALO_BOT_WEBHOOK_SECRET": "invented-zalo-hook",
}
_NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServiceProcess, TelegramStandIn, Path]]:
    """Everything switched on that has a secret, all outside but Telegram dead, and as talkative as it can be."""
    folder = tmp_path_factory.mktemp("operation")
    with TelegramStandIn() as api:
        service = ServiceProcess(
            folder, MOTCUA_LOG_FORMAT="json", MOTCUA_LOG_LEVEL="DEBUG", TELEGRAM_BASE_URL=api.url,
            TWILIO_ACCOUNT_SID="AC" + "0" * 32, TWILIO_FROM="MotCua", TWILIO_BASE_URL=_NOWHERE,
            ESMS_BRANDNAME="MotCua", ESMS_BASE_URL=_NOWHERE, ZALO_APP_ID="123456", ZALO_BASE_URL=_NOWHERE,
            ZALO_OAUTH_BASE_URL=_NOWHERE, ZALO_BUSINESS_BASE_URL=_NOWHERE, ZALO_BOT_BASE_URL=_NOWHERE, **_GIVEN,
        )  # fmt: skip
        with service:
            yield service, api, folder


def _lines(service: ServiceProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in service.log().splitlines() if line.startswith("{")]


def test_every_secret_of_the_settings_is_tried() -> None:
    assert set(_GIVEN) == SECRETS


@pytest.mark.parametrize("told", ["INFO invented-api-key-0123456789", "postgresql://a:db-password@b", "x Secret-99"])
def test_a_secret_in_a_log_would_be_noticed(tmp_path: Path, told: str) -> None:
    service = ServiceProcess(
        tmp_path, MOTCUA_API_KEY="invented-api-key-0123456789", TELEGRAM_TOKEN="123456:Secret-99",
        MOTCUA_DATABASE_URL="postgresql+psycopg://a:db-password@b/c",
    )  # fmt: skip
    service._check_secrets()
    service._lines.append(told)
    with pytest.raises(AssertionError, match="stands in the log"):
        service._check_secrets()


def test_one_turn_can_be_followed_through_the_log(office: tuple[ServiceProcess, TelegramStandIn, Path]) -> None:
    service, api, folder = office
    api.write("làm giấy khai sinh cho con cần gì", 501)
    api.write("0951234567 là số của tôi", 502)
    assert api.wait_until(lambda: api.told(501) and api.told(502)), service.log()
    wait_until(lambda: sum("đã gửi qua telegram" in line["message"] for line in _lines(service)) >= 2)
    with closing(sqlite3.connect(folder / "motcua.sqlite3")) as connection:
        (turn,) = connection.execute("SELECT id FROM inbox WHERE sender = '501'").fetchone()
    mine = [line for line in _lines(service) if line.get("turn") == turn]
    assert [line["message"].split(",")[0] for line in mine] == ["tin đến telegram", "đã trả lời", "đã gửi qua telegram"]
    assert mine[1]["outcome"] == "answer"
    assert "0951234567" not in service.log()


def test_a_bad_call_tells_no_secret_either(office: tuple[ServiceProcess, TelegramStandIn, Path]) -> None:
    service, _, _ = office
    for headers in ({"authorization": "Bearer wrong"}, {"authorization": f"Bearer {_GIVEN['MOTCUA_API_KEY']}"}):
        url = f"{service.url}/api/dossiers/H30.99.01-261124-0001"
        httpx.put(url, json={"status": 99}, headers=headers)
    httpx.post(f"{service.url}/webhooks/zalo-oa", content=b"{", headers={"x-zevent-signature": "mac=0"})


def test_metrics_tell_queues_notices_and_the_backup(office: tuple[ServiceProcess, TelegramStandIn, Path]) -> None:
    service, _, _ = office
    told = httpx.get(f"{service.url}/metrics").text
    for wanted in (
        'motcua_queue_oldest_seconds{queue="inbox"} 0.0', 'motcua_queue_oldest_seconds{queue="notice"} 0.0',
        'motcua_notices{state="uncertain"} 0.0', "motcua_backup_age_seconds +Inf", "motcua_backup_problem 0.0",
        'motcua_queue_rows{queue="inbox",state="dead"} 0.0',
    ):  # fmt: skip
        assert wanted in told


def test_it_stops_by_itself_and_the_log_holds_no_secret(
    office: tuple[ServiceProcess, TelegramStandIn, Path],
) -> None:
    service, _, _ = office
    assert service.stop() in {0, -15}  # ServiceProcess looks for the secrets
    assert len(_lines(service)) > 5
