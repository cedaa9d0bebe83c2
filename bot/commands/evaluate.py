"""``motcua evaluate``: accuracy on labelled questions and dialogues, by kind, with 95 % intervals."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.application import open_desk, open_engine, open_talk
from bot.clock import utc_now
from bot.conversation.model import Memory, Outcome
from bot.conversation.talk import Talk
from bot.dossiers.offline import OfflineDossiers
from bot.evaluation import measures
from bot.evaluation.measures import LESS_IS_BETTER, Scored
from bot.evaluation.questions import Dialogue, Question, load
from bot.settings import Engine, load_settings
from nlu.normalize import fold
from nlu.port import NluEngine, Understanding


def configure(_name: str, parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("file", type=Path, metavar="FILE.jsonl|.yml")
    parser.add_argument("--engine", choices=[engine.value for engine in Engine])
    parser.add_argument("--catalog", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worst", type=int, default=20, metavar="N", help="in N câu sai (bộ set_aside: không in)")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="vẽ tỷ lệ trả lời ngay và tỷ lệ sai")
    parser.set_defaults(run=_evaluate)


@dataclass
class Report:
    """What a run found."""

    marks: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    by_kind: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    scored: list[Scored] = field(default_factory=list)
    intents: list[tuple[str, str]] = field(default_factory=list)
    codes: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def _ask(questions: Sequence[Question], engine: NluEngine, talk: Talk, report: Report) -> None:
    current = talk.desk(utc_now()).catalog.current
    for question in questions:
        found = engine.parse(question.text)
        marks = measures.judge(question, found, current)
        for name, mark in marks.items():
            report.marks[name].append(mark)
        right = measures.right(marks)
        report.by_kind[question.kind or "–"].append(right)
        report.intents.append((question.intent, found.intent))
        if "first" in marks:
            stripped = engine.parse(fold(question.text))
            wanted = {current(code) for code in question.procedures}
            first = stripped.candidates[0].code if stripped.candidates else ""
            report.marks["first_without_diacritics"].append(current(first) in wanted)
            report.marks["intent_without_diacritics"].append(stripped.intent == question.intent)
            if found.candidates:
                report.scored.append(Scored(found.candidates[0].score, marks["first"]))
                if not marks["first"]:
                    report.codes.append((question.procedures[0], found.candidates[0].code))
        if not right:
            report.wrong.append(_shown(question, found))


def _shown(question: Question, found: Understanding) -> str:
    offered = [f"{candidate.code} {candidate.score:.2f}" for candidate in found.candidates[:3]]
    return (
        f"{question.id} [{question.kind}] {question.text!r}\n   cần  {question.intent} {list(question.aspects)} "
        f"{list(question.procedures)}\n   được {found.intent} {list(found.aspects)} {list(found.procedures)} {offered}"
    )


def _converse(dialogues: Sequence[Dialogue], talk: Talk, report: Report) -> None:
    for dialogue in dialogues:
        memory = Memory()
        offered: tuple[str, ...] = ()
        for number, said in enumerate(dialogue.turns, 1):
            now = said.at or dialogue.now
            turn = talk.turn(said.say, memory, now, OfflineDossiers(lambda _code: None, talk.desk(now)))
            current = talk.desk(now).catalog.current
            right = measures.judge_turn(said, turn, offered, current)
            report.marks["turn"].append(right)
            if said.intent is not None:
                report.marks["turn_intent"].append(turn.intent == said.intent)
            if said.aspects is not None and turn.outcome is Outcome.ANSWER and said.intent == "ask_procedure":
                report.marks["turn_aspects"].append(set(turn.aspects) == set(said.aspects))
            report.by_kind[dialogue.kind or "–"].append(right)
            if not right:
                wanted = said.pick or list(said.procedures)
                report.wrong.append(
                    f"{dialogue.id}.{number} [{dialogue.kind}] {said.say!r}\n   cần  {list(said.outcomes)} {wanted}\n"
                    f"   được {turn.outcome.value} {turn.intent} {list(turn.procedures)}"
                )
            memory = turn.memory
            offered = turn.procedures


def _evaluate(args: argparse.Namespace) -> int:
    questions, dialogues = load(args.file)
    settings = load_settings()
    desk = open_desk(settings, args.catalog)
    engine = open_engine(settings, desk, Engine(args.engine) if args.engine else None)
    talk = open_talk(settings, desk, engine)
    report = Report()
    _ask(questions, engine, talk, report)
    _converse(dialogues, talk, report)
    if args.plot and report.scored:
        args.plot.write_text(measures.plot(measures.coverage(report.scored)), "utf-8")
    if args.json:
        told = {
            "questions": len(questions),
            "dialogues": len(dialogues),
            "measures": _table(report.marks),
            "right_by_kind": _table(report.by_kind),
            "reliability": measures.reliability(report.scored),
        }
        print(json.dumps(told, ensure_ascii=False))
        return 0
    _print(report, worst=0 if "set_aside" in args.file.name else args.worst, secret="set_aside" in args.file.name)
    return 0


def _print(report: Report, *, worst: int, secret: bool) -> None:
    for title, rows in (("measures", report.marks), ("right_by_kind", report.by_kind)):
        print(title)
        for name, row in _table(rows).items():
            low, high = row["interval"]
            less = "  (ít là tốt)" if name in LESS_IS_BETTER else ""
            print(f"  {name:<26} {row['share']:6.1%}  ({row['right']}/{row['total']}; {low:.1%}–{high:.1%}){less}")
    if report.scored:
        print("reliability (độ chắc → tỷ lệ đúng)")
        for start, end, count, mean, share in measures.reliability(report.scored):
            print(f"  {start:.1f}–{end:.1f}  {count:4}  {mean:.2f} → {share:.2f}")
    if not secret:
        for title, pairs in (("confusion of intents", report.intents), ("confusion of procedures", report.codes)):
            print(title)
            for right, taken, times in measures.confusion(pairs):
                print(f"  {right} → {taken}: {times}")
    for line in report.wrong[:worst]:
        print(line)


def _table(marks: Mapping[str, Sequence[bool]]) -> dict[str, Any]:
    table = {}
    for name, row in sorted(marks.items()):
        right, total = sum(row), len(row)
        table[name] = {
            "right": right, "total": total, "share": right / total, "interval": measures.interval(right, total)
        }  # fmt: skip
    return table
