"""Which of the twenty intents a message has.

A linear model over folded words, word pairs, letter groups, matched patterns and what the linker
found, each written as one token: a message close to a procedure is rarely chatter, and chatter is
rarely close to one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from nlu.features import grams
from nlu.linear import LinearModel
from nlu.patterns import Patterns
from nlu.training_data import Example


def tokens(words: Sequence[str], found: Sequence[str]) -> list[str]:
    """Words, pairs, edges, letter groups and pattern marks as tokens without spaces."""
    out = ["w_" + word if not word[0].isdigit() else "w_num" for word in words]
    out += [f"b_{one}_{two}" for one, two in pairwise(words)]
    if words:
        out += ["first_" + words[0], "last_" + words[-1]]
    out.append(f"len_{min(len(words), 12) if len(words) < 5 else 5 + min(len(words) // 5, 5)}")
    out += ["p_" + name for name in found]
    return out + grams(words)


def evidence(learned: Sequence[float], known: float) -> list[str]:
    """What the linker's decisive words say, in coarse steps, as tokens.

    Args:
        learned: the two highest scores of its linear model.
        known: how much of what was said occurs in the catalogue at all, 0–1.
    """
    best, second = (*learned, -1.0, -1.0)[:2]
    return [
        f"learned_{max(min(int(best * 4), 4), -4)}",
        f"margin_{min(int((best - second) * 4), 4)}",
        f"known_{int(known * 6)}",
    ]


class Guess(NamedTuple):
    """An intent with its certainty (0–1) and its lead over being out of scope."""

    intent: str
    certainty: float
    lead: float


class Intents:
    """The trained model of one engine."""

    def __init__(self, model: LinearModel, patterns: Patterns) -> None:
        """``model``: as ``train`` made it."""
        self.model = model
        self._patterns = patterns

    @staticmethod
    def train(
        examples: Sequence[Example],
        patterns: Patterns,
        link: Callable[[Example], tuple[Sequence[str], list[str]]],
    ) -> LinearModel:
        """Trains on all examples; ``link`` gives an example's folded words and the linker's evidence tokens."""
        lines, labels = [], []
        for example in examples:
            words, proof = link(example)
            if words:
                lines.append(" ".join([*tokens(words, patterns.found(" ".join(words))), *proof]))
                labels.append(example.intent)
        return LinearModel.trained(lines, labels, least=2)

    def intent(self, words: Sequence[str], folded: str, proof: Sequence[str]) -> Guess:
        """The likeliest intent, how sure it is (0–1), and how far being out of scope is behind."""
        scores = self.model.scores([*tokens(words, self._patterns.found(folded)), *proof])
        best = int(scores.argmax())
        outside = float(scores[self.model.classes.index("out_of_scope")])
        certainty = 1.0 / (1.0 + math.exp(-3.0 * float(scores[best])))
        return Guess(self.model.classes[best], certainty, float(scores[best]) - outside)
