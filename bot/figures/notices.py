"""Notices by how they ended, and what they cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from bot.figures.period import Period
from bot.storage.sight import sight_of
from bot.storage.tables import Outbox, Spend

STATES = ("waiting", "sending", "sent", "delivered", "failed", "expired", "cancelled", "uncertain")


@dataclass
class Notices:
    """The notices of a period.

    Attributes:
        by_state: how many are in each state.
        by_event: event → how many, whatever became of them.
        by_channel: channel → how many.
        segments: SMS billed.
        dong: what they cost, in đồng.
    """

    by_state: Counter[str] = field(default_factory=Counter)
    by_event: Counter[str] = field(default_factory=Counter)
    by_channel: Counter[str] = field(default_factory=Counter)
    segments: int = 0
    dong: float = 0.0

    @property
    def all(self) -> int:
        """How many there were."""
        return sum(self.by_state.values())


def notices(session: Session, period: Period, *, demo: bool) -> Notices:
    """Sums up the notices that were put in a period; ``demo``: whether those of demonstration dossiers count."""
    found = Notices()
    # All states are named so that the index on state and kind is used: replies are a thousand times as many.
    query = (
        select(Outbox.state, Outbox.event, Outbox.channel, func.count())
        .where(
            col(Outbox.state).in_(STATES), Outbox.kind == "notice", col(Outbox.created_at) >= period.start,
            col(Outbox.created_at) < period.end,
        )
        .group_by(Outbox.state, Outbox.event, Outbox.channel)  # type: ignore[arg-type]
    )  # fmt: skip
    for state, event, channel, count in session.exec(query if demo else query.where(Outbox.demo == False)).all():  # noqa: E712 - SQL
        found.by_state[state] += count
        found.by_event[event or ""] += count
        found.by_channel[channel] += count
    spent = session.exec(_spent(period) if sight_of(session) is None else _spent_by_office(period)).one()
    found.segments, found.dong = int(spent[0] or 0), float(spent[1] or 0)
    return found


def _spent(period: Period) -> Any:
    days = (col(Spend.day) >= period.first, col(Spend.day) <= period.last)
    return select(func.sum(Spend.segments), func.sum(Spend.dong)).where(*days)


def _spent_by_office(period: Period) -> Any:
    """Of one of several offices: the days' sums are those of all, so its notices themselves are summed up."""
    sent = (Outbox.kind == "notice", col(Outbox.created_at) >= period.start, col(Outbox.created_at) < period.end)
    return select(func.sum(Outbox.segments), func.sum(Outbox.cost)).where(*sent, col(Outbox.spent_on).is_not(None))
