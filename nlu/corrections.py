"""Corrections as Rasa NLU YAML and back, without loss: what an advisor put right becomes training content.

The file is like those under ``nlu/training``: Rasa and the embedded engine both read it. Order and repeats are kept.
A message that cannot stand on a line as it is (several lines, brackets that Rasa takes for marked spans) is written in
a form that can, with the text as typed beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

import yaml

from nlu.training_data import AS_TYPED, Example, TrainingDataError, read_examples, read_items, read_label

_HEAD = 'version: "3.1"\nnlu:\n'
_BRACKETS = str.maketrans("[]{}", "()()")


def label_of(example: Example) -> str:
    """The label that a training file has: ``ask_procedure+documents+fee/1.001193``.

    Raises:
        TrainingDataError: it has an unknown intent, aspect or code, or aspects out of order.
    """
    codes = (example.procedure,) if example.procedure else example.family
    label = "+".join((example.intent, *example.aspects)) + ("/" + "+".join(codes) if codes else "")
    if read_label(label, "nlu") != (example.intent, example.aspects, codes) or (example.procedure and example.family):
        raise TrainingDataError(f"nlu: nhãn {label!r} không ghi được; khía cạnh cần đúng thứ tự, mỗi thứ một lần")
    return label


def _on_a_line(text: str) -> str:
    shown = "".join(character if character.isprintable() else " " for character in text.translate(_BRACKETS))
    return re.sub(r" +", " ", shown).strip()


def _quoted(text: str) -> str:
    return yaml.dump(text, default_style='"', allow_unicode=True, width=10**9).strip()


def to_rasa_yaml(examples: Iterable[Example]) -> str:
    """A training file with these messages, in their order.

    Raises:
        TrainingDataError: a label cannot be written, or a message has nothing to read.
    """
    parts = [_HEAD]
    labelled = ((label_of(example), example.text) for example in examples)
    for (label, plain), group in groupby(labelled, lambda one: (one[0], _on_a_line(one[1]) == one[1])):
        parts.append(f"- intent: {label}\n  examples:{' |' if plain else ''}\n")
        for _, text in group:
            line = _on_a_line(text)
            if not line:
                raise TrainingDataError(f"nlu: câu {text!r} không có chữ nào")
            if plain:
                parts.append(f"    - {line}\n")
            else:
                parts.append(f"  - text: {_quoted(line)}\n    metadata:\n      {AS_TYPED}: {_quoted(text)}\n")
    return "".join(parts) if len(parts) > 1 else _HEAD.rstrip() + " []\n"


def from_rasa_yaml(text: str) -> tuple[Example, ...]:
    """The messages of a training file, in their order; what is not a labelled message is passed over.

    Raises:
        TrainingDataError: it is no Rasa NLU YAML or names an unknown label.
    """
    found: list[Example] = []
    for number, item in enumerate(read_items(text, "nlu"), 1):
        if isinstance(item, dict) and "intent" in item:
            found += read_examples(item, f"nlu, mục {number}")
    return tuple(found)
