"""What is asked of a procedure, several things at once: the embedded engine's aspect models as a Rasa component."""

from __future__ import annotations

import json
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from nlu.aspects import Aspects
from nlu.cache import Kept, read_kept, write_kept
from nlu.components.reading import code_digest, training_of
from nlu.normalize import prepare
from nlu.patterns import Patterns

ASPECTS = "aspects"  # the message's property, in the answer of /model/parse too


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class AspectClassifier(GraphComponent):
    """Says which aspects a message asks about, any number of them (``documents``, ``fee``, ``processing_time`` …).

    DIET chooses one label; "cần giấy gì, bao nhiêu tiền, mấy ngày" asks three things. This component trains one linear
    yes/no model an aspect from labels such as ``ask_procedure+documents+fee`` and writes what it finds into the
    message's ``aspects`` (["overview"] where nothing else is asked). It means something only where the intent is
    ``ask_procedure``. It reads the text itself and may stand anywhere before ``BaseIntents``, which takes the aspects
    off the labels. Nothing to configure::

        pipeline:
          - name: nlu.components.aspects.AspectClassifier
    """

    def __init__(self, storage: ModelStorage, resource: Resource, aspects: Aspects | None = None) -> None:
        """``aspects``: as trained, None before."""
        self._storage = storage
        self._resource = resource
        self._aspects = aspects

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> AspectClassifier:
        """Creates an untrained component."""
        return cls(model_storage, resource)

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str:
        """Trains anew where the code it shares with the embedded engine changed."""
        return code_digest()

    def train(self, training_data: TrainingData) -> Resource:
        """Trains the models from the labels' aspects and keeps them."""
        training = training_of(training_data)
        patterns = Patterns.of(training.patterns)
        self._aspects = Aspects.trained(training.examples, patterns)
        models = {"aspects": self._aspects.model} if self._aspects.model else {}
        with self._storage.write_to(self._resource) as folder:
            write_kept(folder / "aspects.npz", Kept(models, self._aspects.unmasked))
            listed = json.dumps({name: list(lines) for name, lines in training.patterns.items()})
            (folder / "patterns.json").write_text(listed, "utf-8")
        return self._resource

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> AspectClassifier:
        """Loads what ``train`` kept."""
        with model_storage.read_from(resource) as folder:
            kept = read_kept(folder / "aspects.npz")
            patterns = Patterns.of(json.loads((folder / "patterns.json").read_text("utf-8")))
        return cls(model_storage, resource, Aspects(patterns, kept.models.get("aspects"), kept.unmasked))

    def process(self, messages: list[Message]) -> list[Message]:
        """Writes ``aspects`` into each message."""
        for message in messages:
            prepared = prepare(str(message.get(TEXT) or ""))
            asked: tuple[str, ...] = ("overview",)
            if self._aspects and prepared.words:
                asked = self._aspects.asked(prepared.text, prepared.words)
            message.set(ASPECTS, list(asked), add_to_output=True)
        return messages
