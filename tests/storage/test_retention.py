from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import event, insert, text
from sqlmodel import SQLModel, select

from bot.conversation.model import Incoming
from bot.settings import Settings
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.retention import Pruned, prune
from bot.storage.tables import Conversation, DeskMessage, Handoff, Held, Inbox, Lookup, Outbox, Turn

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
LEASE = timedelta(minutes=1)


def _days(number: float) -> datetime:
    return NOW - timedelta(days=number)


def _add(database: Database, *rows: SQLModel) -> None:
    with database.write() as session:
        session.add_all(rows)


def _prune(database: Database, settings: Settings) -> Pruned:
    with database.write() as session:
        return prune(session, settings, NOW)


def _turn(days: float, text: str = "hỏi về khai sinh") -> Turn:
    return Turn(
        conversation_id=1, text=text, intent="ask_procedure", outcome="answer", at=_days(days),
        understanding={"aspects": ["fee"], "dossier_codes": ["H11.1"], "confidence": 0.9},
        replies={"replies": [{"text": "chào"}]},
    )  # fmt: skip


def test_old_talk_loses_its_words_and_keeps_its_figures(database: Database, settings: Settings) -> None:
    _add(database, _turn(91), _turn(89), _turn(92, text=""))  # the last: a photo
    assert _prune(database, settings).turns == 2
    assert _prune(database, settings).turns == 0
    with database.read() as session:
        old, new, photo = session.exec(select(Turn).order_by(Turn.id)).all()
    assert (old.text, old.replies, old.understanding) == ("", {}, {"aspects": ["fee"], "confidence": 0.9})
    assert (old.intent, old.outcome, old.at) == ("ask_procedure", "answer", _days(91))
    assert (photo.text, photo.replies) == ("", {})
    assert new.text == "hỏi về khai sinh"
    assert new.replies == {"replies": [{"text": "chào"}]}


def test_memories_and_finished_handoffs_are_emptied_with_the_talk(database: Database, settings: Settings) -> None:
    def conversation(sender: str, days: float) -> Conversation:
        return Conversation(
            channel="web", sender=sender, memory={"question": "…"}, created_at=_days(99), last_at=_days(days)
        )

    def handoff(state: str, days: float) -> Handoff:
        return Handoff(conversation_id=1, kind="complaint", text="chờ lâu", state=state, created_at=_days(days))

    _add(database, conversation("an", 91), conversation("binh", 89))
    _add(database, handoff("done", 91), handoff("open", 91), handoff("done", 89))
    pruned = _prune(database, settings)
    assert (pruned.memories, pruned.handoffs) == (1, 1)
    with database.read() as session:
        assert [row.memory for row in session.exec(select(Conversation).order_by(Conversation.sender))] == [
            {},
            {"question": "…"},
        ]
        assert [row.text for row in session.exec(select(Handoff).order_by(Handoff.id))] == ["", "chờ lâu", "chờ lâu"]


def test_what_advisors_said_goes_with_the_talk(database: Database, settings: Settings) -> None:
    def said(key: str, days: float) -> DeskMessage:
        return DeskMessage(conversation_id=1, key=key, kind="advisor", text="chào bà", at=_days(days))

    def held(inbox_id: int, state: str, days: float) -> Held:
        return Held(
            conversation_id=1, inbox_id=inbox_id, replies={"replies": [{"text": "chào"}]}, state=state,
            created_at=_days(days), deadline_at=_days(days),
        )  # fmt: skip

    on_page = Outbox(
        kind="reply", channel="web", recipient="an", dedupe_key="desk:1:0", body={"text": "chào bà"}, state="delivered",
        not_before=_days(8), created_at=_days(8),
    )  # fmt: skip
    _add(database, said("old", 91), said("new", 89), held(1, "approved", 91), held(2, "waiting", 91), on_page)
    pruned = _prune(database, settings)
    assert (pruned.desk, pruned.outbox) == (2, 0)
    assert _prune(database, settings).desk == 0
    with database.read() as session:
        assert {one.key for one in session.exec(select(DeskMessage)) if one.text} == {"new"}
        assert {one.inbox_id for one in session.exec(select(Held)) if one.replies} == {2}


def test_old_lookups_go(database: Database, settings: Settings) -> None:
    _add(database, *(Lookup(channel="web", sender="an", code="H11", found=True, at=_days(d)) for d in (31, 29)))
    assert _prune(database, settings).lookups == 1
    with database.read() as session:
        assert [row.at for row in session.exec(select(Lookup))] == [_days(29)]
    short = settings.model_copy(update={"keep_lookups_days": 10})
    assert _prune(database, short).lookups == 1


def test_finished_messages_are_emptied_and_still_recognised(database: Database, settings: Settings) -> None:
    old, new = _days(8), _days(6)
    for message_id, at in (("old", old), ("new", new)):
        message = Incoming("telegram", message_id, message_id, "xin chào", at)
        with database.write() as session:
            number = queue.receive(session, message, at)
            assert queue.claim_inbox(session, owner="w", now=at, lease=LEASE)
            assert number is not None
            assert queue.finish_inbox(session, number, "w", at)
    with database.write() as session:
        queue.receive(session, Incoming("telegram", "x", "open", "chưa xong", old), old)
    assert _prune(database, settings).inbox == 1
    assert _prune(database, settings).inbox == 0
    with database.write() as session:
        assert [bool(row.payload) for row in session.exec(select(Inbox).order_by(Inbox.id))] == [False, True, True]
        assert queue.receive(session, Incoming("telegram", "old", "old", "xin chào", NOW), NOW) is None


def test_sent_replies_are_emptied_and_still_recognised(database: Database, settings: Settings) -> None:
    def row(key: str, state: str, days: float, kind: str = "reply") -> Outbox:
        return Outbox(
            kind=kind, channel="web", recipient="an", dedupe_key=key, body={"text": "chào"}, state=state,
            not_before=_days(days), created_at=_days(days),
        )  # fmt: skip

    _add(
        database,
        row("sent", "sent", 8), row("code", "delivered", 8, "otp"), row("unknown", "uncertain", 91),
        row("recent", "sent", 6), row("waiting", "waiting", 99), row("unsure", "uncertain", 89),
        row("notice", "delivered", 99, "notice"),
    )  # fmt: skip
    assert _prune(database, settings).outbox == 3
    assert _prune(database, settings).outbox == 0
    with database.write() as session:
        empty = {one.dedupe_key for one in session.exec(select(Outbox)) if one.body == {}}
        assert empty == {"sent", "code", "unknown"}
        assert queue.put_outbox(session, row("sent", "waiting", 0)) is None


def test_much_is_done_in_batches(sqlite_database: Database, settings: Settings) -> None:
    _add(sqlite_database, *(_turn(100) for _ in range(1001)))
    first = _prune(sqlite_database, settings)
    second = _prune(sqlite_database, settings)
    assert (first.turns, first.more) == (1000, True)
    assert (second.turns, second.more) == (1, False)


def test_what_was_emptied_long_ago_is_not_read_again(database: Database, settings: Settings) -> None:
    old, fresh = _days(400), _days(1)
    base = {"channel": "web", "next_try_at": old, "received_at": old, "state": "done"}
    told = {"kind": "reply", "channel": "web", "recipient": "w", "state": "sent", "not_before": old, "priority": 0,
            "demo": False}  # fmt: skip
    said = {"conversation_id": 1, "intent": "greet", "outcome": "answer", "understanding": {}}
    with database.write() as session:
        session.execute(insert(Turn), [
            {**said, "text": "" if n % 20 else "a", "replies": {}, "at": old if n % 20 else fresh} for n in range(3000)
        ])  # fmt: skip
        session.execute(insert(Inbox), [
            {**base, "sender": f"s{n}", "message_id": f"m{n}", "payload": {} if n % 20 else {"text": "a"},
             "done_at": old if n % 20 else fresh} for n in range(3000)
        ])  # fmt: skip
        session.execute(insert(Outbox), [
            {**told, "dedupe_key": f"k{n}", "body": {} if n % 20 else {"text": "a"},
             "created_at": old if n % 20 else fresh} for n in range(3000)
        ])  # fmt: skip
    with database.write() as session:
        session.execute(text("ANALYZE"))
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        asked.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    assert not _prune(database, settings).more
    event.remove(database.engine, "before_cursor_execute", note)
    lead = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    with database.read() as session:
        for table in ("turn", "inbox", "outbox"):
            (one,) = [(said, given) for said, given in asked if f"FROM {table} " in said.replace("\n", " ")]
            plan = str(session.connection().exec_driver_sql(lead + one[0], one[1]).all())
            assert f"ix_{table}_kept" in plan, plan
