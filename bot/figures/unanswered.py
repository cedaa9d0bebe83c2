"""Questions that got no answer, grouped by what they ask, so that the desk sees what to add.

Three kinds: not understood or out of scope; asked back without a choice being made afterwards; "không phải" to an
answer. Texts are kept only so long as talk is kept, so older months have fewer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rapidfuzz import fuzz, process
from sqlalchemy import and_, func, or_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from bot.figures.period import Period
from bot.figures.turns import Ending, ending
from bot.masking import mask
from bot.storage.sight import only_own
from bot.storage.tables import Turn
from nlu.features import ASKING
from nlu.normalize import prepare

MOST_READ = 3000  # the newest
ALIKE = 82  # of 100, by the words they share: measured on the questions of tests/nlu/dev.yml
LONGEST = 300  # characters of an example


@dataclass(frozen=True, slots=True)
class Question:
    """A question without an answer."""

    text: str
    at: datetime
    kind: str  # unknown | no_choice | denied
    near: str | None = None  # the procedure code that came nearest


@dataclass(frozen=True, slots=True)
class Group:
    """Questions that ask the same.

    Attributes:
        example: the newest of them, numbers hidden.
        count: how many.
        last_at: when the newest was asked.
        kinds: why they got no answer, the most frequent first.
        near: the procedure code that came nearest most often, None for none.
        others: up to three more ways in which it was asked, numbers hidden.
    """

    example: str
    count: int
    last_at: datetime
    kinds: tuple[str, ...]
    near: str | None
    others: tuple[str, ...] = ()


def unanswered(session: Session, period: Period) -> list[Question]:
    """The questions of a period without an answer, the newest first, at most ``MOST_READ``."""
    later = aliased(Turn)
    following = (
        select(func.min(later.id))
        .where(later.conversation_id == Turn.conversation_id, col(later.id) > Turn.id)
        .correlate(Turn)
        .scalar_subquery()
    )
    after = aliased(Turn)
    query = (
        select(Turn.text, Turn.at, Turn.intent, Turn.outcome, Turn.procedure, Turn.understanding, after.understanding)  # type: ignore[call-overload]
        .join(after, after.id == following, isouter=True)
        .where(
            *only_own(session, col(Turn.office)),
            col(Turn.day).between(period.first, period.last),
            col(Turn.text) != "",
            or_(
                col(Turn.outcome).in_(("out_of_scope", "clarify")),
                and_(col(Turn.outcome) == "answer", col(after.intent) == "deny"),
            ),
        )
        .order_by(col(Turn.id).desc())
        .limit(MOST_READ)
    )
    found = (_question(*row) for row in session.execute(query).all())
    return [question for question in found if question is not None]


def _question(
    text: str, at: datetime, intent: str, outcome: str, procedure: str | None, understood: Any, then: Any
) -> Question | None:
    near = procedure or next((str(code) for code, *_ in (understood or {}).get("candidates") or ()), None)
    if outcome == "answer":
        return Question(text, at, "denied", near)
    if ending(outcome, intent, procedure) is Ending.UNKNOWN:
        return None if intent == "deny" else Question(text, at, "unknown", near)
    if outcome == "clarify" and procedure and intent in {"ask_procedure", "due_date"}:
        chosen = (then or {}).get("how") == "choice"
        return None if chosen else Question(text, at, "no_choice", near)
    return None


def grouped(questions: Iterable[Question]) -> list[Group]:
    """Groups questions by the words they share, the largest group first. Pure.

    Args:
        questions: the newest first.
    """
    alike: dict[str, list[Question]] = {}
    for question in questions:
        key = _key(question.text)
        if key:
            alike.setdefault(key, []).append(question)
    # The most frequent wordings are what others are held against.
    groups: dict[str, list[Question]] = {}
    for key in sorted(alike, key=lambda key: -len(alike[key])):
        near = process.extractOne(key, groups.keys(), scorer=fuzz.token_sort_ratio, score_cutoff=ALIKE)
        groups.setdefault(near[0] if near else key, []).extend(alike[key])
    found = [_group(sorted(members, key=lambda q: q.at, reverse=True)) for members in groups.values()]
    return sorted(found, key=lambda group: (group.count, group.last_at), reverse=True)


def _key(text: str) -> str:
    words = prepare(mask(text).text).words
    content = [word for word in words if word not in ASKING] or list(words)
    return " ".join(sorted(dict.fromkeys(content)))[:LONGEST]


def _group(members: Sequence[Question]) -> Group:
    said = list(dict.fromkeys(_shown(question.text) for question in members))
    kinds = [question.kind for question in members]
    nears = [question.near for question in members if question.near]
    return Group(
        example=said[0],
        count=len(members),
        last_at=members[0].at,
        kinds=tuple(sorted(dict.fromkeys(kinds), key=lambda kind: -kinds.count(kind))),
        near=max(dict.fromkeys(nears), key=nears.count) if nears else None,
        others=tuple(said[1:4]),
    )


def _shown(text: str) -> str:
    text = mask(" ".join(text.split())).text
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"
