"""Labelled questions and dialogues, as files that an advisor can read and extend."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from bot.clock import VIETNAM
from bot.errors import BadInputError
from nlu.port import ASPECTS, INTENTS

OUTCOMES = frozenset({"answer", "clarify", "status", "handoff", "acknowledged", "out_of_scope", "failed"})


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


@dataclass(frozen=True, slots=True)
class Said:
    """One turn of a dialogue and what is right for it.

    Attributes:
        say: what the citizen types.
        at: when, None = at the dialogue's own time.
        outcomes: every acceptable outcome.
        intent: as resolved in context, None where it does not matter.
        aspects: exact set, None where it does not matter.
        procedures: acceptable codes; for a clarification: those that must be offered.
        pick: number among the procedures of the turn before (offered or answered) that must be answered about.
        all: every listed procedure must be answered.
        dossier_codes: exact set, None where it does not matter.
    """

    say: str
    at: datetime | None
    outcomes: tuple[str, ...]
    intent: str | None
    aspects: tuple[str, ...] | None
    procedures: tuple[str, ...]
    pick: int | None
    all: bool
    dossier_codes: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A conversation of several turns."""

    id: str
    kind: str
    now: datetime
    turns: tuple[Said, ...]


def load(path: Path) -> tuple[list[Question], list[Dialogue]]:
    """Reads JSON lines of questions, or YAML with a list (or a mapping with ``questions`` and ``dialogues``).

    Raises:
        BadInputError: the file or an entry is wrong, naming entry and field.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: không đọc được ({type(error).__name__})") from error
    try:
        loaded: Any
        if path.suffix == ".jsonl":
            loaded = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            loaded = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (ValueError, yaml.YAMLError) as error:
        raise BadInputError(f"{path}: nội dung sai: {str(error).splitlines()[0]}") from error
    found = loaded if isinstance(loaded, Mapping) else {"questions": loaded}
    questions, dialogues = found.get("questions", []), found.get("dialogues", [])
    if not isinstance(questions, list) or not isinstance(dialogues, list) or not (questions or dialogues):
        raise BadInputError(f"{path}: cần một danh sách câu hỏi")
    return (
        [_question(f"{path}, câu {number}", number, item) for number, item in enumerate(questions, 1)],
        [_dialogue(f"{path}, hội thoại {number}", number, item) for number, item in enumerate(dialogues, 1)],
    )


def _strings(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    return (str(value),) if not isinstance(value, list) else tuple(map(str, value))


def _labels(item: Mapping[str, Any], where: str) -> tuple[str | None, tuple[str, ...], tuple[str, ...] | None]:
    """Intent, aspects and dossier codes of an entry, checked."""
    intent = item.get("intent")
    if intent is not None and intent not in INTENTS:
        raise BadInputError(f"{where}: intent {intent!r} lạ; cần một trong {', '.join(INTENTS)}")
    aspects = _strings(item.get("aspects"))
    if unknown := set(aspects) - set(ASPECTS):
        raise BadInputError(f"{where}: aspects lạ: {', '.join(sorted(unknown))}")
    codes = item.get("dossier_code", item.get("dossier_codes"))
    return intent, aspects, None if codes is None else _strings(codes)


def _question(where: str, number: int, item: Any) -> Question:
    if not isinstance(item, Mapping) or not isinstance(item.get("text"), str):
        raise BadInputError(f"{where}: cần trường 'text'")
    intent, aspects, codes = _labels(item, where)
    if intent is None:
        raise BadInputError(f"{where}: cần trường 'intent'")
    return Question(
        str(item.get("id", number)), item["text"], intent, aspects, _strings(item.get("procedures")),
        str(item.get("kind", "")), codes,
    )  # fmt: skip


def _time(value: object, where: str) -> datetime:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise BadInputError(f"{where}: {str(value)[:40]!r} không phải giờ ISO") from error
    return found if found.tzinfo else found.replace(tzinfo=VIETNAM)


def _dialogue(where: str, place: int, item: Any) -> Dialogue:
    if not isinstance(item, Mapping) or not isinstance(item.get("turns"), list):
        raise BadInputError(f"{where}: cần trường 'turns'")
    now = _time(item.get("now", "2026-11-25T09:00"), where)
    turns = []
    at = now
    for number, raw in enumerate(item["turns"], 1):
        said = _said(f"{where}, lượt {number}", raw)
        at = said.at or at  # a turn without a time happens at the time of the one before
        turns.append(replace(said, at=at))
    return Dialogue(str(item.get("id", place)), str(item.get("kind", "")), now, tuple(turns))


def _said(where: str, item: Any) -> Said:
    if not isinstance(item, Mapping) or not isinstance(item.get("say"), str):
        raise BadInputError(f"{where}: cần trường 'say'")
    outcomes = _strings(item.get("outcome"))
    if not outcomes or set(outcomes) - OUTCOMES:
        raise BadInputError(f"{where}: outcome cần một trong {', '.join(sorted(OUTCOMES))}")
    intent, aspects, codes = _labels(item, where)
    at = _time(item["at"], where) if item.get("at") else None
    return Said(
        item["say"], at, outcomes, intent, aspects if "aspects" in item else None, _strings(item.get("procedures")),
        item.get("pick"), bool(item.get("all")), codes,
    )  # fmt: skip
