"""How often the hall's screens were used, by day; nothing of who did."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import func
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from bot.clock import local
from bot.figures.period import Period
from bot.storage.sight import only_own, sight_of
from bot.storage.tables import HallUse, OfficeHallUse

What = Literal["look_up", "guide", "print", "call"]


def used(session: Session, what: What, now: datetime, office: str | None = None) -> None:
    """Counts one use; safe from many processes at once.

    Args:
        session: the transaction.
        what: a receipt was scanned ("look_up"), a guide opened or printed, an advisor called.
        now: the moment (aware).
        office: slug of the one of several offices whose screen it is, None for the one that all share.
    """
    insert: Any = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    table: Any = OfficeHallUse if office else HallUse
    key = {"day": local(now).date(), "what": what} | ({"office": office} if office else {})
    row = insert(table).values(**key, times=1)
    session.execute(row.on_conflict_do_update(index_elements=list(key), set_={"times": col(table.times) + 1}))


def uses(session: Session, period: Period) -> Counter[str]:
    """What was used how often in a period."""
    found: Counter[str] = Counter()
    tables: tuple[Any, ...] = (HallUse, OfficeHallUse) if sight_of(session) is None else (OfficeHallUse,)
    for table in tables:
        own = only_own(session, col(table.office)) if table is OfficeHallUse else ()
        query = (
            select(table.what, func.sum(table.times))
            .where(*own, col(table.day) >= period.first, col(table.day) <= period.last)
            .group_by(table.what)
        )
        found.update({what: int(times) for what, times in session.exec(query).all()})
    return found
