"""The soak's account can fail: each kind of loss and doubling is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.storage.tables import Outbox
from tests.soak import logs
from tests.soak.account import _ended, _in_order, _once, _reported
from tests.soak.reports import Reports

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


def row(number: int, state: str = "sent", channel: str = "telegram", **more: Any) -> Outbox:
    given = {"kind": "reply", "recipient": "an", "body": {}, "provider_id": f"{number}", "attempts": 1, **more}
    return Outbox(
        id=number, channel=channel, dedupe_key=f"k{number}", state=state, not_before=NOW, created_at=NOW, **given
    )


def came(*ids: str, channel: str = "telegram") -> dict[str, list[tuple[str, str]]]:
    return {channel: [("an", one) for one in ids]}


class Told(Reports):
    """Reports that were brought, without an office."""

    def __init__(self, **last: str) -> None:
        self.last = last


def test_what_came_once_and_in_order_is_right() -> None:
    rows, there = [row(1), row(2)], came("1", "2")
    assert (_once(rows, there), _in_order(rows, there), _ended(rows, Told())) == ([], [], [])


@pytest.mark.parametrize(
    ("rows", "there"),
    [
        ([row(1), row(2)], came("1")),
        ([row(1)], came("1", "1")),
        ([row(1), row(2, "uncertain")], came()),
        ([row(1, "uncertain")], came("1", "2")),
        ([], came("1")),
    ],
)
def test_what_is_lost_or_doubled_is_told(rows: list[Outbox], there: dict[str, list[tuple[str, str]]]) -> None:
    assert len(_once(rows, there)) == 1


def test_what_is_uncertain_may_have_come_or_not() -> None:
    rows = [row(1), row(2, "uncertain")]
    assert _once(rows, came("1")) == _once(rows, came("1", "2")) == []


def test_answers_out_of_order_are_told() -> None:
    assert len(_in_order([row(1), row(2)], came("2", "1"))) == 1
    # Out of order for a reason: it was long in doubt.
    assert _in_order([row(1, channel="sms", attempts=2), row(2, channel="sms")], came("2", "1", channel="sms")) == []


@pytest.mark.parametrize(
    "wrong",
    [
        row(1, "waiting"), row(1, "failed"), row(1, "expired"), row(1, "cancelled"), row(1, "sending"),
        row(1, "uncertain", "sms"), row(1, "failed", "sms", provider_id="SM2"),
    ],
)  # fmt: skip
def test_what_is_not_settled_is_told(wrong: Outbox) -> None:
    assert len(_ended([wrong], Told(SM1="undelivered"))) == 1


def test_what_was_told_again_or_did_not_arrive_by_its_report_is_settled() -> None:
    again = row(1, "cancelled", error="đã nhắc lại sau tin m2")
    lost = row(2, "failed", "sms", provider_id="SM1")
    assert _ended([again, lost, row(3, "uncertain")], Told(SM1="undelivered")) == []


def test_a_report_that_was_lost_or_a_message_nobody_knows_is_told() -> None:
    right = row(1, channel="sms", provider_id="SM1", provider_status="delivered")
    assert _reported([right], Told(SM1="delivered")) == []
    assert len(_reported([right], Told(SM1="undelivered"))) == 1
    assert len(_reported([right], Told(SM1="delivered", SM2="delivered"))) == 1


def line(level: str, logger: str, message: str) -> str:
    return json.dumps({"at": "", "level": level, "logger": logger, "message": message})


@pytest.mark.parametrize(
    "told",
    [
        line("ERROR", "motcua.service", "lỗi khi trả lời tin\nTraceback …\nKeyError: 'a'"),
        line("ERROR", "motcua.other", "vòng lặp inbox gặp lỗi\nOperationalError"),
        line("CRITICAL", "uvicorn.error", "Exception in ASGI application\nValueError: a"),
        "Traceback (most recent call last):",
        "RuntimeWarning: coroutine was never awaited",
    ],
)
def test_an_error_without_a_cause_is_told(told: str) -> None:
    assert len(logs.unexpected(f"  Dừng: Ctrl+C\n{told}\n{told}")) == 1


def test_errors_of_a_database_that_is_away_are_expected() -> None:
    away = "vòng lặp inbox gặp lỗi, thử lại sau 1 giây\nsqlalchemy.exc.OperationalError: disk full"
    assert logs.unexpected(f"{line('ERROR', 'motcua.background', away)}\n{line('WARNING', 'a', 'Traceback')}") == []
