"""What the catalogue says about a message, as features: how near a procedure it is, and which concepts are in it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import scipy.sparse
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.featurizers.sparse_featurizer.sparse_featurizer import SparseFeaturizer
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from nlu.cache import Kept, read_kept, write_kept
from nlu.components.catalogue import files_of, folder_of, read_entries
from nlu.components.reading import code_digest, training_of
from nlu.concepts import Concepts
from nlu.entries import Entry, fingerprint, in_force
from nlu.intents import evidence
from nlu.linker import Linker
from nlu.normalize import prepare
from nlu.patterns import Patterns

CATALOGUE = "catalogue"  # the message's property: the fingerprint of the catalogue that was learnt from
LEAST = 2  # messages of training that must have a feature


class Gazetteer:
    """Procedure names, concepts and patterns over folded words; pure once built."""

    def __init__(self, linker: Linker, concepts: Concepts, patterns: Patterns) -> None:
        self.linker = linker
        self._concepts = concepts
        self._patterns = patterns

    def tokens(self, text: str) -> list[str]:
        """What is found in a text, each as a token.

        How sure the linker is of a procedure (``learned_3``), how far the next one is behind (``margin_2``), how much
        of what is said the catalogue knows (``known_5``), concepts (``@nuoc_ngoai``), patterns of asking
        (``p_aspect_fee``), first and last word, length.
        """
        words = prepare(text).words
        found = evidence(self.linker.decisive(words), self.linker.known_share(words))
        found += [f"@{name}" for name in self._concepts.found(words)]
        found += [f"p_{name}" for name in self._patterns.found(" ".join(words))]
        found += [f"first_{words[0]}", f"last_{words[-1]}"] if words else []
        return [*found, f"len_{len(words) if len(words) < 5 else 5 + min(len(words) // 5, 5)}"]


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER, is_trainable=True)
class ProcedureGazetteer(SparseFeaturizer, GraphComponent):
    """Sentence features from the office's own catalogue (``procedures_data``): a gazetteer with a sense of nearness.

    A message that is near a procedure is rarely chatter, and chatter is rarely near one; no list of names shows that as
    well as how near the nearest is. At training the procedures' names, everyday names and examples, and the training
    questions labelled with a code (``ask_procedure+fee/1.001193``) are indexed as in the embedded engine; what that
    index says of a message becomes sparse features, beside the concepts (Rasa's look-up tables) and patterns (Rasa's
    regexes), both read on folded text. Reads the text itself; must stand before ``BaseIntents``, which takes the codes
    off the labels. Writes ``catalogue``, the fingerprint of the catalogue, into every message, so that who asks can see
    whether it was trained on the same procedures::

        pipeline:
          - name: nlu.components.gazetteer.ProcedureGazetteer
            catalogue: procedures_data   # folder, within this repository or absolute
    """

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """Returns the component's default config."""
        return {**SparseFeaturizer.get_default_config(), "catalogue": "procedures_data"}

    def __init__(
        self,
        config: dict[str, Any],
        storage: ModelStorage,
        resource: Resource,
        name: str,
        learnt: tuple[Gazetteer, dict[str, int], str] | None = None,
    ) -> None:
        """``learnt``: gazetteer, vocabulary and the catalogue's fingerprint; None before training."""
        super().__init__(name, config)
        self._storage = storage
        self._resource = resource
        self._learnt = learnt

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> ProcedureGazetteer:
        """Creates an untrained component."""
        return cls(config, model_storage, resource, execution_context.node_name)

    @classmethod
    def validate_config(cls, config: dict[str, Any]) -> None:
        """Nothing that reading the catalogue does not tell."""

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str:
        """Trains anew where a procedure or the shared code changed."""
        folder = folder_of(str(config.get("catalogue") or "procedures_data"))
        return code_digest() + "".join(f"{path.name}{path.stat().st_mtime_ns}" for path in files_of(folder))

    def train(self, training_data: TrainingData) -> Resource:
        """Indexes the catalogue with the training questions and keeps it.

        Raises:
            CatalogueError: the catalogue cannot be read.
        """
        entries = read_entries(folder_of(self._config["catalogue"]))
        training = training_of(training_data)
        asked = ((example.procedure, example.text) for example in training.examples if example.procedure)
        merged = in_force(entries, asked)
        concepts = {name: list(phrases) for name, phrases in training.concepts.items()}
        patterns = {name: list(lines) for name, lines in training.patterns.items()}
        linker = Linker(merged, concepts=Concepts(concepts))
        gazetteer = Gazetteer(linker, Concepts(concepts), Patterns.of(patterns))
        counted = Counter(t for example in training.examples for t in dict.fromkeys(gazetteer.tokens(example.text)))
        known = sorted(token for token, times in counted.items() if times >= LEAST)
        self._learnt = gazetteer, {token: row for row, token in enumerate(known)}, fingerprint(entries)
        with self._storage.write_to(self._resource) as folder:
            write_kept(folder / "linker.npz", Kept({"linker": linker.model} if linker.model else {}, frozenset()))
            told = {
                "entries": [asdict(entry) for entry in merged],
                "concepts": concepts,
                "patterns": patterns,
                "known": known,
                "catalogue": self._learnt[2],
            }
            (folder / "gazetteer.json").write_text(json.dumps(told, ensure_ascii=False), "utf-8")
        return self._resource

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> ProcedureGazetteer:
        """Loads what ``train`` kept."""
        with model_storage.read_from(resource) as folder:
            learnt = _read(folder)
        return cls(config, model_storage, resource, execution_context.node_name, learnt)

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """Adds features to every example."""
        self.process(training_data.training_examples)
        return training_data

    def process(self, messages: list[Message]) -> list[Message]:
        """Adds features to each message, and the fingerprint of the catalogue."""
        if self._learnt is None:
            return messages
        gazetteer, rows, catalogue = self._learnt
        for message in messages:
            text = message.get(TEXT)
            if isinstance(text, str) and text:
                found = sorted({rows[token] for token in gazetteer.tokens(text) if token in rows})
                self.add_features_to_message(None, _row(found, len(rows)), TEXT, message)
            message.set(CATALOGUE, catalogue, add_to_output=True)
        return messages


def _row(columns: Sequence[int], width: int) -> scipy.sparse.coo_matrix:
    """A matrix of one row with ones in the given columns."""
    return scipy.sparse.coo_matrix(([1.0] * len(columns), ([0] * len(columns), columns)), shape=(1, width))


def _read(folder: Path) -> tuple[Gazetteer, dict[str, int], str]:
    told = json.loads((folder / "gazetteer.json").read_text("utf-8"))
    lists = ("everyday_names", "examples", "siblings")
    entries = [Entry(**{**entry, **{name: tuple(entry[name]) for name in lists}}) for entry in told["entries"]]
    concepts = Concepts(told["concepts"])
    linker = Linker(entries, model=read_kept(folder / "linker.npz").models.get("linker"), concepts=concepts)
    gazetteer = Gazetteer(linker, concepts, Patterns.of(told["patterns"]))
    return gazetteer, {token: row for row, token in enumerate(told["known"])}, str(told["catalogue"])
