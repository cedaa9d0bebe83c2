"""Notices of several offices: each speaks for the dossier's own, and tells what that one tells."""

from __future__ import annotations

import pytest
from notice_scene import CODE, Office

from bot.catalog.office import Notify
from bot.notices import policy
from bot.notices.reminders import remind
from bot.storage.sight import Sight, limit
from bot.storage.tables import Conversation, Outbox, Preference

THEIRS, NOBODYS = "H30.99.02-261116-0001", "H30.77.07-261116-0001"


@pytest.fixture
def province(office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Đông Phước does not tell of stops and reminds after three working days; Châu Thành does neither."""
    office.settings = office.settings.model_copy(update={"office_list": "chau-thanh,dong-phuoc"})
    known = policy.configured_office

    def changed(root: object, slug: str) -> object:
        profile = known(root, slug)  # type: ignore[arg-type]
        assert profile is not None
        notify = Notify(off=("stopped",), reminder_after=3) if slug == "dong-phuoc" else Notify()
        return profile.model_copy(update={"notify": notify, "short_name": f"TT {slug}"})

    monkeypatch.setattr(policy, "configured_office", changed)
    for code in (CODE, THEIRS, NOBODYS):
        office.file(code)
    return office


def test_a_notice_speaks_for_the_dossiers_office_and_goes_out_from_its_account(province: Office) -> None:
    for code in (CODE, THEIRS, NOBODYS):
        province.enter(9, code)
    rows = province.rows()
    assert [row.office for row in rows] == ["chau-thanh", "dong-phuoc", None]
    assert [row.body["text"].split(":")[0] for row in rows[:2]] == ["TT chau-thanh", "TT dong-phuoc"]
    assert "TT " not in rows[2].body["text"]


def test_an_office_tells_what_it_wants_to_tell(province: Office) -> None:
    for code in (CODE, THEIRS):
        province.enter(8, code)
    assert [row.dossier_code for row in province.rows()] == [CODE]


def test_an_office_reminds_of_its_own_results(province: Office) -> None:
    for code in (CODE, THEIRS, NOBODYS):
        province.enter(9, code)
    province.later(days=3)
    with province.database.write() as session:
        assert remind(session, province.settings, province.now) == 1
    assert [row.dossier_code for row in province.rows() if row.event == "reminder"] == [THEIRS]


def test_a_chat_is_told_from_the_account_that_it_wrote_to(province: Office) -> None:
    now = province.now
    with province.database.write() as session:
        session.add(Conversation(channel="telegram", sender="77", account="chau-thanh", created_at=now, last_at=now))
        session.add(Preference(channel="telegram", recipient="77", dossier_code=THEIRS, wants=True, at=now))
    province.enter(9, THEIRS)
    chat = next(row for row in province.rows() if row.channel == "telegram")
    assert chat.office == "chau-thanh"


def test_what_a_phone_got_from_all_offices_counts_for_its_day_in_a_session_of_one(province: Office) -> None:
    settings = province.settings.model_copy(update={"notices_per_recipient_day": 1})
    province.enter(9, THEIRS)
    with province.database.write() as session:
        first = session.get_one(Outbox, 1)
        first.state, first.sent_at = "sent", province.now
    province.enter(9, CODE)
    with province.database.write() as session:
        limit(session, Sight("chau-thanh", ("H30.99.01",)))
        row = session.get_one(Outbox, 2)
        assert not policy.may_go(session, row, settings, province.now)
        assert row.not_before > province.now
