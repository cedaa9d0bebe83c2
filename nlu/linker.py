"""Linking a message to a procedure: retrieval over names and examples, plus a linear model of decisive words.

Of every procedure three figures are taken: how close its nearest name or example
is, how much of one of its names is there, and what a linear model trained on all
of them says (the decisive words that tell siblings apart). Their weighted sum is
the score; the weights were fitted by cross-validation, see docs/decisions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from nlu.concepts import Concepts
from nlu.entries import Entry
from nlu.features import STOP, features, grams
from nlu.linear import Floats, LinearModel
from nlu.normalize import folded_words, prepare

NEAR, NAMED, LEARNED, UNMARKED = 0.5, 0.3, 1.0, 0.2
# Concepts that make a rare kind of a common procedure; where a message has none of it, the common one is meant.
MARKS = frozenset({"nuoc_ngoai", "bien_gioi", "luu_dong", "goc_viet"})
ROUNDS = 3  # of the solver: a third less time for the same result
LEARN_UP_TO = 1500  # procedures; a catalogue of names only has nothing to learn from
_LONG_NAME = 8.0  # norm of a name from which on its share counts in full


@dataclass(frozen=True, slots=True)
class Document:
    """One name or example of a procedure (``owner`` = index of the entry)."""

    owner: int
    kind: str  # "name" | "everyday" | "example"
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """One procedure with its score and the parts it is made of."""

    index: int
    score: float
    nearest: float
    named: float
    learned: float


def documents_of(entries: Sequence[Entry]) -> list[Document]:
    """All names and examples, folded, in the order of the entries; repeats within a procedure once."""
    documents = []
    for owner, entry in enumerate(entries):
        seen: set[tuple[str, ...]] = set()
        for kind, texts in (
            ("name", (entry.name, entry.short_name)),
            ("everyday", entry.everyday_names),
            ("example", entry.examples),
        ):
            for text in texts:
                words = folded_words(text)
                if words and words not in seen:
                    seen.add(words)
                    documents.append(Document(owner, kind, words))
    return documents


class Linker:
    """The index over a catalogue; build once, ask often (thread-safe after building)."""

    def __init__(
        self,
        entries: Sequence[Entry],
        documents: Sequence[Document] | None = None,
        model: LinearModel | None = None,
        concepts: Concepts | None = None,
    ) -> None:
        """Indexes all names and examples; trains the linear model unless it is given (from a cache)."""
        self._concepts = concepts or Concepts({})
        self.entries = list(entries)
        self.documents = list(documents_of(entries) if documents is None else documents)
        marks = [MARKS.intersection(self._concepts.found(prepare(entry.short_name).words)) for entry in entries]
        self._marks = {mark: np.array([mark in found for found in marks], np.float32) for mark in MARKS}
        self._last_features: tuple[tuple[str, ...], dict[str, float]] = ((), {})
        self._index()
        if model is None and len(self.entries) <= LEARN_UP_TO:
            lines = [" ".join(self._tokens(document.words)) for document in self.documents]
            model = LinearModel.trained(
                lines, [f"{document.owner:05}" for document in self.documents], least=2, rounds=ROUNDS
            )
        self.model = model
        self._last: tuple[tuple[str, ...], tuple[Floats, Floats, Floats] | None] = ((), None)
        self._classes = np.array([int(label) for label in model.classes]) if model else None

    def _index(self) -> None:
        self._kept = frozenset(
            f"{one} {two}"
            for document in self.documents
            if document.kind == "everyday" and all(word in STOP for word in document.words)
            for one, two in pairwise(document.words)
        )
        vectors = [features(document.words, self._kept) for document in self.documents]
        owners = np.array([document.owner for document in self.documents])
        self._rows: dict[str, int] = {}
        for vector in vectors:
            for feature in vector:
                self._rows.setdefault(feature, len(self._rows))
        sizes = [len(vector) for vector in vectors]
        numbers = np.repeat(np.arange(len(vectors), dtype=np.int32), sizes)
        rows = np.fromiter((self._rows[f] for vector in vectors for f in vector), np.int64, sum(sizes))
        weights = np.fromiter((w for vector in vectors for w in vector.values()), np.float32, sum(sizes))
        # In how many procedures (not documents) a feature occurs decides what it tells.
        total = max(len(self.entries), 2)
        pairs = np.unique(rows * total + owners[numbers]) // total
        often = np.bincount(pairs, minlength=len(self._rows))
        self._idf = np.log(1 + (total - often + 0.5) / (often + 0.5)).astype(np.float32)
        self._default_idf = math.log(1 + total / 0.5)
        weights *= self._idf[rows]
        norms = np.sqrt(np.bincount(numbers, weights * weights, len(vectors)))
        norms[norms == 0] = 1.0
        weights = (weights / norms[numbers]).astype(np.float32)
        order = np.argsort(rows, kind="stable")
        self._numbers, self._weights = numbers[order], weights[order]
        self._begins = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=len(self._rows)))))
        named = np.array([document.kind != "example" for document in self.documents])
        self._strengths = np.where(named, np.minimum(1.0, norms / _LONG_NAME), 0.0).astype(np.float32)
        self._starts = np.searchsorted(owners, np.arange(len(self.entries)))

    def _tokens(self, words: Sequence[str]) -> list[str]:
        # Sounds are left to the nearest document: in the linear model they cost half the time and gain nothing.
        found = [feature.replace(" ", "_") for feature in self._features(words) if feature[0] != "~"]
        return [*found, *grams(words), *self._concepts.tokens(words)]

    def _features(self, words: Sequence[str]) -> dict[str, float]:
        """Those of the last words are kept: a message's are asked for three times."""
        wanted = tuple(words)
        known, found = self._last_features
        if known != wanted:
            found = features(words, self._kept)
            self._last_features = wanted, found
        return found

    def kept(self, words: Sequence[str]) -> int:
        """How many pairs of stop words in the message are names of something ("sổ đỏ")."""
        return sum(f"{one} {two}" in self._kept for one, two in pairwise(words))

    def known_share(self, words: Sequence[str]) -> float:
        """How much of what was said occurs in the catalogue at all, 0–1 (by weight)."""
        whole, known = 0.0, 0.0
        for feature, weight in self._features(words).items():
            if feature[0] != "~":
                row = self._rows.get(feature)
                idf = self._default_idf if row is None else float(self._idf[row])
                whole += weight * idf
                known += 0.0 if row is None else weight * idf
        return known / whole if whole else 0.0

    def decisive(self, words: Sequence[str]) -> tuple[float, float]:
        """The two highest scores of the linear model; (-1, -1) where there is none."""
        if self.model is None:
            return -1.0, -1.0
        second, best = np.partition(self.model.scores(self._tokens(words)), -2)[-2:]
        return float(best), float(second)

    def parts(self, words: Sequence[str]) -> tuple[Floats, Floats, Floats]:
        """For every procedure: nearest document, share of a name, what the linear model says (folded words in).

        Those of the last words are kept: whoever ranks them asks for the scores next.
        """
        wanted = tuple(words)
        known, found = self._last
        if found is None or known != wanted:
            found = self._parts(words)
            self._last = wanted, found
        return found

    def _parts(self, words: Sequence[str]) -> tuple[Floats, Floats, Floats]:
        found = {self._rows[f]: w for f, w in self._features(words).items() if f in self._rows}
        rows = np.fromiter(found.keys(), np.int64, len(found))
        values = np.fromiter(found.values(), np.float32, len(found)) * self._idf[rows]
        count = len(self.documents)
        close: npt.NDArray[Any] = np.zeros(count)
        there: npt.NDArray[Any] = np.zeros(count)
        if len(rows):
            values /= np.sqrt(values @ values) or 1.0
            spans = [slice(self._begins[row], self._begins[row + 1]) for row in rows]
            numbers = np.concatenate([self._numbers[span] for span in spans])
            weights = np.concatenate([self._weights[span] for span in spans])
            of_message = np.repeat(values, self._begins[rows + 1] - self._begins[rows])
            close = np.bincount(numbers, weights * of_message, count)
            there = np.bincount(numbers, weights * weights, count) * self._strengths
        nearest = np.maximum.reduceat(close, self._starts).astype(np.float32)
        named = np.maximum.reduceat(there, self._starts).astype(np.float32)
        learned = np.full(len(self.entries), -1.0, np.float32)
        if self.model is not None and self._classes is not None:
            learned[self._classes] = self.model.scores(self._tokens(words))
        return nearest, named, learned

    def scores(self, words: Sequence[str]) -> Floats:
        """The score of every procedure, in the order of the entries."""
        return self._sum(words, *self.parts(words))

    def _sum(self, words: Sequence[str], nearest: Floats, named: Floats, learned: Floats) -> Floats:
        found: Floats = NEAR * nearest + NAMED * named + LEARNED * learned
        said = self._concepts.found(words)
        missing = [self._marks[mark] for mark in MARKS.difference(said)]
        return found - UNMARKED * np.max(missing, axis=0) if missing else found

    def rank(self, words: Sequence[str], limit: int = 8) -> list[Link]:
        """The procedures a message (folded words) may mean, best first; [] where nothing it says is known."""
        nearest, named, learned = self.parts(words)
        score = self._sum(words, nearest, named, learned)
        order = np.argsort(-score, kind="stable")[:limit]
        return [
            Link(int(i), float(score[i]), float(nearest[i]), float(named[i]), float(learned[i]))
            for i in order
            if nearest[i] > 0
        ]
