"""Concepts: groups of words and phrases that mean the same, written by people, as features.

"chồng Đài Loan", "ng mỹ", "Việt kiều" share no word, yet each says that something foreign is in it.
Two concepts together are a feature too: a foreigner and a marriage make another procedure than either.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

MOST = 6  # concepts of one message whose pairs are taken


class Concepts:
    """Finds the concepts of folded words."""

    def __init__(self, listed: Mapping[str, Sequence[str]]) -> None:
        """``listed``: name of a concept → folded words and phrases."""
        by_phrase: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for name, phrases in listed.items():
            for phrase in phrases:
                by_phrase[tuple(phrase.split())].add(name)
        # By first word: the rest of the phrase and what it means.
        self._by_first: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = defaultdict(list)
        for parts, found in by_phrase.items():
            self._by_first[parts[0]].append((parts[1:], tuple(sorted(found))))
        self._by_first = dict(self._by_first)

    def found(self, words: Sequence[str]) -> list[str]:
        """Names of the concepts in the words, in the order in which they first occur."""
        names: dict[str, None] = {}
        for start, word in enumerate(words):
            for rest, meant in self._by_first.get(word, ()):
                if not rest or tuple(words[start + 1 : start + 1 + len(rest)]) == rest:
                    for name in meant:
                        names[name] = None
        return list(names)

    def tokens(self, words: Sequence[str]) -> list[str]:
        """The concepts and their pairs as tokens."""
        names = self.found(words)
        pairs = [f"@{one}&{two}" for one, two in combinations(sorted(names[:MOST]), 2)]
        return [f"@{name}" for name in names] + pairs
