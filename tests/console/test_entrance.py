"""Signing in: lock-out that grows, tokens that change, and what was typed when a session ends."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.exc import DatabaseError
from sqlmodel import delete, select, update

from bot.clock import utc_now
from bot.console import accounts
from bot.console.office_settings import switch
from bot.errors import BadInputError
from bot.storage.database import Database
from bot.storage.switches import setting
from bot.storage.tables import Audit, StaffSession
from tests.console.conftest import PASSWORD, Clock, Visitor


def test_the_lock_gets_longer_each_time(visit: Callable[..., Visitor], clock: Clock) -> None:
    visitor, start = visit(), utc_now()
    clock.at = start

    def enter(password: str) -> int:
        return visitor.post(
            "/staff/sign-in", data={"name": "advisor", "password": password}, follow_redirects=False
        ).status_code

    for locked_for in (10, 20, 40):
        for _ in range(accounts.LOCK_AFTER):
            assert enter("sai") == 401
        assert enter(PASSWORD) == 401
        clock.at += timedelta(minutes=locked_for) - timedelta(seconds=1)
        assert enter(PASSWORD) == 401
        clock.at += timedelta(seconds=2)
    assert enter(PASSWORD) == 303


def test_the_token_is_changed_and_the_old_one_dies(visit: Callable[..., Visitor], clock: Clock) -> None:
    clock.at = utc_now()
    visitor = visit("advisor")
    old = visitor.cookies["motcua_staff"]
    clock.at += accounts.ROTATE_AFTER + timedelta(seconds=1)
    assert visitor.get("/staff/me", headers={"accept": "text/html"}).status_code == 200
    assert visitor.cookies["motcua_staff"] != old
    thief = visit()
    thief.cookies.set("motcua_staff", old)
    assert thief.get("/staff/me").status_code == 200  # a request that was under way
    clock.at += accounts.OLD_TOKEN_LASTS + timedelta(seconds=1)
    assert thief.get("/staff/me", follow_redirects=False).status_code == 303
    assert visitor.submit("/staff/me/password", old="x", new="y", again="z").status_code == 409


def test_signing_in_again_ends_the_former_session(visit: Callable[..., Visitor], sqlite_database: Database) -> None:
    visitor = visit("advisor")
    visitor.sign_in("advisor")
    with sqlite_database.read() as session:
        assert len(session.exec(select(StaffSession)).all()) == 1


def test_what_was_typed_survives_an_ended_session(
    visit: Callable[..., Visitor], clock: Clock, sqlite_database: Database
) -> None:
    visitor = visit("admin")
    clock.at = utc_now() + timedelta(days=4)
    typed = 'ten-moi" <b>&'
    answer = visitor.submit("/staff/team", name=typed, role="advisor", password=PASSWORD)
    assert answer.status_code == 401
    kept = re.search(r'name="kept" value="([^"]+)"', answer.text)
    assert kept
    again = visitor.post("/staff/sign-in", data={"name": "admin", "password": PASSWORD, "kept": html.unescape(kept[1])})
    assert html.escape(typed, quote=True).replace("&quot;", "&#34;") in again.text
    assert 'action="/staff/team"' in again.text
    assert visitor.post("/staff/sign-in", data={"name": "admin", "password": PASSWORD, "kept": "{"}).status_code == 200
    elsewhere = '{"to": "https://xau.example", "fields": []}'
    page = visitor.post("/staff/sign-in", data={"name": "admin", "password": PASSWORD, "kept": elsewhere})
    assert "xau.example" not in page.text


@pytest.mark.parametrize("path", ["//xau.example", "https://xau.example", "/staff/..//xau", "/staff/\\xau", "/thu-tuc"])
def test_no_way_out_through_next(visit: Callable[..., Visitor], path: str) -> None:
    answer = visit().post(
        "/staff/sign-in", data={"name": "admin", "password": PASSWORD, "next": path}, follow_redirects=False
    )
    assert answer.headers["location"] == "/staff"


def test_accounts_and_settings_are_audited_with_before_and_after(
    visit: Callable[..., Visitor], sqlite_database: Database
) -> None:
    admin = visit("admin")
    advisor = visit("advisor")
    assert admin.submit("/staff/team", name="moi", role="advisor", password=PASSWORD).status_code == 200
    assert admin.submit("/staff/team/moi/role", role="leader").status_code == 200
    assert "quản trị khác" in admin.submit("/staff/team/admin/role", role="leader").text
    assert admin.submit("/staff/team/advisor/active", to="0").status_code == 200
    assert advisor.get("/staff/me", follow_redirects=False).status_code == 303  # shut out at once
    fields = {"approve_below_percent": "80", "approve_minutes": "10", "return_after_minutes": "15"}
    fields |= {"alert_after_minutes": "5", "worse_at_most_points": "1", "four_eyes": "1", "board_days": "7"}
    assert admin.submit("/staff/settings", **fields).status_code == 200
    assert admin.submit("/staff/settings", **{**fields, "approve_minutes": "0"}).status_code == 409
    with sqlite_database.read() as session:
        told = {(row.action, row.subject): row.detail for row in session.exec(select(Audit))}
    assert told["staff_role", "moi"] == {"before": "advisor", "after": "leader"}
    assert told["setting", "approve_below_percent"] == {"before": 90, "after": 80}
    assert "chuyển" not in admin.get("/staff/audit").text
    assert "đổi vai trò" in admin.get("/staff/audit").text


def test_the_audit_log_cannot_be_changed(database: Database) -> None:
    with database.write() as session:
        accounts.audit(session, "a", "sign_in", "a", utc_now())
    for statement in (update(Audit).values(staff="b"), delete(Audit)):
        with pytest.raises(DatabaseError, match="append-only"), database.write() as session:
            session.exec(statement)  # type: ignore[call-overload]


def test_settings_refuse_what_they_cannot_be(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        for key, value in (("approve_unsure", 1), ("approve_minutes", True), ("approve_minutes", 121), ("x", 1)):
            with pytest.raises(BadInputError):
                switch(session, key, value, "a", utc_now())
        assert setting(session, "approve_minutes") == 10


def test_passwords_are_hashed_as_dear_as_owasp_asks() -> None:
    """argon2id, at least 19 MiB and two passes; the other tests hash more cheaply."""
    assert accounts.KIB >= 19 * 1024
    assert accounts.PASSES >= 2
