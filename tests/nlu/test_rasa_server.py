"""The bot with a real Rasa server (``make rasa-test``): every conversation, spans, and a server killed at work."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Semaphore
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from bot.application import open_desk, open_talk
from bot.evaluation import measures
from bot.evaluation.questions import Question, load
from bot.settings import ROOT, Settings
from nlu.embedded import EmbeddedEngine
from nlu.entries import fingerprint
from nlu.normalize import fold
from nlu.port import NluEngine
from nlu.rasa import RasaEngine
from tests.conversations.test_conversations import conversations, talk_through
from tests.rasa_server import RunningRasa, running

MODEL = os.environ.get("MOTCUA_TEST_RASA_MODEL", "")
pytestmark = pytest.mark.skipif(not MODEL, reason="cần máy chủ Rasa thật: make rasa-test")
LIMIT = 2.0
LATE = 0.5  # seconds that a busy machine may take to run a thread whose time is up


@pytest.fixture(scope="module")
def rasa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRasa]:
    with running(Path(MODEL).resolve(), tmp_path_factory.mktemp("rasa") / "rasa.log") as server:
        yield server


@pytest.fixture(scope="module")
def embedded() -> EmbeddedEngine:
    return EmbeddedEngine(open_desk(Settings()).catalog.entries())


def _engine(rasa: RunningRasa, embedded: EmbeddedEngine, limit: float) -> RasaEngine:
    catalogue = fingerprint(open_desk(Settings()).catalog.entries())
    return RasaEngine(rasa.url, embedded, catalogue=catalogue, limit=limit)


@pytest.fixture(scope="module")
def engine(rasa: RunningRasa, embedded: EmbeddedEngine) -> Iterator[RasaEngine]:
    made = _engine(rasa, embedded, 30.0)  # what is asked here is whether it is right, not how fast
    yield made
    made.close()


def _answered_by_rasa() -> float:
    return REGISTRY.get_sample_value("motcua_rasa_requests_total", {"result": "ok"}) or 0.0


@pytest.mark.parametrize("conversation", conversations())
def test_conversation(conversation: dict[str, Any], engine: RasaEngine) -> None:
    settings = Settings()
    talk_through(conversation, open_talk(settings, open_desk(settings), engine))
    assert engine.fallback is None


def test_rasa_itself_answered_and_fits_the_catalogue(engine: RasaEngine) -> None:
    before = _answered_by_rasa()
    found = engine.parse("đăng ký kết hôn cần giấy tờ gì, bao nhiêu tiền")
    assert (found.engine, found.procedure, found.aspects) == ("rasa", "1.000894", ("documents", "fee"))
    assert _answered_by_rasa() == before + 1


@pytest.mark.parametrize("shape", [str, fold], ids=["as typed", "without diacritics"])
def test_it_understands_within_two_points_of_the_embedded_engine(
    engine: RasaEngine, embedded: EmbeddedEngine, shape: Callable[[str], str]
) -> None:
    def right(reader: NluEngine, question: Question) -> bool:
        marks = measures.judge(question, reader.parse(shape(question.text)), lambda code: code)
        return marks["intent"] and marks.get("aspects", True)

    questions = load(ROOT / "tests" / "nlu" / "dev.yml")[0]
    ours, own = (sum(right(reader, one) for one in questions) / len(questions) for reader in (engine, embedded))
    assert ours >= own - 0.02, f"Rasa {ours:.1%}, bộ hiểu có sẵn {own:.1%}"
    assert engine.fallback is None


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("hồ sơ H30.99.01-261116-0001 tới đâu rồi", {("dossier_code", "H30.99.01-261116-0001")}),
        ("thủ tục 1.001193 cần gì", {("procedure_code", "1.001193")}),
        ("nhắn cho số 0951234567 khi xong", {("phone", "0951234567")}),
        ("sáng mai nộp thì ngày nào lấy được", {("time", "sáng mai")}),
        ("xã Đông Phú giờ thuộc xã nào", {("place", "xã Đông Phú")}),
    ],
)
def test_spans_are_marked(rasa: RunningRasa, text: str, spans: set[tuple[str, str]]) -> None:
    body = httpx.post(f"{rasa.url}/model/parse", json={"text": text}, timeout=30, trust_env=False).json()
    assert spans <= {(span["entity"], span["value"]) for span in body["entities"]}


def test_killing_the_server_among_a_thousand_messages_loses_none_and_delays_none_beyond_the_limit(
    embedded: EmbeddedEngine, rasa: RunningRasa
) -> None:
    engine = _engine(rasa, embedded, LIMIT)
    questions = [question.text for question in load(ROOT / "tests" / "nlu" / "dev.yml")[0]]
    messages = (questions * 2)[:1000]
    answered = Semaphore(0)

    def ask(text: str) -> tuple[str, str, float]:
        start = time.perf_counter()
        found = engine.parse(text)
        taken = time.perf_counter() - start
        answered.release()
        return found.text, found.engine, taken

    with ThreadPoolExecutor(8) as people:
        asked = [people.submit(ask, text) for text in messages]
        for _ in range(300):
            answered.acquire()
        rasa.kill()
        answers = [one.result() for one in asked]
    by = Counter(name for _, name, _ in answers)
    slowest = max(taken for _, _, taken in answers)
    print(f"giết Rasa giữa 1.000 tin: {dict(by)}, chậm nhất {slowest:.3f} giây (giới hạn {LIMIT} giây)")
    assert [text for text, _, _ in answers] == messages
    assert by["rasa"] > 0
    assert by["embedded"] > 0
    assert slowest < LIMIT + LATE
    assert engine.fallback is not None
    engine.close()
