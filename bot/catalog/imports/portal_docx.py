"""The national portal's "Chi tiết thủ tục hành chính" document (.docx).

Layout as the portal gives it (December 2025): paragraphs "Tên mục: giá trị", long values in the
paragraphs that follow, and three kinds of tables (methods, papers, legal basis) after their heading.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from docx import Document
from docx.table import Table

from bot.catalog.imports.packed import check_packed
from bot.catalog.imports.records import BadRecordError, Method, Paper, Record, checked_code
from bot.errors import BadInputError

_NOTHING = {"không có thông tin", "không có", "không quy định", ""}
_LABELS = (
    "Mã thủ tục", "Số quyết định", "Tên thủ tục", "Cấp thực hiện", "Loại thủ tục", "Lĩnh vực", "Trình tự thực hiện",
    "Cách thức thực hiện", "Thành phần hồ sơ", "Đối tượng thực hiện", "Cơ quan thực hiện", "Cơ quan có thẩm quyền",
    "Địa chỉ tiếp nhận HS", "Cơ quan được ủy quyền", "Cơ quan phối hợp", "Kết quả thực hiện", "Căn cứ pháp lý",
    "Yêu cầu, điều kiện thực hiện", "Yêu cầu điều kiện thực hiện", "Từ khóa", "Mô tả",
)  # fmt: skip
_LABEL = re.compile("(" + "|".join(re.escape(label) for label in _LABELS) + r")\s*:\s*(.*)", re.DOTALL)
_COPIES = re.compile(r"Bản chính:\s*(\d+)\s*Bản sao:\s*(\d+)")


def read_docx(path: Path) -> Record:
    """One record.

    Raises:
        BadRecordError: no document, too large unpacked, or code or name are missing.
    """
    where = path.name
    try:
        check_packed(path)
        document = Document(str(path))
        texts, tables = _parts(document)
    except BadInputError as error:
        raise BadRecordError(str(error)) from error
    except Exception as error:  # python-docx lets through whatever the broken part raises
        raise BadRecordError(f"{where}: không phải tệp .docx đọc được ({type(error).__name__})") from error
    code = checked_code(texts.get("Mã thủ tục"), where)
    name = " ".join(texts.get("Tên thủ tục", "").split())
    if not name:
        raise BadRecordError(f"{where}: không thấy 'Tên thủ tục'")
    return Record(
        code=code, name=name, field=texts.get("Lĩnh vực", ""), agency=_said(texts.get("Cơ quan thực hiện", "")),
        audience=_said(texts.get("Đối tượng thực hiện", "")), methods=_methods(tables["Cách thức thực hiện"]),
        papers=_papers(tables["Thành phần hồ sơ"]), steps=_said(texts.get("Trình tự thực hiện", "")),
        legal_basis=_laws(tables["Căn cứ pháp lý"]),
        requirements=_said(
            texts.get("Yêu cầu, điều kiện thực hiện", "") or texts.get("Yêu cầu điều kiện thực hiện", "")
        ),
        result=_said(texts.get("Kết quả thực hiện", "")), decision=_said(texts.get("Số quyết định", "")), where=where,
    )  # fmt: skip


def _said(text: str) -> str:
    return "" if text.strip().lower() in _NOTHING else text.strip()


def _cell(cell: Any) -> str:
    lines = ["".join(node.text or "" for node in p.iter() if node.tag.endswith("}t")) for p in cell.p_lst]
    return "\n".join(line.strip() for line in lines if line.strip())


def _parts(document: Any) -> tuple[dict[str, str], dict[str, list[Any]]]:
    """Values by label, and for each label what follows it: sub-headings (text) and tables (rows of cells)."""
    texts: dict[str, str] = {}
    tables: dict[str, list[Any]] = defaultdict(list)
    label = ""
    for block in document.iter_inner_content():
        if isinstance(block, Table):
            # The portal's tables have no grid; rows and cells are read from the XML.
            tables[label].append([[_cell(cell) for cell in row.tc_lst] for row in block._tbl.tr_lst])  # noqa: SLF001
            continue
        text = block.text.strip()
        match = _LABEL.fullmatch(text)
        if match:
            label = match[1]
            texts.setdefault(label, match[2].strip())
        elif text:
            texts[label] = f"{texts.get(label, '')}\n{text}".strip()
            tables[label].append(text)
    return texts, tables


def _methods(parts: list[Any]) -> tuple[Method, ...]:
    found = []
    for part in parts:
        for row in part[1:] if isinstance(part, list) else []:
            mode, time, fee, note = (*row, "", "", "", "")[:4]
            fees = tuple((line, "") for line in fee.splitlines() if _said(line))
            found.append(Method(mode, _said(time), fees, note))
    return tuple(found)


def _papers(parts: list[Any]) -> tuple[Paper, ...]:
    found = []
    group = ""
    for part in parts:
        if isinstance(part, str):
            group = part
            continue
        for row in part[1:]:
            name, form, number = (*row, "", "", "")[:3]
            counts = _COPIES.search(number.replace("\n", ""))
            if name:
                originals, copies = (int(counts[1]), int(counts[2])) if counts else (0, 0)
                found.append(Paper(" ".join(name.split()), group, form.replace("\n", "; "), originals, copies))
    return tuple(found)


def _laws(parts: list[Any]) -> tuple[str, ...]:
    rows = [row for part in parts if isinstance(part, list) for row in part[1:]]
    return tuple(" – ".join(cell for cell in row[:2] if cell) for row in rows if row and row[0])
