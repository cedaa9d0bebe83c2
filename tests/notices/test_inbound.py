from __future__ import annotations

from datetime import timedelta

import pytest
from notice_scene import MORNING, PHONE

from bot.conversation.model import Incoming
from bot.errors import BadInputError
from bot.notices.inbound import MOST_ANSWERS, TOO_MANY, WITHIN, has_enough_answers, has_refused, keep
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.tables import Inbox, Outbox, Preference


def incoming(number: int, sender: str = PHONE) -> Incoming:
    return Incoming("sms", sender, f"SM{number}", "xin chào", MORNING)


def reply(number: int, **changes: object) -> Outbox:
    values = {
        "kind": "reply", "channel": "sms", "recipient": PHONE, "dedupe_key": str(number), "body": {}, "state": "sent",
        "not_before": MORNING, "created_at": MORNING,
    }  # fmt: skip
    return Outbox(**(values | changes))


def test_ten_answers_in_an_hour_are_enough(database: Database) -> None:
    with database.write() as session:
        session.add_all(reply(number) for number in range(MOST_ANSWERS - 1))
        for number, changes in enumerate(
            (
                {"kind": "notice"},
                {"channel": "telegram"},
                {"recipient": "+84951111222"},
                {"created_at": MORNING - WITHIN},
            )
        ):
            session.add(reply(100 + number, **changes))
    with database.write() as session:
        assert not has_enough_answers(session, PHONE, MORNING)
        session.add(reply(50))
        session.flush()
        assert has_enough_answers(session, PHONE, MORNING)
        assert not has_enough_answers(session, PHONE, MORNING + WITHIN)
        assert not has_enough_answers(session, "+84951111222", MORNING)


def test_what_still_waits_for_an_answer_counts(database: Database) -> None:
    for number in range(MOST_ANSWERS):
        with database.write() as session:
            assert not has_enough_answers(session, PHONE, MORNING)
            queue.receive(session, incoming(number), MORNING)
    with database.write() as session:
        assert has_enough_answers(session, PHONE, MORNING)


def test_what_is_kept_is_done_and_claimed_by_nobody(database: Database) -> None:
    with database.write() as session:
        assert keep(session, incoming(1), TOO_MANY, MORNING)
    with database.write() as session:
        assert not keep(session, incoming(1), TOO_MANY, MORNING)  # delivered again
        assert queue.claim_inbox(session, owner="test", now=MORNING, lease=timedelta(minutes=1)) == []
        row = session.get_one(Inbox, 1)
        assert (row.state, row.error, row.done_at, row.payload["text"]) == ("done", TOO_MANY, MORNING, "xin chào")


def test_a_message_that_was_handed_on_is_not_touched(database: Database) -> None:
    with database.write() as session:
        queue.receive(session, incoming(1), MORNING)
        assert not keep(session, incoming(1), TOO_MANY, MORNING)
        assert session.get_one(Inbox, 1).state == "waiting"


def test_each_hour_is_logged_once(sqlite_database: Database, caplog: pytest.LogCaptureFixture) -> None:
    for number, hours in enumerate((0, 0, 0.5, 1.6)):
        with sqlite_database.write() as session:
            keep(session, incoming(number), TOO_MANY, MORNING + timedelta(hours=hours))
    assert len(caplog.messages) == 2


def test_a_message_without_a_sender_is_refused(sqlite_database: Database) -> None:
    with sqlite_database.write() as session, pytest.raises(BadInputError):
        keep(session, incoming(1, ""), TOO_MANY, MORNING)


def test_the_newest_word_about_all_notices_counts(database: Database) -> None:
    with database.write() as session:
        assert not has_refused(session, PHONE)
        for minute, (wants, code) in enumerate(
            ((False, "H30.99.01-261116-0001"), (True, ""), (False, ""), (True, "x"))
        ):
            at = MORNING + timedelta(minutes=minute)
            session.add(Preference(channel="sms", recipient=PHONE, dossier_code=code, wants=wants, at=at))
        session.flush()
        assert has_refused(session, PHONE)
        session.add(Preference(channel="sms", recipient=PHONE, wants=True, at=MORNING + timedelta(hours=1)))
        session.flush()
        assert not has_refused(session, PHONE)
