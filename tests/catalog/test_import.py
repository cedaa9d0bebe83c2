"""``motcua catalog import``: documents, JSON records and list exports become drafts and differences."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from docx import Document
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from bot.catalog.imports.portal_docx import read_docx
from bot.catalog.imports.reading import forms, laws, money, time_limit
from bot.catalog.imports.records import BadRecordError
from bot.catalog.loading import load_procedure
from bot.catalog.schema import TimeUnit
from bot.cli import main

RECORD: dict[str, Any] = {
    "code": "1.999001", "name": "Thủ tục cấp giấy thử nghiệm", "field": "Hộ tịch", "agency": "Ủy ban nhân dân cấp xã",
    "audience": "Công dân Việt Nam, Tổ chức (không gồm doanh nghiệp, HTX)",
    "methods": [
        {"mode": "Trực tiếp", "time": "3 Ngày làm việc", "fees": [{"amount": "15,000 Việt Nam Đồng", "note": "/lần"}]},
        {"mode": "Trực tuyến", "time": "5", "fees": [{"amount": "20 VNĐ", "note": ""}]},
    ],
    "documents": [{"group": "Bao gồm", "name": "Đơn theo Mẫu số 02", "copies": {"chính": 1, "sao": 0}}],
    "steps": "Bước 1: Nộp đơn.\nBước 2: Nhận giấy.", "legal_basis": ["Nghị định 120/2025/NĐ-CP"],
    "requirements": "Đủ 18 tuổi", "result": "Giấy thử nghiệm", "decision": "1/QĐ-BTP", "as_of": "2026-07",
}  # fmt: skip


def _json(path: Path, *records: Any) -> Path:
    path.write_text(json.dumps(list(records), ensure_ascii=False), "utf-8")
    return path


def _table(document: Any, rows: list[list[str]]) -> None:
    table = document.add_table(rows=len(rows), cols=len(rows[0]))
    for row, texts in zip(table.rows, rows, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    table._tbl.remove(table._tbl.tblGrid)  # as the portal writes them


def _docx(path: Path, *, code: str = "1.999002") -> Path:
    document = Document()
    for line in ("Chi tiết thủ tục hành chính", f"Mã thủ tục: {code}", "Số quyết định: 7/QĐ-BYT",
                 "Tên thủ tục: Hỗ trợ thử nghiệm", "Lĩnh vực: Trẻ em", "Trình tự thực hiện: ", "Bước một.",
                 "Bước hai.", "Cách thức thực hiện: "):  # fmt: skip
        document.add_paragraph(line)
    _table(document, [["Hình thức nộp", "Thời hạn giải quyết", "Phí, lệ phí", "Mô tả"],
                      ["Trực tiếp", "10 Ngày", "Lệ phí : 300.000 Đồng", "Tại quầy"]])  # fmt: skip
    document.add_paragraph("Thành phần hồ sơ: ")
    document.add_paragraph("Đối với trẻ mồ côi")
    _table(document, [["Tên giấy tờ", "Mẫu đơn, tờ khai", "Số lượng"],
                      ["Tờ khai (Mẫu số 1a)", "Mau1a.docx", "Bản chính: 2Bản sao: 0"]])  # fmt: skip
    document.add_paragraph("Cơ quan thực hiện: Ủy ban nhân dân cấp xã")
    document.add_paragraph("Kết quả thực hiện: Quyết định")
    document.add_paragraph("Căn cứ pháp lý: ")
    _table(document, [["Số ký hiệu", "Trích yếu"], ["20/2021/NĐ-CP", "Trợ giúp xã hội"]])
    document.add_paragraph("Yêu cầu, điều kiện thực hiện: Không có thông tin")
    document.save(str(path))
    return path


def test_a_document_of_the_portal_is_read(tmp_path: Path) -> None:
    record = read_docx(_docx(tmp_path / "a.docx"))
    assert (record.code, record.name, record.decision) == ("1.999002", "Hỗ trợ thử nghiệm", "7/QĐ-BYT")
    assert record.methods[0].fees == (("Lệ phí : 300.000 Đồng", ""),)
    (paper,) = record.papers
    assert (paper.group, paper.form, paper.originals, paper.copies) == ("Đối với trẻ mồ côi", "Mau1a.docx", 2, 0)
    assert record.legal_basis == ("20/2021/NĐ-CP – Trợ giúp xã hội",)
    assert (record.steps, record.requirements) == ("Bước một.\nBước hai.", "")


def test_no_document(tmp_path: Path) -> None:
    (tmp_path / "x.docx").write_bytes(b"PK no zip")
    with pytest.raises(BadRecordError, match=r"x\.docx: không phải tệp \.docx"):
        read_docx(tmp_path / "x.docx")
    with pytest.raises(BadRecordError, match="mã 'abc' sai"):
        read_docx(_docx(tmp_path / "y.docx", code="abc"))


def test_drafts_are_checked_files_that_guess_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    into = tmp_path / "drafts"
    source = _json(tmp_path / "r.json", RECORD)
    assert main(["catalog", "import", str(source), str(_docx(tmp_path / "a.docx")), "--into", str(into)]) == 0
    assert "bản nháp mới: 2" in capsys.readouterr().out
    draft = load_procedure(into / "ho-tich" / "1.999001.yml")
    assert draft.name == "Cấp giấy thử nghiệm"
    assert [(fee.amount, fee.channel) for fee in draft.fees] == [(15000, "counter")]
    assert [(limit.amount, limit.unit) for limit in draft.processing_times] == [(3, TimeUnit.WORKING_DAY)]
    assert any("“20 VNĐ”" in note for note in draft.verifier_notes)
    assert any("“5”" in note for note in draft.verifier_notes)
    assert draft.audience == ("Công dân Việt Nam", "Tổ chức (không gồm doanh nghiệp, HTX)")
    assert draft.verification is None
    assert (into / "ho-tich" / "1.999001.yml").read_text("utf-8").startswith("# Nguồn: r.json:1")
    assert yaml.safe_load((into / "tre-em" / "1.999002.yml").read_text("utf-8"))["documents"][0]["count"] == 2


def test_a_stopped_import_goes_on_and_one_bad_record_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    into = tmp_path / "drafts"
    source = _json(tmp_path / "r.json", RECORD, {"code": "x"}, 7, {**RECORD, "code": "1.999003"})
    assert main(["catalog", "import", str(source), "--into", str(into)]) == 2
    told = capsys.readouterr()
    assert "bản nháp mới: 2; không đọc được: 2" in told.out
    assert "r.json:2: mã 'x' sai" in told.err
    main(["catalog", "import", str(source), "--into", str(into)])
    assert "đã nhập trước: 2" in capsys.readouterr().out


def test_what_changed_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    into = tmp_path / "drafts"
    changed = {
        **RECORD, "code": "2.000815", "name": "Chứng thực bản sao kiểu mới",
        "methods": [{"mode": "Trực tiếp", "time": "9 Ngày", "fees": [{"amount": "3,000 Việt Nam Đồng", "note": ""}]}],
        "legal_basis": ["Nghị định 999/2027/NĐ-CP"],
    }  # fmt: skip
    packed = tmp_path / "r.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(changed).encode()))
    assert main(["catalog", "import", str(packed), "--into", str(into)]) == 0
    assert "khác với tệp: 1" in capsys.readouterr().out
    report = (into / "khac-biet.txt").read_text("utf-8")
    for line in ("phí có trong bản ghi, không có trong tệp: 3000 đồng", "9 ngày", "mẫu có trong bản ghi",
                 "văn bản mới trong bản ghi: 999/2027/NĐ-CP", "quyết định công bố", "kiểu mới"):  # fmt: skip
        assert line in report
    assert list(into.glob("*/*.yml")) == []


def test_a_list_export_gives_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["DANH SÁCH"], ["Mã số", "Tên", "Cơ quan thực hiện", "Lĩnh vực"],
                ["1.999004", "Việc mới ", "UBND cấp xã", "Nuôi con nuôi"], ["sai", "x"], [None] * 4):  # fmt: skip
        sheet.append(row)
    book.save(tmp_path / "l.xlsx")
    assert main(["catalog", "import", str(tmp_path / "l.xlsx"), "--into", str(tmp_path / "d")]) == 2
    assert "l.xlsx:4: mã 'sai' sai" in capsys.readouterr().err
    assert load_procedure(tmp_path / "d" / "nuoi-con-nuoi" / "1.999004.yml").name == "Việc mới"


@pytest.mark.parametrize("name", ["khong-co.json", "la.txt", "hong.json", "hong.xlsx"])
def test_sources_that_cannot_be_read(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    if not name.startswith("khong"):
        (tmp_path / name).write_text("{", "utf-8")
    assert main(["catalog", "import", str(tmp_path / name), "--into", str(tmp_path / "d")]) == 2
    assert name in capsys.readouterr().err


def test_figures() -> None:
    assert [money(t) for t in ("2,000 Việt Nam Đồng", "Lệ phí : 300.000 Đồng", "Miễn phí", "20 VNĐ", "10 USD", "")] == [
        2000, 300_000, 0, None, None, None,
    ]  # fmt: skip
    assert time_limit("0.5 Ngày làm việc") == (0.5, TimeUnit.WORKING_DAY)
    assert time_limit("02 tháng và 15 ngày làm việc") is None
    assert time_limit("1") is None
    assert laws("Nghị định 07/2025/NĐ-CP, Luật 60/2014/QH13") == {"7/2025/NĐ-CP", "60/2014/QH13"}
    assert forms("Mẫu CT01 _66.doc, Mẫu số 1đ") == {"CT01", "1Đ"}


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    assert money(text) is None or money(text) >= 0  # type: ignore[operator]
    assert isinstance(forms(text) | laws(text), set)
    assert time_limit(text) is None or time_limit(text)[0] > 0  # type: ignore[index]
