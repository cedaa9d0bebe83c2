"""The Rasa engine against a stand-in server: what Rasa says counts, and no failure loses or holds up a message."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from bot import application
from bot.application import open_desk, open_engine
from bot.settings import Settings
from nlu.breaker import FIRST_PAUSE, Breaker
from nlu.embedded import EmbeddedEngine
from nlu.entries import Entry, fingerprint
from nlu.rasa import Answer, RasaEngine, RasaError, Reason, read_answer
from nlu.training_data import load_training
from tests.nlu.test_breaker import Clock
from tests.standins.rasa import ANSWER, RasaStandIn

ENTRIES = (
    Entry("1.001193", "Đăng ký khai sinh", "Đăng ký khai sinh", ("làm giấy khai sinh",), ("khai sinh cho con",)),
    Entry("1.000894", "Đăng ký kết hôn", "Đăng ký kết hôn", ("làm giấy kết hôn",), ("hai đứa em muốn cưới",)),
)
TEXT = "đăng ký khai sinh cần giấy tờ gì"
LONG = 20.0  # a limit that no answer here comes near, however busy the machine is


@pytest.fixture(scope="module")
def embedded() -> EmbeddedEngine:
    whole = load_training()
    general = tuple(example for example in whole.examples if not example.procedure and not example.family)
    return EmbeddedEngine(ENTRIES, replace(whole, examples=general))


@pytest.fixture
def rasa() -> Iterator[RasaStandIn]:
    with RasaStandIn() as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(rasa: RasaStandIn, embedded: EmbeddedEngine, clock: Clock) -> Iterator[RasaEngine]:
    made = RasaEngine(rasa.url, embedded, catalogue="abc", limit=LONG, breaker=Breaker(clock))
    yield made
    rasa.release.set()
    made.close()


def _impatient(rasa: RasaStandIn, embedded: EmbeddedEngine) -> RasaEngine:
    return RasaEngine(rasa.url, embedded, catalogue="abc", limit=0.05)


def test_rasa_says_intent_and_aspects_the_catalogue_says_the_procedure(engine: RasaEngine, rasa: RasaStandIn) -> None:
    found = engine.parse(TEXT)
    assert (found.engine, found.intent, found.confidence) == ("rasa", "ask_procedure", 0.97)
    assert (found.aspects, found.candidates[0].code) == (("fee",), "1.001193")
    assert rasa.texts == [TEXT]
    rasa.answer = ANSWER | {"intent": {"name": "human", "confidence": 0.9}, "intent_ranking": []}
    assert engine.parse(TEXT).intent == "human"
    assert engine.choose("kết hôn", ("1.001193", "1.000894"))[0].code == "1.000894"


def test_labels_with_aspects_are_added_up_by_intent(engine: RasaEngine, rasa: RasaStandIn) -> None:
    ranking = [("human", 0.4), ("ask_procedure+documents+fee", 0.35), ("ask_procedure+fee", 0.25)]
    labels = [{"name": name, "confidence": share} for name, share in ranking]
    rasa.answer = {"intent": labels[1], "intent_ranking": labels, "catalogue": "abc"}
    found = engine.parse(TEXT)
    assert (found.intent, found.aspects, round(found.confidence, 2)) == ("ask_procedure", ("documents", "fee"), 0.6)


def test_what_grammar_decides_is_not_sent(engine: RasaEngine, rasa: RasaStandIn) -> None:
    for text in ("H30.99.01-261116-0001 xong chưa", "1.001193 cần giấy gì", "👍", ""):
        assert engine.parse(text).engine == "rasa"
    assert rasa.texts == []


def test_where_rasa_is_unsure_only_a_clearly_named_procedure_is_asked_about(
    engine: RasaEngine, rasa: RasaStandIn
) -> None:
    unsure = {"name": "nlu_fallback", "confidence": 0.3}
    rasa.answer = ANSWER | {"intent": unsure, "intent_ranking": [unsure, {"name": "greet", "confidence": 0.2}]}
    assert engine.parse(TEXT).intent == "ask_procedure"
    assert engine.parse("con mèo nhà tôi bị lạc ngoài chợ").intent == "out_of_scope"


FAULTS: list[tuple[str | int, dict[str, Any], Reason]] = [
    (500, {}, Reason.REFUSED),
    (302, {}, Reason.REFUSED),
    ("garbage", {}, Reason.NONSENSE),
    ("endless", {}, Reason.NONSENSE),
    ("drop", {}, Reason.DOWN),
    ("", {"intent": {"name": "weather", "confidence": 0.9}}, Reason.NONSENSE),
    ("", {"intent": None}, Reason.NONSENSE),
    ("", {"intent_ranking": [{"name": "human", "confidence": -1}]}, Reason.NONSENSE),
    ("", {"intent_ranking": [{"name": "human", "confidence": float("nan")}]}, Reason.NONSENSE),
    ("", {"aspects": ["price"]}, Reason.NONSENSE),
    ("", {"intent": {"name": "human", "confidence": 10**400}, "intent_ranking": []}, Reason.NONSENSE),
    ("", {"catalogue": "another"}, Reason.CATALOGUE),
    ("", {"catalogue": None}, Reason.CATALOGUE),
]


@pytest.mark.parametrize(("fault", "answer", "reason"), FAULTS)
def test_every_failure_is_answered_by_the_embedded_engine(
    engine: RasaEngine,
    rasa: RasaStandIn,
    embedded: EmbeddedEngine,
    fault: str | int,
    answer: dict[str, Any],
    reason: Reason,
) -> None:
    rasa.fault, rasa.answer = fault, ANSWER | answer
    assert engine.parse(TEXT) == embedded.parse(TEXT)
    engine.parse(TEXT)
    engine.parse(TEXT)
    assert engine.fallback is not None
    assert engine.fallback.reason == reason
    asked = len(rasa.texts)
    assert asked == (1 if reason is Reason.CATALOGUE else 3)
    assert engine.parse(TEXT) == embedded.parse(TEXT)
    assert len(rasa.texts) == asked  # left alone


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_a_slow_server_holds_up_no_message(rasa: RasaStandIn, embedded: EmbeddedEngine, fault: str) -> None:
    rasa.fault = fault
    engine = _impatient(rasa, embedded)
    for _ in range(3):
        assert engine.parse(TEXT) == embedded.parse(TEXT)  # the server has not finished answering to this moment
    assert engine.fallback is not None
    assert engine.fallback.reason == Reason.SLOW
    rasa.release.set()
    engine.close()


def test_more_messages_at_once_than_connections_are_all_answered(rasa: RasaStandIn, embedded: EmbeddedEngine) -> None:
    rasa.fault = "hang"
    engine = _impatient(rasa, embedded)
    with ThreadPoolExecutor(40) as people:
        answers = list(people.map(engine.parse, [TEXT] * 120))
    assert answers == [embedded.parse(TEXT)] * 120
    rasa.release.set()
    engine.close()


def _metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_server_that_comes_back_is_used_again_and_metrics_tell(
    engine: RasaEngine, rasa: RasaStandIn, clock: Clock
) -> None:
    before = _metric("motcua_rasa_requests_total", result="refused")
    rasa.fault = 503
    for _ in range(4):
        engine.parse(TEXT)
    assert _metric("motcua_rasa_requests_total", result="refused") == before + 3
    assert _metric("motcua_rasa_fallback") == 1
    rasa.fault, clock.now = "", FIRST_PAUSE + 1
    rasa.asked.clear()
    assert engine.parse("kết hôn cần gì").engine == "embedded"  # no message waits for the try
    assert rasa.asked.wait(LONG)
    assert "kết hôn cần gì" not in rasa.texts
    engine._pool.submit(lambda: None).result()
    while engine.fallback is not None:
        threading.Event().wait(0.01)
    assert _metric("motcua_rasa_fallback") == 0
    assert engine.parse(TEXT).engine == "rasa"


def test_a_server_that_dies_among_a_thousand_messages_loses_none(rasa: RasaStandIn, embedded: EmbeddedEngine) -> None:
    engine = RasaEngine(rasa.url, embedded, catalogue="abc", limit=LONG)
    answered = threading.Semaphore(0)

    def ask(number: int) -> tuple[str, str]:
        found = engine.parse(f"{TEXT} {number}")
        answered.release()
        return found.text, found.engine

    with ThreadPoolExecutor(8) as people:
        asked = [people.submit(ask, number) for number in range(1000)]
        for _ in range(200):
            answered.acquire()
        rasa.stop()
        answers = [one.result() for one in asked]
    assert [text for text, _ in answers] == [f"{TEXT} {number}" for number in range(1000)]
    by = Counter(name for _, name in answers)
    assert by["rasa"] >= 200
    assert by["embedded"] > 0
    engine.close()


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.just("ask_procedure"),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["intent", "intent_ranking", "aspects", "name", "confidence"]), inner),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_answer_is_read_or_refused(data: bytes) -> None:
    found: list[RasaError | Answer] = []
    try:
        found.append(read_answer(data))
    except RasaError as error:
        found.append(error)
    (said,) = found
    assert said.reason is Reason.NONSENSE if isinstance(said, RasaError) else 0 <= said.shares[said.intent] <= 1


def test_a_catalogue_is_known_by_its_names_not_by_its_order_or_examples() -> None:
    one, two = ENTRIES
    same = (two, Entry(one.code, one.name, one.short_name, one.everyday_names, ("câu khác",)))
    assert fingerprint(ENTRIES) == fingerprint(same)
    assert fingerprint(ENTRIES) != fingerprint((one,))
    renamed = Entry(two.code, "Đăng ký lại kết hôn", two.short_name, two.everyday_names)
    assert fingerprint(ENTRIES) != fingerprint((one, renamed))


@pytest.mark.parametrize("name", ["MOTCUA_ENGINE", "NLU_ENGINE"])
def test_either_variable_chooses_rasa(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, name: str, embedded: EmbeddedEngine
) -> None:
    monkeypatch.setattr(application, "EmbeddedEngine", lambda *_, **__: embedded)
    desk = open_desk(settings)
    assert open_engine(settings, desk) is embedded
    monkeypatch.setenv(name, "rasa")
    engine = open_engine(Settings(var_dir=settings.var_dir), desk)
    assert isinstance(engine, RasaEngine)
    engine.close()
