"""Personal data is covered whatever way it is written, and what is public stays."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.masking import COVER, looks_personal, mask
from nlu.codes import find_codes
from nlu.training_data import load_training

SAID = ("", "cho hỏi ", "dạ ", "Làm khai sinh cho con, ", "sđt: ", "cccd ", "số em là ", "liên hệ giúp ")
AFTER = ("", " nha", ". Cần giấy tờ gì?", " thì làm sao", ", xin cảm ơn", "\nphí bao nhiêu")


def _phones(figures: str) -> list[str]:
    local = "095" + figures
    return [
        local, "84" + local[1:], "+84" + local[1:], f"{local[:4]} {local[4:7]} {local[7:]}",
        f"{local[:4]}.{local[4:7]}.{local[7:]}", f"({local[:3]}) {local[3:]}", f"{local[:3]}-{local[3:6]}-{local[6:]}",
        f"+84 {local[1:3]} {local[3:6]} {local[6:]}", " ".join(local), local.replace("0", "o", 1),
    ]  # fmt: skip


@st.composite
def personal(draw: st.DrawFn) -> tuple[str, str]:  # noqa: PLR0911
    """A piece of personal data as somebody may write it, and what must not be seen of it afterwards."""
    figures = draw(st.text("0123456789", min_size=7, max_size=7))
    kind = draw(st.sampled_from(("phone", "paper", "code", "born", "mail", "lookup", "name", "house", "plate")))
    if kind == "phone":
        return draw(st.sampled_from(_phones(figures))), figures[-4:]
    if kind == "paper":
        return draw(st.sampled_from(("0920" + figures + "1", "36" + figures, "B" + figures))), figures
    if kind == "code":
        tail = f"{int(figures[:4]):04}"
        form = draw(
            st.sampled_from(
                ("H30.99.01-261116-{}", "h30 99 01 261116 {}", "000.17.22.H56-210415-{}", "H30.99-261116-{}")
            )
        )
        return form.format(tail), tail
    if kind == "born":
        day = f"{int(figures[:2]) % 28 + 1}{draw(st.sampled_from('/-.'))}{int(figures[2]) + 1}"
        year = str(1940 + int(figures[3:5]) % 80)
        return draw(
            st.sampled_from((f"sinh năm {year}", f"sn {year}", f"sinh {year}", f"ngày sinh {day}/{year}"))
        ), year
    if kind == "mail":
        return f"an{figures}@thu.example.vn", figures
    if kind == "lookup":
        return draw(
            st.sampled_from((f"mã tra cứu KX-{figures[:4]}", f"kx-{figures[:4]}", f"otp là {figures[:6]}"))
        ), figures[:4]
    if kind == "house":
        number = str(int(figures[:3]) + 1)
        return draw(st.sampled_from((f"số nhà {number}/4", f"hẻm {number}", f"{number}/7 đường Trần Phú"))), number
    if kind == "plate":
        return f"65F1-{figures[:3]}.{figures[3:5]}", figures[:3]
    given_name = draw(st.sampled_from(("Bình", "Hoa", "Khôi", "Tuyết", "Ngọc Hân", "Quốc Thịnh")))
    forms = (
        f"tôi tên Nguyễn Văn {given_name}", f"tên là {given_name}", f"họ và tên: Lê Thị {given_name}",
        f"tôi tên trần thị {given_name.lower()}", f"anh {given_name}", f"TRẦN VĂN {given_name.upper()} làm",
        f"bà Phạm Minh {given_name}",
    )  # fmt: skip
    return draw(st.sampled_from(forms)), given_name.split()[0]


@given(st.sampled_from(SAID), personal(), st.sampled_from(AFTER))
@settings(deadline=None, max_examples=400)
def test_personal_data_is_covered(before: str, secret: tuple[str, str], after: str) -> None:
    written, hidden = secret
    masked = mask(before + written + after)
    assert COVER in masked.text
    assert masked.found
    assert hidden.lower() not in masked.text.lower()
    assert not find_codes(masked.text)
    assert looks_personal(masked.text) == ()


@given(
    st.text(max_size=80)
    | st.lists(st.sampled_from([*"019.-/ aAĐ@", "tên là ", "sinh ", "Nguyễn ", "***"]), max_size=25).map("".join)
)
@settings(deadline=None, max_examples=300)
def test_covering_twice_changes_nothing(text: str) -> None:
    once = mask(text)
    again = mask(once.text)
    assert again.text == once.text
    assert again.found == ()


@pytest.mark.parametrize(
    "text",
    [
        "thủ tục 1.001193 phí bao nhiêu", "lệ phí 8.000 đồng/bản hay 500000 đồng", "nghị định 123/2015/NĐ-CP nói gì",
        "thông tư 01/2019 có mẫu nào", "nộp ngày 25/11 thì bao giờ có", "TP Hồ Chí Minh có làm được không",
        "cưới chồng Đài Loan cần giấy gì", "ông nội tôi mất, nhà đứng tên ba", "mẫu CT01 lấy ở đâu",
        "đổi người đứng tên hộ kinh doanh", "con 3 tuổi, 2 vợ chồng, ở quầy 5", "năm 2026 có đổi gì không",
    ],
)  # fmt: skip
def test_what_is_public_stays(text: str) -> None:
    assert mask(text).text == text
    assert mask(text).found == ()


def test_clean_sentences_are_left_alone() -> None:
    texts = [example.text for example in load_training().examples[::7]]
    covered = [text for text in texts if mask(text).found]
    assert len(covered) < len(texts) / 100, covered


def test_the_cover_is_not_read_by_the_engine() -> None:
    from nlu.normalize import prepare  # noqa: PLC0415

    masked = mask("tôi tên Lê Thị Hoa, sđt 0951234567, muốn làm khai sinh").text
    assert re.findall(r"\w+", masked) == ["tôi", "tên", "sđt", "muốn", "làm", "khai", "sinh"]
    assert "***" not in prepare(masked).words
