"""The Rasa engine: intent and aspects from a Rasa server over HTTP, the rest as in the embedded engine.

The server's pipeline is ``config.yml``; its answer names the intent with aspects joined
by ``+``. Codes, procedures and candidates stay ours: they are grammar and retrieval.
A server that does not answer in time is a known state: the embedded engine answers instead.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import httpx

from nlu.entries import Candidate
from nlu.port import ASPECTS, INTENTS, NluEngine, Understanding

log = logging.getLogger("motcua.rasa")
TIMEOUT_SECONDS = 3.0
MAX_CHARS = 1000


class RasaEngine:
    """Asks ``POST /model/parse``; safe to call from many threads."""

    name = "rasa"

    def __init__(self, url: str, embedded: NluEngine) -> None:
        self._embedded = embedded
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS)

    def parse(self, text: str) -> Understanding:
        """Reads one message; falls back to the embedded engine where the server fails."""
        own = self._embedded.parse(text)
        # Codes and empty messages are decided by grammar, whatever a classifier says.
        if own.dossier_codes or own.confidence == 1.0:
            return replace(own, engine=self.name)
        try:
            response = self._client.post("/model/parse", json={"text": text[-MAX_CHARS:]})
            response.raise_for_status()
            label, confidence = self._label(response.json())
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.warning("Rasa không trả lời (%s), dùng bộ hiểu có sẵn", type(error).__name__)
            return own
        intent, *aspects = label.split("+")
        if intent not in INTENTS:
            return own
        asked = tuple(aspect for aspect in ASPECTS if aspect in aspects)
        if intent != "ask_procedure":
            linked = intent == "due_date"
            return replace(
                own,
                intent=intent,
                confidence=confidence,
                aspects=(),
                procedure=own.procedure if linked else None,
                procedures=own.procedures if linked else (),
                candidates=own.candidates if linked else (),
                engine=self.name,
            )
        return replace(own, intent=intent, confidence=confidence, aspects=asked or own.aspects, engine=self.name)

    @staticmethod
    def _label(body: dict[str, Any]) -> tuple[str, float]:
        intent = body["intent"]
        return str(intent["name"]), float(intent["confidence"])

    def choose(self, text: str, codes: tuple[str, ...]) -> tuple[Candidate, ...]:
        """Ranks the given procedures as the embedded engine does."""
        return self._embedded.choose(text, codes)
