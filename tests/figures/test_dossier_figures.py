"""Dossiers on time and late, by field; slips undone, old dossiers loaded late, demonstrations."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from bot.dossiers import registry
from bot.dossiers.records import DossierRecord
from bot.figures import hall
from bot.figures.dossiers import Dossiers, dossiers
from bot.figures.notices import notices
from bot.figures.period import month_of
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Outbox, Spend

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
MONTH = month_of(NOW.date())
FIELDS = {"1.001193": "ho-tich", "1.013978": "dat-dai"}


class Register:
    """The one-stop software of a test."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database, self.settings = database, settings

    def tell(self, number: int, status: int, at: datetime = NOW, **more: object) -> None:
        told = {"procedure": "1.001193", "received_at": NOW - timedelta(days=2), "due_at": NOW} | more
        record = DossierRecord(code=f"H30.99.01-261120-{number:04d}", status=status, **told)
        with self.database.write() as session:
            registry.upsert(session, record, source="api", settings=self.settings, now=at, quiet=True)

    def sums(self, *, demo: bool = False, now: datetime = NOW) -> Dossiers:
        with self.database.read() as session:
            return dossiers(session, MONTH, FIELDS, now, demo=demo)


def test_on_time_late_and_without_a_date(database: Database, settings: Settings) -> None:
    register = Register(database, settings)
    for number, due in ((1, NOW), (2, NOW - timedelta(minutes=1)), (3, None)):
        register.tell(number, 4, NOW - timedelta(days=1), due_at=due)
        register.tell(number, 9, NOW, due_at=due)
    register.tell(4, 4, procedure="1.013978", return_mode="electronic")
    found = register.sums(now=NOW + timedelta(hours=1))
    ended = found.finished["ho-tich"]
    assert (ended.on_time, ended.late, ended.undated, ended.rate) == (1, 1, 1, 0.5)
    assert found.all_finished.all == 3
    assert found.received == {"ho-tich": 3, "dat-dai": 1}
    assert (found.online_share, found.pending, found.overdue) == (0.25, 1, 1)


def test_a_slip_that_was_undone_is_not_finished_and_a_return_counts_once(
    database: Database, settings: Settings
) -> None:
    register = Register(database, settings)
    for status in (4, 9, 4):
        register.tell(1, status)
    for status in (4, 9, 10, 9, 10):
        register.tell(2, status)
    found = register.sums()
    assert (found.all_finished.all, found.returned) == (1, 1)


def test_old_dossiers_loaded_late_have_no_time(database: Database, settings: Settings) -> None:
    register = Register(database, settings)
    register.tell(1, 10, received_at=NOW - timedelta(days=300))
    register.tell(2, 10, received_at=None)
    register.tell(3, 10, received_at=NOW - timedelta(hours=2))  # a certified copy of the same morning
    found = register.sums()
    assert (found.all_finished.all, found.returned) == (1, 1)


def test_demonstrations_count_only_in_a_trial(database: Database, settings: Settings) -> None:
    register = Register(database, settings)
    register.tell(1, 4, demo=True)
    register.tell(1, 9, demo=True)
    assert (register.sums().all_received, register.sums().all_finished.all) == (0, 0)
    assert (register.sums(demo=True).all_received, register.sums(demo=True).all_finished.all) == (1, 1)


def test_a_new_date_and_papers_are_counted(database: Database, settings: Settings) -> None:
    register = Register(database, settings)
    register.tell(1, 4, due_at=NOW - timedelta(days=1))
    register.tell(1, 5, due_at=NOW - timedelta(days=1))
    register.tell(2, 3)
    with database.write() as session:
        registry.postpone(
            session, "H30.99.01-261120-0001", NOW + timedelta(days=2), by="an", settings=settings, now=NOW
        )
    found = register.sums()
    assert (found.postponed, found.papers, found.refused) == (1, 1, 1)


def test_notices_by_state_and_what_they_cost(database: Database) -> None:
    with database.write() as session:
        for number, (state, kind, demo, at) in enumerate(
            (
                ("sent", "notice", False, NOW), ("sent", "notice", False, NOW), ("failed", "notice", False, NOW),
                ("sent", "reply", False, NOW), ("sent", "notice", True, NOW),
                ("sent", "notice", False, NOW - timedelta(days=60)),
            )
        ):  # fmt: skip
            session.add(
                Outbox(
                    kind=kind, channel="sms", recipient="+84951000001", dedupe_key=str(number), state=state, demo=demo,
                    event="result_ready", not_before=at, created_at=at,
                )
            )  # fmt: skip
        session.add(Spend(day=date(2026, 11, 3), channel="sms", messages=2, segments=3, dong=1500))
        session.add(Spend(day=date(2026, 10, 31), channel="sms", messages=9, segments=9, dong=9999))
    with database.read() as session:
        found = notices(session, MONTH, demo=False)
    assert found.by_state == {"sent": 2, "failed": 1}
    assert (found.all, found.segments, found.dong) == (3, 3, 1500)


def test_uses_of_the_hall_are_added_up_by_day(database: Database) -> None:
    for what, at in (("look_up", NOW), ("look_up", NOW), ("print", NOW), ("look_up", NOW - timedelta(days=40))):
        with database.write() as session:
            hall.used(session, what, at)  # type: ignore[arg-type]
    with database.read() as session:
        assert hall.uses(session, MONTH) == {"look_up": 2, "print": 1}
