"""``motcua staff add NAME --role …``; the password comes from a prompt or, with ``--password-stdin``, from stdin."""

from __future__ import annotations

import argparse
import getpass
import sys

from bot.clock import utc_now
from bot.errors import BadInputError
from bot.settings import load_settings


def configure(_name: str, parser: argparse.ArgumentParser) -> None:
    """Adds the actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="VIỆC")
    add = actions.add_parser("add", help="thêm tài khoản cán bộ")
    add.add_argument("name", metavar="NAME")
    add.add_argument(
        "--role",
        required=True,
        metavar="VAI_TRÒ",
        help="advisor (tư vấn), reception (một cửa), admin (quản trị), leader (lãnh đạo)",
    )
    add.add_argument(
        "--office", metavar="CƠ_QUAN", help="một trong MOTCUA_OFFICES; bỏ trống: thấy mọi cơ quan"
    )  # fmt: skip
    add.add_argument("--password-stdin", action="store_true", help="đọc mật khẩu từ dòng đầu của stdin")
    add.set_defaults(run=_add)


def _password(*, from_stdin: bool) -> str:
    if from_stdin or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Mật khẩu: ")
    if getpass.getpass("Nhập lại: ") != first:
        raise BadInputError("hai lần nhập mật khẩu khác nhau")
    return first


def _add(args: argparse.Namespace) -> int:
    from bot.console.accounts import add_staff  # noqa: PLC0415
    from bot.storage.database import open_database  # noqa: PLC0415

    settings = load_settings()
    if args.office is not None and args.office not in settings.offices:
        raise BadInputError(f"--office {args.office!r}: cần một trong {', '.join(settings.offices)}")
    database = open_database(settings)
    password = _password(from_stdin=args.password_stdin)
    with database.write() as session:
        add_staff(session, args.name, args.role, password, utc_now(), args.office)
    where = f", {args.office}" if args.office else ""
    print(f"Đã thêm tài khoản {args.name} ({args.role}{where}).")
    return 0
