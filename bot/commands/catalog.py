"""``motcua answer``, ``motcua catalog check|import|coverage|status``."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date, timedelta
from pathlib import Path

from bot.application import open_desk
from bot.catalog import coverage
from bot.catalog.answers import Desk, compose, section, source_line, sources
from bot.catalog.catalog import Catalog, load_catalog
from bot.catalog.facts import check_facts
from bot.catalog.imports.records import Record, read_json, read_raw
from bot.catalog.loading import FIELDS_FILE, CatalogError, load_procedure
from bot.catalog.office import load_office
from bot.catalog.schema import Aspect, Procedure
from bot.commands import catalog_import
from bot.edits.opening import office_desk
from bot.errors import BadInputError
from bot.settings import load_settings
from nlu.codes import procedure_codes


def configure(name: str, parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``answer`` or ``catalog``."""
    if name == "answer":
        parser.add_argument("code", metavar="CODE", help="mã thủ tục, ví dụ 1.001193")
        parser.add_argument("--aspect", action="append", choices=[a.value for a in Aspect], default=[], metavar="A")
        parser.add_argument("--json", action="store_true")
        parser.add_argument("--catalog", type=Path)
        parser.set_defaults(run=_answer)
        return
    actions = parser.add_subparsers(dest="action", required=True, metavar="VIỆC")
    check = actions.add_parser("check", help="kiểm tra mọi tệp thủ tục")
    check.add_argument("path", nargs="?", type=Path)
    check.set_defaults(run=_check)
    catalog_import.configure(actions.add_parser("import", help="đọc bản ghi chính thức: bản nháp và chỗ khác với tệp"))
    compare = actions.add_parser("coverage", help="đối chiếu với bản ghi chính thức, theo lĩnh vực")
    compare.add_argument("records", type=Path, metavar="RECORDS.json")
    compare.set_defaults(run=_coverage)
    status = actions.add_parser("status", help="dữ liệu nào chưa xác nhận, cũ, sắp hết hạn, bị thay")
    status.add_argument("--json", action="store_true")
    status.set_defaults(run=_status)


def _answer(args: argparse.Namespace) -> int:
    settings = load_settings()
    desk = open_desk(settings, args.catalog)
    if args.catalog is None:
        desk = office_desk(settings, desk)
    found = procedure_codes(args.code)
    procedure = desk.catalog.get(found[0] if found else args.code)
    if procedure is None:
        raise BadInputError(f"không có thủ tục mã {args.code}; cần mã như 1.001193")
    chosen = [a for a in Aspect if a.value in args.aspect] or [a for a in Aspect if a is not Aspect.OVERVIEW]
    if args.json:
        report = {
            "code": procedure.code,
            "name": procedure.name,
            "aspects": {a.value: "\n".join(section(procedure, a, desk).lines) for a in chosen},
            "sources": sources(procedure),
            "as_of": procedure.provenance.as_of,
            "verified": procedure.verification is not None,
        }
        if procedure.superseded_by:
            report["superseded_by"] = procedure.superseded_by
        print(json.dumps(report, ensure_ascii=False))
        return 0
    print(compose(procedure, chosen, desk, brief=False)[0])
    return 0


def _check(args: argparse.Namespace) -> int:
    root = args.path or load_settings().catalog
    if not root.exists():
        raise BadInputError(f"{root}: không có tệp hay thư mục này")
    try:
        if root.is_file() and root.suffix in {".yml", ".yaml"}:
            load_procedure(root)
            count = 1
        else:
            count = len(load_catalog(root).procedures)
            if (root / "local").is_dir() and (root / FIELDS_FILE).is_file():
                for profile in sorted((root / "local").glob("*.yml")):
                    load_office(root, profile.stem)
    except CatalogError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return 2
    print(f"{count} thủ tục, không có lỗi")
    return 0


def _coverage(args: argparse.Namespace) -> int:
    """Facts that the record does not show, aspects and papers of the record that ours lacks; 2 where facts differ."""
    desk = open_desk(load_settings())
    records = {record.code: record for record in read_json(args.records) if isinstance(record, Record)}
    raw = {item["code"]: item for item in read_raw(args.records)}
    pairs = [
        (records[code], procedure)
        for code, procedure in desk.catalog.procedures.items()
        if code in records and procedure.superseded_by is None
    ]
    names = {slug: info.name for slug, info in desk.catalog.fields.items()}
    rows = coverage.table(pairs, names)
    shown = [aspect for aspect in Aspect if aspect is not Aspect.OVERVIEW]
    print("lĩnh vực".ljust(34) + "".join(aspect.value[:10].rjust(12) for aspect in shown))
    for field in dict.fromkeys(row.field for row in rows):
        cells = {row.aspect: f"{row.present}/{row.stated}" for row in rows if row.field == field}
        print(field[:33].ljust(34) + "".join(cells.get(aspect, "–").rjust(12) for aspect in shown))
    totals = {a: (sum(r.present for r in rows if r.aspect is a), sum(r.stated for r in rows if r.aspect is a))
              for a in shown}  # fmt: skip
    print("tất cả (%)".ljust(34) + "".join(f"{has / max(says, 1):.1%}".rjust(12) for has, says in totals.values()))
    for row in rows:
        for code in row.missing:
            reason = (desk.catalog.procedures[code].verifier_notes or ("không có ghi chú",))[0]
            print(f"thiếu {row.aspect.value}: {code} – {reason}")
    for record, procedure in pairs:
        for paper in coverage.uncovered(record, procedure):
            print(f"giấy của bản ghi chưa thấy trong tệp: {procedure.code} – {paper[:120]}")
    different = [finding for _, procedure in pairs for finding in check_facts(procedure, raw[procedure.code])]
    for finding in different:
        print(f"khác bản ghi: {finding.code} {finding.field}: {finding.value}", file=sys.stderr)
    print(f"{len(pairs)} thủ tục có bản ghi; {len(different)} dữ kiện khác bản ghi")
    return 2 if different else 0


def _status(args: argparse.Namespace) -> int:
    settings = load_settings()
    desk = office_desk(settings, open_desk(settings))
    report = _freshness(desk.catalog, desk)
    if args.json:
        print(json.dumps(report, ensure_ascii=False))
        return 0
    for title, codes in report.items():
        print(f"{title}: {len(codes)}")
        for code in codes:
            procedure = desk.catalog.procedures[code]
            print(f"  {code}  {procedure.short_name} – {source_line(procedure)}")
    return 0


def _ends(procedure: Procedure, today: date) -> date | None:
    """The first day on which the procedure or one of its fees, still in force, ends."""
    ends = [procedure.valid_to, *(fee.valid_to for fee in procedure.fees)]
    return min((end for end in ends if end and end >= today), default=None)


def _freshness(catalog: Catalog, desk: Desk) -> dict[str, list[str]]:
    year, month_ = desk.today.year, desk.today.month
    soon = desk.today + timedelta(days=90)
    limit = f"{year - 1}-{month_:02d}"
    items = catalog.procedures.values()
    return {
        "superseded": [p.code for p in items if p.superseded_by],
        "expired": [p.code for p in items if p.valid_to and p.valid_to < desk.today],
        "expiring_in_90_days": [p.code for p in items if (end := _ends(p, desk.today)) and end <= soon],
        "older_than_12_months": [p.code for p in items if p.provenance.as_of < limit],
        "unverified": [p.code for p in items if p.verification is None],
    }
