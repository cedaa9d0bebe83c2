"""What a scanner types, and what a pile of scans would do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.dossiers import scanning
from bot.dossiers.scanning import read_scan, state_of
from bot.dossiers.status import STATUSES, staff_moves
from bot.storage.tables import Dossier

CODE, OTHER = "H30.99.01-261116-0001", "H30.99.01-261116-0002"


@pytest.mark.parametrize(
    ("typed", "codes"),
    [
        (CODE, (CODE,)),
        (f"  {CODE.lower()}\n", (CODE,)),
        ("000.17.22.h56-251016-0004", ("000.17.22.H56-251016-0004",)),
        (f"https://tracuu.example/ho-so/{CODE}", (CODE,)),
        (f"HTTPS://TRACUU.EXAMPLE/?MA={CODE}&X=1", (CODE,)),
        (f"https://tracuu.example/#/tra-cuu?ma={CODE.lower()}", (CODE,)),
        (f"{CODE}|Nguyễn Văn A|16/11/2026", (CODE,)),
        ("h30 99 01 261116 0001", (CODE,)),
        (f"{CODE} {OTHER}", (CODE, OTHER)),
        ("0951000001", ()),
        ("https://[", ()),
        ("", ()),
    ],
)
def test_a_scan_is_read_however_the_scanner_writes_it(typed: str, codes: tuple[str, ...]) -> None:
    assert read_scan(typed) == codes


@given(st.lists(st.sampled_from([CODE, CODE.lower(), OTHER, "x", " ", ""]), max_size=30))
def test_a_pile_holds_each_code_once_in_the_order_scanned(scans: list[str]) -> None:
    pile = scanning.pile("\n".join(scans))
    assert len(pile) == len(set(pile))
    assert list(pile) == list(
        dict.fromkeys(scan.strip().upper() if scan != "x" else "x" for scan in scans if scan.strip())
    )


@given(st.text(max_size=3000))
def test_nothing_typed_breaks_a_pile(text: str) -> None:
    pile = scanning.pile(text)
    assert len(pile) <= scanning.MOST
    assert all(len(code) <= 48 for code in pile)


@pytest.mark.parametrize("status", sorted(STATUSES))
def test_only_what_is_worked_on_becomes_ready_by_a_scan(status: int) -> None:
    line = state_of(CODE, Dossier(code=CODE, status=status))
    assert (line.state == scanning.READY) is (status in {2, 4, 5, 6})
    if line.state == scanning.READY:
        assert 9 in staff_moves(status)


def test_what_is_not_on_file_and_what_is_no_code_are_told_apart() -> None:
    assert state_of(CODE, None).state == scanning.UNKNOWN
    assert state_of("xin chào", None).state == scanning.UNREADABLE
