"""What is asked of a procedure: several yes/no questions, answered sentence by sentence.

What is asked says little about the subject, so words that are rare in the labelled questions are
masked: "xin giấy _ bao lâu". Each aspect has a linear model over the words, pairs and triples that
are left; a long story is read sentence by sentence, because its last one may be all that asks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from nlu.linear import LinearModel
from nlu.normalize import folded_words, prepare, sound
from nlu.patterns import Patterns
from nlu.port import ASPECTS
from nlu.training_data import Example

EXPLICIT = tuple(aspect for aspect in ASPECTS if aspect != "overview")
SPLIT_FROM = 16  # words; shorter messages are read whole
_KNOWN_FROM = 0.004  # share of the labelled questions a word must occur in to be kept
_SENTENCE = re.compile(r"([?!;\n]+|\.(?=\s|$))")
_MASK = "_"
TOLD_FROM = 0.6
ASKED_FROM = -0.1  # score of a model from which on its aspect counts; fitted on tests/nlu/dev.yml


class Aspects:
    """The trained models of one engine."""

    def __init__(self, patterns: Patterns, model: LinearModel | None, unmasked: frozenset[str]) -> None:
        """``model`` and ``unmasked``: as ``trained`` made them."""
        self._patterns = patterns
        self.model = model
        self.unmasked = unmasked

    @classmethod
    def trained(cls, examples: Sequence[Example], patterns: Patterns, added: Sequence[Example] = ()) -> Aspects:
        """Trains on messages labelled with what they ask about a procedure; of ``added`` on all."""
        # Of each procedure's questions two of three: how things are asked is soon learned, time is short.
        labelled = [example for example in examples if example.aspects]
        questions = [example for example in labelled if example.procedure]
        labelled = [example for example in labelled if not example.procedure]
        labelled += [question for number, question in enumerate(questions) if number % 3]
        labelled += [example for example in added if example.aspects]
        asked = [(folded_words(example.text), example) for example in labelled]
        counted = Counter(word for words, _ in asked for word in set(words))
        known = frozenset(word for word, times in counted.items() if times >= _KNOWN_FROM * len(asked))
        untrained = cls(patterns, None, known)
        lines = [" ".join(untrained.tokens(words)) for words, _ in asked]
        models = {}
        for aspect in EXPLICIT:
            labels = ["yes" if aspect in example.aspects else "no" for _, example in asked]
            if len(set(labels)) == 2:
                models[aspect] = LinearModel.trained(lines, labels, least=3, c=1.0)
        merged = LinearModel.side_by_side(list(models.values()), "yes", list(models)) if models else None
        return cls(patterns, merged, known)

    def tokens(self, words: Sequence[str]) -> list[str]:
        """Kept words, pairs, triples, the sounds of pairs, the end of the message and matched patterns."""
        kept: list[str] = []
        for word in words:
            shown = word if word in self.unmasked else "0" if word.isdigit() else _MASK
            if shown != _MASK or kept[-1:] != [_MASK]:
                kept.append(shown)
        out = [word for word in kept if word != _MASK]
        out += [f"{one}+{two}" for one, two in pairwise(kept)]
        out += ["+".join(kept[i : i + 3]) for i in range(len(kept) - 2)]
        out += [f"~{sound(one)}+{sound(two)}" for one, two in pairwise(words)]
        ends = kept[-3:]
        out += ["$" + "+".join(ends[i:]) for i in range(len(ends))]
        out += [f"p_{name}" for name in self._patterns.found(" ".join(words))]
        return out

    def _asked(self, words: Sequence[str]) -> dict[str, float]:
        if self.model is None:
            return {}
        scores = self.model.scores(self.tokens(words))
        return {aspect: float(score) for aspect, score in zip(self.model.classes, scores, strict=True)}

    def asked(self, text: str, words: Sequence[str]) -> tuple[str, ...]:
        """What a message asks, in the order of the contract; ``overview`` where nothing else is.

        Args:
            text: cleaned, with punctuation.
            words: its folded words.
        """
        parts: list[tuple[Sequence[str], float]] = [(words, ASKED_FROM)]
        if len(words) >= SPLIT_FROM:
            said = [(sentence, mark) for sentence, mark in _sentences(text) if len(sentence) > 1]
            # What is asked stands in a question or at the end; what comes before is the story.
            parts = [
                (sentence, ASKED_FROM if mark == "?" or number == len(said) else TOLD_FROM)
                for number, (sentence, mark) in enumerate(said, 1)
            ] or parts
        found = {
            aspect for part, least in parts for aspect, score in self._asked(part).items() if score > least
        }  # fmt: skip
        return tuple(aspect for aspect in EXPLICIT if aspect in found) or ("overview",)


def _sentences(text: str) -> list[tuple[Sequence[str], str]]:
    """Folded words of each sentence with the mark that ends it."""
    pieces = _SENTENCE.split(text)
    return [(prepare(pieces[i]).words, pieces[i + 1][:1] if i + 1 < len(pieces) else "")
            for i in range(0, len(pieces), 2)]  # fmt: skip
