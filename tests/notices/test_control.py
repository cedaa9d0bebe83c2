"""Pauses, stops for a fault of the account, the daily budget."""

from __future__ import annotations

import logging
from datetime import date

import pytest
from notice_scene import Office

from bot.cli import main
from bot.notices import control
from bot.storage.tables import Outbox, Spend


def due(office: Office, count: int = 1) -> None:
    for number in range(count):
        code = f"H30.99.01-261116-000{number}"
        office.file(code, phone=f"+8495000000{number}")
        office.enter(9, code)
    office.later(minutes=4)


def test_paused_notices_wait_and_go_when_resumed(office: Office) -> None:
    due(office)
    with office.database.write() as session:
        control.pause(session, "sms", "an", "sai mẫu tin", office.now)
    assert office.run() == 0
    office.later(days=1)
    assert office.run() == 0
    with office.database.write() as session:
        assert control.resume(session, "sms")
        assert not control.resume(session, "sms")
    assert office.run() == 1


def test_a_stop_for_the_account_ends_by_itself_but_never_ends_a_pause_of_staff(office: Office) -> None:
    with office.database.write() as session:
        control.stop_for_account(session, "sms", "20003", office.now)
        assert "sms" in control.pauses(session, office.now)
        assert "sms" not in control.pauses(session, office.now + control.ACCOUNT_PAUSE)
        control.pause(session, "sms", "an", "", office.now)
        control.stop_for_account(session, "sms", "20003", office.now)
        assert "sms" in control.pauses(session, office.now + control.ACCOUNT_PAUSE)


def test_beyond_the_budget_notices_wait_for_tomorrow_and_staff_are_told_once(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    control._warned.clear()
    office.settings = office.settings.model_copy(update={"sms_segments_per_day": 2})
    due(office, 4)
    with office.database.write() as session:
        session.add(Spend(day=date(2026, 11, 24), channel="sms", segments=2, messages=2))
    with caplog.at_level(logging.ERROR):
        assert office.run() == 0
        office.run()
    assert caplog.text.count("hết hạn mức") == 1
    office.later(days=1)
    assert office.run() == 2
    office.later(days=1)
    assert office.run() == 2


def test_demo_messages_cost_nothing_and_real_ones_are_counted(office: Office) -> None:
    with office.database.write() as session:
        for demo in (True, False):
            row = Outbox(
                kind="notice", channel="sms", recipient="+84950000000", dedupe_key=str(demo), demo=demo,
                body={"text": "a" * 161}, not_before=office.now, created_at=office.now,
            )  # fmt: skip
            control.record(session, row, office.settings, office.now)
            session.flush()
        spend = session.get_one(Spend, (date(2026, 11, 24), "sms"))
        assert (spend.messages, spend.segments, spend.dong) == (1, 2, 1040)


@pytest.mark.parametrize("words", ["pause sms --reason thử", "resume sms", "status", "check", "preview"])
def test_commands(
    office: Office, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOTCUA_VAR_DIR", str(office.settings.var_dir))
    assert main(["notices", *words.split()]) == 0
    assert capsys.readouterr().out.strip()


def test_staff_decide_about_an_uncertain_one(
    office: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOTCUA_VAR_DIR", str(office.settings.var_dir))
    due(office)
    assert main(["notices", "resolve", "1", "again"]) == 2
    assert "không ở trạng thái chưa rõ" in capsys.readouterr().err
    for verdict, state in (("again", "waiting"), ("sent", "sent"), ("drop", "cancelled")):
        with office.database.write() as session:
            session.get_one(Outbox, 1).state = "uncertain"
        assert main(["notices", "resolve", "1", verdict]) == 0
        assert office.states() == [state]
