"""Corrections go to Rasa's format and back without loss, whatever people typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlu.corrections import from_rasa_yaml, label_of, to_rasa_yaml
from nlu.port import ASPECTS, INTENTS
from nlu.training_data import Example, TrainingDataError, load_training

CODES = ("1.001193", "1.000894", "2.000815", "1.004222")
ODD = [
    "- ",
    "[",
    "](time)",
    "]{",
    "\n",
    "\r",
    "  ",
    ": ",
    "# ",
    "|",
    '"',
    "'",
    "\\",
    "\x00",
    "\u2028",
    "\u200b",
    "đ",
    "😀",
    "%",
]


@st.composite
def examples(draw: st.DrawFn) -> Example:
    text = draw(st.text(max_size=30) | st.lists(st.sampled_from([*ODD, "giấy", " ", "tờ"]), max_size=8).map("".join))
    text += draw(st.sampled_from(["gì", " phí?", "x", "[a](b)"]))
    asked = draw(st.sets(st.sampled_from(ASPECTS), max_size=3))
    aspects = tuple(aspect for aspect in ASPECTS if aspect in asked)
    codes = tuple(draw(st.lists(st.sampled_from(CODES), unique=True, max_size=3)))
    procedure, family = (codes[0], ()) if len(codes) == 1 else (None, codes)
    return Example(text, draw(st.sampled_from(INTENTS)), aspects, procedure, family)


@given(st.lists(examples(), max_size=8))
def test_there_and_back_is_the_same(given_examples: list[Example]) -> None:
    assert from_rasa_yaml(to_rasa_yaml(given_examples)) == tuple(given_examples)


def test_all_training_content_goes_there_and_back() -> None:
    content = load_training().examples
    assert from_rasa_yaml(to_rasa_yaml(content)) == content


def test_plain_messages_look_as_people_write_them_and_are_training_content(tmp_path: Path) -> None:
    said = [
        Example("xin giấy độc thân mấy ngày", "ask_procedure", ("processing_time",), "1.004873"),
        Example("phí [bao nhiêu](fee)?\nnộp ở đâu", "ask_procedure", ("fee", "where"), "1.004873"),
    ]
    text = to_rasa_yaml(said)
    assert "- intent: ask_procedure+processing_time/1.004873\n  examples: |\n    - xin giấy độc thân mấy ngày\n" in text
    assert 'text: "phí (bao nhiêu)(fee)? nộp ở đâu"' in text
    (tmp_path / "corrections.yml").write_text(text, "utf-8")
    assert load_training(tmp_path).examples == tuple(said)


def test_marked_spans_are_taken_off() -> None:
    text = "nlu:\n- intent: due_date\n  examples: |\n    - nộp [sáng mai](time) khi nào xong\n"
    assert from_rasa_yaml(text)[0].text == "nộp sáng mai khi nào xong"
    listed = "nlu:\n- intent: due_date\n  examples:\n  - text: nộp [sáng mai](time) khi nào xong\n"
    assert from_rasa_yaml(listed)[0].text == "nộp sáng mai khi nào xong"


@pytest.mark.parametrize(
    ("example", "told"),
    [
        (Example("a", "weather"), "không có ý định 'weather'"),
        (Example("a", "ask_procedure", ("fee", "documents")), "thứ tự"),
        (Example("a", "ask_procedure", (), "123"), "không phải mã thủ tục"),
        (Example("a", "ask_procedure", (), "1.001193", ("1.001193", "1.000894")), "không ghi được"),
        (Example(" \n\u200b", "greet"), "không có chữ nào"),
    ],
)
def test_what_cannot_be_written_is_named(example: Example, told: str) -> None:
    with pytest.raises(TrainingDataError, match=told):
        to_rasa_yaml([example])


@pytest.mark.parametrize(
    "text", ["", "nlu: 1", "nlu:\n- intent: x\n  examples: |\n    - a\n", "a: [", "nlu:\n- intent: greet\n"]
)
def test_what_is_no_training_file_is_refused(text: str) -> None:
    with pytest.raises(TrainingDataError):
        from_rasa_yaml(text)


def test_nothing_is_a_file_too() -> None:
    assert from_rasa_yaml(to_rasa_yaml([])) == ()
    assert label_of(Example("x", "ask_procedure", ("fee",), None, CODES[:2])) == "ask_procedure+fee/1.001193+1.000894"
