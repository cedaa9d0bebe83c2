"""Nothing that leads to a person is left in what is shown to others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.masking import HIDDEN, masked


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("gọi tôi số 0951 234 567 nhé", f"gọi tôi số {HIDDEN} nhé"),
        ("+84951234567", HIDDEN),
        ("0951.234.567", HIDDEN),
        ("căn cước 092090001234", f"căn cước {HIDDEN}"),
        ("CMND 361234567", f"CMND {HIDDEN}"),
        ("sinh ngày 12/05/1990", f"sinh ngày {HIDDEN}"),
        ("hồ sơ H30.99.01-261116-0001 đâu rồi", f"hồ sơ {HIDDEN} đâu rồi"),
        ("hồ sơ 000.17.22.H56-210531-0001", f"hồ sơ {HIDDEN}"),
        ("thư an.nguyen@example.vn", f"thư {HIDDEN}"),
        ("xem https://facebook.com/an.nguyen nhé", f"xem {HIDDEN} nhé"),
        ("thủ tục 1.001193 phí 8.000 đồng", "thủ tục 1.001193 phí 8.000 đồng"),
        ("chờ 2 tiếng, 15 ngày, năm 2026", "chờ 2 tiếng, 15 ngày, năm 2026"),
    ],
)
def test_numbers_that_lead_to_a_person_are_hidden(said: str, shown: str) -> None:
    assert masked(said) == shown


def test_a_code_written_in_any_way_is_hidden() -> None:
    assert "0001" not in masked("h30 99 01 261116 0001")
    assert "0001" not in masked("H30.99.01 – 261116 – 0001")


@given(st.text(max_size=300))
def test_any_text_can_be_masked_again_without_change(text: str) -> None:
    once = masked(text)
    assert masked(once) == once


@given(st.integers(0, 9_999_999), st.sampled_from(["", " ", ".", "-"]), st.text("ab ,", max_size=10))
def test_no_phone_in_any_grouping_is_left(number: int, sign: str, around: str) -> None:
    digits = f"095{number:07d}"
    typed = sign.join((digits[:4], digits[4:7], digits[7:]))
    assert digits[4:7] not in masked(f"{around} {typed} {around}").replace(HIDDEN, "")
