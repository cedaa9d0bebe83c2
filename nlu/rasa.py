"""The Rasa engine: a Rasa server judges intent and aspects, the rest is as in the embedded engine.

The server's pipeline is ``config.yml``. Codes, procedures and candidates stay here: they are grammar and retrieval,
and the conversation needs them at hand. No message waits longer than the time limit, none is lost: where the server is
slow, down, answers nonsense or was trained on another catalogue, the embedded engine answers at once, a metric counts
it, and ``fallback`` tells since when and why.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as LimitReached
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import httpx
from prometheus_client import Counter, Gauge, Histogram

from nlu.breaker import Breaker, Outage
from nlu.embedded import EmbeddedEngine, Judged, Message
from nlu.entries import Candidate
from nlu.port import ASPECTS, Understanding
from nlu.training_data import read_label

log = logging.getLogger("motcua.rasa")
LIMIT_SECONDS = 1.0
MAX_CHARS = 1000
MAX_BYTES = 256 * 1024  # of an answer; a real one has about 2 kB
CONNECTIONS = 16
UNSURE = "nlu_fallback"  # what Rasa's FallbackClassifier says
OUTSIDE_NEAR = 0.5  # lead over being out of scope, as a share; fitted on tests/nlu/dev.yml
_TRY = "đăng ký khai sinh cần giấy tờ gì"  # what the server is asked to see whether it is back
_ASKED = Counter("motcua_rasa_requests_total", "Messages for the Rasa server by what came of it", ["result"])
_SECONDS = Histogram("motcua_rasa_seconds", "Time to Rasa's answer", buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2))
_FALLBACK = Gauge("motcua_rasa_fallback", "1 while the embedded engine answers in place of Rasa")


class Reason(StrEnum):
    """Why the embedded engine answers in Rasa's place."""

    SLOW = "slow"  # no answer within the time limit
    DOWN = "down"  # no connection, or it broke
    REFUSED = "refused"  # an HTTP status that is no success
    NONSENSE = "nonsense"  # no answer that Rasa would give
    CATALOGUE = "catalogue"  # trained on another catalogue


class RasaError(Exception):
    """The server did not answer usefully."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value} {detail}".strip())
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says of a message.

    Attributes:
        shares: certainty by intent (aspects taken off and added up), 0–1.
        unsure: its fallback classifier spoke.
        aspects: what is asked, () where it says nothing of it.
        catalogue: fingerprint of the catalogue it was trained on, None where it tells none.
    """

    shares: Mapping[str, float]
    unsure: bool
    aspects: tuple[str, ...]
    catalogue: str | None

    @property
    def intent(self) -> str:
        """The likeliest intent."""
        return max(self.shares, key=self.shares.__getitem__)


def read_answer(data: bytes) -> Answer:
    """Reads the body of ``/model/parse``.

    Raises:
        RasaError: it is none.
    """
    try:
        body: Any = json.loads(data)
        shares: dict[str, float] = defaultdict(float)
        for label in body.get("intent_ranking") or [body["intent"]]:
            share = float(label["confidence"])
            if not 0.0 <= share <= 1.0 + 1e-3:
                raise RasaError(Reason.NONSENSE, "confidence")
            if label["name"] != UNSURE:
                intent = read_label(label["name"], "")[0]
                shares[intent] = min(shares[intent] + share, 1.0)
        name = body["intent"]["name"]
        asked = () if name == UNSURE else read_label(name, "")[1]
        listed = body.get("aspects", asked)
        catalogue = body.get("catalogue")
        if not shares or not set(listed) <= set(ASPECTS):
            raise RasaError(Reason.NONSENSE, "aspects" if shares else "intent")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise RasaError(Reason.NONSENSE, type(error).__name__) from error
    aspects = tuple(aspect for aspect in ASPECTS if aspect in listed)
    return Answer(dict(shares), name == UNSURE, aspects, None if catalogue is None else str(catalogue))


class RasaEngine:
    """Asks ``POST /model/parse`` of a Rasa server; safe to call from many threads."""

    name = "rasa"

    def __init__(
        self,
        url: str,
        embedded: EmbeddedEngine,
        *,
        catalogue: str | None,
        limit: float = LIMIT_SECONDS,
        breaker: Breaker | None = None,
    ) -> None:
        """Makes the engine; the server is first asked with the first message.

        Args:
            url: base address of the server.
            embedded: finds codes and procedures, and answers in Rasa's place.
            catalogue: fingerprint that the server's model must have, None where any will do.
            limit: seconds that a message waits at most.
            breaker: for tests.
        """
        self._embedded = embedded
        self._catalogue = catalogue
        self._limit = limit
        self._breaker = breaker or Breaker()
        # The pool of threads makes the limit a real one: httpx limits each step of a request, not the whole.
        self._pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="rasa")
        self._client = httpx.Client(
            base_url=url,
            timeout=limit,
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            trust_env=False,
        )

    @property
    def fallback(self) -> Outage | None:
        """Since when and why (a ``Reason``) the embedded engine answers; None while Rasa does."""
        return self._breaker.outage

    def close(self) -> None:
        """Closes the connections; requests under way end first."""
        self._pool.shutdown()
        self._client.close()

    def parse(self, text: str) -> Understanding:
        """Reads one message; the embedded engine does where the server cannot."""
        if self._breaker.outage is not None:
            if self._breaker.take_try():
                self._pool.submit(self._try)
            _ASKED.labels("paused").inc()
            return self._embedded.parse(text)
        try:
            return replace(self._embedded.read(text, self._judge), engine=self.name)
        except RasaError:
            return self._embedded.parse(text)

    def choose(self, text: str, codes: tuple[str, ...]) -> tuple[Candidate, ...]:
        """Ranks the given procedures as the embedded engine does."""
        return self._embedded.choose(text, codes)

    def _judge(self, message: Message) -> Judged:
        answer = self._ask(message.prepared.text)
        lead = answer.shares[answer.intent] - answer.shares.get("out_of_scope", 0.0)
        aspects = answer.aspects or ("overview",)
        # Where Rasa is not sure, a procedure that the message clearly names is asked about; else nothing we know.
        intent = "ask_procedure" if answer.unsure else answer.intent
        near = answer.unsure or lead < OUTSIDE_NEAR
        return Judged(intent, answer.shares.get(intent, 0.0), near_outside=near, aspects=lambda: aspects)

    def _ask(self, text: str) -> Answer:
        """Asks within the limit.

        Raises:
            RasaError: there was no useful answer; metric and breaker know.
        """
        asked: Future[Answer] = self._pool.submit(self._fetch, text)
        try:
            answer = asked.result(timeout=self._limit)
        except LimitReached:
            asked.cancel()
            failed = RasaError(Reason.SLOW)
        except RasaError as error:
            failed = error
        else:
            self._succeeded()
            return answer
        self._failed(failed)
        raise failed

    def _try(self) -> None:
        """Sees whether the server is back, while no message waits for it."""
        try:
            self._fetch(_TRY)
        except RasaError as error:
            self._failed(error)
        else:
            self._succeeded()

    def _succeeded(self) -> None:
        _ASKED.labels("ok").inc()
        if self._breaker.succeeded():
            _FALLBACK.set(0)
            log.warning("Rasa trả lời lại được, dùng tiếp")

    def _failed(self, error: RasaError) -> None:
        _ASKED.labels(error.reason.value).inc()
        if self._breaker.failed(error.reason.value, at_once=error.reason is Reason.CATALOGUE):
            _FALLBACK.set(1)
            log.warning("Rasa không dùng được (%s), bộ hiểu có sẵn trả lời thay", error)

    @_SECONDS.time()
    def _fetch(self, text: str) -> Answer:
        try:
            with self._client.stream("POST", "/model/parse", json={"text": text[-MAX_CHARS:]}) as response:
                if not response.is_success:
                    raise RasaError(Reason.REFUSED, str(response.status_code))
                data = b""
                for part in response.iter_bytes():
                    data += part
                    if len(data) > MAX_BYTES:
                        raise RasaError(Reason.NONSENSE, "quá dài")
        except httpx.TimeoutException as error:
            raise RasaError(Reason.SLOW, type(error).__name__) from error
        except httpx.HTTPError as error:
            raise RasaError(Reason.DOWN, type(error).__name__) from error
        answer = read_answer(data)
        if self._catalogue is not None and answer.catalogue != self._catalogue:
            raise RasaError(Reason.CATALOGUE)
        return answer
