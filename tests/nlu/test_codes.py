"""The code grammar: whatever spelling, the same code; whatever else people write, no code."""

from __future__ import annotations

import time
import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlu.codes import MAX_CHARS, find_codes, is_canonical, near_misses, procedure_codes


def read(text: str) -> tuple[str, ...]:
    return tuple(hit.code for hit in find_codes(text))


# O, I and (small) L are left out of the letters: people write them for 0 and 1, and no agency is known to have them.
LETTERS = "ABCDEFGHKMNPQRSTUVWXYZ"
DIGITS = "0123456789"
pair = st.text(DIGITS, min_size=2, max_size=2)
mixed_pair = st.text(DIGITS + LETTERS, min_size=2, max_size=2)
province = st.builds("{}{}".format, st.sampled_from(LETTERS), pair)
days = st.dates(date(2015, 1, 1), date(2039, 12, 31)).map(lambda day: f"{day:%y%m%d}")
four = st.text(DIGITS, min_size=4, max_size=4)
sequences = st.text(DIGITS, min_size=4, max_size=7)
new_agency = st.builds(
    lambda lead, groups: ".".join([lead, *groups]),
    province,
    st.lists(st.text(DIGITS, min_size=2, max_size=3), max_size=4),
)
old_agency = st.builds("{}.{}.{}.{}".format, st.text(DIGITS, min_size=3, max_size=3), mixed_pair, mixed_pair, province)
short_agency = st.builds("{}.{}.{}".format, pair, pair, province)
codes = st.builds("{}-{}-{}".format, st.one_of(new_agency, old_agency, short_agency), days, sequences)
# The codes of a provincial system, that stay readable with nothing between the digits.
commune_codes = st.builds(
    lambda number, groups, day, seq: f"{'.'.join([f'H{number}', *groups])}-{day}-{seq}",
    pair, st.lists(pair, min_size=1, max_size=4), days, four,
)  # fmt: skip

BEFORE = ("", "mã hồ sơ ", "Mã: ", "cho hỏi hồ sơ ", "mã", "(", "«", "xem dùm tui ", "ho so ", "\n", "Anh ơi, ")
AFTER = ("", ".", " tới đâu rồi", "?", " ạ", ")", "!", "\n", " nha ad", ", cảm ơn", " 😀", "ạ", " là của má tui")


@given(codes)
def test_a_canonical_code_is_read_as_it_stands(code: str) -> None:
    assert is_canonical(code)
    assert read(code) == (code,)


@given(codes, st.sampled_from(BEFORE[:4]), st.sampled_from(AFTER), st.data())
def test_any_spelling_with_its_separators_is_read_back(code: str, before: str, after: str, data: st.DataObject) -> None:
    agency, day, sequence = code.split("-")
    dash = st.sampled_from(["-", "–", "—", "−", "_", " - ", " – ", ".", "- ", "-\n", "‑"])
    text = agency + data.draw(dash) + day + data.draw(dash) + sequence
    text = data.draw(st.sampled_from([str, str.lower, str.upper]))(text)
    text = data.draw(st.sampled_from([str, lambda s: unicodedata.normalize("NFD", s)]))(before + text + after)
    assert read(text) == (code,)


@given(commune_codes, st.sampled_from(BEFORE), st.sampled_from(AFTER), st.data())
def test_a_commune_code_is_read_without_its_dots(code: str, before: str, after: str, data: st.DataObject) -> None:
    agency, day, sequence = code.split("-")
    dot = st.sampled_from(["", ".", " ", "_", "-", ". "])
    dash = st.sampled_from(["", "-", " ", "–", "_"])
    text = agency.replace(".", data.draw(dot)) + data.draw(dash) + day + data.draw(dash) + sequence
    assert read(before + data.draw(st.sampled_from([str, str.lower]))(text) + after) == (code,)


@given(commune_codes, st.data())
def test_letters_written_for_digits_and_hidden_characters_change_nothing(code: str, data: st.DataObject) -> None:
    places = [i for i, c in enumerate(code) if c in "01"]
    swapped = data.draw(st.sets(st.sampled_from(places), max_size=4)) if places else set()
    written = [{"0": data.draw(st.sampled_from("oO")), "1": data.draw(st.sampled_from("lI"))}[c] if i in swapped else c
               for i, c in enumerate(code)]  # fmt: skip
    hidden = data.draw(st.integers(0, len(code)))
    written.insert(hidden, data.draw(st.sampled_from(["", "\u200b", "\ufeff", "\u00ad"])))
    assert read("mã " + "".join(written)) == (code,)


@given(commune_codes)
def test_full_width_characters_are_read(code: str) -> None:
    assert read("".join(chr(ord(c) + 0xFEE0) for c in code)) == (code,)


@given(commune_codes, commune_codes, st.sampled_from([" ", ", ", " và ", "\n", ";", "; ", " , ", "\r\n"]))
def test_two_codes_of_one_message_come_in_order_each_once(first: str, second: str, between: str) -> None:
    expected = tuple(dict.fromkeys([first, second]))
    assert read(f"{first}{between}{second}{between}{first}") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h2912342610230018", ["H29.12.34-261023-0018"]),
        ("mã hồ sơ000.00.04.H51-200221-0001 ạ", ["000.00.04.H51-200221-0001"]),
        ("hoso000.00.04.H51-200221-0001", ["000.00.04.H51-200221-0001"]),
        ("hs38.98.h29-210519-0013", ["38.98.H29-210519-0013"]),
        ("000.A0.01.H26-210212-9090", ["000.A0.01.H26-210212-9090"]),
        ("000.O0.O4.H51-200221-0001", ["000.00.04.H51-200221-0001"]),
        ("0001722h562105310001", ["000.17.22.H56-210531-0001"]),
        ("38 98 h29 210519 0013", ["38.98.H29-210519-0013"]),
        ("H15.50.05.13-261008-0975", ["H15.50.05.13-261008-0975"]),
        ("h3O.99.Ol-261116-OOO1", ["H30.99.01-261116-0001"]),
        ("h 30.99.01-261116-0001", ["H30.99.01-261116-0001"]),
        ("H30 99 01 26 11 16 0001", ["H30.99.01-261116-0001"]),
        ("H30.99.01-261116-00 01", ["H30.99.01-261116-0001"]),
        ("H30.99.01-261116-0001luôn", ["H30.99.01-261116-0001"]),
        ("H30.99.01-261116-0001ok", ["H30.99.01-261116-0001"]),
        ("H30.99.01-261116-\r\n0001", ["H30.99.01-261116-0001"]),
        ("H30.99.01\u00a0–\u00a0261116\u00a0–\u00a00001", ["H30.99.01-261116-0001"]),
        ("H30.99.01-261116-0001H30.99.01-261116-0002", ["H30.99.01-261116-0001", "H30.99.01-261116-0002"]),
        ("H30-261116-0001 H29-261116-0002", ["H30-261116-0001", "H29-261116-0002"]),
        ("h30 261116 0001 h29 261116 0002", ["H30-261116-0001", "H29-261116-0002"]),
        ("H30.99.01-261116-0001 38.98.H29-210519-0013", ["H30.99.01-261116-0001", "38.98.H29-210519-0013"]),
        ("1.H30.99.01-261116-0001 2.H30.99.01-261116-0002", ["H30.99.01-261116-0001", "H30.99.01-261116-0002"]),
        ("H30.99.01-261116-0101, 23 tháng 11", ["H30.99.01-261116-0101"]),
        ("H30.99.01.13-261116-0001 sdt 0951234567", ["H30.99.01.13-261116-0001"]),
        ("H30.99.01-261116-0001 0951234567", ["H30.99.01-261116-0001"]),
        ("lấy số 123 ho so h30-261116-0001", ["H30-261116-0001"]),
        ("nộp ngày 12 05 h30.99.01-261116-0001", ["H30.99.01-261116-0001"]),
        ("H30.99.01-261116-0001.pdf", ["H30.99.01-261116-0001"]),
    ],
)
def test_as_people_write_it(text: str, expected: list[str]) -> None:
    assert list(read(text)) == expected


def test_groups_that_read_in_two_ways_say_so() -> None:
    # Or else H30-250101-261116, with 0001 standing apart.
    (hit,) = find_codes("h30 250101 261116 0001")
    assert (hit.code, hit.ambiguous) == ("H30.25.01.01-261116-0001", True)
    (hit,) = find_codes("h30 991301 261116 0001")
    assert (hit.code, hit.ambiguous) == ("H30.99.13.01-261116-0001", False)


words = st.sampled_from(
    """cho em hỏi làm giấy khai sinh cần gì má tui mất rồi hồ sơ tới đâu con nộp phí bao nhiêu tiền ở xã Đông Phước
    H lol ol lo oi I l O o căn hộ A12 mẫu CT01 số nhà B7 quốc lộ 1A""".split()
)
phones = st.builds(
    lambda head, tail, gap: f"{head}{gap}{tail[:4]}{gap}{tail[4:]}",
    st.sampled_from(["095", "+8495", "8495", "0292"]),
    st.text(DIGITS, min_size=7, max_size=7),
    st.sampled_from(["", " ", "."]),
)
identities = st.builds(
    "{}{}".format, st.sampled_from(["092", "093", "094", "001"]), st.text(DIGITS, min_size=9, max_size=9)
)
decrees = st.builds(
    "{}/{}/{}".format,
    st.integers(1, 999),
    st.integers(1990, 2030),
    st.sampled_from(["NĐ-CP", "TT-BTP", "QH13", "nd-cp"]),
)
when = st.dates(date(2015, 1, 1), date(2035, 1, 1)).flatmap(
    lambda day: st.sampled_from([f"{day:%d/%m/%Y}", f"{day:%d-%m-%Y}", f"{day:%d.%m.%Y}", f"{day:%Y-%m-%d}", "8h30"])
)
money = st.integers(1, 99_999_999).flatmap(
    lambda n: st.sampled_from([f"{n:,}".replace(",", "."), f"{n}đ", f"{n} đồng"])
)
procedures = st.builds("{}.{}".format, st.integers(1, 9), st.text(DIGITS, min_size=6, max_size=6))
insurance = st.just("03706/2026/07906")
other_numbers = st.one_of(phones, identities, decrees, when, money, procedures, insurance)


@given(st.lists(st.one_of(words, other_numbers), max_size=12).map(" ".join))
def test_other_numbers_and_words_are_no_codes(text: str) -> None:
    assert read(text) == ()


@given(
    st.sampled_from(["cccd", "CCCD", "cmnd", "sdt", "số định danh", "căn cước công dân của anh", "đt"]),
    st.one_of(identities, phones),
)
def test_numbers_glued_to_their_word_are_no_codes(word: str, number: str) -> None:
    assert read(word + number) == ()
    assert near_misses(f"{word} {number}") == ()


@pytest.mark.parametrize(
    "text",
    [
        "h291234261023001",  # an odd number of digits
        "h30 1 261116 0001",
        "H30.9.901-261116-0001",
        "H30.99.01-260230-0001",  # 30 February
        "H30.99.01-261345-0001",
        "000.00.04.H51-201345-0001",
        "H30.99.01-261116-000",  # a sequence too short
        "H30.25.01-261116",  # none: 250126 and 1116 must not be made of it
        "H30.99.01",
    ],
)
def test_what_cannot_be_read_is_asked_about(text: str) -> None:
    assert read(f"hồ sơ {text} sao rồi") == ()
    assert near_misses(f"hồ sơ {text} sao rồi") == (text,)


@pytest.mark.parametrize(
    "text",
    ["phòng B12 0951234567", "hẻm H12 0951234567", "số nhà H12", "mẫu CT01 092209012345", "tòa A12 có 300 hộ", ""],
)
def test_addresses_and_forms_are_no_near_misses(text: str) -> None:
    assert read(text) == ()
    assert near_misses(text) == ()


def test_a_code_that_was_read_is_no_near_miss() -> None:
    assert near_misses("H30.99.01-261116-0001 và H30.99.01-261116-00") == ("H30.99.01-261116-00",)


@given(st.text())
def test_every_hit_is_canonical_and_lies_in_the_text(text: str) -> None:
    for hit in find_codes(text):
        assert is_canonical(hit.code)
        assert 0 <= hit.start < hit.end
    near_misses(text)


@pytest.mark.parametrize(
    "code",
    [
        "H30.99.01-260230-0001",
        "h30.99.01-261116-0001",
        "H30.99.01-261116-0001\n",
        "1.001193",
        "H30.9.01-261116-0001",
        "Ｈ30-261116-0001",
        "",
    ],
)
def test_not_canonical(code: str) -> None:
    assert not is_canonical(code)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.001193", ("1.001193",)),
        ("thủ tục 1 . 001193 và 2.000815, 1.001193", ("1.001193", "2.000815")),
        ("１.００１１９３", ("1.001193",)),
        ("1001193", ()),
        ("12.000.000 đồng", ()),
        ("11.001193", ()),
        ("1.0011934", ()),
        ("H30.1.001193", ()),
    ],
)
def test_procedure_codes(text: str, expected: tuple[str, ...]) -> None:
    assert procedure_codes(text) == expected


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    assert read(" " * (MAX_CHARS + 10) + "H30.99.01-261116-0001") == ()


@pytest.mark.parametrize(
    "piece",
    [
        "H30.", "0", "h30 1 ", "a1", "1.0", "H30-261345-0001 ", "00.", "l", "H30" + "1" * 27, "00 ", "o0.0a.0b.",
        "\u200b", "h3 ", "1.00119",
    ],
)  # fmt: skip
def test_a_hostile_text_costs_little(piece: str) -> None:
    text = (piece * (100_000 // len(piece) + 1))[:100_000]
    start = time.process_time()
    find_codes(text)
    near_misses(text)
    procedure_codes(text)
    assert time.process_time() - start < 0.5
