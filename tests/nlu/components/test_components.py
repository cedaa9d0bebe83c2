"""Each component of the Rasa pipeline alone, in Rasa's own environment (``make rasa-test``)."""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rasa", reason="cần môi trường riêng của Rasa: make rasa-test")

from rasa.engine.graph import ExecutionContext, GraphComponent, GraphSchema
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.nlu.tokenizers.tokenizer import Token
from rasa.shared.importers.rasa import RasaFileImporter
from rasa.shared.nlu.training_data.formats.rasa_yaml import RasaYAMLReader
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from nlu.components import gazetteer
from nlu.components.aspects import AspectClassifier
from nlu.components.catalogue import ROOT, CatalogueError, read_entries
from nlu.components.gazetteer import ProcedureGazetteer
from nlu.components.intents import BaseIntents
from nlu.components.reading import training_of
from nlu.components.tokenizer import KIND, VietnameseTokenizer
from nlu.corrections import to_rasa_yaml
from nlu.entries import fingerprint
from nlu.normalize import fold, folded_words
from nlu.training_data import Example, load_training

CONTEXT = ExecutionContext(GraphSchema({}), "test", node_name="node")


def _tokens(text: str, spans: tuple[tuple[int, int], ...] = (), **config: Any) -> list[Token]:
    tokenizer = VietnameseTokenizer({**VietnameseTokenizer.get_default_config(), **config})
    entities = [{"start": start, "end": end, "entity": "time"} for start, end in spans]
    return tokenizer.tokenize(Message({"text": text, "entities": entities}), "text")


@pytest.fixture(scope="module")
def content() -> TrainingData:
    """All training content, read as Rasa reads it."""
    return RasaFileImporter(training_data_paths=[str(ROOT / "nlu" / "training")]).get_nlu_data()


@pytest.fixture
def storage(tmp_path: Path) -> LocalModelStorage:
    return LocalModelStorage(tmp_path)


# --- tokeniser


@pytest.mark.parametrize(
    ("kind", "whole"),
    [
        ("dossier_code", "H30.99.01-261116-0001"),
        ("dossier_code", "h30 99 01 261116 0001"),
        ("dossier_code", "000.17.22.H56-261020-0009"),
        ("dossier_code", "H30.99.01–261116–0004"),
        ("procedure_code", "1.001193"),
        ("phone", "0951234567"),
        ("phone", "095 123 4567"),
        ("phone", "+84951234567"),
        ("day", "25/11/2026"),
        ("day", "2/9"),
        ("clock", "14h30"),
        ("clock", "8h"),
    ],
)
def test_what_grammar_knows_is_one_token(kind: str, whole: str) -> None:
    for text in (f"hồ sơ {whole} tới đâu", f"{whole}", f"({whole})?", f"xem {whole}, {whole}."):
        found = [token for token in _tokens(text) if token.get(KIND) == kind]
        assert [token.text for token in found] == [whole] * text.count(whole), text
        assert all(token.lemma == kind and text[token.start : token.end] == whole for token in found)


@pytest.mark.parametrize("text", ["12 người", "số 5 đường 3/2a", "căn cước 092095001234", "a1.0011934", "1.0011934"])
def test_other_figures_are_no_codes(text: str) -> None:
    assert all(token.get(KIND) is None for token in _tokens(text))


def test_words_are_words_and_lemmas_are_folded() -> None:
    tokens = _tokens("Đăng ký khai sinh cho con đc hông?")
    assert [token.text for token in tokens] == ["Đăng ký", "khai sinh", "cho", "con", "đc", "hông"]
    assert [token.lemma for token in tokens] == ["dang ky", "khai sinh", "cho", "con", "duoc", "khong"]
    assert [t.text for t in _tokens("Đăng ký khai sinh", words=False)] == ["Đăng", "ký", "khai", "sinh"]


@pytest.mark.parametrize(
    "text",
    [
        "Thủ tục đăng ký khai sinh cần những giấy tờ gì?",
        "XIN GIẤY ĐỘC THÂN, mấy ngày có; nộp ở đâu",
        "  hai  dấu cách\nxuống dòng  ",
        unicodedata.normalize("NFD", "Đăng ký kết hôn mất bao nhiêu tiền"),
        "đc k ad 😀 lm giấy ks",
    ],
)
def test_with_and_without_diacritics_the_lemmas_are_the_same(text: str) -> None:
    lemmas = [" ".join(token.lemma for token in _tokens(one)) for one in (text, fold(text))]
    assert lemmas[0] == lemmas[1] == " ".join(folded_words(text))


@pytest.mark.parametrize("text", ["😀", "?!", "a" * 5000, "khai sinh " * 2000, "ế" * 300, "1." * 500, "\u200b"])
def test_any_text_has_tokens_in_their_places(text: str) -> None:
    tokens = _tokens(text)
    assert tokens
    assert all(text[token.start : token.end] == token.text for token in tokens)
    assert all(one.end <= two.start for one, two in pairwise(tokens))


def test_a_name_ends_where_its_capitals_end() -> None:
    assert [token.text for token in _tokens("xã Đông Phú giờ thuộc xã nào")][:3] == ["xã", "Đông Phú", "giờ"]
    assert _tokens("Đăng ký khai sinh")[0].text == "Đăng ký"


def test_marked_spans_are_not_cut_through() -> None:
    tokens = _tokens("giả sử mai đi làm", ((7, 10),))
    assert (7, 10) in [(token.start, token.end) for token in tokens]


# --- reading the training content


def test_rasa_reads_the_same_content_as_the_embedded_engine(content: TrainingData) -> None:
    ours, theirs = load_training(), training_of(content)
    assert set(ours.examples) <= set(theirs.examples)
    more = {example.intent for example in set(theirs.examples) - set(ours.examples)}
    assert more == {"ask_procedure", "dossier_status", "subscribe", "unsubscribe"}  # nlu/training/rasa
    assert ours.concepts == theirs.concepts
    assert ours.english == theirs.english
    assert {name: set(lines) for name, lines in ours.patterns.items()} == {
        name: set(lines) for name, lines in theirs.patterns.items() if name.startswith("aspect_")
    }


def test_rasa_reads_exported_corrections() -> None:
    said = [
        Example("xin giấy độc thân mấy ngày", "ask_procedure", ("processing_time",), "1.004873"),
        Example("phí [bao nhiêu](fee)?\nnộp ở đâu", "ask_procedure", ("fee", "where"), "1.004873"),
        Example("bản sao", "ask_procedure", (), None, ("2.000815", "2.000635")),
        Example("chào ad", "greet"),
    ]
    read = training_of(RasaYAMLReader().reads(to_rasa_yaml(said))).examples
    shown = [Example(e.text.replace("[bao nhiêu](fee)?\n", "(bao nhiêu)(fee)? "), *_labels(e)) for e in said]
    assert sorted(read, key=str) == sorted(shown, key=str)


def _labels(example: Example) -> tuple[Any, ...]:
    return example.intent, example.aspects, example.procedure, example.family


# --- aspects


def _again(kind: type[GraphComponent], config: dict[str, Any], storage: LocalModelStorage) -> Any:
    """The component as Rasa loads it from what it kept."""
    return kind.load(config, storage, Resource("kept"), CONTEXT)


def test_several_aspects_are_found_and_kept(content: TrainingData, storage: LocalModelStorage) -> None:
    classifier = AspectClassifier.create({}, storage, Resource("kept"), CONTEXT)
    classifier.train(content)
    texts = ["cần giấy tờ gì, bao nhiêu tiền, mấy ngày có", "can giay to gi bao nhieu tien", "khai sinh cho con", ""]
    wanted = [["documents", "fee", "processing_time"], ["documents", "fee"], ["overview"], ["overview"]]
    for one in (classifier, _again(AspectClassifier, {}, storage)):
        messages = one.process([Message({"text": text}) for text in texts])
        assert [message.get("aspects") for message in messages] == wanted
        assert all("aspects" in message.as_dict(only_output_properties=True) for message in messages)


# --- gazetteer


def _gazetteer_config(**more: Any) -> dict[str, Any]:
    return {**ProcedureGazetteer.get_default_config(), **more}


def test_nearness_concepts_and_the_catalogue_are_features(content: TrainingData, storage: LocalModelStorage) -> None:
    component = ProcedureGazetteer.create(_gazetteer_config(), storage, Resource("kept"), CONTEXT)
    component.train(content)
    loaded = _again(ProcedureGazetteer, _gazetteer_config(), storage)
    told = fingerprint(read_entries(ROOT / "procedures_data"))
    near, far = "làm giấy khai sinh cho con cần gì", "bữa nay trời mưa to quá"
    for one in (component, loaded):
        messages = one.process([Message({"text": text}) for text in (near, fold(near), far)])
        rows = [message.get_sparse_features("text")[1].features.toarray().tolist() for message in messages]
        assert rows[0] == rows[1] != rows[2]
        assert [message.get("catalogue") for message in messages] == [told] * 3
    judged, rows, _ = loaded._learnt
    assert "p_aspect_documents" in judged.tokens(near)
    assert "@nuoc_ngoai" in judged.tokens("lấy chồng Đài Loan")
    assert {"learned_-4", "@nuoc_ngoai", "p_aspect_fee"} & set(rows)


def test_an_untrained_gazetteer_leaves_messages_alone(storage: LocalModelStorage) -> None:
    component = ProcedureGazetteer.create(_gazetteer_config(), storage, Resource("kept"), CONTEXT)
    (message,) = component.process([Message({"text": "khai sinh"})])
    assert message.features == []


def test_a_folder_without_procedures_is_named(
    tmp_path: Path, content: TrainingData, storage: LocalModelStorage
) -> None:
    config = _gazetteer_config(catalogue=str(tmp_path))
    with pytest.raises(CatalogueError, match="không có thủ tục nào"):
        ProcedureGazetteer.create(config, storage, Resource("kept"), CONTEXT).train(content)


def test_a_changed_procedure_is_trained_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ho-tich" / "1.001193.yml"
    file.parent.mkdir()
    file.write_text("code: '1.001193'\nname: a\n", "utf-8")
    config = _gazetteer_config(catalogue=str(tmp_path))
    before = ProcedureGazetteer.fingerprint_addon(config)
    assert ProcedureGazetteer.fingerprint_addon(config) == before
    file.write_text("code: '1.001193'\nname: b\n", "utf-8")
    assert ProcedureGazetteer.fingerprint_addon(config) != before
    monkeypatch.setattr(gazetteer, "code_digest", lambda: "other code")
    assert ProcedureGazetteer.fingerprint_addon(config) != before


# --- labels for DIET


def test_labels_are_bare_and_questions_a_sample(content: TrainingData) -> None:
    config = {"questions_every": 8, "without_spans": ["dossier_code"]}
    component = BaseIntents.create(config, None, None, CONTEXT)  # type: ignore[arg-type]
    before = len(content.training_examples)
    bare = component.process_training_data(content)
    assert not any("+" in intent or "/" in intent for intent in bare.intents)
    assert not bare.retrieval_intents
    kept = len(bare.training_examples)
    whole = training_of(content).examples
    asked = sum(example.procedure is not None for example in whole)
    assert before - asked < kept < before - asked + asked / 8 + 1
    assert {"time", "place"} <= bare.entities
    assert "dossier_code" not in bare.entities
    assert "dossier_code" in content.entities  # what was given is as it was
    assert len(content.training_examples) == before
    assert component.process([message := Message({"text": "a"})]) == [message]
