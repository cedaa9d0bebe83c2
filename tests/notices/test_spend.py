"""What a message costs is counted once, corrected by what the gateway tells later; the budget is seen in time."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from notice_scene import MORNING, PHONE, Office
from prometheus_client import REGISTRY

from bot.clock import local
from bot.notices import control
from bot.notices.delivery import record_status
from bot.notices.gateways.pool import Gateways
from bot.notices.sending import resolve_by_staff
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Outbox, Spend

TODAY = local(MORNING).date()
SETTINGS = Settings(sms_dong_per_segment=500)


def put(database: Database, number: int = 1, **changes: object) -> None:
    values = {"state": "sending", "gateway": "esms", **changes}
    with database.write() as session:
        session.add(
            Outbox(
                kind="notice", channel="sms", recipient=PHONE, dedupe_key=f"k{number}", body={"text": "a" * 161},
                not_before=MORNING, created_at=MORNING, **values,
            )
        )  # fmt: skip


def spent(database: Database, day: object = TODAY) -> tuple[int, int, float]:
    with database.read() as session:
        one = session.get(Spend, (day, "sms")) or Spend(day=TODAY, channel="sms")
        return one.messages, one.segments, one.dong


def report(database: Database, status: str, cost: float | None = None, days: int = 0) -> None:
    with database.write() as session:
        at = MORNING + timedelta(days=days)
        record_status(session, "esms", "s1", status, at, notice_id=1, cost=cost, settings=SETTINGS)


def test_what_a_report_tells_takes_the_place_of_the_estimate_in_the_day_of_the_message(database: Database) -> None:
    put(database)
    with database.write() as session:
        control.record(session, session.get_one(Outbox, 1), SETTINGS, MORNING)
    assert spent(database) == (1, 2, 1000)
    report(database, "queued")
    assert spent(database) == (1, 2, 1000)
    report(database, "sent", 1240.0, days=1)
    assert spent(database) == (1, 2, 1240)
    report(database, "sent", 1180.0, days=1)  # told again, with another price
    assert spent(database) == (1, 2, 1180)
    assert spent(database, TODAY + timedelta(days=1)) == (0, 0, 0)
    with database.read() as session:
        row = session.get_one(Outbox, 1)
    assert (row.cost, row.segments, row.spent_on) == (1180, 2, TODAY)


def test_a_report_that_settles_a_lost_send_counts_it(database: Database) -> None:
    put(database, state="uncertain")
    report(database, "sent", 1240.0)
    report(database, "delivered")
    assert spent(database) == (1, 2, 1240)


def test_one_that_was_refused_costs_nothing(database: Database) -> None:
    put(database)
    report(database, "failed")
    assert spent(database) == (0, 0, 0)


def test_one_that_staff_know_to_have_arrived_is_counted(database: Database) -> None:
    put(database, state="uncertain")
    with database.write() as session:
        assert resolve_by_staff(session, 1, "sent", SETTINGS, MORNING)
    assert spent(database) == (1, 2, 1000)


def test_the_first_messages_of_a_day_may_come_at_once(database: Database) -> None:
    for number in range(1, 9):
        put(database, number)
    start = threading.Barrier(8)

    def work(number: int) -> None:
        start.wait()
        with database.write() as session:
            control.record(session, session.get_one(Outbox, number), SETTINGS, MORNING)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spent(database) == (8, 16, 8000)


@pytest.mark.parametrize(
    ("segments", "dong", "share", "alert"),
    [
        (39, 0, 0.39, ""),
        (80, 0, 0.8, "near"),
        (100, 0, 1.0, "over"),
        (10, 9_900, 0.99, "near"),
        (10, 12_000, 1.2, "over"),
    ],
)
def test_the_budget_is_told_before_and_when_it_is_spent(
    office: Office, segments: int, dong: float, share: float, alert: str
) -> None:
    office.settings = office.settings.model_copy(update={"sms_segments_per_day": 100, "sms_dong_per_day": 10_000})
    with office.database.write() as session:
        session.add(Spend(day=TODAY, channel="sms", segments=segments, dong=dong))
    with office.database.read() as session:
        found = control.budget(session, "sms", office.settings, MORNING)
        assert (found.share, found.alert) == (pytest.approx(share), alert)
        assert control.within_budget(session, "sms", office.settings, MORNING) is (alert != "over")
    assert REGISTRY.get_sample_value("motcua_notice_budget_used", {"channel": "sms"}) == pytest.approx(share)


async def test_each_gateway_has_a_pace_of_its_own(settings: Settings) -> None:
    gateways = Gateways(settings.model_copy(update={"sms_per_second": 3, "zalo_templates_per_second": 5}))
    for name in ("esms", "zbs_uid", "zbs_phone", "simulator"):
        await gateways.turn(name)
    assert {name: limiter.max_rate for name, limiter in gateways._pace.items()} == {"esms": 3, "zalo": 5}
