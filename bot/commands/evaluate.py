"""``motcua evaluate``: accuracy on labelled questions, by kind, with 95 % intervals."""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bot.application import open_desk, open_engine
from bot.errors import BadInputError
from bot.settings import Engine, load_settings
from nlu.port import ASPECTS, INTENTS, Understanding

ANSWERABLE = frozenset({"ask_procedure", "due_date"})


@dataclass(frozen=True, slots=True)
class Question:
    """One labelled question (see the contract); ``procedures`` lists every acceptable code."""

    id: str
    text: str
    intent: str
    aspects: tuple[str, ...]
    procedures: tuple[str, ...]
    kind: str
    dossier_codes: tuple[str, ...] | None


def configure(_name: str, parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("file", type=Path, metavar="FILE.jsonl|.yml")
    parser.add_argument("--engine", choices=[engine.value for engine in Engine])
    parser.add_argument("--catalog", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worst", type=int, default=0, metavar="N", help="in N câu sai (đừng dùng cho bộ để dành)")
    parser.set_defaults(run=_evaluate)


def load_questions(path: Path) -> list[Question]:
    """Reads labelled questions: JSON lines, or YAML with a list (or a mapping with ``questions``).

    Raises:
        BadInputError: the file or an entry is wrong, naming entry and field.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: không đọc được ({type(error).__name__})") from error
    try:
        if path.suffix == ".jsonl":
            items = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            loaded = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
            items = loaded["questions"] if isinstance(loaded, dict) else loaded
    except (ValueError, KeyError, yaml.YAMLError) as error:
        raise BadInputError(f"{path}: nội dung sai: {str(error).splitlines()[0]}") from error
    if not isinstance(items, list):
        raise BadInputError(f"{path}: cần một danh sách câu hỏi")
    return [_question(path, number, item) for number, item in enumerate(items, 1)]


def _question(path: Path, number: int, item: Any) -> Question:
    where = f"{path}, câu {number}"
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        raise BadInputError(f"{where}: cần trường 'text'")
    if item.get("intent") not in INTENTS:
        raise BadInputError(f"{where}: intent {item.get('intent')!r} lạ; cần một trong {', '.join(INTENTS)}")
    aspects = tuple(item.get("aspects") or ())
    if unknown := set(aspects) - set(ASPECTS):
        raise BadInputError(f"{where}: aspects lạ: {', '.join(map(str, unknown))}")
    code = item.get("dossier_code", item.get("dossier_codes"))
    codes = None if code is None else (code,) if isinstance(code, str) else tuple(code)
    return Question(
        str(item.get("id", number)), item["text"], item["intent"], aspects,
        tuple(str(c) for c in item.get("procedures") or ()), str(item.get("kind", "")), codes,
    )  # fmt: skip


def interval(right: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if total == 0:
        return 0.0, 1.0
    share, z = right / total, 1.96
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    spread = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, middle - spread), min(1.0, middle + spread)


def judge(question: Question, found: Understanding, current: Callable[[str], str]) -> dict[str, bool]:
    """Which measures a question counts for, and whether it was right."""
    marks = {"intent": found.intent == question.intent}
    if question.intent == "ask_procedure" and question.aspects and found.intent == "ask_procedure":
        marks["aspects"] = set(found.aspects) == set(question.aspects)
    if question.dossier_codes is not None:
        marks["dossier_codes"] = set(found.dossier_codes) == set(question.dossier_codes)
    if question.intent in ANSWERABLE and question.procedures:
        wanted = {current(code) for code in question.procedures}
        offered = [current(candidate.code) for candidate in found.candidates]
        answered = {current(code) for code in found.procedures}
        if question.kind == "ambiguous":
            marks["ambiguous_asked_back"] = not answered and wanted <= set(offered[:4])
            return marks
        marks["first"] = bool(offered) and offered[0] in wanted
        marks["among_three"] = bool(wanted & set(offered[:3]))
        marks["answered_wrongly"] = bool(answered - wanted)
        marks["asked_back"] = not answered
    return marks


def _evaluate(args: argparse.Namespace) -> int:
    questions = load_questions(args.file)
    settings = load_settings()
    desk = open_desk(settings, args.catalog)
    engine = open_engine(settings, desk, Engine(args.engine) if args.engine else None)
    marks: dict[str, list[bool]] = defaultdict(list)
    by_kind: dict[str, list[bool]] = defaultdict(list)
    wrong: list[tuple[Question, Understanding]] = []
    for question in questions:
        found = engine.parse(question.text)
        judged = judge(question, found, desk.catalog.current)
        for name, mark in judged.items():
            marks[name].append(mark)
        bad = {"answered_wrongly", "asked_back"}
        right = all(mark for name, mark in judged.items() if name not in bad)
        by_kind[question.kind or "–"].append(right)
        if not right:
            wrong.append((question, found))
    report = {"questions": len(questions), "measures": _table(marks), "right_by_kind": _table(by_kind)}
    if args.json:
        print(json.dumps(report, ensure_ascii=False))
        return 0
    for title in ("measures", "right_by_kind"):
        print(title)
        for name, row in _table(marks if title == "measures" else by_kind).items():
            low, high = row["interval"]
            print(f"  {name:<22} {row['share']:6.1%}  ({row['right']}/{row['total']}; {low:.1%}–{high:.1%})")
    for question, found in wrong[: args.worst]:
        print(f"{question.id}: {question.text!r}\n   {question.intent} {question.aspects} {question.procedures}"
              f"\n   → {found.intent} {found.aspects} {[c.code for c in found.candidates[:3]]}")  # fmt: skip
    return 0


def _table(marks: Mapping[str, Sequence[bool]]) -> dict[str, Any]:
    table = {}
    for name, row in sorted(marks.items()):
        right, total = sum(row), len(row)
        table[name] = {"right": right, "total": total, "share": right / total, "interval": interval(right, total)}
    return table
