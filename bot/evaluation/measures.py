"""What is right: marks a question or turn gets, shares with 95 % intervals, calibration, coverage against error."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.conversation.model import Turn
from bot.evaluation.questions import Question, Said
from nlu.port import Understanding

ANSWERABLE = frozenset({"ask_procedure", "due_date"})
Current = Callable[[str], str]  # a procedure code → the code in force


def interval(right: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if total == 0:
        return 0.0, 1.0
    share, z = right / total, 1.96
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    spread = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, middle - spread), min(1.0, middle + spread)


def judge(question: Question, found: Understanding, current: Current) -> dict[str, bool]:
    """Which measures a question counts for, and the mark in each."""
    marks = {"intent": found.intent == question.intent}
    if question.intent == "ask_procedure" and question.aspects and question.kind != "ambiguous":
        marks["aspects"] = set(found.aspects) == set(question.aspects)
    if question.dossier_codes is not None or found.dossier_codes:
        marks["dossier_codes"] = set(found.dossier_codes) == set(question.dossier_codes or ())
    if question.intent == "out_of_scope":
        marks["out_of_scope_caught"] = found.intent == "out_of_scope"
    else:
        marks["in_scope_refused"] = found.intent == "out_of_scope"
    if question.intent in ANSWERABLE and question.procedures:
        wanted = {current(code) for code in question.procedures}
        offered = [current(candidate.code) for candidate in found.candidates]
        answered = {current(code) for code in found.procedures}
        if question.kind == "ambiguous":
            marks["ambiguous_asked_back"] = not answered and bool(wanted & set(offered[:4]))
        elif question.kind == "multi":
            marks["multi_all_answered"] = answered == wanted
            marks["multi_answered_wrongly"] = bool(answered - wanted)
        else:
            marks["first"] = bool(offered) and offered[0] in wanted
            marks["among_three"] = bool(wanted & set(offered[:3]))
            marks["answered_right"] = bool(answered) and answered <= wanted
            marks["answered_wrongly"] = bool(answered - wanted)
            marks["asked_back"] = not answered and found.intent in ANSWERABLE
    return marks


LESS_IS_BETTER = frozenset({"answered_wrongly", "asked_back", "in_scope_refused", "multi_answered_wrongly"})
BESIDE = frozenset({"answered_right", "among_three"})  # said by other marks already


def right(marks: Mapping[str, bool]) -> bool:
    """Whether a question was understood in every respect (asking back where it was clear is a fault too)."""
    return all(mark != (name in LESS_IS_BETTER) for name, mark in marks.items() if name not in BESIDE)


def judge_turn(said: Said, turn: Turn, offered_before: Sequence[str], current: Current) -> bool:
    """Whether a dialogue's turn had a right outcome and, where one is named, the right procedures."""
    if turn.outcome.value not in said.outcomes:
        return False
    told = {current(code) for code in turn.procedures}
    wanted = {current(code) for code in said.procedures}
    if said.pick is not None:
        if len(offered_before) < said.pick:
            return False
        wanted = {current(offered_before[said.pick - 1])}
    if said.dossier_codes is not None and set(turn.dossier_codes) != set(said.dossier_codes):
        return False
    if not wanted or turn.outcome.value not in {"answer", "clarify"}:
        return True
    if turn.outcome.value == "clarify":
        return bool(told & wanted)
    return told == wanted if said.all else bool(told) and told <= wanted


@dataclass(frozen=True, slots=True)
class Scored:
    """One question with one right answer: how sure the engine was of its first candidate, and whether rightly."""

    score: float
    right: bool


def reliability(scored: Iterable[Scored], steps: int = 10) -> list[tuple[float, float, int, float, float]]:
    """For each step of certainty: from, to, how many, mean certainty, share that was right."""
    bins: list[list[Scored]] = [[] for _ in range(steps)]
    for one in scored:
        bins[min(int(one.score * steps), steps - 1)].append(one)
    return [
        (i / steps, (i + 1) / steps, len(b), sum(s.score for s in b) / len(b), sum(s.right for s in b) / len(b))
        for i, b in enumerate(bins)
        if b
    ]


def coverage(scored: Sequence[Scored]) -> list[tuple[float, float]]:
    """(share answered, share of those answered wrongly) for every threshold, strictest first."""
    points, wrong = [], 0
    for number, one in enumerate(sorted(scored, key=lambda s: -s.score), 1):
        wrong += not one.right
        points.append((number / len(scored), wrong / number))
    return points


def plot(points: Sequence[tuple[float, float]]) -> str:
    """Coverage against error as an SVG picture."""
    width, height, left, low = 560, 340, 56, 300
    top = max([0.1, *(error for _, error in points)])

    def x(share: float) -> float:
        return left + share * (width - left - 20)

    def y(error: float) -> float:
        return low - error / top * (low - 20)

    line = " ".join(f"{x(share):.1f},{y(error):.1f}" for share, error in points)
    ticks = [f'<text x="{x(i / 5):.0f}" y="{low + 18}" text-anchor="middle">{i * 20} %</text>' for i in range(6)]
    ticks += [f'<text x="{left - 6}" y="{y(top * i / 4) + 4:.0f}" text-anchor="end">{top * i / 4:.1%}</text>'
              for i in range(5)]  # fmt: skip
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
        f'<path d="M{left} 20V{low}H{width - 20}" fill="none" stroke="#444"/>{"".join(ticks)}'
        f'<polyline points="{line}" fill="none" stroke="#0b5" stroke-width="2"/>'
        f'<text x="{width / 2}" y="{height - 6}" text-anchor="middle">tỷ lệ trả lời ngay</text>'
        f'<text x="{left + 8}" y="16">tỷ lệ sai trong số đã trả lời</text></svg>\n'
    )


def confusion(pairs: Iterable[tuple[str, str]], most: int = 12) -> list[tuple[str, str, int]]:
    """What was taken for what most often: (right, taken for, times)."""
    counted = Counter((right, taken) for right, taken in pairs if right != taken)
    return [(right, taken, times) for (right, taken), times in counted.most_common(most)]


__all__ = [
    "BESIDE", "LESS_IS_BETTER", "Scored", "confusion", "coverage", "interval", "judge", "judge_turn",
    "plot", "reliability", "right",
]  # fmt: skip
