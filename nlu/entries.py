"""What the language engine needs of a procedure; the catalogue makes these."""

from __future__ import annotations

from dataclasses import dataclass


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
