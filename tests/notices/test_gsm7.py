from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.notices.gsm7 import BASIC, EXTENSION, Segments, segments, to_unaccented


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Hồ sơ đã có kết quả", "Ho so da co ket qua"),
        ("ĐƯỜNG Nguyễn Ưng Đoài", "DUONG Nguyen Ung Doai"),
        ("ỹ ợ ử ặ", "y o u a"),
        ("H30.99.01-261116-0001", "H30.99.01-261116-0001"),
    ],
)
def test_marks_go_in_either_unicode_form(text: str, plain: str) -> None:
    assert to_unaccented(text) == plain
    assert to_unaccented(unicodedata.normalize("NFD", text)) == plain


@given(st.text())
def test_every_unicode_form_gives_the_same_text_and_twice_changes_nothing(text: str) -> None:
    plain = to_unaccented(text)
    assert to_unaccented(plain) == plain
    assert to_unaccented(unicodedata.normalize("NFD", text)) == plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Segments("gsm7", 0, 1)),
        ("a" * 160, Segments("gsm7", 160, 1)),
        ("a" * 161, Segments("gsm7", 161, 2)),
        ("a" * 306, Segments("gsm7", 306, 2)),
        ("a" * 307, Segments("gsm7", 307, 3)),
        ("€" * 80, Segments("gsm7", 160, 1)),
        ("€" * 81, Segments("gsm7", 162, 2)),
        ("ư" * 70, Segments("ucs2", 70, 1)),
        ("ư" * 71, Segments("ucs2", 71, 2)),
        ("ư" * 134, Segments("ucs2", 134, 2)),
        ("ư" * 135, Segments("ucs2", 135, 3)),
        ("😀" * 35, Segments("ucs2", 70, 1)),
        ("à è é ì ò ù", Segments("gsm7", 11, 1)),
        ("à è é ì ò ù ạ", Segments("ucs2", 13, 1)),
    ],
)
def test_lengths_at_the_edges(text: str, expected: Segments) -> None:
    assert segments(text) == expected


def test_a_character_of_two_units_is_not_split_between_messages() -> None:
    # 153 units a part: the euro sign would start at the last one and moves on whole, which costs a unit.
    assert segments("a" * 152 + "€" + "a" * 151) == Segments("gsm7", 305, 2)
    assert segments("a" * 152 + "€" + "a" * 152) == Segments("gsm7", 306, 3)


def test_alphabet_is_the_standards() -> None:
    assert len(BASIC) == 127  # 128 less the escape
    assert not BASIC & EXTENSION
