"""The port that both engines serve: a text in, an ``Understanding`` out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nlu.entries import Candidate

INTENTS = (
    "ask_procedure", "dossier_status", "due_date", "office_hours", "office_location", "office_contact", "subscribe",
    "unsubscribe", "human", "complaint", "rating", "greet", "thanks", "goodbye", "help", "affirm", "deny", "cancel",
    "place_lookup", "out_of_scope",
)  # fmt: skip
ASPECTS = (
    "documents", "fee", "processing_time", "where", "steps", "online", "form", "eligibility", "result",
    "legal_basis", "overview",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Understanding:
    """What one message says, read alone (see the contract for the meaning of each field).

    Attributes:
        near_codes: what looks like a dossier code but cannot be read as one.
        known_share: how much of what was said occurs in the catalogue at all, 0–1.
        content_words: how many words say what it is about (not how, how much, please …).
    """

    text: str
    intent: str
    confidence: float
    aspects: tuple[str, ...] = ()
    procedure: str | None = None
    procedures: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    dossier_codes: tuple[str, ...] = ()
    near_codes: tuple[str, ...] = ()
    known_share: float = 0.0
    content_words: int = 0
    engine: str = "embedded"


class NluEngine(Protocol):
    """An engine that reads messages; ``parse`` is pure and safe to call from many threads."""

    name: str

    def parse(self, text: str) -> Understanding:
        """Reads one message alone, without memory."""
        ...

    def choose(self, text: str, codes: tuple[str, ...]) -> tuple[Candidate, ...]:
        """Ranks the given procedures by how well a message picks one of them out."""
        ...
