"""What came in and what was returned, on time or late.

A dossier is finished at its last entry into "result ready" (9) or, where that was never told, "returned" (10). Where it
was on file as finished from the start (a first load of old dossiers), nobody knows when that was; it counts only if it
came in shortly before. Late is what is finished after the due date in force; what has no due date is neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_
from sqlmodel import Session, col, select

from bot.dossiers.listing import IS_OPEN
from bot.dossiers.status import RESULT_READY, RETURNED
from bot.figures.period import Period
from bot.storage.tables import Dossier, StatusChange

_DONE = frozenset({RESULT_READY, RETURNED})
_FRESH = timedelta(days=7)  # a finished dossier first heard of within that time of its receipt was just finished
_BATCH = 500


@dataclass
class Finished:
    """Finished dossiers: on time, late, without a due date."""

    on_time: int = 0
    late: int = 0
    undated: int = 0

    @property
    def all(self) -> int:
        """How many in all."""
        return self.on_time + self.late + self.undated

    @property
    def rate(self) -> float | None:
        """The share that was on time of those with a due date; None where there is none."""
        dated = self.on_time + self.late
        return self.on_time / dated if dated else None


@dataclass
class Dossiers:
    """The dossiers of a period.

    Attributes:
        received: field → how many came in.
        electronic: of them, those whose result is returned electronically.
        finished: field → on time or late.
        returned: how many were handed out.
        refused: not accepted, stopped or withdrawn.
        papers: how often papers to be added were asked for.
        postponed: how often a new date was given.
        pending: being worked on at this moment, whenever they came in.
        overdue: of them, past their due date.
    """

    received: Counter[str] = field(default_factory=Counter)
    electronic: int = 0
    finished: dict[str, Finished] = field(default_factory=dict)
    returned: int = 0
    refused: int = 0
    papers: int = 0
    postponed: int = 0
    pending: int = 0
    overdue: int = 0

    @property
    def all_received(self) -> int:
        """How many came in."""
        return sum(self.received.values())

    @property
    def all_finished(self) -> Finished:
        """All fields together."""
        every = self.finished.values()
        return Finished(sum(f.on_time for f in every), sum(f.late for f in every), sum(f.undated for f in every))

    @property
    def online_share(self) -> float | None:
        """The share of those received whose result is returned electronically; None where none came in."""
        return self.electronic / self.all_received if self.all_received else None


def dossiers(session: Session, period: Period, fields: Mapping[str, str], now: datetime, *, demo: bool) -> Dossiers:
    """Sums up the dossiers of a period.

    Args:
        session: for reading.
        period: which days.
        fields: procedure code → field; what has none is "".
        now: the moment at which ``pending`` is counted.
        demo: whether demonstration dossiers count (a trial).
    """
    found = Dossiers()

    def field_of(procedure: str | None) -> str:
        return fields.get(procedure or "", "")

    _receipts(session, period, found, field_of, demo=demo)
    changes = _changes(session, period)
    known = _known(session, {change.dossier_code for change in changes}, demo=demo)
    finished: dict[str, datetime] = {}
    returned: set[str] = set()
    for change in changes:
        dossier = known.get(change.dossier_code)
        if dossier is None:
            continue
        if change.before == change.after:
            found.postponed += (change.note or "").startswith("hẹn lại")
            continue
        found.refused += change.after in {3, 7, 8}
        found.papers += change.after == 5
        _follow(change, dossier, finished, returned)
    found.returned = len(returned)
    for code, at in finished.items():
        _count(found.finished.setdefault(field_of(known[code].procedure), Finished()), known[code].due_at, at)
    _pending(session, found, now, demo=demo)
    return found


def _follow(change: StatusChange, dossier: Dossier, finished: dict[str, datetime], returned: set[str]) -> None:
    """Notes when a dossier was finished and whether it was handed out; a slip that was undone is neither."""
    at = _moment(change, dossier)
    if change.after not in _DONE:
        finished.pop(dossier.code, None)
    elif change.before not in _DONE and at:
        finished[dossier.code] = at
    if change.after == RETURNED and at:
        returned.add(dossier.code)
    elif change.after != RETURNED:
        returned.discard(dossier.code)


def _count(ended: Finished, due_at: datetime | None, at: datetime) -> None:
    if due_at is None:
        ended.undated += 1
    elif at <= due_at:
        ended.on_time += 1
    else:
        ended.late += 1


def _receipts(
    session: Session, period: Period, found: Dossiers, field_of: Callable[[str | None], str], *, demo: bool
) -> None:
    query = (
        select(Dossier.procedure, Dossier.return_mode, func.count())
        .where(_within(period, col(Dossier.received_at), col(Dossier.created_at)))
        .group_by(Dossier.procedure, Dossier.return_mode)
    )
    for procedure, mode, count in session.exec(query if demo else query.where(Dossier.demo == False)).all():  # noqa: E712 - SQL
        found.received[field_of(procedure)] += count
        found.electronic += count if mode == "electronic" else 0


def _changes(session: Session, period: Period) -> list[StatusChange]:
    """The entries into a status that happened in the period, in order."""
    query = select(StatusChange).where(_within(period, col(StatusChange.source_at), col(StatusChange.at)))
    return list(session.exec(query.order_by(col(StatusChange.id))).all())


def _within(period: Period, told: Any, else_at: Any) -> ColumnElement[bool]:
    """Whether it happened in the period: when the source tells, else when we heard. In words that an index serves."""
    known = and_(told >= period.start, told < period.end)
    return or_(known, and_(told.is_(None), else_at >= period.start, else_at < period.end))


def _known(session: Session, codes: Iterable[str], *, demo: bool) -> dict[str, Dossier]:
    wanted = sorted(codes)
    known: dict[str, Dossier] = {}
    for start in range(0, len(wanted), _BATCH):
        rows = session.exec(select(Dossier).where(col(Dossier.code).in_(wanted[start : start + _BATCH]))).all()
        known |= {dossier.code: dossier for dossier in rows if demo or not dossier.demo}
    return known


def _moment(change: StatusChange, dossier: Dossier) -> datetime | None:
    """When it happened; None where it was on file like that from the start and nobody knows."""
    if change.source_at is not None or change.before is not None:
        return change.source_at or change.at
    received = dossier.received_at
    return change.at if received is not None and change.at - received <= _FRESH else None


def _pending(session: Session, found: Dossiers, now: datetime, *, demo: bool) -> None:
    open_ones = select(func.count()).select_from(Dossier).where(IS_OPEN)
    if not demo:
        open_ones = open_ones.where(Dossier.demo == False)  # noqa: E712 - SQL
    found.pending = int(session.exec(open_ones).one())
    found.overdue = int(session.exec(open_ones.where(col(Dossier.due_at) < now)).one())
