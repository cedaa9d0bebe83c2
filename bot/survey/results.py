"""What citizens said of the service in a period."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sqlmodel import Session, col, select

from bot.figures.period import Period
from bot.storage.tables import Dossier, Survey
from bot.survey.questions import EXTRA_PAYMENT, NEEDED, SATISFIED_FROM, SCORED


@dataclass
class Results:
    """The answers of a period.

    Attributes:
        asked: surveys opened in the period.
        answered: answers given in the period, whenever asked.
        scores: question → score (1–5) → how often.
        extra_payment: how many were asked to pay more than the fee.
        asked_of_payment: how many answered that question.
        by_channel: where they answered → how many.
        comments: what was written and a person let into reports, the newest first.
    """

    asked: int = 0
    answered: int = 0
    scores: dict[str, Counter[int]] = field(default_factory=lambda: {name: Counter() for name in SCORED})
    extra_payment: int = 0
    asked_of_payment: int = 0
    by_channel: Counter[str] = field(default_factory=Counter)
    comments: list[str] = field(default_factory=list)

    def mean(self, question: str) -> float | None:
        """The mean score of a question, None where nobody answered it."""
        counts = self.scores[question]
        return sum(score * times for score, times in counts.items()) / counts.total() if counts else None

    @property
    def satisfied(self) -> float | None:
        """The share that gave ``SATISFIED_FROM`` or more overall; None where nobody answered."""
        counts = self.scores[NEEDED]
        return sum(n for score, n in counts.items() if score >= SATISFIED_FROM) / counts.total() if counts else None


def results(session: Session, period: Period, *, demo: bool) -> Results:
    """Sums up the answers given in a period; ``demo``: whether demonstration dossiers count."""
    found = Results()
    of_demo = () if demo else select(Dossier.code).where(Dossier.demo == True)  # noqa: E712 - SQL
    others = () if demo else (col(Survey.dossier_code).notin_(of_demo),)
    opened = select(Survey.id).where(col(Survey.asked_at) >= period.start, col(Survey.asked_at) < period.end, *others)
    found.asked = len(session.exec(opened).all())
    answered = (
        select(Survey)
        .where(col(Survey.answered_at) >= period.start, col(Survey.answered_at) < period.end, *others)
        .order_by(col(Survey.id).desc())
    )
    for survey in session.exec(answered):
        found.answered += 1
        found.by_channel[survey.channel or ""] += 1
        for name in SCORED:
            if name in survey.answers:
                found.scores[name][int(survey.answers[name])] += 1
        if EXTRA_PAYMENT in survey.answers:
            found.asked_of_payment += 1
            found.extra_payment += bool(survey.answers[EXTRA_PAYMENT])
        if survey.comment and survey.comment_state == "seen":
            found.comments.append(survey.comment)
    return found
