"""Labels for DIET: the twenty intents alone, from a sample of the procedures' questions."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.constants import ENTITIES, ENTITY_ATTRIBUTE_TYPE, INTENT, INTENT_RESPONSE_KEY
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from nlu.components.reading import example_of


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER, is_trainable=False)
class BaseIntents(GraphComponent):
    """Takes aspects and codes off the labels, so that the classifier after it learns intents alone.

    ``ask_procedure+documents+fee/1.001193`` becomes ``ask_procedure``: what is asked is ``AspectClassifier``'s
    business, of which procedure the gazetteer's and the bot's. How people ask is alike whatever they ask about, so
    that of the questions labelled with one procedure only every ``questions_every``-th goes on: training is short, and
    the many questions do not drown the few messages of other intents. Spans of the kinds in ``without_spans`` (read by
    ``RegexEntityExtractor``) are taken off too. Changes training data only, never a message to be read::

        pipeline:
          - name: nlu.components.intents.BaseIntents
            questions_every: 8
            without_spans: [dossier_code, procedure_code, phone]
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self._every = int(config["questions_every"])
        self._without = frozenset(config["without_spans"])

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """Returns the component's default config."""
        return {"questions_every": 8, "without_spans": []}

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> BaseIntents:
        """Creates the component; there is nothing to train."""
        return cls(config)

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """New training data with bare intents; the given one is left as it is, for other components read it too."""
        taken: Counter[str] = Counter()
        kept = []
        for message in training_data.training_examples:
            example = example_of(message)
            if example is None:
                continue
            if example.procedure:
                taken[example.procedure] += 1
                if taken[example.procedure] % self._every:
                    continue
            kept.append(self._bare(message, example.intent))
        return TrainingData(
            kept,
            training_data.entity_synonyms,
            training_data.regex_features,
            training_data.lookup_tables,
            training_data.responses,
        )

    def _bare(self, message: Message, intent: str) -> Message:
        data = {key: value for key, value in message.data.items() if key != INTENT_RESPONSE_KEY}
        spans = [span for span in data.get(ENTITIES, []) if span[ENTITY_ATTRIBUTE_TYPE] not in self._without]
        return Message({**data, INTENT: intent, ENTITIES: spans}, features=list(message.features))

    def process(self, messages: list[Message]) -> list[Message]:
        """Leaves messages as they are."""
        return messages
