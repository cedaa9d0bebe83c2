"""Every staff page reads by index, on both databases: no large table is read whole for it, however it is filtered.

The pages are opened through their public door, what they ask of the database is noted, and the database is asked how it
would do that. A page that has no address here makes the test fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import event, insert, text

from bot.api.app import create_app
from bot.application import open_desk, open_talk
from bot.clock import local, utc_now
from bot.console.accounts import add_staff
from bot.conversation.talk import Talk
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import (
    Audit,
    CandidateModel,
    Conversation,
    Dossier,
    Handoff,
    Inbox,
    Lookup,
    Outbox,
    Review,
    StatusChange,
    Turn,
)
from tests.console.conftest import PASSWORD, Visitor
from tests.console.test_permissions import staff_routes

BIRTH = "1.001193"
BIG = ("turn", "outbox", "inbox", "dossier", "status_change", "conversation", "audit", "lookup", "handoff")
ROWS = 3000  # of each big table, over 400 days
CODE = "H30.99.01-261116-01000"
_DAYS = "first=2026-11-01&last=2026-11-07"
_KEY = "2026-11-01T00:00:00%2B00:00~"
# Route → what is asked of it. What says nothing of its own about a filter is asked for as it is.
ASKED: dict[str, tuple[str, ...]] = {
    "/staff/inbox": ("", "?queue=waiting", "?queue=taken", "?queue=held", "?queue=done", "?queue=all",
                     f"?queue=all&after={_KEY}1500", f"?queue=done&after={_KEY}1500"),
    "/staff/inbox/{number:int}": ("7", "7?before=2000"),
    "/staff/review": ("", "?show=doubtful&after=3.40", "?show=wrong", "?show=all", "?show=reviewed",
                      "?show=all&after=0.1500", "?show=unsure", "?show=failed"),
    "/staff/review/next": ("?show=doubtful", "?show=all"),
    "/staff/review/{turn_id}": ("7",),
    "/staff/dossiers": (
        "", "?view=due-today", "?view=overdue", "?view=late-this-week", "?view=uncollected", "?status=4", "?status=9",
        f"?procedure={BIRTH}", "?field=ho-tich", f"?view=overdue&procedure={BIRTH}", f"?after={_KEY}{CODE}",
        f"?view=overdue&after={_KEY}{CODE}", f"?q={CODE}", f"?status=4&procedure={BIRTH}",
    ),
    "/staff/dossiers/find": (f"?code={CODE}",),
    "/staff/dossiers/{code}": (CODE,),
    "/staff/notices": ("", "?state=waiting", "?state=failed", "?state=uncertain", "?channel=sms",
                       "?state=waiting&channel=sms", f"?after={_KEY}1500", f"?state=waiting&after={_KEY}1500"),
    "/staff/notices/templates/{name}": ("result_ready_counter",),
    "/staff/audit": ("", "?before=2000", "?of=admin", "?of=nobody&before=2000"),
    "/staff/figures": ("", f"?{_DAYS}"),
    "/staff/figures/chart/{name}.svg": (f"days.svg?{_DAYS}",),
    "/staff/figures/report": ("", "?month=2026-10"),
    "/staff/figures/report.xlsx": ("?month=2026-10",),
    "/staff/figures/unanswered": ("", f"?{_DAYS}"),
    "/staff/figures/comments": ("", "?state=seen"),
    "/staff/models/{number}": ("1",),
    "/staff/procedures/{code}": (BIRTH,),
    "/staff/procedures/{code}/history": (BIRTH,),
    "/staff/procedures/{code}/edit/{key}": (f"{BIRTH}/edit/fees",),
    "/staff/office/{key}": ("hours",),
    "/staff/office/of/{slug}": (), "/staff/office/of/{slug}/{key}": (),  # where there are several: see below
}  # fmt: skip
OURS, THEIRS = "chau-thanh", "dong-phuoc"
OF_SEVERAL = (f"/staff/office/of/{THEIRS}", f"/staff/office/of/{THEIRS}/hours", f"/staff/figures?office={THEIRS}",
              f"/staff/figures/report?office={THEIRS}", f"/staff/figures/unanswered?office={THEIRS}")  # fmt: skip
NEVER_ENDS = {"/staff/inbox/stream"}  # asks reading.marks, which tests/desk/test_desk_reading.py looks at
# Indexes that may be read whole though they do not answer alone, and why.
EXCEPTIONS = {"ix_dossier_demo": "has only the ten invented dossiers"}


def _rows(number: int, offices: tuple[str | None, ...]) -> dict[type, dict[str, Any]]:
    """Row ``number`` of each big table: 400 days, the newest last; each the next one's of the offices."""
    office, agency = offices[number % len(offices)], 1 + number % len(offices)
    at = utc_now() - timedelta(days=400) * (ROWS - number) / ROWS
    who = {"channel": "telegram", "sender": f"u{number}"}
    code = f"H30.99.{agency:02d}-261116-{number:05d}"
    of_office = {"office": office}
    long = {"text": "x" * 300}
    return {
        Conversation: {**of_office, **who, "memory": long, "created_at": at, "last_at": at, "queued_at": at,
                       "queue": "waiting" if number % 100 == 0 else "taken" if number % 100 == 1 else
                       "done" if number % 5 == 0 else "bot", "taken_by": "admin" if number % 100 == 1 else None},
        Turn: {**of_office, "conversation_id": number % 500 + 1, "inbox_id": number, "text": "hỏi " * 40,
               "intent": "ask_procedure",
               "outcome": ("answer", "answer", "clarify", "out_of_scope")[number % 4], "understanding": long,
               "replies": {"replies": [long]}, "at": at, "channel": "telegram", "procedure": BIRTH,
               "day": local(at).date(), "waited_ms": 100, "doubt": number % 90 if number % 4 == 0 else 0,
               "doubt_why": "unsure", "reviewed": number % 10 == 0},
        Inbox: {**who, "message_id": f"m{number}", "payload": long, "state": "done", "next_try_at": at,
                "received_at": at, "done_at": at},
        Outbox: {"kind": "notice" if number % 3 == 0 else "reply", "channel": "sms" if number % 3 == 0 else "telegram",
                 "gateway": "simulator" if number % 3 == 0 else None, "recipient": f"u{number}",
                 "dedupe_key": f"k{number}", "body": long, "inbox_id": number, "dossier_code": code,
                 "event": "result_ready", "priority": 0, "demo": False, "not_before": at, "created_at": at,
                 "sent_at": at, "provider_id": f"p{number}",
                 "state": ("sent", "delivered", "failed", "waiting")[number % 40 if number % 40 < 4 else 1]},
        Dossier: {"code": code, "procedure": (BIRTH, "1.000894", None)[number % 3], "note": "x" * 200,
                  "status": 4 if number % 20 == 0 else 9 if number % 20 == 1 else 10, "received_at": at,
                  "due_at": at + timedelta(days=5), "return_mode": "counter", "consent_sms": True, "demo": False,
                  "created_at": at, "updated_at": at},
        StatusChange: {"dossier_code": code, "before": 1, "after": 4, "source": "import", "note": "x" * 200, "at": at},
        Audit: {**of_office, "staff": ("lan", "minh", "tu")[number % 3], "action": "move", "subject": code,
                "detail": long, "at": at},
        Lookup: {**who, "network": f"n{number}", "code": code, "kind": "code", "found": number % 2 == 0, "at": at},
        Handoff: {**of_office, "conversation_id": number,
                  "kind": ("handoff", "complaint", "rating")[number % 3],
                  "text": "x" * 200, "state": "open" if number % 50 == 0 else "done", "created_at": at,
                  "closed_at": None if number % 50 == 0 else at + timedelta(minutes=4)},
    }  # fmt: skip


@pytest.fixture
def app(database: Database, settings: Settings, talk: Talk) -> FastAPI:
    """A busy office; nothing runs beside the pages."""
    _fill(database, (None,))
    return create_app(settings, database, Service(settings, database, talk))


@pytest.fixture
def several(database: Database, settings: Settings, talk: Talk) -> FastAPI:
    """Two busy offices."""
    _fill(database, (OURS, THEIRS))
    settings = settings.model_copy(update={"office_list": f"{OURS},{THEIRS}", "office": OURS})
    talk = open_talk(settings, open_desk(settings), talk.engine)
    return create_app(settings, database, Service(settings, database, talk))


def _fill(database: Database, offices: tuple[str | None, ...]) -> None:
    tables: dict[type, list[dict[str, Any]]] = {}
    for number in range(1, ROWS + 1):
        for table, row in _rows(number, offices).items():
            tables.setdefault(table, []).append(row)
    with database.write() as session:
        for table, rows in tables.items():
            session.execute(insert(table), rows)
        add_staff(session, "admin", "admin", PASSWORD, utc_now())
        add_staff(session, "member", "admin", PASSWORD, utc_now(), offices[0])
        session.add(CandidateModel(state="failed", error="x", by="admin", alive_at=utc_now(), at=utc_now()))
        reviewed = range(10, ROWS + 1, 10)
        session.add_all(Review(turn_id=n, verdict="right", by="admin", at=utc_now()) for n in reviewed)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # As autovacuum leaves the tables: the pages of an index can be read without those of its table.
        connection.execute(text("ANALYZE" if database.is_sqlite else "VACUUM ANALYZE"))


def _addresses(app: FastAPI) -> Iterator[str]:
    for method, path, _ in staff_routes(app):
        if method != "GET" or path in NEVER_ENDS:
            continue
        base, brace, _ = path.partition("{")
        assert not brace or path in ASKED, f"{path} hasn't been given an address in this test"
        yield from (base + more for more in ASKED.get(path, ("",)))


def _plan(database: Database, statement: str, parameters: Any) -> str:
    lead = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    with database.read() as session:
        if not database.is_sqlite:
            # A disk without moving parts; else PostgreSQL reads tables as small as these whole.
            session.execute(text("SET LOCAL random_page_cost = 1.1"))
        return "\n".join(str(row[-1]) for row in session.connection().exec_driver_sql(lead + statement, parameters))


_SCAN = re.compile(rf"(SCAN|Seq Scan on) ({'|'.join(BIG)})(?:_\d+)?\b( USING(?: COVERING)?)?(?: INDEX (\w+))?")


def _read_whole(statement: str, plan: str) -> bool:
    """Whether a large table is read whole. To count or sum up from an index alone, all of it, is what it is for."""
    page = "LIMIT" in statement  # in the order of an index or of the primary key: only as far as the page goes
    for scan, table, index, name in _SCAN.findall(plan):
        by_key = page and "WHERE" not in statement and f"ORDER BY {table}.id DESC" in statement
        in_order = index == " USING COVERING" or (page and index) or by_key or name in EXCEPTIONS
        if scan != "SCAN" or not in_order:
            return True
    return False


def _guilty(app: FastAPI, database: Database, name: str, addresses: list[str], answers: set[int]) -> list[str]:
    """The statements that read a large table whole when somebody opens these pages."""
    visitor = Visitor(app, base_url="http://127.0.0.1").sign_in(name)
    asked: dict[str, tuple[Any, str]] = {}
    address = ""

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith("SELECT"):
            asked.setdefault(statement, (parameters, address))

    event.listen(database.engine, "before_cursor_execute", note)
    for address in addresses:
        answer = visitor.get(address, follow_redirects=False)
        assert answer.status_code in answers, (address, answer.status_code)
    event.remove(database.engine, "before_cursor_execute", note)
    assert len(asked) > min(80, len(addresses))
    guilty = []
    for statement, (parameters, page) in asked.items():
        plan = _plan(database, statement, parameters)
        if _read_whole(statement, plan):
            guilty.append(f"{page}\n{statement}\n{plan}\n")
    return guilty


def test_no_page_reads_a_large_table_whole(app: FastAPI, database: Database) -> None:
    addresses = list(_addresses(app))
    assert len(addresses) > 70
    guilty = _guilty(app, database, "admin", addresses, {200, 303})
    assert not guilty, "\n".join(guilty)


def test_nor_for_the_staff_of_one_of_several_offices_or_the_figures_of_one(
    several: FastAPI, database: Database
) -> None:
    # What all offices share is refused (403), what is the other's not found (404).
    guilty = _guilty(several, database, "member", list(_addresses(several)), {200, 303, 403, 404})
    guilty += _guilty(several, database, "admin", list(OF_SEVERAL), {200})
    assert not guilty, "\n".join(guilty)
