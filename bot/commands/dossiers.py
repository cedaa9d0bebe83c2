"""``motcua dossiers import|set-status|postpone|show``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from bot.clock import local, utc_now
from bot.dossiers import importing, registry
from bot.dossiers.records import NOTE_LENGTH, dossier_code, moment, short_text, status_number
from bot.dossiers.status import STATUSES
from bot.errors import BadInputError
from bot.logs import mask
from bot.settings import load_settings
from bot.storage.database import open_database


def configure(_name: str, parser: argparse.ArgumentParser) -> None:
    """Adds the actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="VIỆC")
    take = actions.add_parser("import", help="nhập hồ sơ từ CSV hoặc XLSX", allow_abbrev=False)
    take.add_argument("file", type=Path)
    take.add_argument("--strict", action="store_true", help="có một dòng sai thì không nhập dòng nào")
    take.set_defaults(run=_import)
    move = actions.add_parser("set-status", help="chuyển trạng thái một hồ sơ", allow_abbrev=False)
    move.add_argument("code")
    move.add_argument("status", metavar="N", help="1–10")
    move.add_argument("--note")
    move.set_defaults(run=_set_status)
    later = actions.add_parser("postpone", help="hẹn lại ngày trả, có xin lỗi nếu đã trễ", allow_abbrev=False)
    later.add_argument("code")
    later.add_argument("due", metavar="NGÀY", help="2026-11-30 hoặc 30/11/2026 15:00")
    later.set_defaults(run=_postpone)
    show = actions.add_parser("show", help="xem một hồ sơ", allow_abbrev=False)
    show.add_argument("code")
    show.set_defaults(run=_show)


def _import(args: argparse.Namespace) -> int:
    settings = load_settings()
    records, rejected = importing.check_rows(importing.read_rows(args.file))
    for line, reason in rejected:
        print(f"{args.file}:{line}: {reason}", file=sys.stderr)
    if args.strict and rejected:
        raise BadInputError(f"{args.file}: {len(rejected)} dòng sai, không nhập dòng nào (--strict)")
    database = open_database(settings)
    try:
        report = importing.import_records(
            database, records, rejected, settings, utc_now(), strict=args.strict, done=_progress(len(records))
        )
    except KeyboardInterrupt:
        told = "chưa nhập dòng nào" if args.strict else "phần đã nhập được giữ; chạy lại lệnh này để nhập tiếp"
        print(f"\n{args.file}: dừng giữa chừng, {told}", file=sys.stderr)
        raise
    finally:
        database.close()
    print(
        f"mới {report.created}, thay đổi {report.changed}, không đổi {report.unchanged}, bị loại {len(report.rejected)}"
    )
    return 2 if report.rejected else 0


def _progress(total: int) -> Callable[[int], None]:
    """What draws one bar on a terminal and nothing anywhere else."""
    so_far = 0

    def done(count: int) -> None:
        nonlocal so_far
        so_far += count
        if sys.stderr.isatty():
            bar = "█" * (so_far * 30 // total)
            end = "\n" if so_far == total else ""
            print(f"\r{bar:<30} {so_far}/{total} hồ sơ", end=end, file=sys.stderr, flush=True)

    return done


def _set_status(args: argparse.Namespace) -> int:
    code, status = dossier_code(args.code), status_number(args.status)
    note = args.note and short_text("--note", args.note, NOTE_LENGTH)
    settings = load_settings()
    database = open_database(settings)
    with database.write() as session:
        change = registry.set_status(session, code, status, by="cli", settings=settings, now=utc_now(), note=note)
    database.close()
    name = STATUSES[status].name
    told = "không đổi, đã ở" if change.kind == "unchanged" else "chuyển sang"
    print(f"{code}: {told} {status} ({name})" + ("; có tin báo" if change.notice else ""))
    return 0


def _postpone(args: argparse.Namespace) -> int:
    due = moment("due_at", args.due)
    if due is None:
        raise BadInputError("due_at: cần ngày hẹn mới, dạng 2026-11-30 hoặc 30/11/2026 15:00")
    settings = load_settings()
    database = open_database(settings)
    with database.write() as session:
        change = registry.postpone(session, args.code, due, by="cli", settings=settings, now=utc_now())
    database.close()
    print(f"{dossier_code(args.code)}: hẹn trả {local(due):%H:%M %d/%m/%Y}" + ("; có tin báo" if change.notice else ""))
    return 0


def _show(args: argparse.Namespace) -> int:
    code = dossier_code(args.code)
    database = open_database(load_settings())
    with database.read() as session:
        dossier = registry.get(session, code)
    database.close()
    if dossier is None:
        raise BadInputError(f"không có hồ sơ mã {code}")
    due = f"{local(dossier.due_at):%H:%M %d/%m/%Y}" if dossier.due_at else "–"
    print(f"{code}{' (thử nghiệm)' if dossier.demo else ''}")
    print(f"  trạng thái: {dossier.status} ({STATUSES[dossier.status].name})")
    print(f"  thủ tục: {dossier.procedure or '–'}   hẹn trả: {due}   trả qua: {dossier.return_mode}")
    print(f"  cơ quan: {dossier.office or '–'}")
    phone = mask(dossier.phone) if dossier.phone else "–"
    print(f"  điện thoại: {phone}   nhận SMS: {'có' if dossier.consent_sms else 'không'}")
    if dossier.note:
        print(f"  ghi chú: {dossier.note}")
    return 0
