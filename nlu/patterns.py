"""Patterns over folded text, by name: written by people, used as evidence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Patterns:
    """Compiled patterns over folded text, by name."""

    compiled: Mapping[str, re.Pattern[str]]
    _last: list[tuple[str, tuple[str, ...]]] = field(
        default_factory=lambda: [("", ())], init=False, compare=False, repr=False
    )

    @classmethod
    def of(cls, patterns: Mapping[str, Sequence[str]]) -> Patterns:
        """Joins the lines of each name into one expression."""
        return cls({name: re.compile("|".join(f"(?:{line})" for line in lines)) for name, lines in patterns.items()})

    def found(self, folded: str) -> tuple[str, ...]:
        """Names of the patterns that occur; those of the last text are kept, it is asked about twice."""
        known, names = self._last[0]
        if known != folded:
            names = tuple(name for name, pattern in self.compiled.items() if pattern.search(folded))
            self._last[0] = folded, names
        return names
