"""Marks, intervals and calibration; reading labelled files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cli import main
from bot.errors import BadInputError
from bot.evaluation.measures import Scored, confusion, coverage, interval, judge, plot, reliability, right
from bot.evaluation.questions import Question, load
from nlu.entries import Candidate
from nlu.port import Understanding

FEE = Question("1", "phí khai sinh", "ask_procedure", ("fee",), ("1.001193",), "direct", None)


def _found(code: str | None, *candidates: str, intent: str = "ask_procedure") -> Understanding:
    listed = tuple(Candidate(candidate, "", 0.5) for candidate in candidates)
    return Understanding("", intent, 1.0, ("fee",), code, (code,) if code else (), listed)


def test_answered_right_wrong_and_asked_back() -> None:
    same = lambda code: code  # noqa: E731
    assert right(judge(FEE, _found("1.001193", "1.001193"), same))
    wrong = judge(FEE, _found("1.000894", "1.000894", "1.001193"), same)
    assert (wrong["answered_wrongly"], wrong["first"], wrong["among_three"]) == (True, False, True)
    back = judge(FEE, _found(None, "1.001193"), same)
    assert (back["asked_back"], back["first"], right(back)) == (True, True, False)
    refused = judge(FEE, _found(None, intent="out_of_scope"), same)
    assert (refused["in_scope_refused"], refused["asked_back"]) == (True, False)


def test_a_successor_counts_as_the_same() -> None:
    old = Question("1", "", "ask_procedure", (), ("1.014061",), "direct", None)
    marks = judge(old, _found("1.116410", "1.116410"), lambda code: "1.116410" if code == "1.014061" else code)
    assert marks["first"]


def test_ambiguous_questions_are_right_when_asked_back() -> None:
    ambiguous = Question("1", "", "ask_procedure", (), ("1.001193", "1.004884"), "ambiguous", None)
    assert right(judge(ambiguous, _found(None, "1.004884"), str))
    assert not right(judge(ambiguous, _found("1.001193", "1.001193"), str))


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_interval_holds_the_share(some: int, total: int) -> None:
    share = min(some, total) / total
    low, high = interval(min(some, total), total)
    assert 0 <= low <= share + 1e-9
    assert share - 1e-9 <= high <= 1


def test_calibration_coverage_and_picture() -> None:
    scored = [Scored(0.95, right=True), Scored(0.9, right=True), Scored(0.4, right=False)]
    assert [row[2] for row in reliability(scored)] == [1, 2]
    assert coverage(scored) == [(1 / 3, 0.0), (2 / 3, 0.0), (1.0, 1 / 3)]
    assert "polyline" in plot(coverage(scored))
    assert confusion([("a", "b"), ("a", "b"), ("c", "c")]) == [("a", "b", 2)]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("questions: [{text: a}]", "cần trường 'intent'"),
        ("questions: [{text: a, intent: xyz}]", "intent 'xyz' lạ"),
        ("questions: [{text: a, intent: greet, aspects: [xyz]}]", "aspects lạ: xyz"),
        ("dialogues: [{turns: [{say: a, outcome: xyz}]}]", "hội thoại 1, lượt 1: outcome"),
        ("dialogues: [{now: hôm qua, turns: []}]", "không phải giờ ISO"),
        ("[", "nội dung sai"),
        ("{}", "cần một danh sách"),
    ],
)
def test_faults_are_named(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "q.yml"
    path.write_text(content, "utf-8")
    with pytest.raises(BadInputError, match=told):
        load(path)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, picture = tmp_path / "q.yml", tmp_path / "q.svg"
    path.write_text(
        """
questions:
  - { id: a, text: làm giấy khai sinh cần gì, intent: ask_procedure, aspects: [documents], procedures: ["1.001193"] }
  - { id: b, text: trời hôm nay sao, intent: greet, kind: office }
dialogues:
  - turns:
      - { say: làm giấy khai sinh cần gì, outcome: answer, procedures: ["1.001193"], aspects: [documents] }
      - { say: còn phí, outcome: answer, procedures: ["1.001193"], intent: ask_procedure, aspects: [fee] }
""",
        "utf-8",
    )
    assert main(["evaluate", str(path), "--plot", str(picture)]) == 0
    told = capsys.readouterr().out
    assert "turn " in told
    assert "b [office]" in told
    assert picture.read_text("utf-8").startswith("<svg")
