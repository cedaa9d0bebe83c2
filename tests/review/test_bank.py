"""Candidates: trained, compared, promoted only where no kind gets worse, rolled back; one training at a time."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, select

from bot.errors import BadInputError
from bot.evaluation.questions import Question
from bot.review import bank, examples, verdicts
from bot.review import training as bank_training
from bot.review.labels import Label
from bot.review.training import Asked, Content, fold_of, to_build, to_job, train, words_of, worse
from bot.storage.database import Database
from bot.storage.tables import CandidateModel, ModelChange, Turn
from nlu.cache import ModelCache
from nlu.embedded import EmbeddedEngine
from nlu.entries import Entry
from nlu.training_data import Example, Training
from tests.review.conftest import BIRTH, DEATH, MARRIAGE, NOW

ODD = "xin cái tờ cho thằng cu mới đẻ"
TAUGHT = Example(ODD, "ask_procedure", ("documents",), BIRTH)


def _asked(text: str, code: str, source: str = "turns", number: str = "7", **more: Any) -> Asked:
    question = Question(number, text, "ask_procedure", ("documents",), (code,), "ask_procedure", ())
    return Asked(question, source, "ask_procedure", **more)


def test_what_was_taught_is_understood_word_for_word(entries: list[Entry], training: Training) -> None:
    engine = Content((TAUGHT,)).engine(entries, training)
    found = engine.parse(ODD.upper() + " 0957654321")
    assert (found.intent, found.aspects, found.procedures) == ("ask_procedure", ("documents",), (BIRTH,))
    assert engine.parse("xin chào").intent == "greet"


def test_a_taught_general_name_is_asked_back(entries: list[Entry], training: Training) -> None:
    family = Example("giấy hộ tịch", "ask_procedure", ("overview",), None, (BIRTH, DEATH))
    found = Content((family,)).engine(entries, training).parse("giấy hộ tịch")
    assert found.procedures == ()
    assert {candidate.code for candidate in found.candidates[:2]} == {BIRTH, DEATH}


def test_an_added_name_finds_its_procedure(entries: list[Entry], training: Training) -> None:
    engine = Content(names=((DEATH, "tờ giã biệt"),)).engine(entries, training)
    assert engine.parse("tờ giã biệt lệ phí").candidates[0].code == DEATH


def test_a_candidate_is_measured_beside_the_running_model(
    entries: list[Entry], training: Training, tmp_path: Path
) -> None:
    told: list[str] = []
    asked = [_asked(ODD, BIRTH), _asked("kết hôn cần giấy tờ gì", MARRIAGE, number="8")]
    figures = train(
        entries, Content(), Content((TAUGHT,)), asked, folds=3, cache=tmp_path / "new", training=training,
        told=told.append,
    )  # fmt: skip
    assert told == ["1/5", "2/5", "3/5", "4/5", "5/5"]
    assert figures["taught"] == {"total": 1, "right": 1}
    assert any(row.get("turn") == 7 and row["taught"] for row in figures["fixed"])
    assert ODD not in json.dumps([row for row in figures["fixed"] if row["source"] == "turns"], ensure_ascii=False)
    sources = {row["source"] for row in figures["kinds"]}
    assert sources == {"turns", "folds"}
    folds = {row["kind"]: row["total"] for row in figures["kinds"] if row["source"] == "folds"}
    assert folds["greet"] == 6
    assert folds["ask_procedure"] == 13  # with the one that was taught
    assert list((tmp_path / "new").glob("embedded-*.npz"))


def test_cross_validation_asks_only_what_neither_model_has_seen(
    entries: list[Entry], training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, set[tuple[str, ...]]] = {}
    asked: list[tuple[int, tuple[str, ...]]] = []

    class Watched(EmbeddedEngine):
        def __init__(self, entries: Any, content: Training, cache: Any = None) -> None:
            super().__init__(entries, content, cache)
            seen[id(self)] = {words_of(one.text) for one in (*content.examples, *content.added)}
            kept.append(self)

        def parse(self, text: str) -> Any:
            asked.append((id(self), words_of(text)))
            return super().parse(text)

    kept: list[Watched] = []
    monkeypatch.setattr(bank_training, "EmbeddedEngine", Watched)
    train(entries, Content(), Content((TAUGHT,)), [], folds=3, cache=None, training=training)
    assert len(kept) == 8
    assert len(asked) > 50
    assert all(words not in seen[engine] for engine, words in asked)
    assert {fold_of(words, 3) for _, words in asked} == {0, 1, 2}


def test_sentences_of_a_secret_set_are_never_kept(entries: list[Entry], training: Training) -> None:
    wrong = [_asked(ODD, BIRTH, "set_aside", secret=True)]
    taught_else = Content((Example("xin cái tờ", "ask_procedure", ("documents",), BIRTH),))
    figures = train(entries, taught_else, Content(), wrong, folds=0, cache=None, training=training)
    assert figures["kinds"][0]["total"] == 1
    assert ODD not in json.dumps(figures, ensure_ascii=False)


def test_the_process_does_as_it_is_told(
    entries: list[Entry], training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(bank_training, "load_training", lambda: training)
    monkeypatch.setattr(bank_training.os, "nice", lambda _by: 0)
    monkeypatch.setattr(bank_training.sys, "argv", ["training", "10"])
    running, candidate = Content(names=((DEATH, "tờ giã biệt"),)), Content((TAUGHT,))
    asked = [_asked(ODD, BIRTH, covered=ODD)]
    job = to_job(entries, running, candidate, asked, folds=3, cache=tmp_path / "1", running_cache=tmp_path / "0")
    monkeypatch.setattr(bank_training.sys, "stdin", io.StringIO(job))
    bank_training.main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("progress") for line in lines] == ["1/5", "2/5", "3/5", "4/5", "5/5", None]
    assert lines[-1]["figures"]["taught"] == {"total": 1, "right": 1}

    # A replica that has not kept the model yet has a process make it.
    cache = ModelCache(tmp_path / "elsewhere")
    assert not candidate.kept(entries, training, cache)
    monkeypatch.setattr(bank_training.sys, "stdin", io.StringIO(to_build(entries, candidate, tmp_path / "elsewhere")))
    bank_training.main()
    assert candidate.kept(entries, training, cache)


def _row(source: str, total: int, before: int, after: int, fixed: int, broken: int) -> dict[str, Any]:
    return {
        "source": source, "kind": "greet", "total": total, "before": before, "after": after, "fixed": fixed,
        "broken": broken,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("row", "limit", "refused"),
    [
        (_row("turns", 3, 3, 2, 0, 1), 1, True),  # every sentence that an advisor judged counts
        (_row("turns", 3, 2, 2, 1, 1), 0, False),
        (_row("turns", 200, 190, 188, 0, 2), 1, False),
        (_row("turns", 200, 190, 187, 0, 3), 1, True),
        (_row("folds", 50, 40, 39, 0, 1), 1, False),  # chance
        (_row("folds", 50, 40, 34, 0, 6), 1, True),
        (_row("dev", 1000, 900, 896, 12, 16), 1, False),
        (_row("dev", 1000, 900, 860, 10, 50), 1, True),
        (_row("dev", 1000, 900, 860, 10, 50), 5, False),
    ],
)
def test_what_counts_as_worse(row: dict[str, Any], limit: float, refused: bool) -> None:
    assert bool(worse({"kinds": [row]}, limit)) is refused


# --- rows -----------------------------------------------------------------------------------------------------------


def _begun(session: Session, text: str = ODD) -> int:
    examples.add(session, text, Label("ask_procedure", ("documents",), (BIRTH,)), by="lan", now=NOW)
    return bank.begin(session, "lan", NOW).id or 0


def _ready(session: Session, number: int, rows: list[dict[str, Any]] | None = None) -> None:
    assert bank.claim(session, "me", NOW) is not None
    figures = {"kinds": rows or [], "compared_with": bank.current(session)}
    assert bank.finish(session, number, "me", figures, NOW)


def test_there_must_be_something_new_and_one_is_trained_at_a_time(database: Database) -> None:
    with database.write() as session, pytest.raises(BadInputError, match="Chưa có"):
        bank.begin(session, "lan", NOW)
    with database.write() as session:
        _begun(session)
    with database.write() as session, pytest.raises(BadInputError, match="đang dựng"):
        bank.begin(session, "minh", NOW)


def test_a_training_left_by_a_crash_is_marked_failed(database: Database) -> None:
    with database.write() as session:
        number = _begun(session)
        assert bank.claim(session, "crashed", NOW) is not None
        assert bank.claim(session, "other", NOW) is None
    with database.write() as session:
        bank.fail_dead(session, NOW + timedelta(minutes=1))
        assert session.get_one(CandidateModel, number).state == "training"
        bank.fail_dead(session, NOW + timedelta(minutes=3))
        model = session.get_one(CandidateModel, number)
        assert (model.state, bool(model.error)) == ("failed", True)
        assert not bank.finish(session, number, "crashed", {}, NOW)  # a straggler changes nothing
        assert not bank.alive(session, number, "crashed", NOW)
        bank.begin(session, "lan", NOW)


def test_promotion_and_the_way_back_keep_who_and_when(database: Database) -> None:
    with database.write() as session:
        first = _begun(session)
        _ready(session, first)
        assert bank.promote(session, first, by="lan", seen=None, at_most_points=1, now=NOW) is None
    with database.write() as session:
        second = _begun(session, "giấy cho bé sơ sinh")
        _ready(session, second)
        assert bank.promote(session, second, by="minh", seen=first, at_most_points=1, now=NOW) == first
        assert bank.current(session) == second
        states = {model.id: model.state for model in session.exec(select(CandidateModel))}
        assert states == {first: "retired", second: "promoted"}
    with database.write() as session:
        assert bank.roll_back(session, by="hoa", seen=second, now=NOW) == (second, first)
        assert bank.roll_back(session, by="hoa", seen=first, now=NOW) == (first, None)
        assert bank.current(session) is None
        with pytest.raises(BadInputError, match="không có gì để quay lại"):
            bank.roll_back(session, by="hoa", seen=None, now=NOW)
        changes = [
            (row.kind, row.model_id, row.by) for row in session.exec(select(ModelChange).order_by(ModelChange.id))
        ]
    assert changes == [
        ("promote", first, "lan"), ("promote", second, "minh"), ("roll_back", first, "hoa"), ("roll_back", None, "hoa")
    ]  # fmt: skip


def test_a_worse_or_outdated_candidate_is_not_promoted(database: Database) -> None:
    with database.write() as session:
        number = _begun(session)
        _ready(session, number, [_row("turns", 3, 3, 2, 0, 1)])
        with pytest.raises(BadInputError, match="chào – câu đã chấm: 3 → 2 trong 3 câu"):
            bank.promote(session, number, by="lan", seen=None, at_most_points=1, now=NOW)
        assert bank.current(session) is None
        bank.promote(session, number, by="lan", seen=None, at_most_points=40, now=NOW)
        with pytest.raises(BadInputError, match="vừa đổi"):
            bank.roll_back(session, by="minh", seen=None, now=NOW)
        second = _begun(session, "giấy cho bé sơ sinh")
        assert bank.claim(session, "me", NOW)
        bank.finish(session, second, "me", {"kinds": [], "compared_with": None}, NOW)
        with pytest.raises(BadInputError, match="Dựng lại"):
            bank.promote(session, second, by="lan", seen=number, at_most_points=1, now=NOW)


def test_reviewed_turns_are_compared_and_labelled_sets_too(database: Database, tmp_path: Path) -> None:
    told = {"how": "alone", "aspects": ["documents"], "procedures": [BIRTH]}
    kinds = (
        ("right", told, "a"),
        ("wrong", told, "b"),
        ("wrong", told, "c"),
        ("right", {**told, "how": "follow_up"}, "d"),
    )
    fixed = Label("ask_procedure", ("fee",), (MARRIAGE,))
    with database.write() as session:
        for verdict, understanding, text in kinds:
            turn = Turn(
                conversation_id=1, text=text, intent="ask_procedure", outcome="answer", understanding=understanding,
                at=NOW,
            )  # fmt: skip
            session.add(turn)
            session.flush()
            label = fixed if text == "b" else None
            verdicts.give(session, turn.id or 0, verdict, label, by="lan", version=0, now=NOW)
    labelled = tmp_path / "set_aside_x.yml"
    labelled.write_text('- {id: q1, text: "chào", intent: greet, kind: office}\n', "utf-8")
    with database.read() as session:
        asked = {one.question.text: one for one in bank.asked_of(session, [labelled])}
    assert set(asked) == {"a", "b", "chào"}
    assert asked["a"].question.procedures == (BIRTH,)
    assert asked["b"].question.aspects == ("fee",)
    assert asked["chào"].secret
    with database.read() as session, pytest.raises(BadInputError):
        bank.asked_of(session, [tmp_path / "none.yml"])
