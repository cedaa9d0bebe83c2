"""Linking a message to a procedure: retrieval over names and examples, plus a linear model of decisive words.

Of every procedure three figures are taken: how close its nearest name or example
is, how much of one of its names is there, and what a linear model trained on all
of them says (the decisive words that tell siblings apart). Their weighted sum is
the score; the weights were fitted by cross-validation, see docs/decisions.
"""

from __future__ import annotations

import math
from collections import defaultdict
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
from nlu.normalize import prepare

NEAR, NAMED, LEARNED = 0.5, 0.3, 1.0
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
                words = prepare(text).words
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
        self._index()
        if model is None and len(self.entries) <= LEARN_UP_TO:
            lines = [" ".join(self._tokens(document.words)) for document in self.documents]
            model = LinearModel.trained(lines, [f"{document.owner:05}" for document in self.documents])
        self.model = model
        self._rows = np.array([int(label) for label in model.classes]) if model else None

    def _index(self) -> None:
        self._kept = frozenset(
            f"{one} {two}"
            for document in self.documents
            if document.kind == "everyday" and all(word in STOP for word in document.words)
            for one, two in pairwise(document.words)
        )
        vectors = [features(document.words, self._kept) for document in self.documents]
        owners_with: dict[str, set[int]] = defaultdict(set)
        for document, vector in zip(self.documents, vectors, strict=True):
            for feature in vector:
                owners_with[feature].add(document.owner)
        total = max(len(self.entries), 2)
        self._idf = {f: math.log(1 + (total - len(o) + 0.5) / (len(o) + 0.5)) for f, o in owners_with.items()}
        self._default_idf = math.log(1 + total / 0.5)
        postings: dict[str, tuple[list[int], list[float]]] = {feature: ([], []) for feature in self._idf}
        strengths = []
        for number, (document, vector) in enumerate(zip(self.documents, vectors, strict=True)):
            norm = math.sqrt(sum((w * self._idf[f]) ** 2 for f, w in vector.items())) or 1.0
            for feature, weight in vector.items():
                numbers, weights = postings[feature]
                numbers.append(number)
                weights.append(weight * self._idf[feature] / norm)
            strengths.append(0.0 if document.kind == "example" else min(1.0, norm / _LONG_NAME))
        self._postings = {
            feature: (np.array(numbers, np.int32), np.array(weights, np.float32))
            for feature, (numbers, weights) in postings.items()
        }
        self._strengths = np.array(strengths, np.float32)
        owners = np.array([document.owner for document in self.documents])
        self._starts = np.searchsorted(owners, np.arange(len(self.entries)))

    def _tokens(self, words: Sequence[str]) -> list[str]:
        found = [feature.replace(" ", "_") for feature in features(words, self._kept)]
        return [*found, *grams(words), *self._concepts.tokens(words)]

    def kept(self, words: Sequence[str]) -> int:
        """How many pairs of stop words in the message are names of something ("sổ đỏ")."""
        return sum(f"{one} {two}" in self._kept for one, two in pairwise(words))

    def known_share(self, words: Sequence[str]) -> float:
        """How much of what was said occurs in the catalogue at all, 0–1 (by weight)."""
        whole, known = 0.0, 0.0
        for feature, weight in features(words, self._kept).items():
            if not feature.startswith("~"):
                idf = self._idf.get(feature)
                whole += weight * (self._default_idf if idf is None else idf)
                known += weight * (idf or 0.0)
        return known / whole if whole else 0.0

    def parts(self, words: Sequence[str], without: int | None = None) -> tuple[Floats, Floats, Floats]:
        """For every procedure: nearest document, share of a name, what the linear model says.

        Args:
            words: folded words.
            without: a document to leave out of the nearest (for fitting on the examples themselves).
        """
        weighted = {f: w * self._idf[f] for f, w in features(words, self._kept).items() if f in self._idf}
        norm = math.sqrt(sum(w * w for w in weighted.values())) or 1.0
        count = len(self.documents)
        close: npt.NDArray[Any] = np.zeros(count)
        there: npt.NDArray[Any] = np.zeros(count)
        if weighted:
            found = [self._postings[feature] for feature in weighted]
            numbers = np.concatenate([numbers for numbers, _ in found])
            weights = np.concatenate([weights for _, weights in found])
            of_message = np.repeat(np.array(list(weighted.values())) / norm, [len(n) for n, _ in found])
            close = np.bincount(numbers, weights * of_message, count)
            there = np.bincount(numbers, weights * weights, count) * self._strengths
        if without is not None:
            close[without] = there[without] = 0.0
        nearest = np.maximum.reduceat(close, self._starts).astype(np.float32)
        named = np.maximum.reduceat(there, self._starts).astype(np.float32)
        learned = np.full(len(self.entries), -1.0, np.float32)
        if self.model is not None and self._rows is not None:
            learned[self._rows] = self.model.scores(self._tokens(words))
        return nearest, named, learned

    def scores(self, words: Sequence[str]) -> Floats:
        """The score of every procedure, in the order of the entries."""
        nearest, named, learned = self.parts(words)
        found: Floats = NEAR * nearest + NAMED * named + LEARNED * learned
        return found

    def rank(self, words: Sequence[str], limit: int = 8, without: int | None = None) -> list[Link]:
        """The procedures a message may mean, best first; [] where nothing it says is known.

        Args:
            words: folded words.
            limit: how many to give at most.
            without: a document to leave out (for fitting on the examples themselves).
        """
        nearest, named, learned = self.parts(words, without)
        score = NEAR * nearest + NAMED * named + LEARNED * learned
        order = np.argsort(-score, kind="stable")[:limit]
        return [
            Link(int(i), float(score[i]), float(nearest[i]), float(named[i]), float(learned[i]))
            for i in order
            if nearest[i] > 0
        ]
