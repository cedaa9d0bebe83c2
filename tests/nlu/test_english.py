"""English about the office's business is read; Vietnamese is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.catalog.catalog import load_catalog
from nlu.english import English
from nlu.training_data import load_training

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def english() -> English:
    return English(load_training().english)


def test_known_phrases_become_vietnamese(english: English) -> None:
    told = english.in_vietnamese("My wife just had a baby, what papers do we need for the birth certificate?")
    assert "moi sinh con" in told
    assert "can giay to gi" in told
    assert "giay khai sinh" in told
    assert "giay phep xay dung" in english.in_vietnamese("house building permit sao xin vậy bạn")


def test_vietnamese_is_left_alone(english: English) -> None:
    for procedure in load_catalog(ROOT / "procedures_data").procedures.values():
        for text in (procedure.name, *procedure.everyday_names, *procedure.examples):
            assert english.in_vietnamese(text) == text
