"""Clocks that are wrong: of one replica among several, and of a machine whose clock was put back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session

from bot.clock import utc_now
from bot.conversation.model import Incoming
from bot.storage import queue, timekeeping
from bot.storage.database import Database
from bot.storage.tables import ChannelToken, Inbox, Outbox
from bot.storage.timekeeping import CommonClock, clock_of, pull_back

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
AHEAD = NOW + timedelta(hours=7)  # what the machine believed, before its clock was put right
MINUTES = timedelta(minutes=1)


def inbox(session: Session, number: int, at: datetime) -> int:
    found = queue.receive(session, Incoming("telegram", f"u{number}", f"m{number}", "xin chào", at), at)
    assert found is not None
    return found


def outbox(session: Session, at: datetime, **given: Any) -> int:
    row = Outbox(**{
        "kind": "reply", "channel": "telegram", "recipient": "an", "dedupe_key": f"k{at}{sorted(given)}", "body": {},
        "not_before": at, "created_at": at, **given,
    })  # fmt: skip
    found = queue.put_outbox(session, row)
    assert found is not None
    return found


def changed(database: Database) -> int:
    with database.write() as session:
        return pull_back(session, NOW)


def read(database: Database, table: type[Any], key: object) -> Any:
    with database.read() as session:
        return session.get_one(table, key)


@pytest.mark.parametrize("ahead", [timedelta(hours=7), timedelta(seconds=30)])
def test_a_message_taken_in_while_the_clock_was_ahead_is_worked_on_now(database: Database, ahead: timedelta) -> None:
    with database.write() as session:
        number = inbox(session, 1, NOW + ahead)
    assert changed(database) == 1
    assert changed(database) == 0
    with database.write() as session:
        (claimed,) = queue.claim_inbox(session, owner="w", now=NOW, lease=MINUTES)
    assert claimed.id == number


def test_what_a_lost_process_held_until_a_wrong_hour_is_taken_up(database: Database) -> None:
    with database.write() as session:
        turn = inbox(session, 1, AHEAD)
        queue.claim_inbox(session, owner="gone", now=AHEAD, lease=MINUTES)
        send = outbox(session, NOW)
        queue.claim_outbox(session, owner="gone", now=AHEAD, lease=MINUTES, channels=["telegram"])
    assert changed(database) == 2
    with database.write() as session:
        swept = queue.sweep(session, NOW + MINUTES)
    assert (swept.returned, swept.uncertain) == ((turn,), (send,))


def test_a_send_in_doubt_is_looked_for_as_if_it_had_been_tried_now(database: Database) -> None:
    with database.write() as session:
        number = outbox(session, AHEAD, state="uncertain", looks=1, looked_at=AHEAD, attempts=1)
    assert changed(database) == 1
    row = read(database, Outbox, number)
    assert (row.state, row.not_before, row.looks, row.looked_at) == ("uncertain", NOW, 0, None)


def test_a_notice_made_while_the_clock_was_ahead_keeps_its_delay_and_its_end(database: Database) -> None:
    with database.write() as session:
        number = outbox(
            session, AHEAD, kind="notice", not_before=AHEAD + 3 * MINUTES, expires_at=AHEAD + 60 * MINUTES
        )  # fmt: skip
    assert (changed(database), changed(database)) == (1, 0)
    row = read(database, Outbox, number)
    assert (row.not_before, row.expires_at, row.created_at) == (NOW + 3 * MINUTES, NOW + 60 * MINUTES, AHEAD)


def test_an_answer_put_off_for_another_try_by_a_wrong_clock_goes_now(database: Database) -> None:
    with database.write() as session:
        number = outbox(session, NOW, not_before=AHEAD, attempts=1)
    assert changed(database) == 1
    assert read(database, Outbox, number).not_before == NOW


def test_a_token_that_a_lost_process_was_renewing_can_be_renewed(database: Database) -> None:
    with database.write() as session:
        session.add(
            ChannelToken(
                channel="zalo_oa", account="1", access_sealed="a", refresh_sealed="b", expires_at=NOW,
                refreshed_at=NOW, lease_owner="gone", lease_until=AHEAD,
            )
        )  # fmt: skip
    assert changed(database) == 1
    assert read(database, ChannelToken, ("zalo_oa", "1")).lease_until == NOW


def test_what_is_put_off_with_good_reason_stays(database: Database) -> None:
    with database.write() as session:
        session.get_one(Inbox, inbox(session, 1, NOW)).next_try_at = NOW + 10 * MINUTES  # a try that failed
        session.flush()
        inbox(session, 2, NOW)
        queue.claim_inbox(session, owner="w", now=NOW, lease=2 * MINUTES)
        outbox(session, NOW, kind="notice", not_before=NOW + timedelta(hours=20))
        outbox(session, NOW, kind="notice", not_before=NOW + timedelta(hours=20), attempts=3)
        outbox(session, NOW, attempts=1, not_before=NOW + timedelta(hours=3))
        outbox(session, NOW + 3 * MINUTES, recipient="binh", state="uncertain")
    assert changed(database) == 0


def test_the_round_works_with_the_time_that_it_is_given(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite_database.write() as session:
        number = inbox(session, 1, AHEAD)
    monkeypatch.setattr(timekeeping, "SET_SECONDS", 0)
    asyncio.run(timekeeping.keep_time(sqlite_database, lambda: NOW))
    assert read(sqlite_database, Inbox, number).next_try_at == NOW


def wrong(by: timedelta) -> Callable[[], datetime]:
    return lambda: utc_now() + by


@pytest.mark.parametrize("hours", [-7, 7])
def test_replicas_whose_machines_disagree_agree_on_the_time_of_the_database(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, hours: int
) -> None:
    monkeypatch.setattr(timekeeping, "utc_now", wrong(timedelta(hours=hours)))
    clock = clock_of(postgres_database)
    assert isinstance(clock, CommonClock)
    assert abs(clock() - utc_now()) < MINUTES
    assert "đồng hồ máy này lệch" in caplog.text


def test_a_machine_whose_clock_jumps_takes_no_notice(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = CommonClock(postgres_database)
    monkeypatch.setattr(timekeeping, "utc_now", wrong(timedelta(hours=7)))
    assert abs(clock() - utc_now()) < MINUTES


def test_without_an_answer_of_the_database_the_clock_goes_on_from_what_the_machine_says() -> None:
    away = Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    clock = CommonClock(away)
    assert abs(clock() - utc_now()) < MINUTES
    away.close()


def test_on_sqlite_the_machines_clock_is_the_time(sqlite_database: Database) -> None:
    assert clock_of(sqlite_database) is utc_now
