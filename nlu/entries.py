"""What the language engine needs of a procedure; the catalogue makes these."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Entry:
    """One procedure as something to be found.

    Attributes:
        code: official code.
        name: official name.
        short_name: what a clerk would say.
        everyday_names: what people call it.
        examples: messages of citizens that mean it.
        siblings: codes of procedures easily taken for it.
        superseded_by: the code that took its place, else None.
    """

    code: str
    name: str
    short_name: str
    everyday_names: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()
    superseded_by: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A procedure that a message may mean, with a calibrated probability 0–1."""

    code: str
    name: str
    score: float


def fingerprint(entries: Iterable[Entry]) -> str:
    """Names a catalogue: codes, names and successors of its procedures, whatever their order.

    Example questions are left out: an engine that has not seen the newest one yet still speaks of the same procedures.
    """
    told = sorted((e.code, e.name, e.short_name, e.everyday_names, e.superseded_by or "") for e in entries)
    return hashlib.sha256(repr(told).encode("utf-8", "backslashreplace")).hexdigest()[:24]


def in_force(entries: Sequence[Entry], asked: Iterable[tuple[str, str]]) -> list[Entry]:
    """The procedures in force, with what was asked of them; what leads to a superseded one leads to its successor.

    Args:
        entries: the whole catalogue.
        asked: codes with a question about each, the more the better.
    """
    known = {entry.code for entry in entries}
    successor = {entry.code: entry.superseded_by for entry in entries if entry.superseded_by}
    olds: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.superseded_by in known:
            olds.setdefault(str(entry.superseded_by), []).append(entry)
    questions: dict[str, list[str]] = {}
    for code, text in asked:
        questions.setdefault(successor.get(code) or code, []).append(text)
    merged = []
    for entry in [entry for entry in entries if entry.superseded_by is None] or entries:
        before = olds.get(entry.code, [])
        everyday = (*entry.everyday_names, *(n for old in before for n in (old.name, *old.everyday_names)))
        examples = (*entry.examples, *(e for old in before for e in old.examples), *questions.get(entry.code, ()))
        merged.append(replace(entry, everyday_names=everyday, examples=examples))
    return merged
