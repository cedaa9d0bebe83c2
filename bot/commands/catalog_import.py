"""``motcua catalog import``: official records in, drafts and a list of differences out."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from pydantic import ValidationError

from bot.catalog.catalog import Catalog, load_catalog
from bot.catalog.imports.differences import differences
from bot.catalog.imports.drafting import as_yaml, draft
from bot.catalog.imports.portal_docx import read_docx
from bot.catalog.imports.records import BadRecordError, Record, read_json, read_list
from bot.catalog.loading import CatalogError
from bot.clock import local, utc_now
from bot.errors import BadInputError
from bot.settings import load_settings

LEDGER = "da-nhap.txt"
REPORT = "khac-biet.txt"
_BAR = 30


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "sources", nargs="+", type=Path, metavar="SOURCE", help="tệp .docx, .json(l)(.gz), .xlsx, thư mục"
    )
    parser.add_argument("--into", type=Path, help="thư mục nhận bản nháp (mặc định var/drafts)")
    parser.add_argument("--again", action="store_true", help="xem lại cả những bản ghi đã nhập")
    parser.set_defaults(run=run)


def _files(sources: Iterable[Path]) -> Iterator[Path]:
    for source in sources:
        if source.is_dir():
            yield from sorted(p for p in source.iterdir() if p.suffix in {".docx", ".json", ".jsonl", ".gz", ".xlsx"})
        elif source.is_file():
            yield source
        else:
            raise BadInputError(f"{source}: không có tệp hay thư mục này")


def _records(path: Path) -> Iterator[Record | BadRecordError]:
    if path.suffix == ".docx":
        try:
            yield read_docx(path)
        except BadRecordError as error:
            yield error
    elif path.suffix == ".xlsx":
        yield from read_list(path)
    elif path.suffix in {".json", ".jsonl", ".gz"}:
        yield from read_json(path)
    else:
        raise BadInputError(f"{path}: cần .docx, .json, .jsonl, .jsonl.gz hoặc .xlsx")


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        full = done * _BAR // max(total, 1)
        end = "\n" if done == total else ""
        print(f"\r[{'#' * full}{'.' * (_BAR - full)}] {done}/{total}{end}", end="", file=sys.stderr, flush=True)


class _Import:
    """One run: takes records, writes drafts and the report, keeps a ledger so that it can go on after a stop."""

    def __init__(self, into: Path, catalog: Catalog, today: date, *, again: bool) -> None:
        self.into, self.catalog, self.today = into, catalog, today
        into.mkdir(parents=True, exist_ok=True)
        ledger = into / LEDGER
        self.seen = set(ledger.read_text("utf-8").split()) if ledger.exists() and not again else set()
        self.counts: Counter[str] = Counter()
        self.bad: list[str] = []

    def take(self, record: Record) -> None:
        digest = hashlib.sha256(repr(record).encode("utf-8", "backslashreplace")).hexdigest()[:24]
        if digest in self.seen:
            self.counts["đã nhập trước"] += 1
            return
        known = self.catalog.get(record.code)
        if known is None:
            try:
                procedure = draft(record, self.catalog.fields, self.today)
            except ValidationError as error:
                first = error.errors()[0]
                field = ".".join(map(str, first["loc"]))
                raise BadRecordError(f"{record.where}: {record.code}, {field}: {first['msg']}") from error
            path = self.into / procedure.field / f"{record.code}.yml"
            path.parent.mkdir(exist_ok=True)
            part = path.with_suffix(".part")
            part.write_text(as_yaml(procedure, [f"{record.where}, quyết định {record.decision or '–'}"]), "utf-8")
            part.replace(path)
            self.counts["bản nháp mới"] += 1
        elif found := differences(record, known):
            self.counts["khác với tệp"] += 1
            self._tell([f"{record.code} {known.short_name} ({record.where})", *(f"  - {line}" for line in found)])
        else:
            self.counts["không có gì khác"] += 1
        # Written after the record's own outcome: a stop in between does the record once more, never skips it.
        with (self.into / LEDGER).open("a", encoding="utf-8") as ledger:
            ledger.write(digest + "\n")

    def _tell(self, lines: list[str]) -> None:
        with (self.into / REPORT).open("a", encoding="utf-8") as report:
            report.write("\n".join(lines) + "\n")


def run(args: argparse.Namespace) -> int:
    """Exit code 0; 2 where a record or file could not be read (the others are done)."""
    settings = load_settings()
    try:
        catalog = load_catalog(settings.catalog)
    except CatalogError as error:
        raise BadInputError(str(error.faults[0])) from error
    work = _Import(args.into or settings.var_dir / "drafts", catalog, local(utc_now()).date(), again=args.again)
    for path in _files(args.sources):
        try:
            records = list(_records(path))
        except BadInputError as error:
            work.bad.append(str(error))
            continue
        for number, record in enumerate(records, 1):
            try:
                if isinstance(record, BadRecordError):
                    raise record
                work.take(record)
            except BadRecordError as error:
                work.bad.append(str(error))
            _progress(number, len(records))
    told = ", ".join(f"{name}: {count}" for name, count in sorted(work.counts.items())) or "không có bản ghi nào"
    print(f"{told}; không đọc được: {len(work.bad)}")
    if work.counts["khác với tệp"]:
        print(f"Khác biệt: {work.into / REPORT}")
    if work.counts["bản nháp mới"]:
        print(
            f"Bản nháp: {work.into}; đối chiếu, viết lại lời cho dễ hiểu rồi chuyển vào {settings.catalog}/<lĩnh vực>/"
        )
    for line in work.bad[:50]:
        print(line, file=sys.stderr)
    return 2 if work.bad else 0
