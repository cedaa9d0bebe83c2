"""Concepts: groups of words and phrases that mean the same, written by people, as features.

"chồng Đài Loan", "ng mỹ", "Việt kiều" share no word, yet each says that something foreign is in it.
Two concepts together are a feature too: a foreigner and a marriage make another procedure than either.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

LONGEST = 5  # words of a phrase
MOST = 6  # concepts of one message whose pairs are taken


class Concepts:
    """Finds the concepts of folded words."""

    def __init__(self, listed: Mapping[str, Sequence[str]]) -> None:
        """``listed``: name of a concept → folded words and phrases."""
        by_phrase: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for name, phrases in listed.items():
            for phrase in phrases:
                by_phrase[tuple(phrase.split())].add(name)
        self._by_phrase = {phrase: tuple(sorted(names)) for phrase, names in by_phrase.items()}
        self._first = {phrase[0] for phrase in by_phrase}

    def found(self, words: Sequence[str]) -> list[str]:
        """Names of the concepts in the words, in the order in which they first occur."""
        names: dict[str, None] = {}
        for start, word in enumerate(words):
            if word in self._first:
                for length in range(1, LONGEST + 1):
                    for name in self._by_phrase.get(tuple(words[start : start + length]), ()):
                        names[name] = None
        return list(names)

    def tokens(self, words: Sequence[str]) -> list[str]:
        """The concepts and their pairs as tokens."""
        names = self.found(words)
        pairs = [f"@{one}&{two}" for one, two in combinations(sorted(names[:MOST]), 2)]
        return [f"@{name}" for name in names] + pairs
