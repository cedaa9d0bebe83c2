"""Files as offices send them: CSV and Excel, good rows in, bad rows named."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from sqlmodel import select

from bot.dossiers.importing import BATCH, check_rows, import_records, read_rows
from bot.dossiers.records import COLUMNS, DossierRecord
from bot.errors import BadInputError
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Dossier

NOW = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
HEAD = ",".join(COLUMNS)


def code(number: int) -> str:
    return f"H30.99.01-261116-{number:04d}"


def line(number: int, status: object = 4, **fields: str) -> str:
    row = dict.fromkeys(COLUMNS, "") | {"code": code(number), "status": str(status)} | fields
    return ",".join(row[name] for name in COLUMNS)


def file(folder: Path, *lines: str, name: str = "a.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes("\r\n".join(lines).encode(encoding))
    return path


def checked(path: Path) -> tuple[list[DossierRecord], list[tuple[int, str]]]:
    return check_rows(read_rows(path))


def test_good_rows_come_through_and_bad_ones_are_named_by_line(tmp_path: Path) -> None:
    records, rejected = checked(
        file(tmp_path, HEAD, line(1), line(2, 12), "", line(3, note="=1+1"), line(1), line(4, phone="123"), line(5))
    )
    assert [record.code for record in records] == [code(1), code(5)]
    assert [number for number, _ in rejected] == [3, 5, 6, 7]
    assert [reason.split(":")[0] for _, reason in rejected] == ["status", "note", "code", "phone"]
    assert "đã có ở dòng 2" in rejected[2][1]


def test_columns_may_stand_in_any_order_with_semicolons_and_a_byte_order_mark(tmp_path: Path) -> None:
    names = list(reversed(COLUMNS))
    row = {"code": code(1), "status": "9", "office": "Xã Châu Thành", "consent_sms": "có"}
    path = file(tmp_path, ";".join(names), ";".join(row.get(name, "") for name in names), encoding="utf-8-sig")
    records, rejected = checked(path)
    assert rejected == []
    assert (records[0].status, records[0].office, records[0].consent_sms) == (9, "Xã Châu Thành", True)


def test_a_quoted_cell_may_hold_separators_and_line_breaks(tmp_path: Path) -> None:
    path = file(tmp_path, HEAD, line(1, note='"thiếu: a, b\r\nvà ""c"""'), line(2, 12))
    records, rejected = checked(path)
    assert records[0].note == 'thiếu: a, b và "c"'
    assert [number for number, _ in rejected] == [4]  # the lines of the file, not its rows


def test_a_row_with_too_many_cells_is_rejected_alone(tmp_path: Path) -> None:
    records, rejected = checked(file(tmp_path, HEAD, line(1, note="a, b"), line(2)))
    assert [record.code for record in records] == [code(2)]
    assert rejected[0][0] == 2
    assert "ngoặc kép" in rejected[0][1]


def test_an_open_quotation_mark_swallows_no_rows(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"a\.csv:2: "):
        checked(file(tmp_path, HEAD, line(1, note='"thiếu giấy'), line(2)))


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "trống"),
        ([HEAD.replace("phone,", "")], "thiếu cột phone"),
        ([HEAD.replace("phone", "Phone")], "thiếu cột phone"),
        ([HEAD + ",họ tên"], "họ tên"),
        ([HEAD + ',"họ\ntên"'], "«họ tên»"),
        ([HEAD + ",code"], "trùng"),
        ([line(1)], "thiếu cột"),
    ],
)
def test_a_wrong_header_is_told_in_one_line(tmp_path: Path, lines: list[str], told: str) -> None:
    with pytest.raises(BadInputError, match=told) as refused:
        checked(file(tmp_path, *lines))
    assert "\n" not in str(refused.value)


def test_bytes_that_are_not_utf_8_are_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(f"{HEAD}\n{line(1)}\n".encode() + line(2, note="Đã xong").encode("cp1258", "replace") + b"\xff\n")
    with pytest.raises(BadInputError, match=r"a\.csv:3: không phải UTF-8"):
        checked(path)


@pytest.mark.parametrize("name", ["missing.csv", "a.pdf", "broken.xlsx", "empty.zip.xlsx"])
def test_files_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    if name == "empty.zip.xlsx":
        with zipfile.ZipFile(tmp_path / name, "w"):
            pass
    elif name != "missing.csv":
        (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(BadInputError, match=name):
        checked(tmp_path / name)


def workbook(path: Path, *rows: list[object]) -> Path:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def excel_row(number: int, **fields: object) -> list[object]:
    return [{"code": code(number), "status": 4, **fields}.get(name) for name in COLUMNS]


def test_excel_numbers_and_dates(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "a.xlsx",
        list(COLUMNS),
        excel_row(
            1, status=5.0, received_at=datetime.fromisoformat("2026-11-16T08:30"), due_at=date(2026, 11, 19),
            phone=951234567, consent_sms=True, procedure="1.001193",
        ),
        [None] * 3,
        excel_row(2, note="=1+1"),
    )  # fmt: skip
    records, rejected = checked(path)
    assert (records[0].status, records[0].phone, records[0].consent_sms) == (5, "+84951234567", True)
    assert f"{records[0].received_at:%d/%m %H:%M} {records[0].due_at:%d/%m %H:%M}" == "16/11 08:30 19/11 17:00"
    assert rejected == [(4, "note: ô chứa công thức; cần giá trị thường")]


def test_a_sheet_that_breaks_half_way_is_told(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", list(COLUMNS), excel_row(1))
    broken = tmp_path / "b.xlsx"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(broken, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content[: len(content) * 2 // 3] if name.endswith("sheet1.xml") else content)
    with pytest.raises(BadInputError, match=r"b\.xlsx"):
        checked(broken)


@given(st.lists(st.lists(st.text(max_size=12), max_size=14), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_below_the_header_is_taken_or_rejected(tmp_path: Path, rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([COLUMNS, *rows])
    path = tmp_path / "h.csv"
    path.write_bytes(out.getvalue().encode("utf-8", "replace"))
    records, rejected = checked(path)
    written = [row for row in rows if any(cell.strip() for cell in row)]
    assert len(records) + len(rejected) <= len(written)
    assert all("\n" not in reason for _, reason in rejected)


def test_an_import_reports_and_repeats_without_harm(sqlite_database: Database, settings: Settings) -> None:
    records = [DossierRecord(code=code(number), status=4) for number in range(BATCH + 10)]
    rejected = [(7, "status: sai")]
    report = import_records(sqlite_database, records, rejected, settings, NOW)
    assert (report.created, report.changed, report.unchanged, report.rejected) == (BATCH + 10, 0, 0, rejected)
    records[3] = DossierRecord(code=code(3), status=9)
    report = import_records(sqlite_database, records, [], settings, NOW)
    assert (report.created, report.changed, report.unchanged) == (0, 1, BATCH + 9)


@pytest.mark.parametrize(("strict", "left"), [(True, 0), (False, BATCH)])
def test_strict_is_one_transaction(sqlite_database: Database, settings: Settings, strict: bool, left: int) -> None:
    records = [DossierRecord(code=code(number), status=4) for number in range(BATCH + 1)]
    records[BATCH] = DossierRecord(code=code(BATCH), status=4, received_at=datetime.fromisoformat("2026-01-01"))
    with pytest.raises(Exception, match="naive"):
        import_records(sqlite_database, records, [], settings, NOW, strict=strict)
    with sqlite_database.read() as session:
        assert len(session.exec(select(Dossier)).all()) == left
