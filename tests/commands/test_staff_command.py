"""``motcua staff add`` from the shell, with one office and with several."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from sqlmodel import select

from bot.cli import main
from bot.storage.database import Database
from bot.storage.tables import Staff


@pytest.fixture(autouse=True)
def _here(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOTCUA_VAR_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("MOTCUA_OFFICES", "chau-thanh,dong-phuoc")


def add(monkeypatch: pytest.MonkeyPatch, name: str, *more: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO("mat-khau-dai-lam\n"))
    return main(["staff", "add", name, "--role", "advisor", "--password-stdin", *more])


def test_an_account_is_added_for_an_office_or_for_all(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(monkeypatch, "lan", "--office", "dong-phuoc") == 0
    assert add(monkeypatch, "tinh") == 0
    with sqlite_database.read() as session:
        found = dict(session.exec(select(Staff.name, Staff.office)).all())
    assert found == {"lan": "dong-phuoc", "tinh": None}
    assert "dong-phuoc" in capsys.readouterr().out


def test_an_office_that_is_none_is_refused(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(monkeypatch, "lan", "--office", "xa-la") == 2
    assert "chau-thanh, dong-phuoc" in capsys.readouterr().err
    with sqlite_database.read() as session:
        assert session.exec(select(Staff)).all() == []
