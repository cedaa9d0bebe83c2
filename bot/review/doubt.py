"""How much a turn wants to be looked at by an advisor, worked out when it is stored.

Four things tell that an answer was not right: the engine was not sure, the citizen said "không phải", rated badly, or
asked the same again. The last three are known only with the next message, so they mark the turn before.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, select

from bot.storage.tables import Turn
from nlu.normalize import prepare

NOTHING_LEFT = -1  # no words (any more): nothing to look at
UNSURE_MOST = 40  # points of an answer with no certainty at all
MISSED, FAILED, DENIED, RATED, REPEATED = 20, 60, 50, 50, 40
UNSURE_FROM = 4  # points from which on "unsure" is said to be a reason
LATER = timedelta(minutes=30)  # a later message is no longer about that answer
BACK = 3  # turns looked back at for the same question
ALIKE = 0.8  # share of words that two questions have in common to be the same
_ASKED = frozenset({"ask_procedure", "due_date"})
_CORRECTING = frozenset({"correction", "rejection"})
_BAD = re.compile(
    r"\b(?:khong|chua|chang) (?:duoc )?(?:hai long|tot|giup|huu ich|nhanh|nhiet tinh|ro rang)\b"
    r"|\b(?:te|chan|kem|that vong|buc minh|vo dung|vo ich|tham hai|lau qua|cham qua|qua lau|qua cham|lau lac)\b"
    r"|\b(?:[0-2]|mot|hai) (?:sao|diem)\b"
)
_BAD_STARS = re.compile(r"\s*[12]\s*(?:\*|⭐|★|/\s*5|/\s*10)\s*")


def is_bad_rating(text: str) -> bool:
    """Whether a rating says that the citizen is not satisfied."""
    return _BAD_STARS.fullmatch(text) is not None or _BAD.search(prepare(text).folded) is not None


def is_same_question(one: str, other: str) -> bool:
    """Whether two messages ask the same in nearly the same words; a lone number is an answer, not a question."""
    first, second = set(prepare(one).words), set(prepare(other).words)
    if not any(word.isalpha() for word in first):
        return False
    return len(first & second) >= ALIKE * len(first | second)


def certainty(turn: Mapping[str, Any], intent: str, outcome: str) -> float | None:
    """How sure the whole answer was, 0–1; None where nothing had to be guessed.

    Args:
        turn: the understanding as stored.
        intent: as resolved.
        outcome: of the turn.
    """
    how = turn.get("how")
    if how is None:
        return None
    sure = float(turn.get("confidence", 0.0))
    candidates = turn.get("candidates") or []
    if how == "alone" and intent in _ASKED:
        sure = min(sure, float(candidates[0][1]) if candidates else 0.0)
    return max(0.0, min(1.0, sure if outcome != "failed" else 0.0))


def of_turn(sure: float | None, outcome: str, effects: Collection[str]) -> dict[str, int]:
    """Reason → points of a turn by itself."""
    found = {}
    unsure = 0 if sure is None else round((1.0 - sure) * UNSURE_MOST)
    if unsure:
        found["unsure"] = unsure
    if "miss" in effects:
        found["missed"] = MISSED
    if outcome == "failed":
        found["failed"] = FAILED
    return found


def of_next(earlier: Turn, later: Turn, *, directly: bool) -> dict[str, int]:
    """Reason → points that a later message gives an earlier turn.

    Args:
        earlier: a turn of the same conversation, not long before.
        later: the turn that is being stored.
        directly: no turn lies between the two.
    """
    found = {}
    how = later.understanding.get("how")
    if directly and earlier.outcome in {"answer", "clarify", "status"}:
        if later.intent == "deny" or how in _CORRECTING:
            found["denied"] = DENIED
        if later.intent == "rating" and is_bad_rating(later.text):
            found["rated"] = RATED
    if earlier.outcome != "acknowledged" and is_same_question(earlier.text, later.text):
        found["repeated"] = REPEATED
    return found


def note(session: Session, turn: Turn, effects: Collection[str]) -> None:
    """Fills a new turn's figures for the queue, and marks the turns before that it speaks against."""
    told = turn.understanding
    turn.engine = str(told["engine"])[:20] if told.get("engine") else None
    procedures = told.get("procedures") or ()
    turn.procedure = str(procedures[0])[:12] if procedures else None
    turn.confidence = certainty(told, turn.intent, turn.outcome)
    if not turn.text:
        turn.doubt = NOTHING_LEFT
        return
    _add(turn, of_turn(turn.confidence, turn.outcome, effects))
    before = session.exec(
        select(Turn)
        .where(Turn.conversation_id == turn.conversation_id)
        .order_by(col(Turn.conversation_id).desc(), col(Turn.id).desc())
        .limit(BACK)
    ).all()
    for number, earlier in enumerate(before):
        if earlier.text and turn.at - earlier.at <= LATER:
            _add(earlier, of_next(earlier, turn, directly=number == 0))
            session.add(earlier)


def _add(turn: Turn, found: Mapping[str, int]) -> None:
    known = turn.doubt_why.split(",") if turn.doubt_why else []
    fresh = {reason: points for reason, points in found.items() if reason not in known}
    turn.doubt = max(turn.doubt or 0, 0) + sum(fresh.values())
    told = [reason for reason, points in fresh.items() if reason != "unsure" or points >= UNSURE_FROM]
    turn.doubt_why = ",".join([*known, *told])[:80]
