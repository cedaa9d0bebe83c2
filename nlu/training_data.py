"""Reads training content: Rasa NLU YAML under ``nlu/training`` and its subfolders.

An intent may carry aspects after it, joined by ``+``, and the procedure meant after a ``/``:
``ask_procedure+documents+fee/1.001193`` (Rasa's own ways of writing several intents in one,
and an intent with a retrieval key). Several codes joined by ``+`` are a family: what is said
fits all of them, so that the bot has to ask back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nlu.port import ASPECTS, INTENTS

TRAINING = Path(__file__).parent / "training"
RASA_ONLY = "rasa"  # a folder for what only Rasa learns: codes, phones and days, which we read by grammar
AS_TYPED = "as_typed"  # metadata of an example whose text had to be changed to be written
_CODE = re.compile(r"[1-9]\.\d{6}")
_ENTITY = re.compile(r"\[([^\]]+)\](?:\([^)]*\)|\{[^}]*\})")


class TrainingDataError(ValueError):
    """A training file is wrong; the message names file, entry and what is expected."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled message; ``procedure`` is the code it means, ``family`` the codes it may mean, where labelled."""

    text: str
    intent: str
    aspects: tuple[str, ...] = ()
    procedure: str | None = None
    family: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Training:
    """All training content.

    Attributes:
        examples: labelled messages.
        patterns: patterns over folded text by name.
        concepts: name → folded words and phrases that mean it.
        english: English phrase, lower case → folded Vietnamese of the same meaning.
        added: labelled messages that advisors added: each counts in full, and is understood as it is labelled.
    """

    examples: tuple[Example, ...]
    patterns: dict[str, tuple[str, ...]]
    english: dict[str, str] = field(default_factory=dict)
    concepts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    added: tuple[Example, ...] = ()


def _lines(block: object, where: str) -> Iterator[str]:
    """The texts of an item: lines after "- ", or a list of texts, each with the text as typed where that differs."""
    if isinstance(block, list) and all(isinstance(one, Mapping) and isinstance(one.get("text"), str) for one in block):
        for one in block:
            typed = (one.get("metadata") or {}).get(AS_TYPED)
            yield typed if isinstance(typed, str) else _ENTITY.sub(r"\1", one["text"].strip())
        return
    if not isinstance(block, str):
        raise TrainingDataError(f"{where}: examples cần dạng '|' với mỗi dòng bắt đầu bằng '- '")
    for line in block.splitlines():
        if line.strip():
            if not line.startswith("- "):
                raise TrainingDataError(f"{where}: dòng {line!r} phải bắt đầu bằng '- '")
            yield line[2:].strip()


def read_label(label: str, where: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """A label as intent, aspects in the contract's order, and codes.

    Raises:
        TrainingDataError: it names something unknown; ``where`` begins the message.
    """
    label, _, listed = label.partition("/")
    codes = tuple(listed.split("+")) if listed else ()
    intent, *aspects = label.split("+")
    for code in codes:
        if not _CODE.fullmatch(code):
            raise TrainingDataError(f"{where}: '{code}' không phải mã thủ tục, ví dụ 1.001193")
    if intent not in INTENTS:
        raise TrainingDataError(f"{where}: không có ý định '{intent}'; cần một trong {', '.join(INTENTS)}")
    for aspect in aspects:
        if aspect not in ASPECTS:
            raise TrainingDataError(f"{where}: không có khía cạnh '{aspect}'; cần một trong {', '.join(ASPECTS)}")
    return intent, tuple(aspect for aspect in ASPECTS if aspect in aspects), codes


def read_items(text: str, where: str) -> list[Any]:
    """The items under ``nlu`` of a file's text.

    Raises:
        TrainingDataError: it is no Rasa NLU YAML; ``where`` begins the message.
    """
    try:
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        raise TrainingDataError(f"{where}: YAML sai: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("nlu"), list):
        raise TrainingDataError(f"{where}: cần khóa 'nlu' với một danh sách")
    return list(data["nlu"])


def read_examples(item: Any, where: str) -> list[Example]:
    """The labelled messages of an item with ``intent``.

    Raises:
        TrainingDataError: a label or a line is wrong.
    """
    intent, aspects, codes = read_label(item["intent"], where)
    procedure, family = (codes[0], ()) if len(codes) == 1 else (None, codes)
    typed = isinstance(item.get("examples"), list)  # texts of a list have no marked spans left
    return [
        Example(line if typed else _ENTITY.sub(r"\1", line), intent, aspects, procedure, family)
        for line in _lines(item.get("examples"), where)
    ]


def load_training(directory: Path = TRAINING) -> Training:
    """Reads all ``*.yml`` of a directory and its subfolders.

    Raises:
        TrainingDataError: a file is no Rasa NLU YAML or names an unknown label.
    """
    examples: list[Example] = []
    patterns: dict[str, list[str]] = {}
    english: dict[str, str] = {}
    concepts: dict[str, list[str]] = {}
    for path in sorted(directory.rglob("*.yml")):
        if RASA_ONLY in path.relative_to(directory).parts:
            continue
        for number, item in enumerate(read_items(path.read_text("utf-8"), path.name), 1):
            where = f"{path.name}, mục {number}"
            if "intent" in item:
                examples += read_examples(item, where)
            elif "regex" in item:
                patterns.setdefault(item["regex"], []).extend(_lines(item.get("examples"), where))
            elif "lookup" in item:
                concepts.setdefault(str(item["lookup"]), []).extend(_lines(item.get("examples"), where))
            elif "synonym" in item:
                english |= dict.fromkeys(_lines(item.get("examples"), where), str(item["synonym"]))
            else:
                raise TrainingDataError(f"{where}: cần 'intent', 'regex', 'lookup' hoặc 'synonym'")
    return Training(
        tuple(examples),
        {name: tuple(lines) for name, lines in patterns.items()},
        english,
        {name: tuple(lines) for name, lines in concepts.items()},
    )
