"""Staff of one of several offices see and change nothing of another's, on any page, by any address."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import select

from bot.api.app import create_app
from bot.application import open_desk, open_talk
from bot.clock import local, utc_now
from bot.console.accounts import add_staff
from bot.console.inbox.live import Page
from bot.console.permissions import SHARED
from bot.conversation.talk import Talk
from bot.desk.reading import Mark
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import (
    METADATA,
    Audit,
    CannedReply,
    Conversation,
    DeskMessage,
    Dossier,
    FactEdit,
    Handoff,
    Held,
    OfficeHallUse,
    Outbox,
    Preference,
    Review,
    Staff,
    StatusChange,
    Survey,
    Turn,
)
from tests.console.conftest import PASSWORD, Visitor
from tests.console.test_every_page_by_index import ASKED, NEVER_ENDS
from tests.console.test_permissions import permissions_of, staff_routes

OURS, THEIRS = "chau-thanh", "dong-phuoc"
AGENCY = {OURS: "H30.99.01", THEIRS: "H30.99.02"}
SECRET = {OURS: "chuyenxanha", THEIRS: "chuyenlangben"}  # stands in every text of an office
CODE = f"{AGENCY[THEIRS]}-261116-0001"
BIRTH = "1.001193"
MONTH = f"month={local(utc_now()):%Y-%m}"
# Forms about oneself, or that make something new: there is nothing of another office to name in their address.
OF_NOBODY = {
    "/staff/me/name", "/staff/me/chat", "/staff/me/password", "/staff/team", "/staff/notices/test",
    "/staff/dossiers/scanned",
}  # fmt: skip


def _fill(database: Database, office: str) -> dict[str, int]:
    """Something of every kind of an office; its ids."""
    now, secret = utc_now(), SECRET[office]
    code = f"{AGENCY[office]}-261116-0001"
    ids: dict[str, int] = {}
    with database.write() as session:
        for role in ("admin", "advisor", "reception", "leader"):
            add_staff(session, f"{role}-{office}", role, PASSWORD, now, office)
        session.flush()
        session.get_one(Staff, f"advisor-{office}").display_name = secret
        session.add(
            Dossier(code=code, status=4, procedure=BIRTH, note=secret, office=secret, phone="+84951000001",
                    due_at=now - timedelta(hours=1), received_at=now, created_at=now, updated_at=now)
        )  # fmt: skip
        session.add(StatusChange(dossier_code=code, after=4, source="staff", note=secret, by=secret, at=now))
        session.add(Preference(channel="sms", recipient="+84951000001", dossier_code=code, wants=True, at=now))
        for state in ("waiting", "uncertain", "failed", "sent"):
            row = Outbox(kind="notice", channel="sms", recipient="+84951000001", dedupe_key=f"{code}{state}",
                         dossier_code=code, event="papers_wanted", body={"text": secret}, state=state, error=secret,
                         not_before=now, created_at=now, sent_at=now, spent_on=local(now).date(), segments=7, cost=7.0,
                         office=office)  # fmt: skip
            session.add(row)
            session.flush()
            ids[f"notice_{state}"] = row.id or 0
        for queue in ("waiting", "taken", "held", "done", "bot"):
            talk = Conversation(channel="telegram", sender=f"{office}{queue}", office=office, queue=queue,
                                queued_at=now, created_at=now, last_at=now, counter=secret,
                                taken_by=f"advisor-{office}" if queue == "taken" else None)  # fmt: skip
            session.add(talk)
            session.flush()
            number = ids[queue] = talk.id or 0
            turn = Turn(conversation_id=number, inbox_id=number, text=secret, intent="ask_procedure",
                        outcome="out_of_scope", understanding={}, replies={"replies": [{"text": secret}]}, at=now,
                        day=local(now).date(), doubt=9, doubt_why="unsure", channel="telegram",
                        office=office)  # fmt: skip
            held = Held(conversation_id=number, inbox_id=number, replies={"replies": [{"text": secret}]},
                        deadline_at=now + timedelta(hours=1), created_at=now)  # fmt: skip
            session.add_all((turn, held))
            session.add(DeskMessage(conversation_id=number, key=f"key-{number}-aaaa", kind="advisor", name=secret,
                                    text=secret, at=now, office=office))  # fmt: skip
            session.add(Handoff(conversation_id=number, kind="complaint", text=secret, created_at=now, office=office))
            session.flush()
            ids[f"turn_{queue}"], ids[f"held_{queue}"] = turn.id or 0, held.id or 0
        session.add(Review(turn_id=ids["turn_done"], verdict="right", by=f"advisor-{office}", at=now))
        for state in ("new", "seen"):
            comment = Survey(dossier_code=f"{AGENCY[office]}-261116-{state}", token_digest=code + state,
                             state="answered",
                             channel="link", answers={"overall": 5}, comment=secret, comment_state=state, asked_at=now,
                             expires_at=now, answered_at=now)  # fmt: skip
            session.add(comment)
            session.flush()
            ids[f"comment_{state}"] = comment.id or 0
        session.add(Audit(staff=f"admin-{office}", action="setting", subject=secret, detail={}, at=now, office=office))
        edit = FactEdit(subject=f"office:{office}", part="contact", revision=1, after={"value": {"phone": secret}},
                        base_digest="-", starts=date(2026, 1, 1), source=secret, state="proposed", by="admin",
                        at=now)  # fmt: skip
        session.add_all((edit, OfficeHallUse(office=office, day=local(now).date(), what="guide", times=4711)))
        session.flush()
        ids["edit"] = edit.id or 0
    return ids


class Province:
    """Two offices with something of every kind in each."""

    def __init__(self, database: Database, settings: Settings, talk: Talk) -> None:
        self.database = database
        self.ids = {office: _fill(database, office) for office in (OURS, THEIRS)}
        with database.write() as session:
            add_staff(session, "admin", "admin", PASSWORD, utc_now())
            session.add(CannedReply(shortcut="chung", text="câu chung", by="admin", at=utc_now()))
        service = Service(settings, database, open_talk(settings, open_desk(settings), talk.engine))
        self.app: FastAPI = create_app(settings, database, service)

    def visit(self, name: str) -> Visitor:
        return Visitor(self.app, base_url="http://127.0.0.1").sign_in(name)

    def rows(self) -> dict[str, list[Any]]:
        """All rows but for what signing in and refusing writes."""
        with self.database.read() as session:
            return {
                table.name: sorted(map(repr, session.connection().execute(table.select())))
                for table in METADATA.sorted_tables
                if table.name not in {"staff_session", "audit"}
            }


@pytest.fixture
def province(database: Database, settings: Settings, talk: Talk) -> Province:
    several = settings.model_copy(update={"office_list": f"{OURS},{THEIRS}", "office": OURS})
    return Province(database, several, talk)


def _listed(province: Province) -> list[str]:
    """Addresses of all pages that are asked for without naming anything of an office, as staff come to them."""
    found = []
    for method, path, _ in staff_routes(province.app):
        base, brace, _ = path.partition("{")
        if method == "GET" and path not in NEVER_ENDS and (not brace or "{name}.svg" in path):
            found += [base + more for more in ASKED.get(path, ("",)) if AGENCY[OURS] not in more]
    return found


def _direct(ids: dict[str, int]) -> list[str]:
    """Addresses of what the other office has."""
    found = [f"/staff/dossiers/{CODE}", f"/staff/office/of/{THEIRS}", f"/staff/office/of/{THEIRS}/hours"]
    for queue in ("waiting", "taken", "held", "done", "bot"):
        found += [f"/staff/inbox/{ids[queue]}", f"/staff/inbox/{ids[queue]}?queue=all&before=999999"]
        found.append(f"/staff/review/{ids[f'turn_{queue}']}")
    return found


_MORE = (
    f"/staff/inbox?counter={SECRET[THEIRS]}", "/staff/inbox?queue=all", f"/staff/dossiers?q={CODE}",
    f"/staff/dossiers/scan/state?code={CODE}", f"/staff/figures?office={THEIRS}",
    f"/staff/figures/report?office={THEIRS}", f"/staff/figures/unanswered?office={THEIRS}",
    "/staff/figures/comments?state=hidden", f"/staff/audit?of=admin-{THEIRS}", f"/staff/procedures/office:{THEIRS}",
    f"/staff/procedures/office:{THEIRS}/history",
)  # fmt: skip


@pytest.mark.parametrize("role", ["admin", "advisor", "reception", "leader"])
def test_no_page_shows_anything_of_another_office(province: Province, role: str) -> None:
    member, over_all = province.visit(f"{role}-{OURS}"), province.visit("admin")
    ids, seen_by_all, seen_ours = province.ids[THEIRS], set(), set()
    numbers = {f"/staff/inbox/{ids[queue]}" for queue in ("waiting", "taken", "held", "done", "bot")}
    for address in [*_listed(province), *_MORE]:
        answer = member.get(address, follow_redirects=True)
        assert answer.status_code in {200, 403, 404}, (address, answer.status_code)
        shown = answer.text.replace(CODE, "") if CODE in address else answer.text.replace(f"admin-{THEIRS}", "")
        if answer.status_code == 200 and "counter=" not in address:
            assert SECRET[THEIRS] not in shown, address
        assert AGENCY[THEIRS] not in shown, address
        assert f"{role}-{THEIRS}" not in shown, address
        links = set(re.findall(r'href="(/staff/inbox/\d+)', shown))
        assert not links & numbers, address
        seen_ours |= {address} if SECRET[OURS] in shown else set()
        if role == "admin":
            seen_by_all |= {address} if SECRET[THEIRS] in over_all.get(address).text else set()
    assert len(seen_ours) > {"admin": 20, "advisor": 15, "reception": 5, "leader": 2}[role], seen_ours
    if role == "admin":
        assert len(seen_by_all) > 20, seen_by_all  # else this test would see nothing either


def test_what_another_office_has_is_not_found_by_its_address(province: Province) -> None:
    member, over_all = province.visit(f"admin-{OURS}"), province.visit("admin")
    for address in _direct(province.ids[THEIRS]):
        assert over_all.get(address).status_code == 200, address
        refused = member.get(address)
        assert refused.status_code == 404, address
        assert SECRET[THEIRS] not in refused.text, address
    for address in _direct(province.ids[OURS])[3:]:
        assert member.get(address).status_code == 200, address


def _forms(ids: dict[str, int]) -> dict[str, list[tuple[str, dict[str, str]]]]:
    """Route → what is sent to it about another office: addresses and fields that would do something there."""
    talk, taken, key = ids["waiting"], ids["taken"], {"text": "chào", "key": "khoa-khoa-khoa"}
    office = f"/staff/office/of/{THEIRS}"
    return {
        "/staff/inbox/{number:int}/take": [(f"/staff/inbox/{talk}/take", {})],
        "/staff/inbox/{number:int}/done": [(f"/staff/inbox/{taken}/done", {})],
        "/staff/inbox/{number:int}/back": [(f"/staff/inbox/{taken}/back", {})],
        "/staff/inbox/{number:int}/transfer": [(f"/staff/inbox/{taken}/transfer", {"counter": "Quầy 1"})],
        "/staff/inbox/{number:int}/office": [(f"/staff/inbox/{taken}/office", {"office": OURS})],
        "/staff/inbox/{number:int}/send": [(f"/staff/inbox/{taken}/send", key)],
        "/staff/inbox/{number:int}/active": [(f"/staff/inbox/{taken}/active", {})],
        "/staff/inbox/{number:int}/held/{held_id:int}": [
            (f"/staff/inbox/{ids['held']}/held/{ids['held_held']}", {}),
        ],
        "/staff/me/chat/{chat_id:int}/remove": [("/staff/me/chat/1/remove", {})],
        "/staff/review/{turn_id}": [(f"/staff/review/{ids['turn_bot']}", {"act": "outside", "version": "0"})],
        "/staff/dossiers/scan": [("/staff/dossiers/scan", {"codes": CODE, "do": "set"}),
                                 ("/staff/dossiers/scan", {"codes": CODE, "do": "check"})],
        "/staff/dossiers/scanned": [("/staff/dossiers/scanned", {"current": CODE})],
        "/staff/dossiers/{code}/status": [(f"/staff/dossiers/{CODE}/status", {"to": "9", "back": "dossier"}),
                                          (f"/staff/dossiers/{CODE}/status", {"to": "9"})],
        "/staff/dossiers/{code}/due": [(f"/staff/dossiers/{CODE}/due", {"due": "2099-01-05 09:00", "back": "dossier"})],
        "/staff/dossiers/{code}/undo": [(f"/staff/dossiers/{CODE}/undo", {"change": "1"})],
        "/staff/notices/{number}/resolve": [
            (f"/staff/notices/{ids['notice_uncertain']}/resolve", {"verdict": verdict}) for verdict in ("again", "drop")
        ],
        "/staff/figures/comments/{number}": [
            (f"/staff/figures/comments/{ids['comment_new']}", {"was": "new", "to": "hidden"})
        ],
        "/staff/procedures/edits/{number}/decide": [
            (f"/staff/procedures/edits/{ids['edit']}/decide", {"act": act}) for act in ("confirm", "reject", "keep")
        ],
        "/staff/office/of/{slug}/{key}": [(f"{office}/hours", {"act": "save"})],
        "/staff/office/{key}": [("/staff/office/province_fees", {"act": "save"})],
        "/staff/team/{name}/role": [(f"/staff/team/advisor-{THEIRS}/role", {"role": "admin"}),
                                    ("/staff/team/admin/role", {"role": "leader"})],
        "/staff/team/{name}/active": [(f"/staff/team/advisor-{THEIRS}/active", {"to": "0"}),
                                      ("/staff/team/admin/active", {"to": "0"})],
        "/staff/team/{name}/password": [(f"/staff/team/advisor-{THEIRS}/password", {"password": "x" * 12}),
                                        ("/staff/team/admin/password", {"password": "x" * 12})],
        "/staff/team/{name}/office": [(f"/staff/team/advisor-{THEIRS}/office", {"office": OURS}),
                                      (f"/staff/team/advisor-{OURS}/office", {"office": ""})],
    }  # fmt: skip


# A pile is told line by line, and of a scan what was wrong with it.
_TOLD_OTHERWISE = {"/staff/dossiers/scan": 200, "/staff/me/chat/{chat_id:int}/remove": 303}


def test_no_form_changes_anything_of_another_office_or_of_all(province: Province) -> None:
    member, before = province.visit(f"admin-{OURS}"), province.rows()
    forms = _forms(province.ids[THEIRS])
    for method, path, route in staff_routes(province.app):
        if method == "GET" or path in OF_NOBODY - forms.keys():
            continue
        if permissions_of(route) <= SHARED:
            address = re.sub(r"\{\w+(?::\w+)?\}", "1", path)
            assert member.submit(address).status_code == 403, path
            continue
        if path.startswith("/staff/notices/templates"):
            continue  # a preview of words that all share; it stores nothing
        assert path in forms, f"{path}: what would it change of another office?"
        for address, fields in forms[path]:
            answer = member.submit(address, follow_redirects=False, **fields)
            assert answer.status_code in {_TOLD_OTHERWISE.get(path, 404), 409}, (address, answer.status_code)
            assert SECRET[THEIRS] not in answer.text, address
    assert province.rows() == before


def test_a_citizen_of_no_known_office_is_seen_by_all_while_they_wait_and_then_by_who_took_them(
    province: Province,
) -> None:
    now = utc_now()
    with province.database.write() as session:
        talk = Conversation(channel="telegram", sender="x", queue="bot", queued_at=now, created_at=now, last_at=now)
        session.add(talk)
        session.flush()
        number = talk.id or 0
        session.add(Turn(conversation_id=number, text="chuakhongro", intent="human", outcome="handoff", at=now))
    one, other = province.visit(f"advisor-{OURS}"), province.visit(f"advisor-{THEIRS}")
    address = f"/staff/inbox/{number}"
    assert [who.get(address).status_code for who in (one, other)] == [404, 404]
    with province.database.write() as session:
        session.get_one(Conversation, number).queue = "waiting"
        session.add(Handoff(conversation_id=number, kind="handoff", text="x", created_at=now))
    assert all("chuakhongro" in who.get(address).text for who in (one, other))
    assert all(address in who.get("/staff/inbox").text for who in (one, other))
    assert one.submit(f"{address}/take", follow_redirects=False).status_code == 303
    assert "chuakhongro" in one.get(address).text
    assert other.get(address).status_code == 404
    assert one.submit(f"{address}/office", follow_redirects=False, office=THEIRS).status_code == 303
    assert one.get(address).status_code == 404
    assert "Đông Phước" in other.get(address).text
    with province.database.read() as session:
        assert session.exec(select(Handoff.office).where(Handoff.conversation_id == number)).one() == THEIRS


def test_of_a_citizen_who_turned_to_another_office_that_one_does_not_read_what_was_said_before(
    province: Province,
) -> None:
    number = province.ids[OURS]["waiting"]
    with province.database.write() as session:
        talk = session.get_one(Conversation, number)
        talk.office, talk.counter = THEIRS, None
        session.add(
            Turn(conversation_id=number, text="hoixamoi", intent="human", outcome="handoff", at=utc_now(),
                 office=THEIRS)
        )  # fmt: skip
    thread = province.visit(f"advisor-{THEIRS}").get(f"/staff/inbox/{number}")
    assert "hoixamoi" in thread.text
    assert SECRET[OURS] not in thread.text
    assert province.visit(f"advisor-{OURS}").get(f"/staff/inbox/{number}").status_code == 404
    assert SECRET[OURS] in province.visit("admin").get(f"/staff/inbox/{number}").text


def test_an_administrator_adds_accounts_of_their_own_office_alone(province: Province) -> None:
    member, over_all = province.visit(f"admin-{OURS}"), province.visit("admin")
    made = {"role": "advisor", "password": PASSWORD}
    assert member.submit("/staff/team", name="moi1", office=THEIRS, **made).status_code == 200
    assert over_all.submit("/staff/team", name="moi2", office=THEIRS, **made).status_code == 200
    assert over_all.submit("/staff/team", name="moi3", office="khong-co", **made).status_code == 409
    assert over_all.submit("/staff/team/moi2/office", office=OURS).status_code == 200
    assert over_all.submit("/staff/team/moi2/office", office="khong-co").status_code == 409
    with province.database.read() as session:
        found = {name: session.get(Staff, name) for name in ("moi1", "moi2", "moi3")}
    assert {name: one.office if one else "–" for name, one in found.items()} == {
        "moi1": OURS, "moi2": OURS, "moi3": "–",
    }  # fmt: skip


def test_figures_are_told_by_office_and_summed(province: Province) -> None:
    member, over_all = province.visit(f"leader-{OURS}"), province.visit("admin")

    def figures(visitor: Visitor, query: str = "") -> tuple[str, ...]:
        page = visitor.get(f"/staff/figures{query}").text
        return tuple(re.findall(r'data-figure="(?:questions|received|notices)">([^<]*)<', page))

    assert figures(member) == figures(member, f"?office={THEIRS}") == ("5", "1", "4")
    assert figures(over_all) == figures(over_all, "?office=x") == ("10", "2", "8")
    assert figures(over_all, f"?office={THEIRS}") == ("5", "1", "4")
    assert "Đông Phước" not in member.get(f"/staff/figures/report?office={THEIRS}").text
    assert "Đông Phước" in over_all.get(f"/staff/figures/report?office={THEIRS}").text
    for page, title in (("/staff/figures", "Câu hỏi theo cơ quan"), ("/staff/figures/report", "10. Câu hỏi theo cơ")):
        (row,) = re.findall(r"<th[^>]*>xã Đông Phước</th>\s*<td[^>]*>(\d+)", over_all.get(f"{page}?{MONTH}").text)
        assert row == "5"
        assert title in over_all.get(f"{page}?{MONTH}").text
        assert title not in over_all.get(f"{page}?{MONTH}&office={THEIRS}").text
        assert title not in member.get(f"{page}?{MONTH}").text
    assert 'name="office"' not in member.get("/staff/figures").text


def test_an_open_page_is_told_of_its_own_offices_conversations_alone() -> None:
    at = utc_now()
    marks = {
        1: Mark(1, "waiting", None, at, OURS), 2: Mark(1, "waiting", None, at, THEIRS),
        3: Mark(1, "waiting", None, at), 4: Mark(1, "bot", None, at), 5: Mark(1, "done", None, at, OURS),
    }  # fmt: skip
    assert set(Page("lan", 0, OURS).seen(marks)) == {1, 3, 5}
    assert Page("lan", 0).seen(marks) is marks
