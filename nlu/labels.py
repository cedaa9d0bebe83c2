"""Intent (one of twenty) and aspects (several yes/no questions) of a message.

Both are linear classifiers of ``underthesea_core`` (TF-IDF and linear SVM in
Rust) over words that we make: folded words, word pairs, matched patterns and
the evidence of the linker, each written as one token.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from underthesea_core import TextClassifier

from nlu.linker import Link
from nlu.port import ASPECTS
from nlu.training_data import Example, Training

_EXPLICIT = tuple(aspect for aspect in ASPECTS if aspect != "overview")


@dataclass(frozen=True)
class Patterns:
    """Compiled patterns over folded text, by name."""

    compiled: Mapping[str, re.Pattern[str]]

    @classmethod
    def of(cls, patterns: Mapping[str, Sequence[str]]) -> Patterns:
        """Joins the lines of each name into one expression."""
        return cls({name: re.compile("|".join(f"(?:{line})" for line in lines)) for name, lines in patterns.items()})

    def found(self, folded: str) -> tuple[str, ...]:
        """Names of the patterns that occur."""
        return tuple(name for name, pattern in self.compiled.items() if pattern.search(folded))


def tokens(words: Sequence[str], found: Sequence[str]) -> list[str]:
    """Words, pairs, edges and pattern marks as tokens without spaces."""
    out = ["w_" + word if not word[0].isdigit() else "w_num" for word in words]
    out += [f"b_{one}_{two}" for one, two in pairwise(words)]
    if words:
        out += ["first_" + words[0], "last_" + words[-1]]
    out.append(f"len_{min(len(words), 12) if len(words) < 5 else 5 + min(len(words) // 5, 5)}")
    out += ["p_" + name for name in found]
    return out


def evidence(links: Sequence[Link], known: float) -> list[str]:
    """What the linker says, in coarse steps, as tokens."""
    best = links[0].score if links else 0.0
    margin = best - links[1].score if len(links) > 1 else best
    return [
        f"link_{min(int(best * 4), 9)}",
        f"near_{min(int((links[0].nearest if links else 0) * 8), 8)}",
        f"named_{min(int((links[0].named if links else 0) * 5), 5)}",
        f"known_{int(known * 6)}",
        f"margin_{min(int(margin * 4), 4)}",
    ]


def _classifier() -> TextClassifier:
    return TextClassifier(max_features=60_000, ngram_range=(1, 1), min_df=1, max_df=1.0, c=1.0, max_iter=400)


class Labels:
    """The trained classifiers of one engine."""

    def __init__(self, training: Training, link: Callable[[Example], tuple[Sequence[str], list[str]]]) -> None:
        """Trains on all examples; ``link`` gives an example's folded words and the linker's evidence tokens."""
        self.patterns = Patterns.of(training.patterns)
        texts: list[str] = []
        plain: list[tuple[str, Example]] = []
        for example in training.examples:
            words, proof = link(example)
            if not words:
                continue
            line = tokens(words, self.patterns.found(" ".join(words)))
            texts.append(" ".join([*line, *proof]))
            plain.append((" ".join(line), example))
        self._intent = _classifier()
        self._intent.fit(texts, [example.intent for _, example in plain])
        asked = [(line, example) for line, example in plain if example.intent == "ask_procedure" and example.aspects]
        self._aspects: dict[str, TextClassifier] = {}
        for aspect in _EXPLICIT:
            labels = ["yes" if aspect in example.aspects else "no" for _, example in asked]
            if len(set(labels)) == 2:
                self._aspects[aspect] = _classifier()
                self._aspects[aspect].fit([line for line, _ in asked], labels)

    def intent(self, words: Sequence[str], found: Sequence[str], proof: Sequence[str]) -> tuple[str, float]:
        """The likeliest intent and the classifier's score 0–1."""
        label, score = self._intent.predict_with_score(" ".join([*tokens(words, found), *proof]))
        return str(label), float(score)

    def aspects(self, words: Sequence[str], found: Sequence[str]) -> tuple[str, ...]:
        """What is asked, in the order of the contract; ``overview`` where nothing else is."""
        line = " ".join(tokens(words, found))
        chosen = tuple(a for a, classifier in self._aspects.items() if classifier.predict(line) == "yes")
        return chosen or ("overview",)
