"""Cleaning and folding: properties over any text, and repair that does not hurt clean text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.catalog.catalog import load_catalog
from nlu.normalize import MAX_CHARS, MAX_WORDS, clean, fold, prepare

ROOT = Path(__file__).resolve().parents[2]


@given(st.text())
def test_folding_is_idempotent_and_plain(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert "đ" not in folded


@given(st.text(max_size=500))
def test_cleaning_is_idempotent(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert len(cleaned) <= MAX_CHARS


@given(st.text(min_size=1, max_size=50), st.integers(1, 2000))
def test_work_is_bounded(text: str, times: int) -> None:
    prepared = prepare(text * times)
    assert len(prepared.text) <= MAX_CHARS
    assert len(prepared.words) <= MAX_WORDS * 4  # one chat spelling stands for at most four words


def test_with_and_without_marks_read_alike() -> None:
    for text in ("Đăng ký khai sinh", "chứng thực bản sao", "giấy phép xây dựng", "tách hộ khẩu"):
        assert prepare(text).words == prepare(fold(text)).words


def test_slips_are_mended() -> None:
    assert prepare("ddang ky khai sinhh ko z").folded == "dang ky khai sinh khong vay"
    assert prepare("lệ phí bn").folded == "le phi bao nhieu"


def test_repair_leaves_official_names_alone() -> None:
    catalog = load_catalog(ROOT / "procedures_data")
    for procedure in catalog.procedures.values():
        plain = [word for word in fold(procedure.name).replace("/", " ").split() if word.isalpha()]
        assert [word for word in plain if word not in prepare(procedure.name).words] == [], procedure.code


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("khai sihn", "khai sinh"), ("mấy thág", "may thang"), ("kinhh doanh", "kinh doanh"), ("đâuu", "dau"),
     ("CCCD PCCC photo gas ADN", "cccd pccc photo gas adn"), ("tụi em, túi xách", "tui em tui xach")],
)  # fmt: skip
def test_slips_of_the_finger_and_words_that_are_right(typed: str, meant: str) -> None:
    assert prepare(typed).folded == meant
