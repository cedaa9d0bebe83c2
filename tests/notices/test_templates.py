from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
import underthesea
from hypothesis import given
from hypothesis import strategies as st

from bot.notices.gsm7 import BASIC, segments
from bot.notices.policy import EVENTS, RETURN_MODES
from bot.notices.templates import faults, render, short_office, templates

CODE = "H30.99.01-261116-0001"
LONGEST_CODE = "H30.999.999.999.999-261116-0000001"
TEMPLATES = sorted(templates())
DUE = "30/11/2026"
LINK = "https://motcua.xachauthanh.cantho.gov.vn/khao-sat/abcdefghijklmnop"
SHORT_LINK = "https://motcua.example.vn/khao-sat/abcdefghijklmnop"


def test_every_event_has_its_template() -> None:
    wanted = {event for event in EVENTS.values() if event != "result_ready"}
    assert set(TEMPLATES) == wanted | {f"result_ready_{mode}" for mode in RETURN_MODES} | {
        "overdue", "reminder", "survey_link",
    }  # fmt: skip
    assert list(faults()) == []


def test_read_aloud() -> None:
    office = "Trung tâm Phục vụ hành chính công xã Châu Thành"
    texts = {name: render(name, {"office": office, "code": CODE, "due": DUE, "link": LINK}) for name in TEMPLATES}
    assert texts["result_ready_counter"] == (
        "TTPVHCC xa Chau Thanh: ho so H30.99.01-261116-0001 da co ket qua. "
        "Moi ong/ba den quay nhan ket qua, mang theo giay hen."
    )
    assert texts["result_ready_post"].endswith("da co ket qua. Ket qua se duoc gui den ong/ba qua buu dien.")
    assert texts["result_ready_electronic"].endswith("Moi ong/ba xem ket qua tren Cong Dich vu cong.")
    assert "den quay" not in texts["result_ready_post"] + texts["result_ready_electronic"]
    assert texts["not_accepted"] == texts["stopped"]  # a refusal is told in person, not by SMS


@pytest.mark.parametrize("template", TEMPLATES)
def test_no_office_of_the_country_is_cut_short_with_a_real_code(template: str) -> None:
    mapping = Path(underthesea.__file__).parent / "address" / "data" / "mapping.json"
    wards = {str(entry["new_ward"]) for entry in json.loads(mapping.read_text("utf-8"))["ward_mapping"]}
    assert len(wards) > 2000
    for ward in wards:
        office = f"Trung tâm Phục vụ hành chính công {ward}"
        text = render(template, {"office": office, "code": "H15.50.05.13-261008-0975", "due": DUE, "link": SHORT_LINK})
        assert text.startswith(f"{short_office(office, 999)}: ")
        assert "ho so H15.50.05.13-261008-0975 " in text
        assert segments(text).count == 1


CODE_CHARACTERS = string.ascii_uppercase + string.digits + ".-"


@given(
    template=st.sampled_from(TEMPLATES),
    office=st.text(max_size=200) | st.text(string.ascii_letters + " {}€^đĐộ", max_size=200),
    code=st.sampled_from([CODE, LONGEST_CODE]) | st.text(CODE_CHARACTERS, min_size=1, max_size=48),
)
def test_always_one_gsm7_message_with_the_whole_code(template: str, office: str, code: str) -> None:
    text = render(template, {"office": office, "code": code, "due": DUE, "link": LINK})
    size = segments(text)
    assert (size.encoding, size.count) == ("gsm7", 1)
    assert size.units == len(text) <= 160
    assert f"ho so {code} " in text
    assert not text.startswith(":")


@given(name=st.text(max_size=200), room=st.integers(min_value=7, max_value=160))
def test_a_short_name_fits_its_room(name: str, room: int) -> None:
    short = short_office(name, room)
    assert 0 < len(short) <= room
    assert set(short) <= BASIC


@pytest.mark.parametrize(
    ("name", "room", "short"),
    [
        ("Trung tâm Phục vụ hành chính công xã Đông Phước", 99, "TTPVHCC xa Dong Phuoc"),
        ("TRUNG TÂM PHỤC VỤ HÀNH CHÍNH CÔNG XÃ CHÂU THÀNH", 99, "TTPVHCC XA CHAU THANH"),
        ("UBND xã Châu Thành – Cần Thơ", 99, "UBND xa Chau Thanh - Can Tho"),
        ("UBND xã Châu Thành – Cần Thơ", 20, "UBND xa Chau Thanh"),
        ("Ủy ban nhân dân xã Châu Thành", 99, "UBND xa Chau Thanh"),
        ("   ", 99, "TTPVHCC"),
        ("中", 99, "TTPVHCC"),
        (": -", 99, "TTPVHCC"),
    ],
)
def test_names_are_abbreviated_then_cut_after_a_word(name: str, room: int, short: str) -> None:
    assert short_office(name, room) == short


def test_an_unknown_template_is_refused() -> None:
    with pytest.raises(KeyError):
        render("result_lost", {"office": "x", "code": CODE})
