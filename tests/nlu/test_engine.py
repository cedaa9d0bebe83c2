"""The embedded engine: families, several requests, questions without a subject, concepts, bounded work."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.catalog.catalog import load_catalog
from bot.conversation.talk import Talk
from nlu import embedded
from nlu.concepts import Concepts
from nlu.embedded import EmbeddedEngine, probability
from nlu.linker import Linker
from nlu.normalize import MAX_WORDS
from nlu.port import ASPECTS, INTENTS
from nlu.training_data import TrainingDataError, load_training

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def engine(talk: Talk) -> EmbeddedEngine:
    assert isinstance(talk.engine, EmbeddedEngine)
    return talk.engine


def test_a_general_name_is_not_guessed(engine: EmbeddedEngine) -> None:
    found = engine.parse("bản sao cần giấy gì ạ")
    assert found.procedure is None
    assert {"2.000815", "2.000635"} <= {candidate.code for candidate in found.candidates}
    assert engine.parse("chứng thực bản sao từ bản chính cần gì").procedure == "2.000815"


def test_two_requests_are_two_and_a_story_is_one(engine: EmbeddedEngine) -> None:
    two = engine.parse("Xin giấy độc thân cần mang gì, còn đăng ký tạm trú hết bao nhiêu tiền?")
    assert two.procedures == ("1.004873", "1.004194")
    assert two.aspects == ("documents", "fee")
    story = "Vợ tôi mới sanh bữa hổm, tôi bận đi làm nên chưa đi được, làm giấy khai sinh cho con cần gì"
    assert engine.parse(story).procedures == ("1.001193",)


@pytest.mark.parametrize("text", ["mấy ngày được giải quyết", "phí bao nhiêu", "con nop qua mang duoc khong"])
def test_a_question_without_a_subject_answers_about_nothing(engine: EmbeddedEngine, text: str) -> None:
    found = engine.parse(text)
    assert (found.intent, found.procedures, found.content_words) == ("ask_procedure", (), 0)


def test_english_and_slips(engine: EmbeddedEngine) -> None:
    found = engine.parse("how much for a certified copy, and what papers do I need?")
    assert (found.procedure, found.aspects) == ("2.000815", ("documents", "fee"))
    assert engine.parse("ddang ky khai sihn o dau").candidates[0].code == "1.001193"


def test_concepts_are_found_as_whole_words_and_in_pairs() -> None:
    concepts = Concepts({"nuoc_ngoai": ("dai loan", "my"), "ket_hon": ("cuoi",)})
    assert concepts.tokens("cuoi chong dai loan".split()) == ["@ket_hon", "@nuoc_ngoai", "@ket_hon&nuoc_ngoai"]
    assert concepts.tokens("cuoicung dai".split()) == []


def test_certainty_grows_with_the_lead_and_with_what_is_said() -> None:
    assert 0 < probability(0.0, 5) < probability(0.3, 5) < probability(2.0, 5) < 1
    assert probability(0.3, 1) < probability(0.3, 5)


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_read(engine: EmbeddedEngine, text: str) -> None:
    found = engine.parse(text)
    assert found.intent in INTENTS
    assert set(found.aspects) <= set(ASPECTS)
    assert 0.0 <= found.confidence <= 1.0
    assert all(0.0 <= candidate.score <= 1.0 for candidate in found.candidates)


@pytest.mark.parametrize(
    "text",
    [
        "khai sinh " * 20_000,
        "a\u0300\u0301" * 50_000,
        "\u202e\u200b" * 50_000 + "khai sinh",
        "a" * 100_000,
        ",khai sinh, " * 9000,
    ],
)
def test_work_is_bounded(engine: EmbeddedEngine, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    whole = Linker.parts

    def counted(self: Linker, words: tuple[str, ...]) -> object:
        seen.append(len(words))
        return whole(self, words)

    monkeypatch.setattr(Linker, "parts", counted)
    engine.parse(text)
    assert len(seen) <= 1 + 8  # the message and at most eight clauses
    assert all(length <= MAX_WORDS for length in seen)


def test_training_content_that_is_wrong_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("nlu:\n- intent: ask_procedure/123\n  examples: |\n    - a\n", "utf-8")
    with pytest.raises(TrainingDataError, match=r"a\.yml, mục 1: '123' không phải mã thủ tục"):
        load_training(tmp_path)
    (tmp_path / "a.yml").write_text("nlu:\n- what: x\n", "utf-8")
    with pytest.raises(TrainingDataError, match="cần 'intent', 'regex', 'lookup' hoặc 'synonym'"):
        load_training(tmp_path)


def test_the_questions_of_training_name_codes_that_exist() -> None:
    codes = set(load_catalog(ROOT / "procedures_data").procedures)
    named = {code for e in load_training().examples for code in (e.procedure, *e.family) if code}
    assert named <= codes
    assert embedded.ANSWER_FROM > 0.5
