"""Import of dossiers from CSV or XLSX: every row checked, good rows in, bad rows named. All or nothing with strict."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import zip_longest
from pathlib import Path

from sqlalchemy.exc import IntegrityError

from bot.dossiers import batches
from bot.dossiers.records import COLUMNS, DossierRecord, record_of, told
from bot.errors import BadInputError
from bot.settings import Settings
from bot.storage.database import Database

SURPLUS = "thừa ô"
MAX_BYTES = 64 * 1024 * 1024
BATCH = 500


@dataclass
class Report:
    """What an import did: numbers, and each rejected row with its line and reason."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a file as strings, with the line each begins in; blank rows are left out.

    A row with more cells than columns has the surplus under ``SURPLUS``, so that it alone is rejected.

    Raises:
        BadInputError: the file cannot be read, or a column is missing or unknown.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: không có tệp này")
    if path.stat().st_size > MAX_BYTES:
        raise BadInputError(f"{path}: tệp lớn hơn {MAX_BYTES // 2**20} MB")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        rows = _csv_rows(path)
    elif suffix == ".xlsx":
        rows = _xlsx_rows(path)
    else:
        raise BadInputError(f"{path}: cần tệp .csv hoặc .xlsx")
    header: list[str] | None = None
    for number, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = _header(path, cells)
            continue
        row = dict(zip_longest(header, cells[: len(header)], fillvalue=""))
        if any(cell.strip() for cell in cells[len(header) :]):
            row[SURPLUS] = str(len(cells))
        yield number, row
    if header is None:
        raise BadInputError(f"{path}: tệp trống; dòng đầu cần có các cột {', '.join(COLUMNS)}")


def _header(path: Path, cells: list[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    while header and not header[-1]:
        header.pop()
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise BadInputError(f"{path}:1: thiếu cột {', '.join(missing)}")
    unknown = [name for name in header if name not in COLUMNS]
    if unknown or len(set(header)) != len(header):
        raise BadInputError(f"{path}:1: cột lạ hoặc trùng: {', '.join(map(told, unknown)) or 'trùng tên cột'}")
    return header


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise BadInputError(f"{path}:{line}: không phải UTF-8; lưu lại tệp dạng CSV UTF-8") from error
    first = text.split("\n", 1)[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    # Strict: an open quotation mark must not swallow the rows after it.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise BadInputError(f"{path}:{line}: dòng CSV sai, dấu ngoặc kép chưa đóng hoặc ô quá dài ({error})") from error


def _xlsx_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    from openpyxl import load_workbook  # noqa: PLC0415 - heavy, only for this kind of file

    with path.open("rb") as file:  # openpyxl leaves a file that it cannot read open
        try:
            # Formulas are read as such (data_only=False), so that they can be refused.
            book = load_workbook(file, read_only=True, data_only=False)
            rows = book.worksheets[0].iter_rows(values_only=True)
        except Exception as error:  # openpyxl raises whatever the broken part raises
            raise BadInputError(f"{path}: không mở được tệp Excel ({type(error).__name__})") from error
        with closing(book):
            number = 0
            while True:
                number += 1
                try:
                    cells = next(rows, None)
                except Exception as error:  # the sheet is read only now, row by row
                    raise BadInputError(f"{path}:{number}: không đọc được dòng ({type(error).__name__})") from error
                if cells is None:
                    return
                yield number, [_cell(value) for value in cells]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}" if value.time() == datetime.min.time() else value.isoformat(timespec="minutes")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    # What is no plain value (an array formula, a time span) must not pass as text.
    return str(value) if isinstance(value, (str, int, float)) else f"={type(value).__name__}"


def check_rows(rows: Iterator[tuple[int, dict[str, str]]]) -> tuple[list[DossierRecord], list[tuple[int, str]]]:
    """Good records, and the rejected rows with line and reason; of a repeated code the first row counts."""
    records: list[DossierRecord] = []
    rejected: list[tuple[int, str]] = []
    seen: dict[str, int] = {}
    for number, row in rows:
        try:
            if SURPLUS in row:
                raise BadInputError(
                    f"có {row[SURPLUS]} ô, nhiều hơn số cột {len(COLUMNS)}; ô có dấu phân cách cần để trong ngoặc kép"
                )
            record = record_of(row)
            if record.code in seen:
                raise BadInputError(f"code: {record.code} đã có ở dòng {seen[record.code]}")
        except BadInputError as error:
            rejected.append((number, str(error)))
            continue
        seen[record.code] = number
        records.append(record)
    return records, rejected


def import_records(
    database: Database,
    records: list[DossierRecord],
    rejected: list[tuple[int, str]],
    settings: Settings,
    now: datetime,
    *,
    strict: bool = False,
    done: Callable[[int], None] = lambda _count: None,
) -> Report:
    """Upserts checked records.

    ``BATCH`` of them a transaction, so that a large file doesn't keep the service from writing; with ``strict`` all
    in one. An import that was cut off is simply run again: what is in already is "unchanged".

    Args:
        database: where to.
        records: of which no code comes twice.
        rejected: for the report.
        settings: for the secret key and the notices.
        now: the moment (aware).
        strict: all or nothing.
        done: told after each transaction how many records it held.
    """
    report = Report(rejected=rejected)
    size = max(len(records), 1) if strict else BATCH
    for start in range(0, len(records), size):
        batch = records[start : start + size]
        try:
            kinds = _put_in(database, batch, settings, now)
        except IntegrityError:
            # On PostgreSQL the API may have created one of them meanwhile: now it is there.
            kinds = _put_in(database, batch, settings, now)
        report.created += kinds["created"]
        report.changed += kinds["changed"]
        report.unchanged += kinds["unchanged"]
        done(len(batch))
    return report


def _put_in(database: Database, batch: list[DossierRecord], settings: Settings, now: datetime) -> Counter[str]:
    with database.write() as session:
        return batches.upsert(session, batch, source="import", settings=settings, now=now)
