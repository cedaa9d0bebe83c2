"""The same conversation on Telegram, long polling against a strict stand-in of the Bot API."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from standins.telegram import TOKEN, TelegramStandIn
from telegram.error import Forbidden, RetryAfter, TimedOut

from bot.channels.telegram import how_it_failed, verified, webhook_secret
from bot.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def api() -> Iterator[TelegramStandIn]:
    standin = TelegramStandIn()
    yield standin
    standin.close()


def test_questions_are_answered_in_order(api: TelegramStandIn, tmp_path: Path) -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MOTCUA", "TELEGRAM"))}
    environment = clean | {
        "MOTCUA_VAR_DIR": str(tmp_path), "PORT": "0", "MOTCUA_DEMO": "1",
        "TELEGRAM_TOKEN": TOKEN, "TELEGRAM_BASE_URL": api.url,
    }  # fmt: skip
    command = [sys.executable, "-m", "bot"]
    subprocess.run([*command, "db", "upgrade"], env=environment, cwd=ROOT, check=True, capture_output=True)
    api.write("phi chung thuc ban sao bao nhieu")
    api.write("H30.99.01-261116-0001")
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(
        [*command, "serve"], env=environment, cwd=ROOT, stdout=log, stderr=log
    ) as process:  # fmt: skip
        arrived = api.wait_for(2)
        process.terminate()
    told = (tmp_path / "log").read_text("utf-8")
    assert arrived, told
    assert TOKEN not in told
    first, second = api.sent[:2]
    assert first["chat_id"] == "77"
    assert "2.000 đồng/trang" in first["text"]
    assert "giấy tờ 2.000815" in first["data"]
    assert "đang xử lý" in second["text"]


def test_failures_have_a_state() -> None:
    assert how_it_failed(RetryAfter(3))[0] == "retry"
    assert how_it_failed(Forbidden("blocked")) == ("failed", None)
    assert how_it_failed(TimedOut()) == ("uncertain", None)


def test_web_hook_secret(settings: Settings) -> None:
    assert verified(settings, webhook_secret(settings))
    assert not verified(settings, None)
    assert not verified(settings, "đoán mò")
    own = settings.model_copy(update={"telegram_webhook_secret": SecretStr("s" * 20)})
    assert verified(own, "s" * 20)
