"""``motcua citizen export|erase CHANNEL SENDER``: the rights of one citizen over their data, used by staff for them."""

from __future__ import annotations

import argparse
import json
import sys

from bot.clock import utc_now
from bot.errors import BadInputError
from bot.settings import load_settings
from bot.storage.database import open_database


def configure(_name: str, parser: argparse.ArgumentParser) -> None:
    """Adds the actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="VIỆC")
    for name, about, run in (
        ("export", "in ra JSON mọi dữ liệu đang giữ về một người trên một kênh", _export),
        ("erase", "xóa những gì người đó đã viết và được trả lời trên kênh này", _erase),
    ):
        action = actions.add_parser(name, help=about, allow_abbrev=False)
        action.add_argument("channel", metavar="KÊNH", help="web, telegram, zalo_oa, zalo_bot, sms")
        action.add_argument("sender", metavar="NGƯỜI", help="mã của người đó trên kênh; với sms là số dạng +84…")
        if name == "erase":
            action.add_argument("--yes", action="store_true", help="đồng ý xóa; xóa rồi không lấy lại được")
        action.set_defaults(run=run)


def _export(args: argparse.Namespace) -> int:
    from bot.storage.export import export, is_known  # noqa: PLC0415

    database = open_database(load_settings())
    try:
        with database.read() as session:
            told = export(session, args.channel, args.sender, utc_now())
    finally:
        database.close()
    if not is_known(told):
        raise _unknown(args)
    json.dump(told, sys.stdout, ensure_ascii=False, indent=2)
    print()
    return 0


def _erase(args: argparse.Namespace) -> int:
    from bot.storage.erasure import erase  # noqa: PLC0415
    from bot.storage.export import export, is_known  # noqa: PLC0415

    if not args.yes:
        raise BadInputError("xóa rồi không lấy lại được; thêm --yes để xóa")
    database = open_database(load_settings())
    try:
        with database.write() as session:
            now = utc_now()
            if not is_known(export(session, args.channel, args.sender, now)):
                raise _unknown(args)
            erase(session, args.channel, args.sender, now)
    finally:
        database.close()
    print("Đã xóa. Các bản sao lưu còn giữ dữ liệu cũ đến khi hết hạn (MOTCUA_BACKUP_KEEP ngày).")
    return 0


def _unknown(args: argparse.Namespace) -> BadInputError:
    return BadInputError(f"{args.channel}: không giữ gì về người này; kiểm tra lại kênh và mã người")
