"""The nightly backup: made by one process of all replicas, the old ones cleared away, and told where it can't be.

When the last one was made stands in the database (``Heartbeat`` "backup"), so that every replica knows it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlmodel import Session

from bot.clock import local
from bot.errors import BadInputError
from bot.settings import Settings
from bot.storage.backup import backup
from bot.storage.database import Database
from bot.storage.single import Baton
from bot.storage.tables import Heartbeat

log = logging.getLogger("motcua.backup")
FROM_HOUR = 2  # Vietnam time; an office's PC that is off then makes it as soon as it runs
LATE = timedelta(hours=36)  # a night was missed, and half a day on top
_NAME = "backup"
_PREFIX, _STAMP = "motcua-", "%Y%m%dT%H%M%SZ"


def due_since(now: datetime) -> datetime:
    """The last moment at which a backup fell due."""
    here = local(now)
    night = here.replace(hour=FROM_HOUR, minute=0, second=0, microsecond=0)
    return night if night <= here else night - timedelta(days=1)


def last_backup(session: Session) -> datetime | None:
    """When the last nightly backup was made, by whichever replica; None: never."""
    row = session.get(Heartbeat, _NAME)
    return row.at if row else None


class Nightly:
    """One process's part in it. All methods block.

    Attributes:
        problem: why the last try of this process failed, for staff; None where it did not.
    """

    def __init__(self, settings: Settings, database: Database, owner: str) -> None:
        self.settings = settings
        self.database = database
        self.problem: str | None = None
        self._owner = owner
        self._baton = Baton(database, "motcua/backup")

    def look(self, now: datetime, stopped: Callable[[], bool] = lambda: False) -> Path | None:
        """Makes the backup where it is due and no other replica is at it.

        Returns:
            The new file; None where there was nothing to do, or it failed: then ``problem`` says why.

        Raises:
            SQLAlchemyError: the database can't be asked.
        """
        if not self.settings.backup or self._made(now):
            self.problem = None
            return None
        try:
            # Asked again with the baton in hand: another may just have made it.
            if not self._baton.held() or self._made(now):
                return None
            return self._make(now, stopped)
        finally:
            self._baton.release()

    def _made(self, now: datetime) -> bool:
        with self.database.read() as session:
            last = last_backup(session)
        return last is not None and last >= due_since(now)

    def _make(self, now: datetime, stopped: Callable[[], bool]) -> Path | None:
        folder = self.settings.backups
        ending = "sqlite3" if self.database.is_sqlite else "dump"
        target = folder / f"{_PREFIX}{now.astimezone(UTC):{_STAMP}}.{ending}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for torn in folder.glob(f"{_PREFIX}*.part"):  # of a process that was killed
                torn.unlink()
            backup(self.database, target, stopped)
        except (BadInputError, OSError) as error:
            told = str(error)
            if told != self.problem and not stopped():
                log.warning("không sao lưu được: %s", told)
            self.problem = told
            return None
        with self.database.write() as session:
            session.merge(Heartbeat(name=_NAME, owner=self._owner, at=now))
        self.problem = None
        log.info("đã sao lưu vào %s (%d byte)", target, target.stat().st_size)
        try:
            clear(folder, self.settings.backup_keep, now)
        except OSError as error:  # the backup is made, and must not be made again for this
            log.warning("không xóa được bản sao lưu cũ: %s", error)
        return target


def reason(settings: Settings, last: datetime | None, problem: str | None, now: datetime) -> str | None:
    """What is wrong with the backups, in a few words for staff; None: all is well, or they are switched off."""
    if not settings.backup:
        return None
    if problem:
        return f"không sao lưu được: {problem}"
    if last is not None and now - last > LATE:
        return f"bản sao lưu mới nhất từ {local(last):%H:%M %d/%m/%Y}"
    return None


def clear(folder: Path, keep: int, now: datetime) -> None:
    """Deletes nightly backups older than ``keep`` days, but never one of the ``keep`` newest; other files stay."""
    made = sorted((at, path) for path in folder.glob(f"{_PREFIX}*") if (at := _made_at(path)) is not None)
    for at, path in made[:-keep]:
        if now - at > timedelta(days=keep):
            path.unlink()


def _made_at(path: Path) -> datetime | None:
    try:
        return datetime.strptime(path.stem.removeprefix(_PREFIX), _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
