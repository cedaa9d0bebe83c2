"""The month's report: the pilot's order, figures that add up, a spreadsheet in which no text is a formula."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from bot.figures.charts import bars, stacked
from bot.figures.dossiers import Dossiers, Finished
from bot.figures.notices import Notices
from bot.figures.overview import Names, Overview
from bot.figures.period import month_of
from bot.figures.report import Report, Section, Share, report, shown
from bot.figures.spreadsheet import workbook
from bot.figures.turns import Asked, Correctness, Ending, People
from bot.survey.results import Results

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
NAMES = Names(
    fields={"1.001193": "ho-tich"}, of_field={"ho-tich": "Hộ tịch", "dat-dai": "Đất đai", "": "Chưa rõ"},
    of_procedure={"1.001193": "Khai sinh"}, counters={"dat-dai": "Quầy đất đai"},
)  # fmt: skip


def overview(comment: str = "") -> Overview:
    asked = Asked(by_ending=Counter({Ending.ANSWERED: 3, Ending.UNKNOWN: 1}), look_ups=1, timed=4, quick=3, slow=1,
                  waited_ms=6000)  # fmt: skip
    asked.by_procedure["1.001193"][Ending.ANSWERED] = 3
    asked.by_procedure[""][Ending.UNKNOWN] = 1
    results = Results(asked=3, answered=2, comments=[comment] if comment else [])
    results.scores["overall"].update({5: 1, 3: 1})
    return Overview(
        month_of(NOW.date()), asked, People(2, 1, 1, 1, 12.5), Correctness(10, 9),
        Dossiers(received=Counter({"ho-tich": 4, "dat-dai": 1}), electronic=1,
                 finished={"ho-tich": Finished(on_time=3, late=1)}, returned=2, pending=1),
        Notices(by_state=Counter({"sent": 2})), results, Counter({"look_up": 7, "print": 2}),
    )  # fmt: skip


def made(comment: str = "") -> Report:
    return report(overview(comment), NAMES, "Trung tâm", "xã Châu Thành", NOW)


def test_the_order_is_the_pilots() -> None:
    titles = [section.title.partition(". ")[2] for section in made().sections]
    told = ("Tiếp nhận", "Giải quyết", "Dịch vụ công", "Mức độ hài lòng", "Bảng điện tử", "Tư vấn", "Thủ tục", "Chuyển")
    assert [title.startswith(start) for title, start in zip(titles, told, strict=False)] == [True] * len(told)


def test_every_table_is_as_wide_as_its_heading_and_totals_add_up() -> None:
    for section in made().sections:
        assert {len(row) for row in section.rows} == {len(section.columns)}, section.title
    received, finished, *_ = made().sections
    assert received.rows == (
        ("Bộ phận Tiếp nhận và Trả kết quả", "Hộ tịch", 4), ("Quầy đất đai", "Đất đai", 1), ("Tổng cộng", "", 5),
    )  # fmt: skip
    assert finished.rows[-1] == ("Tổng cộng", 4, 3, 1, 0, Share(0.75))


def test_what_staff_reviewed_and_how_long_it_took_is_told() -> None:
    (advice,) = (section for section in made().sections if section.title.startswith("6."))
    assert advice.rows == (
        ("Hộ tịch", 3, 3, 0, 0, 0, 0),
        ("Chưa rõ", 1, 0, 0, 0, 1, 0),
        ("Tổng cộng", 4, 3, 0, 0, 1, 0),
    )
    assert advice.remarks == (
        "Trả lời trong 1 giây: 75,0 %; quá 5 giây: 1 câu; trung bình 1,5 giây.",
        "Câu trả lời đầu đúng: 90,0 % trên 10 câu cán bộ đã chấm.",
    )


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (1234567, "1.234.567"), (1234.56, "1.234,6"), (Share(0.9526), "95,3 %"), (Share(None), "–"), (None, "–"),
        ("=1", "=1"),
    ],
)  # fmt: skip
def test_cells_are_read_as_vietnamese_write_them(cell: Any, told: str) -> None:
    assert shown(cell) == told


def _cells(data: bytes) -> list[Any]:
    book = load_workbook(io.BytesIO(data))
    return [cell for row in book.active.iter_rows() for cell in row if cell.value is not None]


def test_the_spreadsheet_holds_numbers_as_numbers() -> None:
    cells = {cell.coordinate: cell for cell in _cells(workbook(made()))}
    by_value = {str(cell.value): cell for cell in cells.values()}
    assert by_value["0.75"].number_format == "0.0%"
    assert any(cell.value == 4 and cell.data_type == "n" for cell in cells.values())
    assert "BÁO CÁO tháng 11/2026: tiếp nhận, giải quyết thủ tục hành chính và hướng dẫn người dân" in by_value


@settings(max_examples=40, deadline=None)
@given(st.sampled_from("=+-@\t\r"), st.text(max_size=40))
def test_no_text_of_a_citizen_becomes_a_formula(sign: str, rest: str) -> None:
    said = sign + rest
    one = Report("t", "o", "c", "m", (Section("s", ("a", "b"), ((said, 1),), (said,)),))
    data = workbook(one)
    assert [cell.coordinate for cell in _cells(data) if cell.data_type not in {"s", "n"}] == []
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert b"<f" not in file.read("xl/worksheets/sheet1.xml")


def test_a_text_like_a_formula_keeps_its_quote() -> None:
    one = Report("t", "o", "c", "m", (Section("s", ("a",), (("=1+1",),)),))
    (cell,) = (cell for cell in _cells(workbook(one)) if cell.value == "=1+1")
    assert (cell.data_type, cell.quotePrefix) == ("s", True)


def test_charts_are_pictures_and_nothing_else() -> None:
    for picture in (
        stacked(["1", "2"], {"Trả lời": [1, 2], "Hỏi </svg><script>": [0, 1]}), bars({"<b>": 3, "Hộ tịch": 0}),
        bars({}), stacked([], {}), bars({"Điểm": 4.5}, most=5),
    ):  # fmt: skip
        text = picture.decode()
        assert text.startswith("<svg")
        for never in ("<script", "@import", "url(", "<image", "<foreignObject", "onload"):
            assert never not in text
        outside = {part.split('"')[0] for part in text.split('"http')[1:]}
        assert outside <= {"://www.w3.org/2000/svg", "://www.w3.org/1999/xlink"}
