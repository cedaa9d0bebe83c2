"""``python -m tests.soak``: mixed traffic while replicas are killed, clocks jump, the disk fills and gateways fail.

MOTCUA_SOAK_MINUTES (30) in all, two thirds on two replicas with PostgreSQL, the rest on one with SQLite;
MOTCUA_SOAK_SEED repeats what is written and what is broken, in order (not to the millisecond). At the end each message
has one turn, each reply and notice went out once or is honestly uncertain, in order, and all replicas are ready without
a hand having been laid on them; nothing is logged that has no cause (``logs``). Else exit 1.

Only loopback and Unix sockets are used. A full disk is a tmpfs: where none may be mounted, that blow is left out, and
said to be.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.soak import logs
from tests.soak.account import faults, figures, settled
from tests.soak.blows import Blows
from tests.soak.citizens import Citizens
from tests.soak.office import Office
from tests.soak.reports import Reports

SETTLES_SECONDS = 240
HASTE = 6.0  # leases and pauses of SMS are so much shorter than in an office


def leg(name: str, folder: Path, seconds: float, seed: int, *, replicas: int, postgres: bool) -> list[str]:
    """Runs one office for so long; what is wrong at the end."""
    with Office(folder, replicas=replicas, postgres=postgres, haste=HASTE) as office:
        if office.disk.reason:
            print(
                f"{name}: no full disk, as none can be mounted here ({office.disk.reason.splitlines()[0]})", flush=True
            )
        chance = random.Random(f"{seed}/{name}")  # noqa: S311 - to be repeated
        citizens, reports = Citizens(office, seed, pause=1.0), Reports(office, seed)
        blows = Blows(office, citizens, chance)
        citizens.start()
        reports.start()
        try:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                time.sleep(min(chance.uniform(1, 5), max(until - time.monotonic(), 0)))
                blows.next()
        finally:
            blows.make_good()
            citizens.stop()
            began = time.monotonic()
            while not (settled(office) and reports.done) and time.monotonic() < began + SETTLES_SECONDS:
                time.sleep(0.5)
            took = time.monotonic() - began
            reports.stop()
        wrong = faults(office, citizens, reports)
        for number, one in enumerate(office.replicas):
            told = office.ready(one)
            if told is None or told["reasons"]:
                wrong.append(f"replica {number} is not ready: {told}")
        wrong += logs.unexpected("\n".join(replica.log() for replica in office.replicas))
        hits = ", ".join(f"{blow} {count}" for blow, count in sorted(blows.counts.items()))
        print(f"{name}: {figures(office, citizens, reports)}; blows: {hits}; settled after {took:.0f} s", flush=True)
        if wrong:
            log = Path("artifacts") / f"soak-{name}.log"
            log.parent.mkdir(exist_ok=True)
            log.write_text("\n====\n".join(replica.log() for replica in office.replicas), "utf-8")
    return [f"{name}: {one}" for one in wrong]


def main() -> int:
    """Runs both legs."""
    seconds = float(os.environ.get("MOTCUA_SOAK_MINUTES", "30")) * 60
    seed = int(os.environ.get("MOTCUA_SOAK_SEED", str(time.time_ns() % 1_000_000)))
    print(f"MOTCUA_SOAK_SEED={seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="motcua-soak-") as folder:
        wrong = leg("postgresql", Path(folder, "p"), seconds * 2 / 3, seed, replicas=2, postgres=True)
        wrong += leg("sqlite", Path(folder, "s"), seconds / 3, seed, replicas=1, postgres=False)
    for line in wrong:
        print(line)
    print("soak: " + (f"{len(wrong)} faults" if wrong else "whole"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
