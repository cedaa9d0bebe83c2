"""Rasa's training data as the embedded engine's: the same labels, patterns, concepts and phrases."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path

from rasa.shared.nlu.constants import INTENT, INTENT_RESPONSE_KEY, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

import nlu
from nlu.training_data import Example, Training, read_label


def training_of(data: TrainingData) -> Training:
    """What Rasa read from ``nlu/training``, in the form the embedded engine's models are trained from."""
    patterns: dict[str, list[str]] = defaultdict(list)
    for feature in data.regex_features:
        patterns[feature["name"]].append(feature["pattern"])
    concepts = {str(table["name"]): tuple(map(str, table["elements"])) for table in data.lookup_tables}
    return Training(
        tuple(example for message in data.intent_examples if (example := example_of(message))),
        {name: tuple(lines) for name, lines in patterns.items()},
        {str(phrase): str(meant) for phrase, meant in data.entity_synonyms.items()},
        concepts,
    )


def example_of(message: Message) -> Example | None:
    """One labelled message; None where it has no text or no intent."""
    text, label = message.get(TEXT), message.get(INTENT_RESPONSE_KEY) or message.get(INTENT)
    if not isinstance(text, str) or not isinstance(label, str):
        return None
    intent, aspects, codes = read_label(label, "nlu")
    procedure, family = (codes[0], ()) if len(codes) == 1 else (None, codes)
    return Example(text, intent, aspects, procedure, family)


def code_digest() -> str:
    """Changes with the code that components share: Rasa's cache of trained components must not outlive it."""
    digest = hashlib.sha256()
    for source in sorted(Path(nlu.__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()
