from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from notice_scene import PHONE, Office
from standins.twilio import ACCOUNT, SENDER, TOKEN, TwilioStandIn

from bot.cli import main
from bot.clock import utc_now


@pytest.fixture(autouse=True)
def _own_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The logs of the test run stay as they are."""
    monkeypatch.setattr("bot.commands.notices.configure_logging", lambda *_args, **_more: None)


@pytest.fixture
def environment(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``motcua`` reads: this office's folder, and no waiting for the day."""
    office.settings = office.settings.model_copy(
        update={"notice_delay_minutes": 0, "notice_from_hour": 0, "notice_to_hour": 24}
    )
    office.now = utc_now()
    for name, value in {
        "MOTCUA_VAR_DIR": str(office.settings.var_dir),
        "MOTCUA_NOTICE_DELAY_MINUTES": "0",
        "MOTCUA_NOTICE_FROM_HOUR": "0",
        "MOTCUA_NOTICE_TO_HOUR": "24",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def with_account(environment: None, twilio: TwilioStandIn, monkeypatch: pytest.MonkeyPatch) -> TwilioStandIn:
    for name, value in {
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_FROM": SENDER,
        "TWILIO_BASE_URL": twilio.url,
    }.items():
        monkeypatch.setenv(name, value)
    return twilio


@pytest.mark.usefixtures("environment")
def test_run_once_and_list(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["notices", "list"]) == 0
    assert capsys.readouterr().out == "Chưa có tin báo nào.\n"
    office.file()
    office.enter(9)
    assert main(["notices", "run", "--once"]) == 0
    assert capsys.readouterr().out == "Đã xử lý 1 tin.\n"
    assert main(["notices", "list", "--json"]) == 0
    out = capsys.readouterr().out
    (item,) = json.loads(out)
    assert (item["status"], item["dossier"], item["event"], item["gateway"]) == (
        "sent",
        "H30.99.01-261116-0001",
        "result_ready",
        "simulator",
    )
    assert item["recipient"] == "+8495****567"
    assert item["sent_at"].endswith("+07:00")
    assert PHONE not in out
    assert main(["notices", "list"]) == 0
    assert "sent  H30.99.01-261116-0001  +8495****567  simulator" in capsys.readouterr().out


@pytest.mark.usefixtures("environment")
def test_list_by_status(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.file()
    office.enter(9)
    for status, count in (("waiting", 1), ("sent", 0)):
        assert main(["notices", "list", "--status", status, "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)) == count
    assert main(["notices", "list", "--status", "lost"]) == 2


def test_without_a_database_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOTCUA_VAR_DIR", str(tmp_path))
    assert main(["notices", "run", "--once"]) == 2
    assert "motcua db upgrade" in capsys.readouterr().err


def start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "bot", "notices", "run", *arguments], stderr=subprocess.DEVNULL)


def test_killed_between_send_and_store_nothing_is_doubled_and_nothing_lost(
    office: Office, with_account: TwilioStandIn
) -> None:
    office.file()
    office.enter(9)
    with_account.next_is("hang")  # taken, and the answer held back
    process = start()
    try:
        assert with_account.taken.wait(20)
    finally:
        process.kill()
        assert process.wait(10) == -signal.SIGKILL
    assert office.states() == ["sending"]
    office.enter(5)  # life goes on
    office.later(minutes=3)
    assert office.run() == 1
    ready, papers = office.rows()
    assert (ready.state, ready.provider_id) == ("sent", with_account.messages[0]["sid"])
    assert papers.state == "sent"
    assert len(with_account.messages) == 2


def test_a_polite_stop_finishes_the_message_at_hand(office: Office, with_account: TwilioStandIn) -> None:
    office.file()
    office.enter(9)
    with_account.refuse(20429)
    process = start()
    try:
        deadline = utc_now().timestamp() + 20
        while office.states() != ["waiting"] or office.rows()[0].attempts == 0:
            assert utc_now().timestamp() < deadline
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
    assert office.states() == ["waiting"]
