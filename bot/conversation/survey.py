"""The survey in the chat: a score from 1 to 5 for a dossier whose result was returned, then a few words. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Protocol

from bot.conversation import wording
from bot.conversation.model import Button, Memory, Outcome, Reply, Turn
from nlu.codes import find_codes
from nlu.normalize import prepare

_T = wording.T["survey"]
_RATE = re.compile(r"danh gia (?P<score>[1-5])\b")
_MORE = re.compile(r"(?:toi |minh |em |muon |cho )*ghi them (?:y kien|gop y)(?: a| nhe| nha)*")
_NO = re.compile(r"(?:khong|thoi|bo qua|huy|khoi|dung)(?: khong| can| co| nua| dau| roi| gi| ghi| a| nha| nhe)*")
SCORES = range(1, 6)


class Surveys(Protocol):
    """What the shell knows of this citizen's surveys."""

    def survey(self) -> str | None:
        """The dossier code of the survey last asked here and not answered; None for none."""
        ...

    def rate(self, code: str, score: int) -> str:
        """Stores a score (1–5): "stored", "answered" (before), or "closed"."""
        ...

    def comment(self, code: str, text: str) -> bool:
        """Adds words to the score; False where that can't be."""
        ...


def buttons(code: str) -> tuple[Button, ...]:
    """The scores to tap below the question."""
    return tuple(Button(str(_T["scores"][n]), _T["value"].format(score=n, code=code)) for n in reversed(SCORES))


def step(text: str, memory: Memory, surveys: Surveys) -> Turn | None:
    """The turn for a score or for the words after it; None where the message is about something else."""
    folded = prepare(text).folded
    if memory.pending == "survey_comment" and memory.survey:
        return _commented(text, folded, memory, surveys)
    if memory.survey and _MORE.fullmatch(folded):
        skip = Button(_T["skip"], _T["skip_value"])
        return _turn(Outcome.CLARIFY, Reply(_T["write"], (skip,)), replace(memory, pending="survey_comment"))
    rated = _RATE.match(folded)
    codes = find_codes(text) if rated else ()
    if rated and codes:
        return _rated(codes[0].code, int(rated["score"]), memory, surveys)
    score = wording.number_of(text)
    if score is not None and score in SCORES and memory.pending is None and (code := surveys.survey()) is not None:
        return _rated(code, score, memory, surveys)
    return None


def _rated(code: str, score: int, memory: Memory, surveys: Surveys) -> Turn:
    settled = replace(memory, pending=None, misses=0)
    match surveys.rate(code, score):
        case "stored":
            more = Button(_T["more"], _T["more_value"])
            said = Reply(_T["thanks"].format(code=code, score=_T["scores"][score]), (more,))
            return _turn(Outcome.ACKNOWLEDGED, said, replace(settled, survey=code), code)
        case "answered":
            return _turn(Outcome.ACKNOWLEDGED, Reply(_T["answered"].format(code=code)), settled, code)
    return _turn(Outcome.ACKNOWLEDGED, Reply(_T["closed"].format(code=code)), settled, code)


def _commented(text: str, folded: str, memory: Memory, surveys: Surveys) -> Turn | None:
    settled = replace(memory, pending=None, survey=None)
    if _NO.fullmatch(folded):
        return _turn(Outcome.ACKNOWLEDGED, Reply(_T["skipped"]), settled)
    if not text.strip() or find_codes(text):
        return None  # a dossier is asked about: the words can still come later
    stored = surveys.comment(memory.survey or "", text)
    return _turn(Outcome.ACKNOWLEDGED, Reply(_T["commented" if stored else "answered_words"]), settled)


def _turn(outcome: Outcome, reply: Reply, memory: Memory, code: str = "") -> Turn:
    codes = (code,) if code else ()
    return Turn("rating", (), (), codes, outcome, (reply,), memory, confidence=1.0, evidence={"how": "survey"})
