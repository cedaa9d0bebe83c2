"""``motcua db upgrade|backup|restore|check``: the care of the database."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bot.clock import utc_now
from bot.settings import load_settings
from bot.storage import schema
from bot.storage.backup import backup, restore
from bot.storage.database import connect, open_database


def configure(name: str, parser: argparse.ArgumentParser) -> None:  # noqa: ARG001  one command, one name
    """Adds the arguments of ``db``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="VIỆC")
    upgrade = actions.add_parser("upgrade", help="tạo hoặc nâng cấp các bảng")
    upgrade.set_defaults(run=_upgrade)
    save = actions.add_parser("backup", help="sao lưu ra một tệp, cả khi dịch vụ đang chạy")
    save.add_argument("file", metavar="TỆP", type=Path)
    save.set_defaults(run=_backup)
    back = actions.add_parser("restore", help="phục hồi từ một tệp sao lưu (dịch vụ phải dừng)")
    back.add_argument("file", metavar="TỆP", type=Path)
    back.set_defaults(run=_restore)
    whole = actions.add_parser("check", help="kiểm tra dữ liệu có lành không, cả khi dịch vụ đang chạy")
    whole.set_defaults(run=_check)


def _upgrade(_args: argparse.Namespace) -> int:
    database = connect(load_settings())
    try:
        before = schema.current(database)
        schema.upgrade(database)
    finally:
        database.close()
    if before != schema.head():
        print(f"Cơ sở dữ liệu đã ở bản {schema.head()}.", file=sys.stderr)
    return 0


def _backup(args: argparse.Namespace) -> int:
    database = connect(load_settings())
    try:
        backup(database, args.file)
    finally:
        database.close()
    print(f"Đã sao lưu vào {args.file}")
    return 0


def _restore(args: argparse.Namespace) -> int:
    database = connect(load_settings())
    try:
        aside = restore(database, args.file, utc_now())
    finally:
        database.close()
    if isinstance(aside, str):
        kept = f"; dữ liệu cũ giữ trong schema {aside} (không cần nữa thì: DROP SCHEMA {aside} CASCADE)"
    else:
        kept = f"; tệp cũ giữ ở {aside}" if aside else ""
    print(f"Đã phục hồi từ {args.file}{kept}")
    return 0


def _check(_args: argparse.Namespace) -> int:
    from bot.storage.consistency import faults  # noqa: PLC0415  slow to import

    database = open_database(load_settings())
    try:
        found = faults(database, utc_now())
    finally:
        database.close()
    print("\n".join(map(str, found)) or "Dữ liệu lành.")
    return 1 if found else 0
