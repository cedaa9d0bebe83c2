"""Event streams over a real server: nothing missed, nothing twice, from whichever replica."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import httpx
import pytest
from sqlalchemy.pool import QueuePool
from web_scene import Running, after_of, listening, say, serving, states, tell, until, visiting, visitor_of

from bot.api import background
from bot.channels.web import shown, streams
from bot.clock import utc_now
from bot.conversation.talk import Talk
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Outbox


@pytest.fixture
def office(
    settings: Settings, sqlite_database: Database, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Running]:
    monkeypatch.setattr(background, "SWEEP_SECONDS", 0.1)
    with serving(settings, sqlite_database, talk) as running:
        yield running


def test_first_what_is_missing_then_what_comes(office: Running, sqlite_database: Database) -> None:
    with visiting(office.url) as client:
        replies = say(client, "phí chứng thực bản sao")["replies"]
        with listening(client) as messages:
            assert [next(messages) for _ in replies] == replies
            told = tell(sqlite_database, visitor_of(client), "cán bộ\nxin chào", "a")
            assert next(messages) == {"id": told, "to": None, "text": "cán bộ\nxin chào", "buttons": []}
            assert until(lambda: states(sqlite_database)[-1] == "delivered")


def test_a_page_begins_where_it_ends(office: Running, sqlite_database: Database) -> None:
    with visiting(office.url) as client:
        say(client, "chào")
        with listening(client, after_of(client)) as messages:
            told = tell(sqlite_database, visitor_of(client), "mới", "a")
            assert next(messages)["id"] == told


def test_a_broken_stream_goes_on_where_it_stopped(office: Running, sqlite_database: Database) -> None:
    with visiting(office.url) as client:
        visitor = visitor_of(client)
        ids = [tell(sqlite_database, visitor, str(number), str(number)) for number in range(3)]
        with listening(client) as messages:
            assert next(messages)["id"] == ids[0]
        ids.append(tell(sqlite_database, visitor, "lúc mất mạng", "while away"))
        # A browser repeats the address it began with; the header says how far it came.
        with listening(client, after=0, last=str(ids[0])) as messages:
            heard = []
            while ids[-1] not in heard:
                heard.append(next(messages)["id"])
        # What broke off before it was noted as delivered may come again; the page knows it by its id.
        assert [one for one in heard if one != ids[0]] == ids[1:]


@pytest.mark.parametrize(("state", "is_shown"), [("delivered", True), ("waiting", False)])
def test_what_was_shown_while_the_clock_was_ahead_is_shown_again(
    sqlite_database: Database, state: str, is_shown: bool
) -> None:
    now = utc_now()
    with sqlite_database.write() as session:
        ahead = now + timedelta(hours=7)
        session.add(
            Outbox(
                kind="reply", channel="web", recipient="an", dedupe_key="k", body={"text": "chào"}, state=state,
                not_before=ahead, created_at=ahead,
            )
        )  # fmt: skip
    with sqlite_database.read() as session:
        assert [bubble["text"] for bubble in shown.messages(session, "an", 0, now).bubbles] == ["chào"] * is_shown


@pytest.mark.parametrize("last", ["abc", "-1", "1" * 40, "1.5", ""])
def test_a_senseless_place_is_the_beginning(office: Running, sqlite_database: Database, last: str) -> None:
    with visiting(office.url) as client:
        told = tell(sqlite_database, visitor_of(client), "chào", "a")
        with listening(client, after=last, last=last) as messages:
            assert next(messages)["id"] == told


def test_nobody_hears_what_is_said_to_another(office: Running, sqlite_database: Database) -> None:
    with visiting(office.url) as one, visiting(office.url) as other, listening(one) as messages:
        tell(sqlite_database, visitor_of(other), "của người khác", "a")
        mine = tell(sqlite_database, visitor_of(one), "của tôi", "b")
        assert next(messages)["id"] == mine


def test_a_turn_of_this_process_rings_at_once(
    settings: Settings, sqlite_database: Database, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing looks by itself any more: only the bell is left.
    monkeypatch.setattr(background, "SWEEP_SECONDS", 3600.0)
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 3600.0)
    with (
        serving(settings, sqlite_database, talk) as office,
        visiting(office.url) as client,
        listening(client, after_of(client)) as messages,
    ):
        first = say(client, "chào", "abcdefgh1")["replies"][0]
        assert next(messages) == first
        assert first["to"] == "abcdefgh1"
        assert say(client, "chào", "abcdefgh2")["replies"][0] == next(messages)


@pytest.mark.service
@pytest.mark.postgres
def test_two_replicas(settings: Settings, postgres_database: Database, talk: Talk) -> None:
    database = Database(postgres_database.url.render_as_string(hide_password=False))
    with (
        serving(settings, postgres_database, talk) as one,
        serving(settings, database, talk) as other,
        visiting(one.url) as here,
        visiting(other.url, here.cookies) as there,
        listening(there) as messages,
    ):
        first = say(here, "phí chứng thực bản sao")["replies"][0]
        assert next(messages) == first
        assert say(here, "còn thời hạn?")["replies"][0] == next(messages)
    database.close()


def test_many_messages_come_in_order(
    office: Running, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown, "BATCH", 4)
    with visiting(office.url) as client:
        ids = [tell(sqlite_database, visitor_of(client), "x", str(number)) for number in range(11)]
        with listening(client) as messages:
            assert [next(messages)["id"] for _ in ids] == ids


def test_what_was_committed_late_comes_late(office: Running, sqlite_database: Database) -> None:
    with visiting(office.url) as client:
        late = tell(sqlite_database, visitor_of(client), "muộn", "a")
        with listening(client, after=late + 10) as messages:
            assert next(messages)["id"] == late


def test_what_is_not_to_be_shown(sqlite_database: Database) -> None:
    now = utc_now()
    tell(sqlite_database, "v", "sau này", "a", now + timedelta(hours=1))
    tell(sqlite_database, "v", "đã hủy", "b", now, state="cancelled")
    erased = tell(sqlite_database, "v", "đã xóa", "c", now, state="delivered")
    with sqlite_database.write() as session:
        session.get_one(shown.Outbox, erased).body = {}
    with sqlite_database.read() as session:
        told = shown.messages(session, "v", 0, now)
        assert (told.bubbles, told.after, told.waiting) == ([], erased, [])
        assert shown.talk(session, "v", now).bubbles == []


def test_a_quiet_stream_shows_that_it_lives(office: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.02)
    with visiting(office.url) as client, client.stream("GET", "/chat/events") as response:
        lines = response.iter_lines()
        assert [line for line, _ in zip(lines, range(6), strict=False)] == ["retry: 2000", "", ":", "", ":", ""]


def test_a_visitor_has_four_streams(office: Running) -> None:
    with visiting(office.url) as client:
        with ExitStack() as four:
            for _ in range(streams.PER_VISITOR):
                four.enter_context(listening(client))
            refused = client.get("/chat/events")
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
            with visiting(office.url) as other, listening(other):
                pass
        # Closed pages make room again.
        assert until(lambda: _admitted(client))


def _admitted(client: httpx.Client) -> bool:
    with client.stream("GET", "/chat/events") as response:
        return response.status_code == 200


def test_a_process_has_so_many_streams(office: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PER_PROCESS", 1)
    with visiting(office.url) as one, visiting(office.url) as other, listening(one):
        refused = other.get("/chat/events")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")


def test_quiet_streams_hold_no_connection(office: Running, sqlite_database: Database) -> None:
    pool = sqlite_database.engine.pool
    assert isinstance(pool, QueuePool)
    with ExitStack() as stack:
        for _ in range(6):
            client = stack.enter_context(visiting(office.url))
            tell(sqlite_database, visitor_of(client), "chào", visitor_of(client))
            next(stack.enter_context(listening(client)))
        assert until(lambda: pool.checkedout() == 0)


def test_without_a_cookie_there_is_nothing_to_hear(office: Running) -> None:
    assert httpx.get(f"{office.url}/chat/events").status_code == 204
    assert httpx.get(f"{office.url}/chat/events", cookies={"motcua_chat": "ngắn"[:2]}).status_code == 204


def test_a_stopping_server_ends_its_streams(settings: Settings, sqlite_database: Database, talk: Talk) -> None:
    with serving(settings, sqlite_database, talk) as office, visiting(office.url) as client:
        told = tell(sqlite_database, visitor_of(client), "chào", "a")
        with listening(client) as messages:
            assert next(messages)["id"] == told
            # It waits for ever for answers that don't end.
            assert office.stop()
            assert list(messages) == []
