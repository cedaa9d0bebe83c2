"""What the desk sees of the notices: the queue, the list, failures by reason, what was spent."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, literal, literal_column, tuple_
from sqlmodel import Session, col, func, select

from bot.clock import local
from bot.notices.policy import KIND, VALID_FOR
from bot.storage.sight import sight_of
from bot.storage.tables import Outbox, Spend, UtcDateTime
from bot.texts import phrases

PAGE = 50
RECENT = timedelta(days=7)  # so far back the figures of what is settled go
STATES = ("waiting", "sending", "uncertain", "sent", "delivered", "failed", "expired", "cancelled")
OPEN_STATES = ("waiting", "sending", "uncertain")
_SEPARATOR = "~"
# In so many words, so that a database sees that its index of notices alone holds all that is asked for.
_IS_NOTICE: ColumnElement[bool] = literal_column("outbox.kind = 'notice'").self_group()
_CODE = re.compile(r"\s*\(mã -?\d+.*\)$", re.DOTALL)
_EXCEPTION = re.compile(r"[A-Z]\w*(?:Error|Exception|Timeout|Disconnected)")
_REPORT = re.compile(r"(?:undelivered|failed|canceled): (?:SendStatus )?(-?\d{1,9})")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters of the list: a state and a channel, "" for all."""

    state: str = ""
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of notices, the newest first; ``following`` is the key of the next one, None on the last."""

    notices: tuple[Outbox, ...]
    following: str | None


@dataclass(slots=True)
class Queue:
    """One channel: how many notices are in each state (of settled ones, the last days'), how long the oldest waits.

    Attributes:
        channel: its name.
        states: state → how many.
        oldest: since when the oldest is due that still waits; None where none is due.
    """

    channel: str
    states: dict[str, int] = field(default_factory=dict)
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A reason in plain words, how many notices failed for it, and when the last one was put out."""

    reason: str
    count: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Sum:
    """What went out in a time: messages, SMS billed, đồng."""

    messages: int
    segments: int
    dong: float


def page(session: Session, wanted: Wanted, after: str = "", limit: int = PAGE) -> Page:
    """A page of notices. ``after``: the key of the page before; one that can't be read gives the first page."""
    found = session.exec(query(wanted, after, limit + 1)).all()
    shown = tuple(found[:limit])
    following = f"{shown[-1].created_at.isoformat()}{_SEPARATOR}{shown[-1].id}" if len(found) > limit else None
    return Page(shown, following)


def query(wanted: Wanted, after: str, limit: int) -> Any:
    """The statement of ``page``; for it and for the test that looks at how a database runs it."""
    at, number = col(Outbox.created_at), col(Outbox.id)
    statement = select(Outbox).where(_IS_NOTICE).order_by(at.desc(), number.desc()).limit(limit)
    if wanted.state:
        statement = statement.where(Outbox.state == wanted.state)
    if wanted.channel:
        statement = statement.where(Outbox.channel == wanted.channel)
    moment, _, last = after.partition(_SEPARATOR)
    try:
        key = datetime.fromisoformat(moment), int(last[:18])
    except ValueError:
        return statement
    if key[0].tzinfo is None:
        return statement
    return statement.where(tuple_(at, number) < tuple_(literal(key[0], UtcDateTime()), literal(key[1])))


def of_dossier(session: Session, code: str, limit: int = 50) -> list[Outbox]:
    """The notices about a dossier, the newest first."""
    query = select(Outbox).where(Outbox.dossier_code == code, Outbox.kind == KIND)
    return list(session.exec(query.order_by(col(Outbox.id).desc()).limit(limit)))


def uncertain(session: Session, limit: int = 50) -> list[Outbox]:
    """The notices of which nobody knows whether they went out, the oldest first; a person decides."""
    query = select(Outbox).where(_IS_NOTICE, Outbox.state == "uncertain")
    return list(session.exec(query.order_by(col(Outbox.created_at), col(Outbox.id)).limit(limit)))


def queues(session: Session, now: datetime) -> list[Queue]:
    """The channels that have notices, by name."""
    found: dict[str, Queue] = {}
    for states, since in ((OPEN_STATES, None), (STATES[3:], now - RECENT)):
        counted = (
            select(Outbox.channel, Outbox.state, func.count())
            .where(_IS_NOTICE, col(Outbox.state).in_(states))
            .group_by(col(Outbox.channel), col(Outbox.state))
        )
        if since is not None:
            counted = counted.where(col(Outbox.created_at) > since)
        for channel, state, many in session.exec(counted):
            found.setdefault(channel, Queue(channel)).states[state] = many
    due = (
        select(Outbox.channel, func.min(Outbox.not_before))
        .where(Outbox.kind == KIND, Outbox.state == "waiting", col(Outbox.not_before) <= now)
        .group_by(col(Outbox.channel))
    )
    for channel, oldest in session.exec(due):
        found.setdefault(channel, Queue(channel)).oldest = oldest
    return sorted(found.values(), key=lambda one: one.channel)


def failures(session: Session, now: datetime) -> list[Failure]:
    """Why notices of the last days failed, the most frequent reason first."""
    counted = (
        select(Outbox.error, func.count(), func.max(Outbox.created_at))
        .where(_IS_NOTICE, Outbox.state == "failed", col(Outbox.created_at) > now - RECENT)
        .group_by(col(Outbox.error))
    )
    by_reason: defaultdict[str, list[tuple[int, datetime]]] = defaultdict(list)
    for error, many, last in session.exec(counted):
        by_reason[reason(error or "")].append((many, last))
    found = [
        Failure(told, sum(many for many, _ in each), max(last for _, last in each)) for told, each in by_reason.items()
    ]
    return sorted(found, key=lambda one: (-one.count, one.reason))


def reason(error: str) -> str:
    """An error as it is stored → what staff read: no codes, no words of the provider."""
    said = phrases("desk")["reasons"]
    report = _REPORT.fullmatch(error)
    if report is not None:
        from bot.notices.gateways.twilio import CODES as TWILIO_CODES  # noqa: PLC0415 - megabytes, for failures alone

        meaning = TWILIO_CODES.get(int(report[1]))
        return meaning.told if meaning else str(said["undelivered"])
    plain = _CODE.sub("", error.strip()).strip()
    if _EXCEPTION.fullmatch(plain):
        return str(said["broken"])
    return plain or str(said["unknown"])


def spent(session: Session, now: datetime, *, month: bool) -> dict[str, Sum]:
    """What went out today, or this month, by channel (Vietnam time)."""
    today = local(now).date()
    first = today.replace(day=1) if month else today
    summed: Any = (
        select(Spend.channel, func.sum(Spend.messages), func.sum(Spend.segments), func.sum(Spend.dong))
        .where(col(Spend.day) >= first, col(Spend.day) <= today)
        .group_by(col(Spend.channel))
    )
    if sight_of(session) is not None:
        # The days' sums are those of all offices: one's own notices are summed up.
        since = local(now).replace(day=first.day, hour=0, minute=0, second=0, microsecond=0) - VALID_FOR
        sums = func.coalesce(func.sum(Outbox.segments), 0), func.coalesce(func.sum(Outbox.cost), 0)
        summed = (
            select(Outbox.channel, func.count(), *sums)
            .where(_IS_NOTICE, col(Outbox.created_at) >= since, col(Outbox.spent_on) >= first)
            .group_by(col(Outbox.channel))
        )
    return {
        channel: Sum(int(messages), int(segments), float(dong))
        for channel, messages, segments, dong in session.exec(summed)
    }
