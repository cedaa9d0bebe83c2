"""Lists and threads are read a page at a time by key, through an index, on both databases."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import event, insert, text
from sqlmodel import Session

from bot.desk import queues, reading
from bot.storage.database import Database
from bot.storage.tables import Conversation, DeskMessage, Turn
from tests.desk.conftest import NOW, Scene
from tests.desk.test_queues import send, take

NAMES = (*queues.QUEUES, queues.BOT)
AS_IN_LIFE = (*queues.QUEUES, *[queues.DONE] * 16, *[queues.BOT] * 80)


def fill(database: Database, conversations: int, turns: int, names: Sequence[str] = NAMES) -> None:
    """Conversations in all queues, one of them with many turns."""
    with database.write() as session:
        rows = [
            {"id": number, "channel": "web", "sender": f"w{number}", "memory": {}, "queue": names[number % len(names)],
             "queued_at": NOW + timedelta(seconds=number // 3), "created_at": NOW, "version": 1,
             "last_at": NOW + timedelta(seconds=number // 3)}
            for number in range(1, conversations + 1)
        ]  # fmt: skip
        said = [
            {"conversation_id": 1 if number % 2 else number % conversations + 1, "text": f"câu {number}",
             "intent": "greet", "outcome": "answer", "understanding": {}, "replies": {}, "at":
             NOW + timedelta(seconds=number)}
            for number in range(1, turns + 1)
        ]  # fmt: skip
        session.execute(insert(Conversation), rows)
        if said:
            session.execute(insert(Turn), said)
        if not database.is_sqlite:
            session.execute(text("ANALYZE"))


@pytest.mark.parametrize("queue", [*queues.QUEUES, reading.ALL])
def test_pages_hold_every_conversation_once_in_order(database: Database, queue: str) -> None:
    fill(database, 430, 20)
    seen: list[int] = []
    key = None
    with database.read() as session:
        while True:
            page = reading.list_page(session, queue, key)
            seen += [line.conversation.id or 0 for line in page.lines]
            key = page.after
            if key is None:
                break
    expected = [n for n in range(1, 431) if queue == reading.ALL or NAMES[n % 5] == queue]
    if queue in {queues.DONE, reading.ALL}:
        expected.reverse()
    assert seen == expected


def test_a_thread_is_read_back_to_its_beginning(scene: Scene) -> None:
    for number in range(50):
        scene.later(seconds=1)
        scene.say("chào" if number else "gặp cán bộ")
        if number == 20:
            taken = take(scene)
            send(scene, taken, "giữa chừng", "key-0001")
            scene.write(queues.finish, taken, "lan", scene.now)
    seen: list[str] = []
    before = None
    with scene.database.read() as session:
        while True:
            page = reading.thread(session, 1, before)
            told = [e.turn.text if e.turn else e.message.text if e.message else "" for e in page.entries]
            seen = told + seen
            before = page.before
            if before is None:
                break
    assert seen.count("chào") == 49
    assert seen[0] == "gặp cán bộ"
    assert seen.count("giữa chừng") == 1
    assert len(seen) == 50 + 3


def plans(database: Database, statements: list[tuple[str, object]]) -> list[str]:
    explained = []
    with database.read() as session:
        for statement, parameters in statements:
            lead = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
            rows = session.connection().exec_driver_sql(lead + statement, parameters).all()  # type: ignore[arg-type]
            explained.append("\n".join(str(row[-1]) for row in rows))
    return explained


def test_every_list_and_thread_uses_an_index(database: Database) -> None:
    fill(database, 3000, 12_000, AS_IN_LIFE)
    statements: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith("SELECT"):
            statements.append((statement, parameters))

    def read(session: Session) -> None:
        key = (NOW + timedelta(seconds=100), 300)
        for queue in (*queues.QUEUES, reading.ALL):
            reading.list_page(session, queue)
            reading.list_page(session, queue, key)
        reading.thread(session, 1)
        reading.thread(session, 1, 9_000)
        reading.counts(session)
        reading.marks(session, {1, 2})

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        with database.read() as session:
            read(session)
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    assert len(statements) > 20
    for (statement, _), plan in zip(statements, plans(database, statements), strict=True):
        # Small tables (nobody has held anything here) may be read whole by PostgreSQL, the large ones never.
        large = re.search(r"(?:SCAN|Seq Scan on) (conversation|turn)(?! USING)", plan)
        assert large is None, f"{statement}\n{plan}"
        # Nor is what was found sorted, but for the thread's few messages of advisors.
        if "FROM conversation" in statement and "LIMIT" in statement:
            assert "TEMP B-TREE FOR ORDER BY" not in plan, f"{statement}\n{plan}"
            assert not re.search(r"^Sort", plan), f"{statement}\n{plan}"


def test_marks_tell_of_work_and_of_what_is_watched(database: Database) -> None:
    fill(database, 10, 0)
    with database.read() as session:
        marks = reading.marks(session, {4})
        assert set(marks) == {1, 2, 5, 6, 7, 10} | {4}
        assert reading.counts(session) == {"waiting": 2, "taken": 2, "held": 2}
    with database.write() as session:
        session.add(DeskMessage(conversation_id=4, key="key-0001", kind="advisor", text="x", at=NOW))
        conversation = queues.locked(session, 4)
        queues.place(session, conversation, NOW)
    with database.read() as session:
        assert reading.marks(session, {4})[4].version == marks[4].version + 1
