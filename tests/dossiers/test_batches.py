"""Many dossiers at once: the same as one by one, and an import that was cut off is taken up where it was."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, col, delete, func, select

from bot.dossiers import batches, registry
from bot.dossiers.importing import BATCH
from bot.dossiers.records import COLUMNS, DossierRecord
from bot.notices import consent
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Consent, Dossier, Outbox, Preference, StatusChange

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
PHONE = "+84951234567"
TABLES = (Dossier, StatusChange, Consent, Outbox, Preference)
WORKER = Path(__file__).with_name("import_worker.py")
ROOT = WORKER.parents[2]


def code(number: int) -> str:
    return f"H30.99.01-261116-{number:04d}"


def _records() -> list[DossierRecord]:
    kinds = product(range(1, 11), (None, PHONE), (False, True), (None, "KX-4711"))
    return [
        DossierRecord(code(number), status, phone=phone, consent_sms=agreed, lookup_code=lookup)
        for number, (status, phone, agreed, lookup) in enumerate(kinds)
    ]


def _later(records: list[DossierRecord]) -> list[DossierRecord]:
    """A third as before, a third moved on, a third with another phone; and some more."""
    changes: list[dict[str, Any]] = [{}, {"status": 9}, {"phone": "+84951111222"}]
    changed = [replace(record, **changes[number % 3]) for number, record in enumerate(records)]
    return [*changed, *(DossierRecord(code(9000 + number), 9, phone=PHONE, consent_sms=True) for number in range(5))]


def _spoken_of(session: Session) -> None:
    """Of some dossiers somebody said something before they came."""
    for number in range(0, 80, 7):
        consent.subscribe(session, "telegram", "77", code(number), NOW, evidence="chat")
    consent.give(session, code(3), "sms", PHONE, NOW, wording=consent.WORDING, evidence="chat")


def _all(database: Database) -> list[set[str]]:
    """Everything in the tables, but for numbers given in order of coming."""
    with database.read() as session:
        found = []
        for table in TABLES:
            rows = [row.model_dump(exclude={"id", "dedupe_key", "occurrence"}) for row in session.exec(select(table))]
            assert len({repr(row) for row in rows}) == len(rows)
            found.append({repr(sorted(row.items())) for row in rows})
        return found


@pytest.mark.parametrize("basis", ["", "luật"])
def test_the_outcome_is_that_of_one_by_one(database: Database, settings: Settings, basis: str) -> None:
    office = settings.model_copy(update={"notice_basis": basis})
    settings.var_dir.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for at_once in (False, True):
        kinds = []
        with database.write() as session:
            for table in TABLES:
                session.exec(delete(table))
            _spoken_of(session)
        for round_, records in enumerate((_records(), _records(), _later(_records()))):
            now = NOW + timedelta(hours=round_)
            with database.write() as session:
                if at_once:
                    told = batches.upsert(session, records, source="import", settings=office, now=now)
                    kinds.append({kind: told[kind] for kind in ("created", "changed", "unchanged")})
                else:
                    done = [registry.upsert(session, one, source="import", settings=office, now=now) for one in records]
                    kinds.append({
                        kind: [one.kind for one in done].count(kind) for kind in ("created", "changed", "unchanged")
                    })  # fmt: skip
        outcomes.append((kinds, _all(database)))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0][1] == {"created": 0, "changed": 0, "unchanged": 80}


def _file(folder: Path, count: int) -> Path:
    path = folder / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        for number in range(count):
            status = 9 if number % 50 == 0 else 4
            writer.writerow({"code": code(number), "status": status, "phone": PHONE, "consent_sms": 1})
    return path


@pytest.mark.service
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_import_that_was_cut_off_is_run_again_and_nothing_is_doubled(
    database: Database, settings: Settings, tmp_path: Path, how: signal.Signals
) -> None:
    total = BATCH * 3 + 10
    path = _file(tmp_path, total)
    address = database.url.render_as_string(hide_password=False)
    environment = os.environ | {"MOTCUA_DATABASE_URL": address, "MOTCUA_VAR_DIR": str(settings.var_dir)}
    command = [sys.executable, str(WORKER), "2", "dossiers", "import", str(path)]
    environment["PYTHONPATH"] = str(ROOT)
    with subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "halted\n"
        first.send_signal(how)
        _, told = first.communicate(timeout=60)
    assert first.returncode == (-signal.SIGKILL if how is signal.SIGKILL else 130)
    assert ("chạy lại" in told) is (how is signal.SIGINT)
    assert _count(database, Dossier) == BATCH  # the first batch, and nothing of the one that was under way
    again = subprocess.run(
        [sys.executable, "-m", "bot", *command[3:]], env=environment, cwd=ROOT, text=True, capture_output=True,
        check=True, timeout=120,
    )  # fmt: skip
    assert again.stdout == f"mới {total - BATCH}, thay đổi 0, không đổi {BATCH}, bị loại 0\n"
    assert again.stderr == ""  # the bar is for terminals
    assert _count(database, Dossier) == _count(database, StatusChange) == _count(database, Consent) == total
    with database.read() as session:
        notices = session.exec(select(Outbox.dossier_code).where(Outbox.kind == "notice")).all()
        assert sorted(notices) == [code(number) for number in range(0, total, 50)]


def _count(database: Database, table: type[Any]) -> int:
    with database.read() as session:
        return int(session.exec(select(func.count(col(next(iter(table.__table__.primary_key)))))).one())
