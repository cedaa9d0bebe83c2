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
from bot.storage.tables import HallUse

What = Literal["look_up", "guide", "print", "call"]


def used(session: Session, what: What, now: datetime) -> None:
    """Counts one use; safe from many processes at once.

    Args:
        session: the transaction.
        what: a receipt was scanned ("look_up"), a guide opened or printed, an advisor called.
        now: the moment (aware).
    """
    insert: Any = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    row = insert(HallUse).values(day=local(now).date(), what=what, times=1)
    session.execute(row.on_conflict_do_update(index_elements=["day", "what"], set_={"times": col(HallUse.times) + 1}))


def uses(session: Session, period: Period) -> Counter[str]:
    """What was used how often in a period."""
    query = (
        select(HallUse.what, func.sum(HallUse.times))
        .where(col(HallUse.day) >= period.first, col(HallUse.day) <= period.last)
        .group_by(HallUse.what)
    )
    return Counter({what: int(times) for what, times in session.exec(query).all()})
