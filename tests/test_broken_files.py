"""Files that staff bring (dossiers, official records), broken anywhere, and any bytes: they are read or refused."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docx import Document
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from bot.catalog.imports.portal_docx import read_docx
from bot.catalog.imports.records import BadRecordError, Record, read_json, read_list
from bot.dossiers.importing import check_rows, read_rows
from bot.dossiers.records import COLUMNS, DossierRecord, record_of
from bot.errors import BadInputError

FEW = settings(
    max_examples=120, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
ROW = {"code": "H30.99.01-261116-0001", "status": "4", "phone": "0951234567", "note": "đủ giấy tờ", "consent_sms": "có"}


def _sheet(*rows: list[Any]) -> bytes:
    book, out = Workbook(), io.BytesIO()
    for row in rows:
        book.worksheets[0].append(row)
    book.save(out)
    return out.getvalue()


def _document() -> bytes:
    document, out = Document(), io.BytesIO()
    for line in ("Mã thủ tục: 1.999002", "Tên thủ tục: Thử", "Thành phần hồ sơ: "):
        document.add_paragraph(line)
    table = document.add_table(rows=2, cols=3)
    for cell, text in zip(table.rows[1].cells, ("Tờ khai", "Mau.docx", "Bản chính: 2Bản sao: 0"), strict=True):
        cell.text = text
    document.save(out)
    return out.getvalue()


CSV = "\r\n".join([",".join(COLUMNS), *[",".join(ROW.get(name, "") for name in COLUMNS)] * 2]).encode()
DOSSIERS = _sheet(list(COLUMNS), [ROW.get(name) for name in COLUMNS], ["x", 12])
LIST = _sheet(["Mã số", "Tên", "Cơ quan thực hiện", "Lĩnh vực"], ["1.999004", "Việc mới", "UBND", "Nuôi con nuôi"])
RECORD = {
    "code": "1.999001", "name": "Thử", "documents": [{"name": "Đơn", "copies": {"sao": 1}}],
    "methods": [{"mode": "Trực tiếp", "time": "3 Ngày", "fees": [{"amount": "20 VNĐ"}]}],
}  # fmt: skip
JSON = json.dumps([RECORD]).encode()


class File(bytes):
    """Bytes that do not fill the screen when a test fails."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


def _spoilt(draw: st.DrawFn, data: bytes) -> bytes:
    """Some bytes replaced, or the rest cut off."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        changed[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(changed[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else changed)


@st.composite
def broken(draw: st.DrawFn, real: bytes) -> File:
    """Any bytes; a real file with bytes of it changed; where it is an archive, also with a part of it changed."""
    kinds = ["any", "bytes", *(["part", "part", "left out"] if real[:2] == b"PK" else [])]
    how = draw(st.sampled_from(kinds))
    if how == "any":
        return File(draw(st.binary(max_size=400)))
    if how == "bytes":
        return File(_spoilt(draw, real))
    with zipfile.ZipFile(io.BytesIO(real)) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    name = draw(st.sampled_from(sorted(parts)))
    if how == "left out":
        del parts[name]
    else:
        parts[name] = _spoilt(draw, parts[name])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for part, content in parts.items():
            target.writestr(part, content)
    return File(out.getvalue())


def _one_line(told: str) -> None:
    assert told.strip()
    assert "\n" not in told


def _dossiers(path: Path) -> None:
    records, rejected = check_rows(read_rows(path))
    for record in records:
        again = record_of({name: str(getattr(record, name) or "") for name in ("code", "status")})
        assert isinstance(record, DossierRecord)
        assert (again.code, again.status) == (record.code, record.status)
    for number, reason in rejected:
        assert number > 1
        _one_line(reason)


def _records(read: Callable[[Path], Any]) -> Callable[[Path], None]:
    def check(path: Path) -> None:
        found = read(path)
        for one in [found] if isinstance(found, Record) else found:
            if isinstance(one, BadRecordError):
                _one_line(str(one))
            else:
                assert one.code
                assert one.name

    return check


def _try(folder: Path, name: str, data: bytes, read: Callable[[Path], None]) -> None:
    path = folder / name
    path.write_bytes(data)
    told = name
    try:
        read(path)
    except (BadInputError, BadRecordError) as error:
        told = str(error)
    _one_line(told)
    assert name in told


@FEW
@given(broken(CSV))
def test_dossiers_as_csv(tmp_path: Path, data: bytes) -> None:
    _try(tmp_path, "a.csv", data, _dossiers)


@FEW
@given(broken(DOSSIERS))
def test_dossiers_as_a_workbook(tmp_path: Path, data: bytes) -> None:
    _try(tmp_path, "a.xlsx", data, _dossiers)


@FEW
@given(broken(LIST))
def test_a_list_of_procedures(tmp_path: Path, data: bytes) -> None:
    _try(tmp_path, "a.xlsx", data, _records(read_list))


@FEW
@given(broken(_document()))
def test_a_document_of_the_portal(tmp_path: Path, data: bytes) -> None:
    _try(tmp_path, "a.docx", data, _records(read_docx))


@FEW
@given(broken(JSON))
def test_records_as_json(tmp_path: Path, data: bytes) -> None:
    _try(tmp_path, "a.json", data, _records(read_json))
    _try(tmp_path, "a.jsonl", data, _records(read_json))


@FEW
@given(broken(gzip.compress(JSON, mtime=0)))
def test_records_packed(tmp_path: Path, data: bytes) -> None:
    _try(tmp_path, "a.jsonl.gz", data, _records(read_json))


@pytest.mark.parametrize(("real", "name", "read"), [
    (CSV, "a.csv", _dossiers), (DOSSIERS, "a.xlsx", _dossiers), (LIST, "a.xlsx", _records(read_list)),
    (_document(), "a.docx", _records(read_docx)), (JSON, "a.json", _records(read_json)),
])  # fmt: skip
def test_the_files_themselves_are_read(tmp_path: Path, real: bytes, name: str, read: Callable[[Path], None]) -> None:
    (tmp_path / name).write_bytes(real)
    read(tmp_path / name)
