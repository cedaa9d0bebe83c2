"""The service killed where it hurts, and two of them at once: every message answered once, or marked uncertain."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlmodel import col, select
from standins.zalo_hooks import USER, Hooks, sent_event, text_event
from standins.zalo_oa import ZaloStandIn
from zalo_scene import ROOT, Service, log_in, stored_login

from bot.channels.zalo_oa.oauth import Pair
from bot.channels.zalo_oa.tokens import CHANNEL, store
from bot.clock import utc_now
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import ChannelToken, Inbox, Outbox
from tests.waiting import wait_until

pytestmark = pytest.mark.service


def _states(database: Database, table: type[Inbox | Outbox]) -> list[str]:
    with database.read() as session:
        return [row.state for row in session.exec(select(table).order_by(col(table.id)))]


def _end_leases(database: Database) -> None:
    """Two minutes pass."""
    past = utc_now() - timedelta(seconds=1)
    with database.write() as session:
        for table in (Inbox, Outbox):
            session.connection().execute(
                update(table).where(col(table.lease_until).is_not(None)).values(lease_until=past)
            )


def test_killed_between_200_and_reply_and_between_sending_and_noting_it(
    settings: Settings, sqlite_database: Database
) -> None:
    folder, database = settings.var_dir, sqlite_database
    with ZaloStandIn() as zalo:
        log_in(stored_login(folder), database, zalo, utc_now)
        zalo.photos["/a.jpg"] = (ROOT / "bot" / "console" / "static" / "zalo-share-phone.png").read_bytes()
        zalo.held.add("/a.jpg")
        with Service(folder, zalo) as first:
            first.hooks.deliver(sent_event("image", {"url": f"{zalo.url}/a.jpg"}, utc_now()))
            first.hooks.deliver(text_event("giờ làm việc", utc_now()))
            assert zalo.wait_until(lambda: "/a.jpg" in zalo.calls), first.log()
            first.kill()  # taken with 200, not answered
        assert [answer[0] for answer in first.hooks.answers] == [200, 200]
        assert _states(database, Inbox) == ["claimed", "waiting"]
        assert zalo.sent == []
        zalo.held.clear()
        _end_leases(database)
        zalo.plan.append("hold")
        with Service(folder, zalo) as second:
            assert zalo.wait_for(1), second.log()
            wait_until(lambda: _states(database, Inbox) == ["done", "done"])
            second.kill()  # sent, not noted; the next answer waits behind it
        zalo.release.set()
        assert _states(database, Outbox) == ["sending", "waiting"]
        _end_leases(database)
        with Service(folder, zalo) as third:
            assert zalo.wait_for(2), third.log()
            wait_until(lambda: _states(database, Outbox) == ["uncertain", "sent"])
            told = third.say(text_event("cảm ơn", utc_now()), replies=2)
            wait_until(lambda: _states(database, Outbox) == ["cancelled", "sent", "sent", "sent"])
        assert _states(database, Inbox) == ["done"] * 3
        texts = [one["text"] for one in zalo.to(USER)]
        assert len(texts) == 4
        assert "gõ mã hồ sơ" in texts[0]
        assert texts[1].startswith("Giờ làm việc")
        assert told[0]["text"].startswith("(Nhắc lại"), (
            "what may never have arrived is told once more, and said to be so"
        )


@pytest.mark.postgres
def test_two_replicas_answer_each_message_once_in_order_and_refresh_once(
    tmp_path: Path, postgres_database: Database
) -> None:
    """The token is due when both start; every web hook comes to both of them, twice."""
    url = postgres_database.url.render_as_string(hide_password=False)
    with ZaloStandIn() as zalo:
        access, refresh = zalo.mint()
        with postgres_database.write() as session:
            store(
                stored_login(tmp_path), session, Pair(access, refresh, zalo.lifetime), utc_now() - timedelta(hours=21)
            )
        with (
            Service(tmp_path, zalo, MOTCUA_DATABASE_URL=url) as one,
            Service(tmp_path, zalo, MOTCUA_DATABASE_URL=url) as other,
        ):
            users = [f"{USER[:-1]}{number}" for number in range(3)]
            said = ("giờ làm việc", "lệ phí khai sinh", "cảm ơn", "H30.99.01-261116-0001")
            for number, text in enumerate(said):
                for user in users:
                    body = text_event(text, utc_now(), user)
                    hooks: tuple[Hooks, Hooks] = (one.hooks, other.hooks)
                    hooks[number % 2].deliver(body)
                    hooks[1 - number % 2].deliver(body, copies=2)
            every = len(users) * len(said)
            assert zalo.wait_for(every), one.log() + other.log()
            wait_until(lambda: _states(postgres_database, Outbox) == ["sent"] * every)
            for user in users:
                first, second, third, fourth = (message["text"] for message in zalo.to(user))
                assert first.startswith("Giờ làm việc")
                assert "Đăng ký khai sinh" in second
                assert "không có gì" in third
                assert "H30.99.01-261116-0001" in fourth
            assert zalo.refreshes == 1
            with postgres_database.read() as session:
                row = session.get_one(ChannelToken, (CHANNEL, stored_login(tmp_path).zalo_app_id))
                assert (row.generation, row.lease_owner, row.problem) == (2, None, None)
        assert _states(postgres_database, Inbox) == ["done"] * every
