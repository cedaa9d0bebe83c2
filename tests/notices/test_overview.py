"""What the desk is told of the notices: queue, list, reasons in plain words, spend; and an index behind each list."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from notice_scene import CODE, MORNING, PHONE
from sqlalchemy import event, insert, text

from bot.notices import overview
from bot.notices.overview import Wanted
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.tables import Outbox, Spend
from tests.dossiers.test_listing import explain


def put(database: Database, rows: list[dict[str, Any]]) -> None:
    base = {
        "kind": "notice", "channel": "sms", "recipient": PHONE, "body": {"text": "x"}, "dossier_code": CODE,
        "demo": False, "priority": 0, "state": "waiting", "not_before": MORNING, "attempts": 0, "looks": 0,
        "created_at": MORNING, "error": None,
    }  # fmt: skip
    with database.write() as session:
        session.connection().execute(
            insert(Outbox), [{**base, "dedupe_key": str(number), **row} for number, row in enumerate(rows)]
        )


def test_the_queue_counts_by_channel_and_tells_how_long_the_oldest_waits(database: Database) -> None:
    long_ago = MORNING - timedelta(days=8)
    put(
        database,
        [
            {"not_before": MORNING - timedelta(minutes=7)}, {"not_before": MORNING + timedelta(hours=1)},
            {"state": "sent"}, {"state": "sent", "created_at": long_ago},
            {"state": "uncertain", "created_at": long_ago}, {"kind": "reply"}, {"kind": "otp"},
            {"channel": "zalo_oa", "not_before": MORNING + timedelta(minutes=1)},
        ],
    )  # fmt: skip
    with database.read() as session:
        sms, zalo = overview.queues(session, MORNING)
        assert (sms.channel, sms.states) == ("sms", {"waiting": 2, "sent": 1, "uncertain": 1})
        assert sms.oldest == MORNING - timedelta(minutes=7)
        assert (zalo.channel, zalo.states, zalo.oldest) == ("zalo_oa", {"waiting": 1}, None)
        assert [row.id for row in overview.uncertain(session)] == [5]


def test_the_list_is_filtered_and_followed_by_key(database: Database) -> None:
    put(
        database,
        [
            {"state": ("sent", "failed")[number % 2], "channel": ("sms", "telegram")[number % 3 == 0],
             "created_at": MORNING + timedelta(seconds=number // 4)}
            for number in range(40)
        ],
    )  # fmt: skip

    def numbers(wanted: Wanted) -> list[int]:
        seen: list[int] = []
        after = ""
        while True:
            page = overview.page(session, wanted, after, limit=7)
            seen += [row.id or 0 for row in page.notices]
            if page.following is None:
                return seen
            after = page.following

    with database.read() as session:
        assert numbers(Wanted()) == list(range(40, 0, -1))
        assert numbers(Wanted(state="failed")) == list(range(40, 0, -2))
        assert numbers(Wanted("failed", "telegram")) == list(range(40, 0, -6))
        assert len(overview.page(session, Wanted(), "rubbish", limit=3).notices) == 3


def test_every_list_of_notices_is_read_from_an_index(database: Database) -> None:
    put(
        database,
        [
            {"state": "failed" if number % 50 == 0 else "sent", "kind": ("reply", "notice")[number % 3 == 0],
             "created_at": MORNING - timedelta(minutes=number)}
            for number in range(4000)
        ],
    )  # fmt: skip
    with database.write() as session:
        session.exec(text("ANALYZE"))  # type: ignore[call-overload]
    key = f"{(MORNING - timedelta(hours=30)).isoformat()}~1800"
    for wanted, index in ((Wanted(), "ix_outbox_log"), (Wanted("failed"), "ix_outbox_state_log")):
        for after in ("", key):
            plan = explain(database, overview.query(wanted, after, 51))
            assert index in plan or not database.is_sqlite, (wanted, plan)
            # PostgreSQL weighs one index against another by what it knows of the rows; it must not read the table.
            assert ("Index" in plan or database.is_sqlite, "Seq Scan" in plan) == (True, False), (wanted, plan)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("số nhận không hợp lệ (mã 21211: The 'To' number +84951234567 is not valid)", "số nhận không hợp lệ"),
        ("mẫu tin chưa đăng ký với eSMS (mã 146)", "mẫu tin chưa đăng ký với eSMS"),
        ("ứng dụng Zalo không hợp lệ (mã -101: x)", "ứng dụng Zalo không hợp lệ"),
        ("undelivered: 30003", "máy nhận không liên lạc được"),
        ("failed: 99999", "nhà mạng báo không đến được"),
        ("undelivered: SendStatus 5", "nhà mạng báo không đến được"),
        ("ServerDisconnectedError", "đứt giữa chừng khi gửi"),
        ("", "không rõ lý do"),
    ],
)
def test_reasons_are_told_in_plain_words(error: str, told: str) -> None:
    assert overview.reason(error) == told


def test_failures_are_grouped_by_reason(database: Database) -> None:
    put(
        database,
        [
            {"state": "failed", "error": error, "created_at": MORNING - timedelta(hours=number)}
            for number, error in enumerate(
                ["undelivered: 30003", "x (mã 1: a)", "x (mã 1: b)", "x (mã 2)", None, "undelivered: 30003"]
            )
        ]
        + [
            {"state": "sent", "error": "x"},
            {"state": "failed", "error": "x", "created_at": MORNING - timedelta(days=8)},
        ],
    )
    with database.read() as session:
        found = overview.failures(session, MORNING)
    assert [(one.reason, one.count) for one in found] == [
        ("x", 3), ("máy nhận không liên lạc được", 2), ("không rõ lý do", 1)
    ]  # fmt: skip
    assert found[0].last_at == MORNING - timedelta(hours=1)


def test_spend_is_summed_for_today_and_the_month_of_vietnam(database: Database) -> None:
    with database.write() as session:
        for day, dong in ((date(2026, 10, 31), 9), (date(2026, 11, 1), 100), (date(2026, 11, 25), 40)):
            session.add(Spend(day=day, channel="sms", messages=1, segments=2, dong=dong))
    late = MORNING.replace(hour=18)  # 01:00 of the 25th in Vietnam
    with database.read() as session:
        assert overview.spent(session, late, month=False) == {"sms": overview.Sum(1, 2, 40)}
        assert overview.spent(session, late, month=True) == {"sms": overview.Sum(2, 4, 140)}
        assert overview.spent(session, MORNING, month=False) == {}


def test_the_claim_of_what_is_due_keeps_to_its_own_index(sqlite_database: Database) -> None:
    put(sqlite_database, [{}])
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    event.listen(sqlite_database.engine, "before_cursor_execute", note)
    with sqlite_database.write() as session:
        claim = {"owner": "a", "now": MORNING, "lease": timedelta(minutes=1), "channels": ["sms"]}
        assert queue.claim_outbox(session, **claim) is not None  # type: ignore[arg-type]
    event.remove(sqlite_database.engine, "before_cursor_execute", note)
    claims = [one for one in seen if one[0].startswith("SELECT")]
    assert len(claims) == 3
    with sqlite_database.read() as session:
        for statement, parameters in claims:
            rows = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            assert "ix_outbox_open (state=? AND kind=?)" in str(rows.first()), statement
