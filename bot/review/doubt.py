"""How much a turn wants to be looked at by an advisor, worked out when it is stored.

Four things tell that an answer was not right: the engine was not sure, the citizen said "không phải", rated badly, or
asked the same again. The last three are known only with the next message, so they mark the turn before.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

from sqlalchemy import Row, bindparam, update
from sqlmodel import Session

from bot.storage.tables import METADATA
from nlu.normalize import prepare

NOTHING_LEFT = -1  # no words (any more): nothing to look at
UNSURE_MOST = 40  # points of an answer with no certainty at all
MISSED, FAILED, DENIED, RATED, REPEATED = 20, 60, 50, 50, 40
UNSURE_FROM = 4  # points from which on "unsure" is said to be a reason
LATER = timedelta(minutes=30)  # a later message is no longer about that answer
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


class Earlier(Protocol):
    """What is looked at of an earlier turn."""

    text: str
    outcome: str


def of_next(earlier: Earlier, later: Mapping[str, Any], *, directly: bool) -> dict[str, int]:
    """Reason → points that a later message gives an earlier turn.

    Args:
        earlier: a turn of the same conversation, not long before.
        later: the values of the turn that is being stored.
        directly: no turn lies between the two.
    """
    found = {}
    how = later["understanding"].get("how")
    if directly and earlier.outcome in {"answer", "clarify", "status"}:
        if later["intent"] == "deny" or how in _CORRECTING:
            found["denied"] = DENIED
        if later["intent"] == "rating" and is_bad_rating(later["text"]):
            found["rated"] = RATED
    if earlier.outcome != "acknowledged" and is_same_question(earlier.text, later["text"]):
        found["repeated"] = REPEATED
    return found


_TURN = METADATA.tables["turn"]
_MARK = (
    update(_TURN)
    .where(_TURN.c.id == bindparam("turn_id"))
    .values(doubt=bindparam("more"), doubt_why=bindparam("because"))
)


def note(session: Session, turn: dict[str, Any], effects: Collection[str], before: Sequence[Row[Any]]) -> None:
    """Adds a new turn's figures for the queue, and marks the turns before that it speaks against.

    Args:
        session: the transaction.
        turn: the values of its row, not stored yet.
        effects: of the turn.
        before: the last turns of its conversation, latest first (``bot.storage.turns``).
    """
    told = turn["understanding"]
    procedures = told.get("procedures") or ()
    sure = certainty(told, turn["intent"], turn["outcome"])
    turn["engine"] = str(told["engine"])[:20] if told.get("engine") else None
    turn["procedure"] = str(procedures[0])[:12] if procedures else None
    turn["confidence"] = sure
    if not turn["text"]:
        turn["doubt"], turn["doubt_why"] = NOTHING_LEFT, ""
        return
    turn["doubt"], turn["doubt_why"] = _more(0, "", of_turn(sure, turn["outcome"], effects))
    for number, earlier in enumerate(before):
        if not earlier.text or turn["at"] - earlier.at > LATER:
            continue
        found = of_next(earlier, turn, directly=number == 0)
        if found:
            more, because = _more(earlier.doubt, earlier.doubt_why, found)
            session.connection().execute(_MARK, {"turn_id": earlier.id, "more": more, "because": because})


def _more(doubt: int, why: str, found: Mapping[str, int]) -> tuple[int, str]:
    """Points and reasons of a turn with those found added, each reason once."""
    known = why.split(",") if why else []
    fresh = {reason: points for reason, points in found.items() if reason not in known}
    told = [reason for reason, points in fresh.items() if reason != "unsure" or points >= UNSURE_FROM]
    return max(doubt, 0) + sum(fresh.values()), ",".join([*known, *told])[:80]
