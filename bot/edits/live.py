"""The desk that answers are made of, in every process: the files with the active edits, as of the day.

A loop compares one number every few seconds; an edit's dates take effect by themselves with the day.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import date
from threading import Lock

from prometheus_client import Gauge

from bot.catalog.answers import Desk
from bot.edits import store
from bot.edits.apply import Applied, Edit, apply
from bot.storage.database import Database

log = logging.getLogger("motcua.edits")
LOOK_SECONDS = 2.0
_KEPT = 8  # desks of an office, one a day
_LEFT_OUT = Gauge("motcua_edits_left_out", "Edits that no longer fit the files and are not told")


class LiveEdits:
    """The active edits as this process knows them. Safe to use from many threads."""

    def __init__(self, database: Database, office: str) -> None:
        """Reads nothing yet.

        Args:
            database: where the edits are.
            office: slug of the office; of several, of the default one.
        """
        self._database = database
        self._office = office
        self._version: int | None = None
        self._edits: tuple[Edit, ...] = ()
        self._desks: dict[tuple[str, date], tuple[Desk, Applied]] = {}
        self._lock = Lock()

    def refresh(self) -> bool:
        """Reads the edits where there are new ones; whether there were."""
        with self._database.read() as session:
            found = store.version(session)
            if found == self._version:
                return False
            edits = tuple(store.active(session))
        with self._lock:
            # Read after the number: at worst they are read once more.
            self._version, self._edits = found, edits
            self._desks.clear()
        return True

    async def look(self) -> None:
        """One round of the loop."""
        if await asyncio.to_thread(self.refresh):
            log.info("dữ kiện cán bộ sửa: %d bản đang dùng", len(self._edits))
        await asyncio.sleep(LOOK_SECONDS)

    def desk(self, base: Desk, office: str | None = None) -> Desk:
        """The desk of ``base.today`` with its edits; ``office``: slug of another office than the default one."""
        return self.applied(base, office).desk

    def applied(self, base: Desk, office: str | None = None) -> Applied:
        """The same, with what was left out.

        Raises:
            SQLAlchemyError: the edits were never read yet and can't be: the files alone may say what is wrong.
        """
        if self._version is None:
            self.refresh()
        slug = self._office if office is None else office
        with self._lock:
            version, edits = self._version, self._edits
            known = self._desks.get((slug, base.today))
        if known is not None and known[0].catalog is base.catalog and known[0].office is base.office:
            return known[1]
        found = apply(base, edits, slug)
        for number, reason in found.left_out.items():
            log.warning("bản sửa %d không còn hợp với tệp, không dùng: %s", number, reason)
        _LEFT_OUT.set(len(found.left_out))
        with self._lock:
            if version == self._version:
                mine = [key for key in self._desks if key[0] == slug]
                for key in mine[: len(mine) - _KEPT + 1]:
                    del self._desks[key]
                self._desks[slug, base.today] = (base, found)
        return found
