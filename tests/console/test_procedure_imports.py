"""Official records on the console: proposals from uploads and drafts; broken files and bombs are refused."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from openpyxl import Workbook

from bot.cli import main
from bot.clock import utc_now
from bot.console.accounts import add_staff
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from tests.console.conftest import PASSWORD, Visitor
from tests.console.procedure_scene import confirm, form_of, texts, waiting

PATH = "/staff/procedures/import"
Visit = Callable[..., Visitor]
NEW: dict[str, Any] = {
    "code": "1.999001", "name": "Thủ tục cấp giấy <i>thử nghiệm</i>", "field": "Hộ tịch", "agency": "UBND cấp xã",
    "methods": [{"mode": "Trực tiếp", "time": "3 Ngày làm việc", "fees": [{"amount": "15,000 Việt Nam Đồng"}]}],
    "documents": [{"group": "Bao gồm", "name": "Đơn theo Mẫu số 02", "copies": {"chính": 1, "sao": 0}}],
    "steps": "Bước 1: Nộp đơn.", "legal_basis": ["Nghị định 120/2025/NĐ-CP"], "as_of": "2026-07",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _a_second_advisor(app: FastAPI, sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        add_staff(session, "lan", "advisor", PASSWORD, utc_now())


def upload(visitor: Visitor, name: str, data: bytes) -> Any:
    return visitor.post(PATH, data={"csrf": visitor.csrf}, files={"file": (name, data)})


def as_json(*records: Any) -> bytes:
    return json.dumps(records, ensure_ascii=False).encode()


def given(page: Any) -> str:
    found = re.search(r'name="given" value="([^"]*)"', page.text)
    assert found
    return unescape(found[1])


def test_a_new_procedure_is_proposed_confirmed_and_told(visit: Visit, service: Service) -> None:
    advisor, lan = visit("advisor"), visit("lan")
    seen = upload(advisor, "ban-ghi.json", as_json(NEW))
    assert "1 thủ tục mới" in texts(seen)
    assert "<i>thử" not in seen.text
    form = {"given": given(seen), "short_name": "Cấp giấy thử nghiệm", "field": "ho-tich", "source": "Bản ghi tháng 7"}
    assert advisor.submit(f"{PATH}/propose", **form).status_code == 200
    twice = advisor.submit(f"{PATH}/propose", **form)
    assert twice.status_code == 409
    assert "đang chờ xác nhận" in texts(twice)
    assert visit().get("/thu-tuc/1.999001").status_code == 404
    assert "Cấp giấy thử nghiệm" in texts(lan.get("/staff/procedures"))
    assert "15.000 đồng" in texts(lan.get("/staff/procedures/1.999001"))
    assert confirm(lan, "/staff/procedures/1.999001").status_code == 303
    guide = texts(visit().get("/thu-tuc/1.999001"))
    assert "15.000 đồng" in guide
    assert "Chưa được cán bộ xác nhận" in guide
    assert advisor.get("/staff/procedures/1.999001/edit/fees").status_code == 200
    assert "1.999001" in {entry.code for entry in service.talk.desk(service.clock()).catalog.entries()}


def test_a_proposal_that_does_not_fit_says_why_and_keeps_what_was_typed(visit: Visit) -> None:
    advisor = visit("advisor")
    form = {"given": given(upload(advisor, "a.json", as_json(NEW))), "short_name": "Cấp giấy", "source": "Bản ghi"}
    unknown = advisor.submit(f"{PATH}/propose", **form, field="khong-co")
    assert unknown.status_code == 409
    assert "lĩnh vực 'khong-co' không có" in texts(unknown)
    assert 'value="Cấp giấy"' in unknown.text
    taken = advisor.submit(f"{PATH}/propose", **form, field="ho-tich", names="sao y\n")
    assert "đã là tên của 2.000815" in texts(taken)
    assert waiting(advisor, "/staff/procedures/1.001193") == []


def test_a_record_of_a_known_procedure_fills_the_form(visit: Visit) -> None:
    advisor = visit("advisor")
    seen = upload(advisor, "b.json", as_json({**NEW, "code": "2.000815", "name": "Chứng thực bản sao"}))
    assert "phí có trong bản ghi, không có trong tệp: 15000 đồng" in texts(seen)
    form = re.search(
        r'action="(/staff/procedures/2.000815/edit/fees)">.*?name="given" value="([^"]*)"', seen.text, re.DOTALL
    )
    assert form
    filled = form_of(advisor.submit(form[1], given=unescape(form[2]), act="load"))
    assert filled["fees.0.amount"] == ["15.000"]
    assert waiting(advisor, "/staff/procedures/2.000815") == []


def test_a_draft_of_the_command_is_proposed(
    visit: Visit, office_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = office_settings.var_dir / "ban-ghi.json"
    source.write_bytes(as_json(NEW))
    assert main(["catalog", "import", str(source), "--into", str(office_settings.var_dir / "drafts")]) == 0
    advisor = visit("advisor")
    assert "Cấp giấy &lt;i&gt;thử nghiệm" in advisor.get(PATH).text
    fields = {"short_name": "Cấp giấy", "field": "ho-tich", "source": "Bản ghi"}
    outside = advisor.submit(f"{PATH}/propose", **fields, file="../../bot/texts/answers.yml")
    assert "Không có bản nháp này" in texts(outside)
    assert advisor.submit(f"{PATH}/propose", **fields, file="ho-tich/1.999001.yml").status_code == 200
    assert len(waiting(advisor, "/staff/procedures/1.999001")) == 1


def sheet(rows: list[list[object]]) -> bytes:
    book, data = Workbook(), io.BytesIO()
    for row in rows:
        book.worksheets[0].append(row)
    book.save(data)
    return data.getvalue()


def test_a_list_is_compared_by_name_only(visit: Visit) -> None:
    seen = upload(visit("advisor"), "ds.xlsx", sheet([["Mã số", "Tên"], ["1.001193", "Đăng ký khai sinh"],
                                                     ["1.999001", "Thủ tục lạ"]]))  # fmt: skip
    assert "1 không khác gì, 1 thủ tục chưa có mà tệp chỉ ghi tên" in texts(seen)


def packed(name: str, size: int) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(name, b"0" * size)
    return data.getvalue()


def far_cell() -> bytes:
    """A small sheet with one cell at the far end: naive readers make a million rows of it."""
    data = io.BytesIO(sheet([["Mã số", "Tên"], ["1.001193", "Đăng ký khai sinh"]]))
    out = io.BytesIO()
    with zipfile.ZipFile(data) as source, zipfile.ZipFile(out, "w") as target:
        for entry in source.infolist():
            text = source.read(entry)
            if entry.filename.endswith("sheet1.xml"):
                far = b'<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>x</t></is></c></row></sheetData>'
                text = text.replace(b"</sheetData>", far)
            target.writestr(entry, text)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("bom.xlsx", packed("xl/worksheets/sheet1.xml", 60 * 1024 * 1024), "quá lớn"),
        ("bom.xlsx", packed("xl/sharedStrings.xml", 20 * 1024 * 1024), "nén bất thường"),
        ("bom.docx", packed("word/document.xml", 60 * 1024 * 1024), "quá lớn"),
        ("hong.xlsx", b"PK\x03\x04 not a workbook", "không phải tệp .xlsx đọc được"),
        ("hong.docx", b"", "không phải tệp .docx đọc được"),
        ("hong.json", b"{", "không phải JSON"),
        ("sau.json", b"[" * 100_000, "không phải JSON"),
        ("la.exe", b"MZ", "Cần tệp .docx, .json hoặc .xlsx"),
        ("la.json", as_json({"code": "1.999001", "name": "x", "methods": 5}), "bản ghi không đúng dạng"),
        ("la.json", as_json(None, [], "x"), "Không đọc được 3 bản ghi"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_a_line(visit: Visit, name: str, data: bytes, said: str) -> None:
    answer = upload(visit("advisor"), name, data)
    assert answer.status_code in {200, 422}
    assert said in texts(answer)


def test_a_cell_at_the_far_end_does_not_make_a_million_rows(visit: Visit) -> None:
    seen = upload(visit("advisor"), "xa.xlsx", far_cell())
    assert "1 không khác gì" in texts(seen)


def test_a_file_that_is_too_large_is_refused(visit: Visit) -> None:
    advisor = visit("advisor")
    assert "lớn quá" in upload(advisor, "to.json", b" " * (5 * 1024 * 1024 + 1)).text
    assert upload(advisor, "to.json", b" " * (6 * 1024 * 1024)).status_code == 413
    assert upload(advisor, "", b"").status_code == 422
