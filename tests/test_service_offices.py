"""A service for two offices, from a message to the rows that go out, with what staff changed of one of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlmodel import col, select

from bot.application import open_desk, open_talk
from bot.conversation.model import Incoming
from bot.conversation.talk import Talk
from bot.notices import policy
from bot.service import Service
from bot.settings import Settings, SettingsError, load_settings
from bot.storage.database import Database
from bot.storage.tables import Conversation, FactEdit, Handoff, Outbox, Turn

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


class Province:
    """A service of two offices and one citizen's chat with it."""

    def __init__(self, database: Database, settings: Settings, talk: Talk) -> None:
        self.service = Service(
            settings, database, open_talk(settings, open_desk(settings), talk.engine), clock=lambda: NOW
        )
        self.database = database
        self.number = 0

    def told(self, text: str, account: str | None = None, sender: str = "77") -> str:
        self.number += 1
        inbox_id = self.service.receive(Incoming("telegram", sender, f"m{self.number}", text, NOW, account=account))
        while self.service.work_off():
            pass
        with self.database.read() as session:
            rows = session.exec(select(Outbox).where(Outbox.inbox_id == inbox_id).order_by(col(Outbox.id)))
            return "\n".join(row.body["text"] for row in rows)


@pytest.fixture
def province(database: Database, tmp_path: Path, talk: Talk) -> Province:
    settings = Settings(var_dir=tmp_path / "var", office_list="chau-thanh,dong-phuoc")
    with database.write() as session:
        session.add(
            FactEdit(
                subject="office:dong-phuoc", part="contact", revision=1, after={"value": {"phone": "0292 000 0002"}},
                base_digest="-", starts=date(2026, 1, 1), source="báo cáo", state="active", by="lan", at=NOW,
                decided_at=NOW,
            )
        )  # fmt: skip
    return Province(database, settings, talk)


def test_the_office_is_asked_once_and_what_its_staff_changed_is_told(province: Province) -> None:
    assert "hỏi xã, phường nào" in province.told("số điện thoại của cơ quan")
    assert "0292 000 0002" in province.told("xã Đông Phước")
    assert "xã, phường nào" not in province.told("giờ làm việc")
    assert "hỏi xã, phường nào" in province.told("số điện thoại của cơ quan", sender="88")


def test_an_account_of_an_office_speaks_for_it(province: Province) -> None:
    assert "0292 000 0002" in province.told("số điện thoại của cơ quan", account="dong-phuoc")
    assert "Châu Thành" in province.told("số điện thoại của cơ quan", account="chau-thanh", sender="88")


def _conversation(province: Province, sender: str = "77") -> Conversation:
    with province.database.read() as session:
        return session.exec(select(Conversation).where(Conversation.sender == sender)).one()


def test_a_conversation_and_its_turns_are_noted_for_the_office_and_the_account(province: Province) -> None:
    province.told("số điện thoại của cơ quan")
    assert _conversation(province).office is None
    province.told("xã Đông Phước")
    assert (_conversation(province).office, _conversation(province).account) == ("dong-phuoc", None)
    province.told("giờ làm việc", account="chau-thanh")
    assert (_conversation(province).office, _conversation(province).account) == ("chau-thanh", "chau-thanh")
    with province.database.read() as session:
        assert list(session.exec(select(Turn.office).order_by(col(Turn.id)))) == [None, "dong-phuoc", "chau-thanh"]
        assert list(session.exec(select(Outbox.office).order_by(col(Outbox.id)))) == [None, None, "chau-thanh"]


def test_who_waits_for_a_person_stays_with_that_office_until_they_ask_for_one_elsewhere(province: Province) -> None:
    province.told("xã Đông Phước mấy giờ làm việc")
    province.told("cho tôi gặp cán bộ")
    province.told("xã Châu Thành mấy giờ làm việc")
    assert _conversation(province).office == "dong-phuoc"
    province.told("cho tôi gặp cán bộ xã Châu Thành")
    assert _conversation(province).office == "chau-thanh"
    with province.database.read() as session:
        assert list(session.exec(select(Handoff.office).order_by(col(Handoff.id)))) == ["dong-phuoc", "chau-thanh"]


def test_a_dossier_is_of_the_office_whose_agency_stands_in_its_code(province: Province) -> None:
    settings = province.service.settings
    assert policy.office_of("H30.99.02-261116-0001", settings) == "dong-phuoc"
    assert policy.office_of("H30.77.02-261116-0001", settings) is None
    alone = settings.model_copy(update={"office_list": ""})
    assert policy.office_of("H30.99.02-261116-0001", alone) is None


def test_the_first_of_several_offices_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTCUA_OFFICES", "dong-phuoc, chau-thanh")
    assert load_settings().offices == ("dong-phuoc", "chau-thanh")
    assert load_settings().office == "dong-phuoc"
    monkeypatch.setenv("MOTCUA_OFFICE", "chau-thanh")
    assert load_settings().office == "chau-thanh"


def test_a_wrong_list_of_offices_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTCUA_OFFICES", "dong-phuoc,Xã Lạ")
    with pytest.raises(SettingsError, match="MOTCUA_OFFICES"):
        load_settings()
    monkeypatch.setenv("MOTCUA_OFFICES", "dong-phuoc")
    monkeypatch.setenv("MOTCUA_OFFICE", "chau-thanh")
    with pytest.raises(SettingsError, match="chau-thanh"):
        load_settings()
