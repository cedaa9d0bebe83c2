"""The desk's list of dossiers: filters, how many each finds, and pages by key (no page gets slower than the first)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, literal, literal_column, tuple_
from sqlmodel import Session, col, func, select

from bot.clock import local
from bot.dossiers.status import OPEN, RESULT_READY
from bot.storage.tables import Dossier, UtcDateTime
from nlu.codes import find_codes

PAGE = 50
ALL, DUE_TODAY, OVERDUE, LATE_THIS_WEEK, UNCOLLECTED = "all", "due-today", "overdue", "late-this-week", "uncollected"
VIEWS = (ALL, DUE_TODAY, OVERDUE, LATE_THIS_WEEK, UNCOLLECTED)
_BY_DUE = frozenset({DUE_TODAY, OVERDUE, LATE_THIS_WEEK})  # the most urgent first; the others: latest change first
# In so many words, for a database uses the index of these only where it can see that the query asks for no others.
IS_OPEN: ColumnElement[bool] = literal_column(f"dossier.status IN ({', '.join(map(str, sorted(OPEN)))})").self_group()
_SEPARATOR = "~"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the desk looks for.

    Attributes:
        view: one of ``VIEWS``.
        status: 1–10, or None for all.
        procedures: codes of the field or procedure looked for; None for all.
        search: a code or a part of one; beats everything else.
    """

    view: str = ALL
    status: int | None = None
    procedures: frozenset[str] | None = None
    search: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of dossiers; ``following`` is the key of the next one, None on the last."""

    dossiers: tuple[Dossier, ...]
    following: str | None


def page(session: Session, wanted: Wanted, now: datetime, after: str = "", limit: int = PAGE) -> Page:
    """The dossiers that fit, a page of them.

    Args:
        session: for reading.
        wanted: the filters.
        now: the moment (aware).
        after: the key of the page before; one that can't be read gives the first page.
        limit: at most so many.
    """
    found = session.exec(query(wanted, now, after, limit + 1)).all()
    more = len(found) > limit
    shown = tuple(found[:limit])
    return Page(shown, _key(shown[-1], wanted) if more else None)


def query(wanted: Wanted, now: datetime, after: str, limit: int) -> Any:
    """The statement of ``page``; for it and for the test that looks at how a database runs it."""
    by_due = wanted.view in _BY_DUE and not wanted.search
    at = col(Dossier.due_at) if by_due else col(Dossier.updated_at)
    statement = select(Dossier).limit(limit)
    if wanted.search:
        return statement.where(_searched(wanted.search)).order_by(col(Dossier.code))
    statement = statement.where(*_where(wanted, now))
    key = _parsed(after)
    if key is not None:
        moment, code = literal(key[0], UtcDateTime()), literal(key[1])
        here, there = tuple_(at, col(Dossier.code)), tuple_(moment, code)
        statement = statement.where(here > there if by_due else here < there)
    if by_due:
        return statement.order_by(at, col(Dossier.code))
    return statement.order_by(at.desc(), col(Dossier.code).desc())


def counts(
    session: Session, procedures: frozenset[str] | None, now: datetime, statuses: Mapping[int, int]
) -> dict[str, int]:
    """How many dossiers each view finds within these procedures; ``statuses``: what ``by_status`` found."""
    told = {ALL: sum(statuses.values())}
    for view in VIEWS[1:]:
        where = _where(Wanted(view, procedures=procedures), now)
        told[view] = int(session.exec(select(func.count()).select_from(Dossier).where(*where)).one())
    return told


def by_status(session: Session, procedures: frozenset[str] | None) -> dict[int, int]:
    """How many dossiers are in each status, within these procedures."""
    counted = select(Dossier.status, func.count()).group_by(col(Dossier.status))
    if procedures is not None:
        counted = counted.where(col(Dossier.procedure).in_(sorted(procedures)))
    return {int(status): int(many) for status, many in session.exec(counted)}


def by_procedure(session: Session) -> dict[str, int]:
    """How many dossiers there are of each procedure ("" where it isn't known)."""
    counted = select(Dossier.procedure, func.count()).group_by(col(Dossier.procedure))
    return {procedure or "": int(many) for procedure, many in session.exec(counted)}


def of_field(by_code: Mapping[str, str], field: str) -> frozenset[str]:
    """The procedures (code → field) of one field."""
    return frozenset(code for code, one in by_code.items() if one == field)


def _where(wanted: Wanted, now: datetime) -> list[Any]:
    today = local(now).replace(hour=0, minute=0, second=0, microsecond=0)
    due = col(Dossier.due_at)
    where: list[Any] = []
    match wanted.view:
        case "due-today":
            where = [IS_OPEN, due >= today, due < today + timedelta(days=1)]
        case "overdue":
            where = [IS_OPEN, due < now]
        case "late-this-week":
            where = [IS_OPEN, due >= today - timedelta(days=today.weekday()), due < now]
        case "uncollected":
            where = [Dossier.status == RESULT_READY, Dossier.return_mode == "counter"]
    if wanted.status is not None:
        where.append(Dossier.status == wanted.status)
    if wanted.procedures is not None:
        where.append(col(Dossier.procedure).in_(sorted(wanted.procedures)))
    return where


def _searched(text: str) -> ColumnElement[bool]:
    codes = [hit.code for hit in find_codes(text)]
    if codes:
        return col(Dossier.code).in_(codes)
    return col(Dossier.code).contains(text.strip().upper(), autoescape=True)


def _key(dossier: Dossier, wanted: Wanted) -> str | None:
    if wanted.search:
        return None  # a search that finds more than a page is to be made narrower
    at = dossier.due_at if wanted.view in _BY_DUE else dossier.updated_at
    return f"{at.isoformat()}{_SEPARATOR}{dossier.code}" if at else None


def _parsed(key: str) -> tuple[datetime, str] | None:
    at, separator, code = key.partition(_SEPARATOR)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return (moment, code[:48]) if separator and moment.tzinfo else None


def is_late(dossier: Dossier, now: datetime) -> bool:
    """Whether a dossier is still worked on after the date it was promised for."""
    return bool(dossier.due_at and dossier.due_at < now and dossier.status in OPEN)


def known(session: Session, codes: Collection[str]) -> dict[str, Dossier]:
    """The dossiers on file of these canonical codes."""
    return {one.code: one for one in session.exec(select(Dossier).where(col(Dossier.code).in_(codes)))}
