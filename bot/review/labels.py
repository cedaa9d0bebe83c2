"""What an advisor says a message means: intent, aspects, procedures. The label of a review and of an added sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.catalog.catalog import Catalog
from bot.errors import BadInputError
from bot.evaluation.questions import Question
from bot.storage.tables import Turn
from bot.texts import phrases
from nlu.codes import find_codes
from nlu.port import ASPECTS, INTENTS
from nlu.training_data import Example

_T = phrases("review")
ABOUT_PROCEDURES = frozenset({"ask_procedure", "due_date"})
MOST_CODES = 4
_CODE = re.compile(r"[1-9]\.\d{6}")


@dataclass(frozen=True, slots=True)
class Label:
    """What a message means.

    Attributes:
        intent: one of ``INTENTS``.
        aspects: in the order of ``ASPECTS``; () but for ``ask_procedure``.
        procedures: codes; () but for ``ask_procedure`` and ``due_date``.
        ask_back: what is said fits all the procedures, so that the bot has to ask which; else all are asked about.
    """

    intent: str
    aspects: tuple[str, ...] = ()
    procedures: tuple[str, ...] = ()
    ask_back: bool = False

    def to_json(self) -> dict[str, Any]:
        """For storage."""
        return {
            "intent": self.intent,
            "aspects": list(self.aspects),
            "procedures": list(self.procedures),
            "ask_back": self.ask_back,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Label:
        """As stored by ``to_json``."""
        return cls(
            stored["intent"], tuple(stored["aspects"]), tuple(stored["procedures"]), bool(stored.get("ask_back"))
        )

    def example(self, text: str) -> Example:
        """A training example of a message.

        Raises:
            BadInputError: several procedures asked about at once, which one example can't say.
        """
        if len(self.procedures) > 1 and not self.ask_back:
            raise BadInputError(_T["one_procedure"])
        one = self.procedures[0] if len(self.procedures) == 1 else None
        return Example(text, self.intent, self.aspects, one, () if one else self.procedures)

    @classmethod
    def of_example(cls, example: Example) -> Label:
        """The label of a training example."""
        if example.procedure:
            return cls(example.intent, example.aspects, (example.procedure,))
        return cls(example.intent, example.aspects, example.family, ask_back=bool(example.family))

    def question(self, name: str, text: str, kind: str) -> Question:
        """A labelled question to measure an engine with."""
        shape = "ambiguous" if self.ask_back else "multi" if len(self.procedures) > 1 else kind
        return Question(name, text, self.intent, self.aspects, self.procedures, shape, codes_in(text))


def codes_in(text: str) -> tuple[str, ...]:
    """The dossier codes of a message: grammar reads them, whatever the model."""
    return tuple(dict.fromkeys(hit.code for hit in find_codes(text)))


def checked(intent: str, aspects: Sequence[str], procedures: str, *, ask_back: bool, catalog: Catalog) -> Label:
    """A label from a form.

    Args:
        intent: as chosen.
        aspects: as ticked.
        procedures: as typed: codes, with whatever between and behind them.
        ask_back: as ticked.
        catalog: must have the codes.

    Raises:
        BadInputError: something unknown, naming it.
    """
    if intent not in INTENTS:
        raise BadInputError(_T["no_intent"].format(intent=intent[:30]))
    if unknown := [aspect for aspect in aspects if aspect not in ASPECTS]:
        raise BadInputError(_T["no_aspect"].format(aspect=unknown[0][:30]))
    codes = tuple(dict.fromkeys(_CODE.findall(procedures)))
    if procedures.strip() and not codes:
        raise BadInputError(_T["no_code"].format(given=procedures.strip()[:60]))
    if missing := [code for code in codes if catalog.get(code) is None]:
        raise BadInputError(_T["no_procedure"].format(code=missing[0]))
    if len(codes) > MOST_CODES:
        raise BadInputError(_T["too_many_codes"].format(most=MOST_CODES))
    about = intent in ABOUT_PROCEDURES
    kept = tuple(aspect for aspect in ASPECTS if aspect in aspects) if intent == "ask_procedure" else ()
    if intent == "ask_procedure" and not kept:
        kept = ("overview",)
    if len(kept) > 1:
        kept = tuple(aspect for aspect in kept if aspect != "overview")
    return Label(intent, kept, codes if about else (), ask_back=about and ask_back and len(codes) > 1)


def understood(turn: Turn) -> Label:
    """How the bot understood a turn."""
    told = turn.understanding
    about = turn.intent in ABOUT_PROCEDURES
    codes = tuple(told.get("procedures") or ())[:MOST_CODES] if about else ()
    asked_back = turn.outcome == "clarify"
    if asked_back and len(codes) < 2:
        codes = ()
    aspects = tuple(told.get("aspects") or ()) if turn.intent == "ask_procedure" else ()
    return Label(turn.intent, aspects, codes, ask_back=asked_back and bool(codes))
