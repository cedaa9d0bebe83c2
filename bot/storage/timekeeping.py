"""The time that all replicas agree on, and what to do where a clock ran ahead.

Leases, pauses and the order of looks compare moments that different processes wrote down. On PostgreSQL they all take
the database's time, carried on by a clock that never jumps (``CommonClock``). On SQLite there is one process, and the
machine's clock is all there is; it may be put back by hours, say after a start with a hardware clock that keeps local
time. Then moments written before lie in a future that nobody meant: ``pull_back``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col

from bot.clock import Clock, utc_now
from bot.storage.database import Database
from bot.storage.tables import ChannelToken, Inbox, Outbox

log = logging.getLogger("motcua.clock")
SET_SECONDS = 15.0
SLOW_SECONDS = 2.0  # an answer that took longer tells too little
WRONG = timedelta(minutes=1)  # of this machine against the database: staff are told
# More than any lease (2 min) and any pause between tries of a message that came in (10 min).
AHEAD = timedelta(minutes=15)
MADE_AHEAD = timedelta(seconds=5)  # nothing is made later than now
AHEAD_SENDING = timedelta(hours=4)  # more than any pause between sends to somebody who waits for an answer
_MOST = 500  # rows of a kind in one round
_AWAITED = ("reply", "otp", "test")  # somebody waits for these
_KINDS = (*_AWAITED, "notice")


def _steady() -> float:
    """Seconds that never jump, and that go on while a machine sleeps where the system counts that."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class CommonClock:
    """The database's time. Calling it never blocks; ``set`` asks the database."""

    def __init__(self, database: Database) -> None:
        """Sets the clock; by this machine's where the database doesn't answer yet."""
        self._database = database
        self._wrong = False
        self._known = utc_now(), _steady()
        try:
            self.set()
        except SQLAlchemyError as error:
            log.warning("chưa hỏi được giờ của cơ sở dữ liệu: %s", type(error).__name__)

    def __call__(self) -> datetime:
        """The present time, aware, in UTC."""
        at, then = self._known
        return at + timedelta(seconds=_steady() - then)

    def set(self) -> None:
        """Takes the database's time anew.

        Raises:
            SQLAlchemyError: it can't be asked; the clock goes on.
        """
        with self._database.engine.connect() as connection:
            before = _steady()
            told: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
            took = _steady() - before
        if took > SLOW_SECONDS:
            return
        self._known = told.astimezone(UTC), before + took / 2
        wrong = utc_now() - self()
        if (abs(wrong) > WRONG) != self._wrong:
            self._wrong = not self._wrong
            if self._wrong:
                log.warning("đồng hồ máy này lệch %.0f giây so với cơ sở dữ liệu; lấy giờ của cơ sở dữ liệu",
                            wrong.total_seconds())  # fmt: skip
            else:
                log.info("đồng hồ máy này đã khớp với cơ sở dữ liệu")


def clock_of(database: Database) -> Clock:
    """The clock of a process that works on this database."""
    return utc_now if database.is_sqlite else CommonClock(database)


async def keep_time(database: Database, clock: Clock) -> None:
    """One round: the clock is set, and what a clock ahead has put off is brought back; then a pause."""

    def work() -> None:
        if isinstance(clock, CommonClock):
            clock.set()
        with database.write() as session:
            found = pull_back(session, clock())
        if found:
            log.warning("đồng hồ từng chạy nhanh: %d việc bị hẹn quá xa đã được kéo về hiện tại", found)

    await asyncio.to_thread(work)
    await asyncio.sleep(SET_SECONDS)


def pull_back(session: Session, now: datetime) -> int:
    """Brings leases and appointments back that only a clock ahead of ``now`` can have written.

    Whoever still holds such a lease loses it: a turn is then rolled back, and a send, whose end it may still tell, is
    uncertain until then. A message put off until its appointed hour keeps its distance from its making. What was put
    off for another try by less than ``AHEAD_SENDING`` can't be told from an honest pause, and comes late.

    Args:
        session: the transaction.
        now: the moment (aware).

    Returns:
        How many rows were changed.
    """
    late, inbox, outbox = now + AHEAD, Inbox, Outbox
    new = and_(col(inbox.received_at) > now + MADE_AHEAD, col(inbox.next_try_at) > now)
    put_off = or_(new, col(inbox.next_try_at) > late)
    changed = _move(session, inbox, [inbox.state == "waiting", put_off], next_try_at=now)
    changed += _move(session, inbox, [inbox.state == "claimed", col(inbox.lease_until) > late], lease_until=now)
    changed += _move(
        session, outbox, [outbox.state == "sending", col(outbox.lease_until) > late], lease_until=now, not_before=now
    )
    # When a send was tried and looked for: from there on its gateway is given time.
    in_doubt = or_(col(outbox.not_before) > late, col(outbox.looked_at) > late)
    changed += _move(session, outbox, [outbox.state == "uncertain", in_doubt], not_before=now, looked_at=None, looks=0)
    awaited = [outbox.state == "waiting", col(outbox.kind).in_(_AWAITED), outbox.attempts > 0]
    changed += _move(session, outbox, [*awaited, col(outbox.not_before) > now + AHEAD_SENDING], not_before=now)
    changed += _move(session, ChannelToken, [col(ChannelToken.lease_until) > late], lease_until=now)
    return changed + _earlier(session, now)


def _move(session: Session, table: Any, where: list[Any], **values: Any) -> int:
    """Changes rows nobody is working on at this moment, so that two replicas never wait for each other."""
    key: Any = table.account if table is ChannelToken else table.id
    found = session.execute(select(key).where(*where).limit(_MOST).with_for_update(skip_locked=True)).scalars().all()
    if found:
        session.execute(update(table).where(key.in_(found), *where).values(**values))
    return len(found)


def _earlier(session: Session, now: datetime) -> int:
    """Messages that were made in the future go as long after now as they were to go after that."""
    made = col(Outbox.created_at)
    # By an index (ix_outbox_log), as else all notices that wait would be looked at each time.
    some = select(col(Outbox.id)).where(col(Outbox.kind).in_(_KINDS), made > now + MADE_AHEAD).limit(1)
    if session.execute(some).first() is None:
        return 0
    # Once moved they are due before they were made.
    which = select(Outbox).where(
        col(Outbox.state) == "waiting", made > now + MADE_AHEAD, col(Outbox.not_before) >= made
    )
    rows = session.execute(which.limit(_MOST).with_for_update(skip_locked=True)).scalars().all()
    for row in rows:
        ahead = row.created_at - now
        row.not_before -= ahead
        if row.expires_at is not None:
            row.expires_at -= ahead
    session.flush()
    return len(rows)
