"""``python -m tests.soak``: mixed traffic while replicas are killed, the database restarts and gateways fail.

MOTCUA_SOAK_MINUTES (30) in all, three quarters on two replicas with PostgreSQL, the rest on one with SQLite;
MOTCUA_SOAK_SEED repeats what is written and what is broken, in order (not to the millisecond). At the end each message
has one turn, each reply and notice went out once or is honestly uncertain, and all replicas are ready; else exit 1.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.soak.account import faults, figures, settled
from tests.soak.citizens import Citizens
from tests.soak.office import Office

SETTLES_SECONDS = 240  # leases of the killed are two minutes long


def break_something(office: Office, chance: random.Random) -> str:
    """One blow, and its name."""
    blows = ["kill", "kill", "kill all", "SMS gateway down", "answers lost"]
    blow = chance.choice([*blows, *(["database restarted"] if office.server is not None else [])])
    if blow == "kill":
        office.kill(chance.choice(office.replicas))
    elif blow == "kill all":
        for replica in office.replicas:
            replica.kill()
        for replica in office.replicas:
            replica.start()
    elif blow == "database restarted":
        office.restart_database()
    elif blow == "SMS gateway down":
        office.twilio.next_is(*chance.choices(["503", "500", "lose", "busy"], k=8))
    else:
        office.twilio.next_is("drop")
        office.zalo.plan.append("drop")
    return blow


def leg(name: str, folder: Path, seconds: float, seed: int, *, replicas: int, postgres: bool) -> list[str]:
    """Runs one office for so long; what is wrong at the end."""
    chance = random.Random(f"{seed}/{name}")  # noqa: S311 - to be repeated
    blows: Counter[str] = Counter()
    with Office(folder, replicas=replicas, postgres=postgres) as office:
        citizens = Citizens(office, seed, pause=1.0)
        citizens.start()
        try:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                time.sleep(min(chance.uniform(3, 12), max(until - time.monotonic(), 0)))
                blows[break_something(office, chance)] += 1
        finally:
            citizens.stop()
        office.twilio.plan.clear()
        office.zalo.plan.clear()
        until = time.monotonic() + SETTLES_SECONDS
        while not settled(office) and time.monotonic() < until:
            time.sleep(1)
        wrong = faults(office, citizens)
        wrong += [f"replica {n} is not ready" for n, one in enumerate(office.replicas) if office.ready(one) is None]
        print(f"{name}: {figures(office, citizens)}; {', '.join(f'{blow} {n}' for blow, n in sorted(blows.items()))}")
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
        wrong = leg("postgresql", Path(folder, "p"), seconds * 3 / 4, seed, replicas=2, postgres=True)
        wrong += leg("sqlite", Path(folder, "s"), seconds / 4, seed, replicas=1, postgres=False)
    for line in wrong:
        print(line)
    print("soak: " + (f"{len(wrong)} faults" if wrong else "whole"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
