"""An official record (bản ghi thủ tục hành chính) and the JSON and list files that hold such records."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openpyxl import load_workbook

from bot.catalog.imports.packed import check_packed
from bot.catalog.schema import PROCEDURE_CODE
from bot.errors import BadInputError

MAX_FILE = 200 * 1024 * 1024
MAX_ROWS, MAX_COLUMNS = 50_000, 40  # of a list export
_LIST_COLUMNS = ("Mã số", "Tên")


@dataclass(frozen=True, slots=True)
class Method:
    """One way of filing: mode, time limit, fees as (amount, note) – all as written."""

    mode: str
    time: str
    fees: tuple[tuple[str, str], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Paper:
    """One paper of the dossier, as written; ``form`` is the file name of its form."""

    name: str
    group: str = ""
    form: str = ""
    originals: int = 0
    copies: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """One official record; everything is text as the portal shows it, "" where it says nothing.

    Attributes:
        where: file and place it came from, for messages and for tracing a fact back.
        listed_only: it came from a list: name and field are all there is.
    """

    code: str
    name: str
    field: str = ""
    agency: str = ""
    audience: str = ""
    methods: tuple[Method, ...] = ()
    papers: tuple[Paper, ...] = ()
    steps: str = ""
    legal_basis: tuple[str, ...] = ()
    requirements: str = ""
    result: str = ""
    decision: str = ""
    as_of: str = ""
    where: str = ""
    listed_only: bool = False


class BadRecordError(BadInputError):
    """One record cannot be read; the others can."""


def checked_code(text: object, where: str) -> str:
    """A procedure code, or ``BadRecordError``."""
    code = str(text or "").strip()
    if not PROCEDURE_CODE.fullmatch(code):
        raise BadRecordError(f"{where}: mã {code[:40]!r} sai, cần dạng 1.001193")
    return code


def _text(value: object) -> str:
    return str(value or "").strip()


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(line.strip() for line in value.splitlines() if line.strip())
    return tuple(_text(item) for item in value if _text(item)) if isinstance(value, list) else ()


def _count(copies: object, key: str) -> int:
    found = copies.get(key, 0) if isinstance(copies, Mapping) else 0
    return found if isinstance(found, int) and 0 <= found <= 100 else 0


def from_json(item: Any, where: str) -> Record:
    """One record in the shape of ../shared/data/README.md.

    Raises:
        BadRecordError: it is no object, or code or name are missing.
    """
    if not isinstance(item, Mapping):
        raise BadRecordError(f"{where}: cần một đối tượng JSON")
    code = checked_code(item.get("code"), where)
    if not _text(item.get("name")):
        raise BadRecordError(f"{where}: thiếu tên thủ tục (name)")
    methods = tuple(
        Method(
            _text(method.get("mode")),
            _text(method.get("time")),
            tuple((_text(fee.get("amount")), _text(fee.get("note"))) for fee in method.get("fees") or []),
            _text(method.get("note")),
        )
        for method in item.get("methods") or []
        if isinstance(method, Mapping)
    )
    papers = tuple(
        Paper(
            _text(paper.get("name")), _text(paper.get("group")), _text(paper.get("form")),
            _count(paper.get("copies"), "chính"), _count(paper.get("copies"), "sao"),
        )
        for paper in item.get("documents") or []
        if isinstance(paper, Mapping) and _text(paper.get("name"))
    )  # fmt: skip
    return Record(
        code=code, name=" ".join(_text(item["name"]).split()), field=_text(item.get("field")),
        agency=_text(item.get("agency")), audience=_text(item.get("audience")), methods=methods, papers=papers,
        steps=_text(item.get("steps")), legal_basis=_texts(item.get("legal_basis")),
        requirements=_text(item.get("requirements")), result=_text(item.get("result")),
        decision=_text(item.get("decision")), as_of=_text(item.get("as_of")), where=where,
    )  # fmt: skip


def _json_items(path: Path) -> list[Any]:
    try:
        raw = path.read_bytes() if path.suffix != ".gz" else gzip.decompress(path.read_bytes())
        text = raw.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise BadInputError(f"{path}: không đọc được ({type(error).__name__})") from error
    if ".jsonl" in path.suffixes:
        return [line for line in text.splitlines() if line.strip()]
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path}: không phải JSON ({error})") from error
    return found if isinstance(found, list) else [found]


def read_raw(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON file of records that name a code, as they are.

    Raises:
        BadInputError: the file as a whole cannot be read.
    """
    items = [json.loads(item) if isinstance(item, str) else item for item in _json_items(path)]
    return [item for item in items if isinstance(item, dict) and "code" in item]


def read_json(path: Path) -> Iterator[Record | BadRecordError]:
    """Records of a ``.json``, ``.jsonl`` or ``.jsonl.gz`` file, one at a time; a bad one is given as its error.

    Raises:
        BadInputError: the file as a whole cannot be read.
    """
    for number, item in enumerate(_json_items(path), 1):
        where = f"{path.name}:{number}"
        try:
            yield from_json(json.loads(item) if isinstance(item, str) else item, where)
        except BadRecordError as error:
            yield error
        except (ValueError, RecursionError) as error:
            yield BadRecordError(f"{where}: không phải JSON ({type(error).__name__})")
        except (TypeError, AttributeError) as error:
            yield BadRecordError(f"{where}: bản ghi không đúng dạng ({type(error).__name__})")


def read_list(path: Path) -> Iterator[Record | BadRecordError]:
    """Records (code, name, agency, field only) of the portal's list export (.xlsx).

    Raises:
        BadInputError: no workbook, or no row with the headings "Mã số" and "Tên".
    """
    check_packed(path)
    columns: dict[str, int] = {}
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))  # openpyxl leaves a file that it cannot read open
        try:
            book = stack.enter_context(closing(load_workbook(file, read_only=True, data_only=True)))
        except Exception as error:  # openpyxl lets the zip and XML errors of a broken file through
            raise BadInputError(f"{path}: không phải tệp .xlsx đọc được ({type(error).__name__})") from error
        for number, row in enumerate(_rows(book, path.name), 1):
            cells = [_text(cell) for cell in row]
            if not columns:
                if set(_LIST_COLUMNS) <= set(cells):
                    columns = {name: cells.index(name) for name in cells if name}
            elif number == MAX_ROWS:
                yield BadRecordError(f"{path.name}: chỉ đọc {MAX_ROWS} dòng đầu")
            elif any(cells):
                named = {name: cells[at] for name, at in columns.items() if at < len(cells)}
                yield _listed(named, f"{path.name}:{number}")
    if not columns:
        raise BadInputError(f"{path}: không thấy dòng tiêu đề có cột 'Mã số' và 'Tên'")


def _rows(book: Any, name: str) -> Iterator[tuple[Any, ...]]:
    """The rows of the first sheet; a cell said to lie far away must not make millions of empty ones."""
    try:
        yield from book.worksheets[0].iter_rows(max_row=MAX_ROWS, max_col=MAX_COLUMNS, values_only=True)
    except Exception as error:  # as above: a sheet is read only now
        raise BadInputError(f"{name}: bảng tính hỏng ({type(error).__name__})") from error


def _listed(named: Mapping[str, str], where: str) -> Record | BadRecordError:
    try:
        code = checked_code(named.get("Mã số"), where)
    except BadRecordError as error:
        return error
    name = " ".join(named.get("Tên", "").split())
    if not name:
        return BadRecordError(f"{where}: thiếu tên thủ tục")
    field, agency = named.get("Lĩnh vực", ""), named.get("Cơ quan thực hiện", "")
    return Record(code, name, field=field, agency=agency, where=where, listed_only=True)
