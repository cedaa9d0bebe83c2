"""Turns that were there before the figures are counted too."""

from __future__ import annotations

from datetime import UTC, date, datetime

from alembic import command
from sqlalchemy import text

from bot.figures.period import month_of
from bot.figures.turns import Ending, asked
from bot.storage import schema
from bot.storage.database import Database


def _up_to(database: Database, revision: str) -> None:
    with database.write() as session:
        config = schema._config()
        config.attributes["connection"] = session.connection()
        command.upgrade(config, revision)


def test_an_upgrade_gives_old_turns_their_day_channel_and_procedure(empty_database: Database) -> None:
    _up_to(empty_database, "0004")
    at = "2026-10-31 17:30:00.000000" + ("" if empty_database.is_sqlite else "+00")  # 1 November in Vietnam
    with empty_database.write() as session:
        session.execute(
            text(
                "INSERT INTO conversation (id, channel, sender, memory, created_at, last_at) "
                "VALUES (7, 'telegram', '1', '{}', :at, :at)"
            ),
            {"at": at},
        )
        for number, understanding in enumerate(('{"procedures": ["1.001193", "1.2"]}', '{"procedures": []}', "{}")):
            session.execute(
                text(
                    "INSERT INTO turn (id, conversation_id, text, intent, outcome, understanding, replies, at) "
                    "VALUES (:id, 7, '', 'ask_procedure', 'answer', :understanding, '{}', :at)"
                ),
                {"id": number + 1, "understanding": understanding, "at": at},
            )
    schema.upgrade(empty_database)
    with empty_database.read() as session:
        found = asked(session, month_of(date(2026, 11, 15)))
        assert asked(session, month_of(datetime(2026, 10, 1, tzinfo=UTC).date())).questions == 0
    assert found.by_channel == {"telegram": 3}
    assert found.by_procedure == {"1.001193": {Ending.ANSWERED: 1}, "": {Ending.ANSWERED: 2}}
    assert found.timed == 0
