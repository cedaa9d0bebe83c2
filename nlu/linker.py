"""Linking a message to a procedure: retrieval over names and examples plus learned decisive words.

A message becomes features (folded words, word pairs, and the sounds of both).
Each name and example of a procedure is a document over the same features. Of
every procedure four figures are taken: how close its nearest document is, how
close all of them together are, how much of one of its names is there, and what
a linear model trained on the documents says (the decisive words that tell
siblings apart). They are added up; see docs/decisions for what else was tried.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nlu.entries import Entry
from nlu.normalize import prepare, sound

# Words that say nothing about which procedure is meant; pairs of two of them are left out too.
STOP = frozenset(
    """
    a ah ad oi da vay nhe ha nhi em anh chi minh toi chau con co chu bac ban nha thi ma la o va voi cho cua de
    duoc khong can gi nao sao the nay do kia day roi chua bao nhieu lau may ngay tien phi le xin hoi muon biet
    giup di den ve ra vao lai cung rang nhu khi neu hay hoac tai bi mot cac nhung nguoi ai dau lam phai thu tuc
    ho so giay to gom vui long cam on chao alo ben ay luon het moi mat bay gio hien ua uh dung
    """.split()
)
# Words of how, how much, where and when: with STOP, all that a question without a subject is made of.
ASKING = STOP | frozenset(
    """
    nop truc tuyen online mang mau don to khai doi cho noi co quan huong dan buoc quy trinh dieu kien doi tuong ket
    qua nhan luat nghi dinh thong tu can cu phap ly van phai mat ton dong gia mien ban loai thieu mang theo chuan
    thoi han gian truoc sau nua them het xong sang chieu mai hom nay thu tuan thang nam tuoi vneid app dau lam thi
    luon duoc hong ha ua u con cai viec vu tu dong khoan giam
    """.split()
)
_PAIR = 1.25
_SOUND_WORD = 0.3
_SOUND_PAIR = 0.55
_EPOCHS = 4


def features(words: Sequence[str], kept: Collection[str] = ()) -> dict[str, float]:
    """The features of folded words with their weights (each counted once).

    ``kept`` are pairs that count although both words are stop words: names like "sổ đỏ".
    """
    found: dict[str, float] = {}
    sounds = [sound(word) for word in words]
    previous = previous_sound = ""
    for word, heard in zip(words, sounds, strict=True):
        stop = word in STOP
        if not stop:
            found[word] = 1.0
            found["~" + heard] = _SOUND_WORD
        if previous and (not (stop and previous in STOP) or f"{previous} {word}" in kept):
            found[previous + " " + word] = _PAIR
            found["~" + previous_sound + " " + heard] = _SOUND_PAIR
        previous, previous_sound = word, heard
    return found


@dataclass(frozen=True, slots=True)
class Document:
    """One name or example of a procedure (``owner`` = index of the entry)."""

    owner: int
    kind: str  # "name" | "everyday" | "example"
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """One procedure with its raw score and the parts it is made of."""

    index: int
    score: float
    nearest: float
    together: float
    named: float
    learned: float


def documents_of(entries: Sequence[Entry]) -> list[Document]:
    """All names and examples, folded; repeats within a procedure once."""
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
        learned: Mapping[str, Mapping[int, float]] | None = None,
    ) -> None:
        """Indexes all names and examples; learns the decisive words unless they are given (from a cache)."""
        self.entries = list(entries)
        self.documents = list(documents_of(entries) if documents is None else documents)
        self._by_feature: dict[str, list[tuple[int, float]]] = {}
        self._idf: dict[str, float] = {}
        self._owners = [document.owner for document in self.documents]
        self._index()
        self.learned: Mapping[str, Mapping[int, float]] = learned if learned is not None else {}
        if learned is None:
            self._learn()

    def _index(self) -> None:
        self._kept = frozenset(
            f"{one} {two}"
            for document in self.documents
            if document.kind == "everyday" and all(word in STOP for word in document.words)
            for one, two in pairwise(document.words)
        )
        vectors = [features(document.words, self._kept) for document in self.documents]
        owners_with: dict[str, set[int]] = defaultdict(set)
        for owner, vector in zip(self._owners, vectors, strict=True):
            for feature in vector:
                owners_with[feature].add(owner)
        total = max(len(self.entries), 2)
        self._idf = {f: math.log(1 + (total - len(o) + 0.5) / (len(o) + 0.5)) for f, o in owners_with.items()}
        self._default_idf = math.log(1 + total / 0.5)
        postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        together: list[dict[str, float]] = [defaultdict(float) for _ in self.entries]
        self._weight: list[float] = []  # of all words, for the share of a name that is there
        self._vectors: list[dict[str, float]] = []
        for number, (document, vector) in enumerate(zip(self.documents, vectors, strict=True)):
            weighted = {f: w * self._idf[f] for f, w in vector.items()}
            norm = math.sqrt(sum(w * w for w in weighted.values())) or 1.0
            unit = {f: w / norm for f, w in weighted.items()}
            self._vectors.append(unit)
            self._weight.append(norm)
            for feature, weight in unit.items():
                postings[feature].append((number, weight))
            for feature, weight in unit.items():
                together[document.owner][feature] += weight
        self._by_feature = dict(postings)
        self._together: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for owner, counter in enumerate(together):
            norm = math.sqrt(sum(w * w for w in counter.values())) or 1.0
            for feature, weight in counter.items():
                self._together[feature].append((owner, weight / norm))

    def _learn(self) -> None:
        """Passive-aggressive updates against the strongest wrong procedures, averaged over epochs."""
        if len(self.entries) > 1500:
            return  # names only: nothing to learn from
        weights: dict[str, dict[int, float]] = defaultdict(dict)
        order = list(range(len(self.documents)))
        shuffle = random.Random(7)  # noqa: S311 - a fixed order, not a secret
        rivals = [self._rivals(number) for number in order]
        for _ in range(_EPOCHS):
            shuffle.shuffle(order)
            for number in order:
                self._update(weights, number, rivals[number])
        self.learned = {f: {o: w for o, w in by.items() if abs(w) > 1e-3} for f, by in weights.items()}

    def _rivals(self, number: int) -> list[int]:
        scores = self._class_scores(self._vectors[number])
        owner = self._owners[number]
        return [o for o, _ in sorted(scores.items(), key=lambda item: -item[1])[:9] if o != owner][:8]

    def _class_scores(self, unit: Mapping[str, float]) -> dict[int, float]:
        scores: dict[int, float] = defaultdict(float)
        for feature, weight in unit.items():
            posting = self._together.get(feature)
            if posting:
                for owner, other in posting:
                    scores[owner] += weight * other
        return scores

    def _update(self, weights: dict[str, dict[int, float]], number: int, rivals: Iterable[int]) -> None:
        unit = self._vectors[number]
        owner = self._owners[number]
        own = sum(weights[f].get(owner, 0.0) * w for f, w in unit.items())
        for rival in rivals:
            other = sum(weights[f].get(rival, 0.0) * w for f, w in unit.items())
            loss = 1.0 - own + other
            if loss > 0:
                step = min(0.5, loss / 2.0)
                for feature, weight in unit.items():
                    by = weights[feature]
                    by[owner] = by.get(owner, 0.0) + step * weight
                    by[rival] = by.get(rival, 0.0) - step * weight
                own += step

    def _nearest(self, close: Mapping[int, float]) -> tuple[dict[int, float], dict[int, float]]:
        """Of each procedure its nearest and second nearest document."""
        nearest: dict[int, float] = {}
        second: dict[int, float] = {}
        for number, value in close.items():
            owner = self._owners[number]
            best = nearest.get(owner, 0.0)
            if value > best:
                nearest[owner], second[owner] = value, best
            elif value > second.get(owner, 0.0):
                second[owner] = value
        return nearest, second

    def _named(self, close: Mapping[int, float], unit: Mapping[str, float]) -> dict[int, float]:
        """The share of one of its names that is in the message, whatever else the message says."""
        named: dict[int, float] = {}
        for number, value in close.items():
            document = self.documents[number]
            if document.kind != "example" and value > 0.1:
                vector = self._vectors[number]
                share = sum(vector[feature] ** 2 for feature in vector.keys() & unit.keys())
                share *= min(1.0, self._weight[number] / 8.0)
                if share > named.get(document.owner, 0.0):
                    named[document.owner] = share
        return named

    def vector(self, words: Sequence[str]) -> dict[str, float]:
        """The unit vector of a message over the index' features."""
        weighted = {f: w * self._idf.get(f, 0.0) for f, w in features(words, self._kept).items()}
        known = {f: w for f, w in weighted.items() if w}
        norm = math.sqrt(sum(w * w for w in known.values())) or 1.0
        return {f: w / norm for f, w in known.items()}

    def known_share(self, words: Sequence[str]) -> float:
        """How much of what was said occurs in the catalogue at all, 0–1 (by weight)."""
        whole, known = 0.0, 0.0
        for feature, weight in features(words, self._kept).items():
            if not feature.startswith("~"):
                idf = self._idf.get(feature)
                whole += weight * (self._default_idf if idf is None else idf)
                known += weight * (idf or 0.0)
        return known / whole if whole else 0.0

    def rank(self, words: Sequence[str], limit: int = 8, without: int | None = None) -> list[Link]:
        """The procedures a message may mean, best first.

        Args:
            words: folded words.
            limit: how many to give at most.
            without: a document to leave out (for fitting on the examples themselves).
        """
        unit = self.vector(words)
        close: dict[int, float] = defaultdict(float)
        for feature, weight in unit.items():
            for number, other in self._by_feature.get(feature, ()):
                close[number] += weight * other
        if without is not None:
            close.pop(without, None)
        nearest, second = self._nearest(close)
        named = self._named(close, unit)
        together = self._class_scores(unit)
        decisive: dict[int, float] = defaultdict(float)
        for feature, weight in unit.items():
            for owner, other_weight in self.learned.get(feature, {}).items():
                decisive[owner] += weight * other_weight
        links = []
        for owner, near in nearest.items():
            whole = together.get(owner, 0.0)
            learned = decisive.get(owner, 0.0)
            score = near + 0.35 * second.get(owner, 0.0) + 0.6 * whole + 0.35 * named.get(owner, 0.0) + 0.6 * learned
            links.append(Link(owner, score, near, whole, named.get(owner, 0.0), learned))
        links.sort(key=lambda link: -link.score)
        return links[:limit]
