"""What was asked, how it ended and how long it took, summed up from turns.

Read from the index ``ix_turn_figures`` alone, in its order, so that a million turns take about a second
(``tests/bench_figures.py``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import case, func, select
from sqlmodel import Session, col

from bot.figures.period import Period
from bot.storage.sight import only_own
from bot.storage.tables import Handoff, Review, Turn

QUICK_MS, SLOW_MS = 1_000, 5_000  # answered at once; answered while one waits
NOBODYS = ""  # questions without a procedure


class Ending(StrEnum):
    """How a question ended, for the figures."""

    ANSWERED = "answered"
    ASKED_BACK = "asked_back"
    HANDED_OVER = "handed_over"
    UNKNOWN = "unknown"
    FAILED = "failed"
    TALK = "talk"  # greetings, thanks, subscriptions: no question


# Where nothing was understood, the bot asks back as well: what it then was about is not known.
_NOT_UNDERSTOOD = frozenset({"ask_procedure", "out_of_scope", "due_date", "place_lookup", "deny"})
_ENDINGS: Mapping[str, Ending] = {
    "answer": Ending.ANSWERED, "status": Ending.ANSWERED, "handoff": Ending.HANDED_OVER,
    "acknowledged": Ending.TALK, "out_of_scope": Ending.UNKNOWN, "failed": Ending.FAILED,
}  # fmt: skip
QUESTIONS = (Ending.ANSWERED, Ending.ASKED_BACK, Ending.HANDED_OVER, Ending.UNKNOWN, Ending.FAILED)


def ending(outcome: str, intent: str, procedure: str | None) -> Ending:
    """How a turn counts.

    Args:
        outcome: of the turn (contract).
        intent: of the turn.
        procedure: answered about or offered first, None for none.
    """
    if outcome == "clarify":
        return Ending.UNKNOWN if procedure is None and intent in _NOT_UNDERSTOOD else Ending.ASKED_BACK
    return _ENDINGS.get(outcome, Ending.TALK)


@dataclass
class Asked:
    """What was asked in a period.

    Attributes:
        by_ending: how many turns ended each way.
        by_day: day → ending → how many.
        by_procedure: procedure code (``NOBODYS`` for none) → ending → how many.
        by_channel: channel → how many questions.
        look_ups: dossiers looked up in a chat.
        timed: questions whose time to the answer is known.
        quick: of them, answered within ``QUICK_MS``.
        slow: of them, after more than ``SLOW_MS``.
        waited_ms: the sum of their times.
    """

    by_ending: Counter[Ending] = field(default_factory=Counter)
    by_day: dict[date, Counter[Ending]] = field(default_factory=lambda: defaultdict(Counter))
    by_procedure: dict[str, Counter[Ending]] = field(default_factory=lambda: defaultdict(Counter))
    by_channel: Counter[str] = field(default_factory=Counter)
    look_ups: int = 0
    timed: int = 0
    quick: int = 0
    slow: int = 0
    waited_ms: int = 0

    @property
    def questions(self) -> int:
        """All turns that asked something."""
        return sum(self.by_ending[one] for one in QUESTIONS)

    @property
    def mean_seconds(self) -> float | None:
        """The mean time to an answer; None where none was timed."""
        return self.waited_ms / self.timed / 1000 if self.timed else None

    def by_field(self, fields: Mapping[str, str]) -> dict[str, Counter[Ending]]:
        """Field → ending → how many; ``fields``: procedure code → field. What has none is ``NOBODYS``."""
        found: dict[str, Counter[Ending]] = defaultdict(Counter)
        for code, endings in self.by_procedure.items():
            found[fields.get(code, NOBODYS)].update(endings)
        return found


def asked(session: Session, period: Period) -> Asked:
    """Sums up the turns of a period."""
    keys = (Turn.day, Turn.procedure, Turn.outcome, Turn.intent, Turn.channel)
    waited: Any = col(Turn.waited_ms)
    query = (
        select(
            *keys, func.count(), func.count(waited), func.sum(waited),
            func.sum(case((waited <= QUICK_MS, 1), else_=0)), func.sum(case((waited > SLOW_MS, 1), else_=0)),
        )  # type: ignore[call-overload]
        .where(*only_own(session, col(Turn.office)), col(Turn.day).between(period.first, period.last))
        .group_by(*keys)
    )  # fmt: skip
    return _summed(session.execute(query))


def _summed(rows: Iterable[Any]) -> Asked:
    asked = Asked()
    for day, procedure, outcome, intent, channel, count, timed, waited, quick, slow in rows:
        end = ending(outcome, intent, procedure)
        asked.by_ending[end] += count
        asked.by_day[day][end] += count
        if end is Ending.TALK:
            continue
        asked.by_procedure[procedure or NOBODYS][end] += count
        asked.by_channel[channel or ""] += count
        asked.look_ups += count if outcome == "status" else 0
        asked.timed += timed
        asked.waited_ms += int(waited or 0)
        asked.quick += int(quick or 0)
        asked.slow += int(slow or 0)
    return asked


def asked_by_office(session: Session, period: Period) -> dict[str, Counter[Ending]]:
    """Of several offices: slug → how the turns of a period ended; those of no known office are left out."""
    keys = (Turn.office, Turn.procedure, Turn.outcome, Turn.intent)
    query = (
        select(*keys, func.count())  # type: ignore[call-overload]
        .where(col(Turn.office).is_not(None), col(Turn.day).between(period.first, period.last))
        .group_by(*keys)
    )
    found: dict[str, Counter[Ending]] = defaultdict(Counter)
    for office, procedure, outcome, intent, count in session.execute(query):
        found[office][ending(outcome, intent, procedure)] += count
    return found


@dataclass(frozen=True, slots=True)
class People:
    """What was handed to people in a period.

    Attributes:
        handed_over: wishes to speak to a person, calls from the kiosk counted in.
        called: of them, from the kiosk.
        complaints: complaints taken down.
        open: of all of them, not yet done.
        minutes: the median time until done, None where none is.
    """

    handed_over: int
    called: int
    complaints: int
    open: int
    minutes: float | None


def people(session: Session, period: Period) -> People:
    """Sums up what advisors were given to do in a period."""
    from bot.storage.tables import Conversation  # noqa: PLC0415

    rows = session.execute(
        select(Handoff.kind, Handoff.state, Handoff.created_at, Handoff.closed_at, Conversation.channel)  # type: ignore[call-overload]
        .join(Conversation, col(Conversation.id) == Handoff.conversation_id, isouter=True)
        .where(
            *only_own(session, col(Handoff.office)),
            col(Handoff.kind).in_(("handoff", "complaint")),
            col(Handoff.created_at) >= period.start,
            col(Handoff.created_at) < period.end,
        )
    ).all()
    took: list[timedelta] = sorted(row.closed_at - row.created_at for row in rows if row.closed_at)
    return People(
        handed_over=sum(row.kind == "handoff" for row in rows),
        called=sum(row.kind == "handoff" and row.channel == "kiosk" for row in rows),
        complaints=sum(row.kind == "complaint" for row in rows),
        open=sum(row.state != "done" for row in rows),
        minutes=took[len(took) // 2].total_seconds() / 60 if took else None,
    )


@dataclass(frozen=True, slots=True)
class Correctness:
    """First answers that staff looked at: how many, and how many were right."""

    reviewed: int
    right: int


def correctness(session: Session, period: Period) -> Correctness:
    """What the reviews of a period's answers say."""
    query = (
        select(col(Review.verdict), func.count())
        .join(Turn, col(Turn.id) == col(Review.turn_id))
        .where(*only_own(session, col(Turn.office)), col(Turn.day) >= period.first, col(Turn.day) <= period.last)
        .group_by(col(Review.verdict))
    )
    counts = {str(verdict): int(count) for verdict, count in session.execute(query)}
    return Correctness(counts.get("right", 0) + counts.get("wrong", 0), counts.get("right", 0))
