"""``make bench``: notices a second through the whole path, by how many wait; peer: the bare commits of the same run.

The gateway answers at once (the simulator), so what is measured is claim, policy, send and store on SQLite with
``synchronous=FULL``. The peer does nothing but the two commits that each notice needs at the least.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert

from bot.notices.gateways.pool import Gateways
from bot.notices.sending import send_due
from bot.settings import Settings
from bot.storage import schema
from bot.storage.database import Database
from bot.storage.tables import Dossier, Outbox, Spend

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
SENT = 400


def _fill(database: Database, waiting: int) -> None:
    """So many notices due now."""
    with database.write() as session:
        connection = session.connection()
        for start in range(0, waiting, 5000):
            numbers = range(start, min(start + 5000, waiting))
            codes = [f"H30.99.01-261124-{number:07d}" for number in numbers]
            dossiers = [
                {"code": code, "status": 9, "phone": f"+8495{number:07d}", "consent_sms": True,
                 "return_mode": "counter",
                 "demo": False, "created_at": NOW, "updated_at": NOW}
                for number, code in zip(numbers, codes, strict=True)
            ]  # fmt: skip
            rows = [
                {"kind": "notice", "channel": "sms", "recipient": f"+8495{number:07d}", "dedupe_key": code, "body":
                 {"text": f"TTPVHCC xa Chau Thanh: ho so {code} da co ket qua.", "route": []}, "dossier_code": code,
                 "event": "result_ready", "occurrence": "c1", "demo": False, "priority": 0, "state": "waiting",
                 "not_before": NOW, "expires_at": NOW + timedelta(days=7), "attempts": 0, "looks": 0, "created_at": NOW}
                for number, code in zip(numbers, codes, strict=True)
            ]  # fmt: skip
            connection.execute(insert(Dossier), dossiers)
            connection.execute(insert(Outbox), rows)


def _rate(waiting: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(var_dir=Path(folder), sms_per_second=1000)
        database = Database(settings.database)
        schema.upgrade(database)
        _fill(database, waiting)

        async def run() -> float:
            gateways = Gateways(settings)
            start = time.perf_counter()
            sent = await send_due(database, settings, gateways, owner="bench", now=NOW, limit=SENT)
            taken = time.perf_counter() - start
            await gateways.close()
            return sent / taken

        rate = asyncio.run(run())
        database.close()
        return rate


def _peer() -> float:
    """Two commits a notice and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(var_dir=Path(folder))
        database = Database(settings.database)
        schema.upgrade(database)
        start = time.perf_counter()
        for number in range(SENT):
            for channel in ("claim", "store"):
                with database.write() as session:
                    session.merge(Spend(day=NOW.date(), channel=channel, messages=number))
        taken = time.perf_counter() - start
        database.close()
        return SENT / taken


def main() -> None:
    """Prints the table."""
    peer, few, many = _peer(), _rate(1_000), _rate(100_000)
    print(f"notices a second        {few:.0f} with 1,000 waiting, {many:.0f} with 100,000 ({many / few:.2f} ×)   "
          f"peer (two bare commits) {peer:.0f}")  # fmt: skip


if __name__ == "__main__":
    main()
