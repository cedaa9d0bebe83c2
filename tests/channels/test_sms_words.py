from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.channels.sms import HELP, START, STATUS, STOP, is_answerable, is_auto_reply, text_of
from nlu.codes import find_codes
from nlu.normalize import fold

CODE = "H30.99.01-261116-0001"
COMMANDS = {
    "HUY": STOP, "HỦY": STOP, "Huỷ": STOP, "STOP": STOP, "TU CHOI": STOP, "Từ chối": STOP, "StopAll": STOP,
    "NHAN TIN": START, "Nhận tin": START, "START": START,
    "TRO GIUP": HELP, "Trợ giúp": HELP, "HELP": HELP,
    "TRA CUU": STATUS, "Tra cứu hồ sơ": STATUS, "HS": STATUS,
}  # fmt: skip
BLANKS = st.text(st.sampled_from(' \t\n\u00a0.,:;!-«»()"'), max_size=4)
GAPS = st.text(st.sampled_from(" \t\u00a0.:,-"), min_size=1, max_size=3)


@given(st.sampled_from(sorted(COMMANDS)), BLANKS, BLANKS, st.sampled_from(["NFC", "NFD", "NFKD"]), st.booleans())
def test_commands_are_read_however_they_are_written(
    word: str, before: str, behind: str, form: str, lower: bool
) -> None:
    written = unicodedata.normalize(form, before + (word.lower() if lower else word) + behind)
    assert text_of(written) == COMMANDS[word]


@given(st.sampled_from(["HS", "hs", "TRA CUU", "tra cứu", "Tra cứu hồ sơ", "TRACUU"]), GAPS, BLANKS, st.booleans())
def test_a_code_behind_its_word_is_asked_about(word: str, gap: str, behind: str, typed_freely: bool) -> None:
    code = "h30 99 01 261116 0001" if typed_freely else CODE
    asked = text_of(f"{word}{gap}{code}{behind}")
    assert asked.startswith(f"{STATUS} ")
    assert [hit.code for hit in find_codes(asked)] == [CODE]


def test_what_stands_behind_the_code_is_kept() -> None:
    assert text_of(f"HS {CODE} xong chưa ạ?") == f"{STATUS} {CODE} xong chưa ạ?"


def test_a_code_that_is_nearly_one_goes_on_to_be_mended() -> None:
    assert text_of("HS H30.99.01-26111-0001") == f"{STATUS} H30.99.01-26111-0001"


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", CODE, f"hồ sơ {CODE} xong chưa", f"HUY {CODE}", "hs khai sinh cần gì", "HS con tôi học lớp 1",
        "tra cuu 123", "hủy hồ sơ", "stop by", "tôi từ chối", "giúp", "nhận tin ở đâu", "🙏", "hstra cuu",
    ],
)  # fmt: skip
def test_anything_else_is_left_as_it_is(text: str) -> None:
    assert text_of(text) == text


@given(st.text())
def test_no_text_is_changed_but_by_a_command(text: str) -> None:
    asked = text_of(text)
    assert asked == text or asked in {STOP, START, HELP, STATUS} or asked.startswith(f"{STATUS} ")
    if asked != text:
        assert fold(text).strip()


@given(st.text(), st.sampled_from(["", "OTHER", " "]))
def test_an_unknown_kind_of_opting_out_changes_nothing(text: str, kind: str) -> None:
    assert text_of(text, kind) == text_of(text)


@pytest.mark.parametrize(("kind", "asked"), [("STOP", STOP), ("start", START), ("HELP", HELP)])
def test_twilios_word_on_opting_out_counts(kind: str, asked: str) -> None:
    assert text_of("ARRET", kind) == asked


@pytest.mark.parametrize(
    "text",
    [
        "Day la tin nhan tu dong.",
        "Đây là tin nhắn trả lời tự động của tổng đài.",
        "Tin nhan tu dong: toi dang ban, se goi lai sau",
        "Trả lời tự động: hiện không có người trực",
        "Vui lòng không trả lời tin nhắn này",
        "Xin đừng phản hồi vào số máy này",
        "Tôi đang lái xe. Tôi sẽ gọi lại sau.",
        "Auto-reply: I am away",
        "This is an automated message, do not reply",
        "I'm out of the office until Monday",
        "I’m driving with Do Not Disturb turned on",
    ],
)
def test_what_machines_write_is_recognised(text: str) -> None:
    assert is_auto_reply(text)
    assert is_auto_reply(unicodedata.normalize("NFD", text).upper())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "có phải trả lời tự động không",
        "đây là tin nhắn tự động phải không",
        "Tin nhắn tự động à",
        "tự động trả lời hay người trả lời vậy",
        "Vui lòng không trả lời tin nhắn này là sao?",
        "xin đừng trả lời lòng vòng",
        "tôi đang bận, hồ sơ xong thì báo tôi",
        "đăng ký tự động gia hạn thẻ thư viện",
        "HS " + CODE,
    ],
)
def test_what_people_write_is_not(text: str) -> None:
    assert not is_auto_reply(text)


@pytest.mark.parametrize(
    ("sender", "answerable"),
    [
        ("+84951234567", True), ("+15017122661", True), ("8041", False), ("84951234567", False), ("MotCua", False),
        ("", False), ("+0951234567", False), ("+84 951234567", False), ("+84951234567\n", False),
        ("+٨٤٩٥١٢٣٤٥٦٧", False),
    ],
)  # fmt: skip
def test_only_telephones_are_answered(sender: str, answerable: bool) -> None:
    assert is_answerable(sender) is answerable


@given(st.text(max_size=300))
def test_nothing_breaks_them(text: str) -> None:
    is_auto_reply(text)
    is_answerable(text)
