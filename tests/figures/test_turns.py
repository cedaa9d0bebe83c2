"""Questions summed up by how they ended, on both databases; the day is Vietnam's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlmodel import SQLModel

from bot.conversation.model import Incoming
from bot.conversation.talk import Talk
from bot.figures.period import month_of, read_days
from bot.figures.turns import Correctness, Ending, asked, correctness, ending, people
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Conversation, Handoff, Review, Turn

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
MONTH = month_of(NOW.date())


def _turn(outcome: str, intent: str = "ask_procedure", procedure: str | None = None, **more: object) -> Turn:
    told = {"conversation_id": 1, "text": "…", "at": NOW, "channel": "web", "waited_ms": 100} | more
    return Turn(intent=intent, outcome=outcome, procedure=procedure, **told)


def _add(database: Database, *rows: SQLModel) -> None:
    with database.write() as session:
        session.add_all(rows)


def test_each_turn_counts_once_by_how_it_ended(database: Database) -> None:
    _add(
        database,
        _turn("answer", procedure="1.001193"), _turn("answer", procedure="1.001193", channel="sms", waited_ms=9000),
        _turn("clarify", procedure="1.001193", waited_ms=None), _turn("clarify"), _turn("status", "dossier_status"),
        _turn("handoff", "human"), _turn("out_of_scope", "out_of_scope"), _turn("acknowledged", "greet"),
        _turn("failed", "out_of_scope"), _turn("clarify", "dossier_status"),
        _turn("answer", at=datetime(2026, 10, 31, 16, 59, tzinfo=UTC)),  # 31 October in Vietnam
        _turn("answer", at=datetime(2026, 10, 31, 17, 0, tzinfo=UTC), procedure="1.013978"),  # 1 November
    )  # fmt: skip
    with database.read() as session:
        found = asked(session, MONTH)
        only = asked(session, read_days("2026-11-01", "2026-11-01"))
    assert found.by_ending == {
        Ending.ANSWERED: 4, Ending.ASKED_BACK: 2, Ending.UNKNOWN: 2, Ending.HANDED_OVER: 1, Ending.FAILED: 1,
        Ending.TALK: 1,
    }  # fmt: skip
    assert found.questions == 10
    assert found.by_procedure["1.001193"] == {Ending.ANSWERED: 2, Ending.ASKED_BACK: 1}
    assert found.by_channel == {"web": 9, "sms": 1}
    assert found.look_ups == 1
    assert (found.timed, found.quick, found.slow) == (9, 8, 1)
    assert found.mean_seconds == (8 * 0.1 + 9) / 9
    assert only.by_procedure == {"1.013978": {Ending.ANSWERED: 1}}
    fields = {"1.001193": "ho-tich", "1.013978": "dat-dai"}
    assert {field: sum(counts.values()) for field, counts in found.by_field(fields).items()} == {
        "ho-tich": 3, "dat-dai": 1, "": 6,
    }  # fmt: skip


def test_nothing_asked_is_nothing_found(database: Database) -> None:
    with database.read() as session:
        found = asked(session, MONTH)
        assert people(session, MONTH).minutes is None
    assert (found.questions, found.mean_seconds) == (0, None)


def test_asking_which_paper_is_no_failure_to_understand() -> None:
    assert ending("clarify", "subscribe", None) is Ending.ASKED_BACK
    assert ending("clarify", "ask_procedure", None) is Ending.UNKNOWN
    assert ending("new_outcome", "x", None) is Ending.TALK


def test_the_service_writes_what_is_counted(database: Database, settings: Settings, talk: Talk) -> None:
    clock = iter(NOW + timedelta(milliseconds=250 * n) for n in range(100))
    service = Service(settings, database, talk, clock=lambda: next(clock))
    service.receive(Incoming("web", "an", "1", "làm giấy khai sinh cần gì", NOW))
    service.work_off()
    with database.read() as session:
        found = asked(session, MONTH)
    assert found.by_procedure == {"1.001193": {Ending.ANSWERED: 1}}
    assert found.by_channel == {"web": 1}
    assert 250 <= found.waited_ms < 3000


def test_people_are_counted_with_their_time(database: Database) -> None:
    with database.write() as session:
        kiosk = Conversation(channel="kiosk", sender="kiosk", created_at=NOW, last_at=NOW)
        session.add(kiosk)
        session.flush()
        for kind, minutes, conversation in (
            ("handoff", 10, 999), ("handoff", 30, kiosk.id), ("complaint", 20, 999), ("handoff", None, 999),
            ("miss", 5, 999),
        ):  # fmt: skip
            closed = NOW + timedelta(minutes=minutes) if minutes else None
            session.add(
                Handoff(
                    conversation_id=conversation or 0, kind=kind, text="", state="done" if closed else "open",
                    created_at=NOW, closed_at=closed,
                )
            )  # fmt: skip
    with database.read() as session:
        found = people(session, MONTH)
    assert (found.handed_over, found.called, found.complaints, found.open, found.minutes) == (3, 1, 1, 1, 20.0)


def test_correctness_of_a_months_answers(database: Database) -> None:
    with database.read() as session:
        assert correctness(session, MONTH) == Correctness(0, 0)
    _add(database, _turn("answer"), _turn("answer"), _turn("answer", at=NOW - timedelta(days=40)))
    with database.write() as session:
        for turn_id, verdict in ((1, "right"), (2, "right"), (3, "wrong")):
            session.add(Review(turn_id=turn_id, verdict=verdict, by="lan", at=NOW))
    with database.read() as session:
        found = correctness(session, MONTH)
    assert (found.reviewed, found.right) == (2, 2)  # the third belongs to another month
