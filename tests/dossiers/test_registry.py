"""Entries into statuses and the notices born with them, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select

from bot.dossiers import registry
from bot.dossiers.records import DossierRecord
from bot.errors import BadInputError
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Dossier, Outbox, StatusChange

NOW = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)  # 09:00 in Vietnam
CODE = "H30.99.01-261116-0001"
RECORD = DossierRecord(code=CODE, status=4, phone="+84951234567", consent_sms=True, office="TTPVHCC", lookup_code="K7")


class Desk:
    """Acts on the store, one transaction each, a minute apart."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database, self.settings, self.now = database, settings, NOW

    def tell(self, status: int, change_id: str | None = None, record: DossierRecord = RECORD) -> registry.Change:
        self.now += timedelta(minutes=1)
        with self.database.write() as session:
            return registry.upsert(
                session, replace(record, status=status), source="api", settings=self.settings, now=self.now,
                change_id=change_id,
            )  # fmt: skip

    def move(self, status: int, code: str = CODE, note: str | None = None) -> registry.Change:
        self.now += timedelta(minutes=1)
        with self.database.write() as session:
            return registry.set_status(session, code, status, by="lan", note=note, settings=self.settings, now=self.now)

    def entries(self) -> list[tuple[int | None, int]]:
        with self.database.read() as session:
            return [(c.before, c.after) for c in session.exec(select(StatusChange).order_by(col(StatusChange.id)))]

    def notices(self) -> list[str]:
        with self.database.read() as session:
            return [row.state for row in session.exec(select(Outbox).order_by(col(Outbox.id)))]

    def dossier(self) -> Dossier:
        with self.database.read() as session:
            return session.get_one(Dossier, CODE)


@pytest.fixture
def desk(database: Database, settings: Settings) -> Desk:
    return Desk(database, settings)


def test_created_changed_unchanged(desk: Desk) -> None:
    assert desk.tell(4).kind == "created"
    assert desk.tell(4).kind == "unchanged"
    first = desk.dossier().updated_at
    assert desk.tell(4, record=replace(RECORD, note="x")).kind == "changed"
    assert desk.dossier().updated_at > first
    assert desk.tell(9).kind == "changed"
    assert desk.entries() == [(None, 4), (4, 9)]


def test_each_entry_into_a_told_status_has_one_notice(desk: Desk) -> None:
    desk.tell(4)
    assert desk.notices() == []
    assert desk.tell(5).notice is not None
    assert desk.tell(5).notice is None
    desk.tell(4)
    assert desk.tell(5).notice is not None
    assert desk.notices() == ["cancelled", "waiting"]  # the first still waited when the status was left


def test_a_repeated_change_id_is_the_same_entry(desk: Desk) -> None:
    assert desk.tell(5, "c1").notice is not None
    repeat = desk.tell(5, "c1")
    assert (repeat.kind, repeat.notice) == ("unchanged", None)
    assert desk.entries() == [(None, 5)]


def test_another_change_id_is_another_entry_even_into_the_same_status(desk: Desk) -> None:
    desk.tell(5, "c1")
    assert desk.tell(5, "c2").notice is not None
    assert desk.entries() == [(None, 5), (5, 5)]
    assert desk.notices() == ["cancelled", "waiting"]  # both within the delay: one SMS


def test_a_late_repeat_does_not_turn_the_dossier_back(desk: Desk) -> None:
    desk.tell(5, "c1")
    desk.tell(4, "c2")
    assert desk.tell(5, "c1").kind == "unchanged"
    assert desk.dossier().status == 4
    desk.tell(5, "c3")
    assert desk.tell(5, "c1", replace(RECORD, note="cũ")).kind == "unchanged"
    assert desk.dossier().note is None


def test_a_repeat_with_corrected_fields_corrects_them_without_a_second_notice(desk: Desk) -> None:
    desk.tell(9, "c1")
    change = desk.tell(9, "c1", replace(RECORD, office="TTPVHCC xã Châu Thành"))
    assert (change.kind, change.notice) == ("changed", None)
    assert desk.dossier().office == "TTPVHCC xã Châu Thành"


def test_what_an_import_entered_is_not_entered_again_by_a_numbered_change(desk: Desk) -> None:
    desk.tell(9)
    assert desk.tell(9, "c1").notice is None


def test_a_slip_undone_within_the_delay_is_never_told(desk: Desk) -> None:
    desk.tell(4)
    assert desk.move(9).notice is not None
    desk.move(4)
    assert desk.notices() == ["cancelled"]
    assert desk.dossier().status == 4


def test_staff_moves_are_checked_and_an_import_may_jump(desk: Desk) -> None:
    desk.tell(1)
    with pytest.raises(BadInputError, match="chỉ chuyển được sang: 2, 3, 7"):
        desk.move(10)
    assert desk.dossier().status == 1
    assert desk.tell(10).kind == "changed"


def test_a_move_keeps_who_and_why(desk: Desk) -> None:
    desk.tell(4)
    desk.move(5, "h30 99 01 261116 0001", note="Thiếu bản vẽ")
    with desk.database.read() as session:
        change = session.exec(select(StatusChange).where(StatusChange.after == 5)).one()
    assert (change.source, change.by, change.note) == ("staff", "lan", "Thiếu bản vẽ")
    assert desk.dossier().note == "Thiếu bản vẽ"


def test_the_status_it_is_in_already_is_no_move(desk: Desk) -> None:
    desk.tell(4)
    assert desk.move(4).kind == "unchanged"
    assert len(desk.entries()) == 1


@pytest.mark.parametrize(("code", "status"), [("H30.99.01-261116-0009", 4), ("1.001193", 4), (CODE, 11)])
def test_unknown_codes_and_statuses(desk: Desk, code: str, status: int) -> None:
    desk.tell(1)
    with pytest.raises(BadInputError):
        desk.move(status, code)
    assert desk.entries() == [(None, 1)]


def test_only_a_keyed_digest_of_the_look_up_code_is_stored(desk: Desk) -> None:
    desk.tell(4)
    stored = desk.dossier().lookup_digest
    assert stored is not None
    assert len(stored) == 64
    other = Desk(desk.database, desk.settings.model_copy(update={"var_dir": desk.settings.var_dir / "other"}))
    other.tell(4)
    assert desk.dossier().lookup_digest != stored  # another key


def test_a_failure_takes_entry_and_notice_back_together(desk: Desk) -> None:
    desk.tell(4)

    def broken_off() -> None:
        with desk.database.write() as session:
            assert registry.set_status(session, CODE, 9, by="lan", settings=desk.settings, now=desk.now).notice
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken_off()
    assert desk.notices() == []
    assert desk.dossier().status == 4


def test_a_demo_dossier_stays_one(desk: Desk) -> None:
    desk.tell(4, record=replace(RECORD, demo=True))
    desk.tell(9)
    assert desk.dossier().demo
    with desk.database.read() as session:
        assert session.exec(select(Outbox.demo)).all() == [True]
