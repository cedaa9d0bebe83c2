"""A process that sends notices until nothing is due, for the crash test to kill at any moment.

Arguments: settings as JSON, ISO time at the start. Its clock runs on from that time.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import datetime, timedelta
from time import monotonic

from bot.notices.sending import run_pass
from bot.settings import Settings
from bot.storage.database import Database


def main(settings: Settings, start: datetime) -> None:
    database = Database(settings.database)
    begun = monotonic()
    while True:
        now = start + timedelta(seconds=monotonic() - begun)
        if not asyncio.run(run_pass(database, settings, owner=f"worker{os.getpid()}", now=now)):
            return


if __name__ == "__main__":
    main(Settings(**json.loads(sys.argv[1])), datetime.fromisoformat(sys.argv[2]))
