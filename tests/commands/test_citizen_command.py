from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session

from bot.cli import main
from bot.conversation.model import Incoming
from bot.dossiers import registry
from bot.dossiers.records import DossierRecord
from bot.settings import Settings
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.export import export, is_known
from bot.storage.tables import METADATA, Conversation, Handoff, Lookup, OneTimeCode, Outbox, Turn

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
PHONE = "+84951234567"


def _lives(session: Session, number: int, channel: str, sender: str) -> None:
    inbox_id = queue.receive(session, Incoming(channel, sender, f"m{number}", f"lời của {number}", NOW), NOW)
    who = {"channel": channel, "sender": sender}
    session.add(Conversation(id=number, created_at=NOW, last_at=NOW, **who))
    session.add(
        Turn(
            conversation_id=number,
            inbox_id=inbox_id,
            text=f"lời của {number}",
            intent="human",
            outcome="handoff",
            at=NOW,
        )
    )
    session.add(Handoff(conversation_id=number, kind="complaint", text=f"than của {number}", created_at=NOW))
    session.add(Lookup(code="H30.99.01-261124-0007", found=True, at=NOW, **who))
    session.add(OneTimeCode(dossier_code="H30", digest="bí mật", at=NOW, expires_at=NOW + timedelta(minutes=5), **who))
    queue.put_outbox(
        session,
        Outbox(
            kind="reply", channel=channel, recipient=sender, dedupe_key=f"k{number}", inbox_id=inbox_id,
            body={"text": f"đáp cho {number}"}, not_before=NOW, created_at=NOW,
        ),
    )  # fmt: skip


@pytest.fixture
def office(database: Database, settings: Settings) -> Database:
    with database.write() as session:
        _lives(session, 1, "telegram", "77")
    with database.write() as session:
        _lives(session, 2, "telegram", "88")
    with database.write() as session:
        _lives(session, 3, "sms", PHONE)
        for code, phone in (("H30.99.01-261124-0007", PHONE), ("H30.99.01-261124-0008", "+84950000000")):
            record = DossierRecord(code=code, status=2, phone=phone, lookup_code="KX-1")
            registry.upsert(session, record, source="import", settings=settings, now=NOW)
    return database


def test_everything_of_one_and_nothing_of_another(office: Database) -> None:
    with office.read() as session:
        told = export(session, "telegram", "77", NOW)
    text = json.dumps(told, ensure_ascii=False)
    assert all(words in text for words in ("lời của 1", "than của 1", "đáp cho 1", "H30.99.01-261124-0007"))
    assert not any(words in text for words in ("của 2", "cho 2", "của 3", "88", "bí mật"))
    assert {name: len(rows) for name, rows in told.items() if isinstance(rows, list)} == {
        "conversations": 1, "turns": 1, "requests_to_staff": 1, "answers_of_staff": 0, "answers_held_for_approval": 0,
        "linked_as_staff": 0, "messages_received": 1, "messages_sent": 1,
        "lookups": 1, "proofs_of_ownership": 0, "one_time_codes": 1, "preferences": 0, "consents": 0, "dossiers": 0,
    }  # fmt: skip


def test_a_number_brings_its_dossiers_without_what_opens_them(office: Database) -> None:
    with office.read() as session:
        (dossier,) = export(session, "sms", PHONE, NOW)["dossiers"]
    assert dossier["code"] == "H30.99.01-261124-0007"
    assert "lookup_digest" not in dossier


def test_no_table_with_a_citizens_id_is_forgotten() -> None:
    """Whoever adds a table that names a citizen must decide whether it is exported."""
    personal = {
        name
        for name, table in METADATA.tables.items()
        if {"sender", "recipient", "conversation_id"} & {*table.c.keys()}
    }
    assert personal == {
        "conversation", "turn", "handoff", "inbox", "outbox", "lookup", "access", "one_time_code", "preference",
        "consent", "desk_message", "held", "staff_chat",
    }  # fmt: skip


def test_the_commands(
    sqlite_database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOTCUA_VAR_DIR", str(settings.var_dir))
    with sqlite_database.write() as session:
        _lives(session, 1, "telegram", "77")
    assert main(["citizen", "export", "telegram", "77"]) == 0
    assert json.loads(capsys.readouterr().out)["turns"][0]["text"] == "lời của 1"
    assert main(["citizen", "export", "telegram", "78"]) == 2
    assert main(["citizen", "erase", "telegram", "77"]) == 2
    assert "--yes" in capsys.readouterr().err
    with sqlite_database.read() as session:
        assert "lời của 1" in str(export(session, "telegram", "77", NOW)["turns"])
    assert main(["citizen", "erase", "telegram", "77", "--yes"]) == 0
    with sqlite_database.read() as session:
        told = export(session, "telegram", "77", NOW)
    assert is_known(told)
    assert "của 1" not in str(told["turns"]) + str(told["requests_to_staff"])
