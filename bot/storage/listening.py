"""Hearing on PostgreSQL what any process has committed to the queues (the triggers of migration 0010 say it).

One connection a process, outside the pool. What is said while it is away is lost: so whoever listens is told that
anything may have happened each time it is there (again), and keeps looking now and then all the same.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Any

import psycopg
from prometheus_client import Gauge

from bot.storage.database import BUSY_SECONDS, Database

log = logging.getLogger("motcua.listening")
CHANNEL = "motcua"
ANYTHING = "*"  # heard after each connecting: what was said before is not known
APPLICATION = "motcua-listen"  # how the connection is called in pg_stat_activity
FIRST_PAUSE = 0.5  # seconds, doubled with each failure
LONGEST_PAUSE = 30.0
CHECK_SECONDS = 30.0  # after so long a silence the server is asked whether it is still there
_LIMITS = {
    "connect_timeout": BUSY_SECONDS, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}  # fmt: skip
_PROBLEM = Gauge("motcua_listening_problem", "1: not told what other replicas commit, seen only by looking")


class Listener:
    """Listens as long as its task runs; to be used from one event loop.

    Attributes:
        problem: why nothing can be heard at the moment, for staff; None where all is well or it has just begun.
    """

    def __init__(self, database: Database, heard: Callable[[str], None]) -> None:
        """Opens no connection yet.

        Args:
            database: a PostgreSQL.
            heard: told "inbox", "outbox:<channel>", "desk" (a conversation has changed), or ``ANYTHING``.
        """
        _, given = database.engine.dialect.create_connect_args(database.url)
        self._arguments: dict[str, Any] = {**_LIMITS, **given, "application_name": APPLICATION}
        self._heard = heard
        self.problem: str | None = None

    async def listen(self) -> None:
        """Listens for ever; connects again, after a growing pause, where the connection is lost."""
        pause = FIRST_PAUSE
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(**self._arguments, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    pause = FIRST_PAUSE
                    self._note(None)
                    await self._hear(connection)
            except (psycopg.Error, OSError) as error:
                self._note(type(error).__name__)
            await asyncio.sleep(pause * (0.75 + secrets.randbelow(500) / 1000))  # not all replicas at once
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _hear(self, connection: psycopg.AsyncConnection[Any]) -> None:
        while True:
            self._heard(ANYTHING)
            async for notification in connection.notifies(timeout=CHECK_SECONDS):
                self._heard(notification.payload)
            await connection.execute("SELECT 1")

    def _note(self, problem: str | None) -> None:
        if problem and not self.problem:
            log.warning("mất kết nối nghe PostgreSQL (%s), đang nối lại; tin từ bản khác đến chậm hơn", problem)
        elif self.problem and not problem:
            log.info("đã nối lại kết nối nghe PostgreSQL")
        self.problem = problem
        _PROBLEM.set(problem is not None)
