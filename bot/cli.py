"""The console script ``motcua``: parses arguments, runs one command, turns errors into exit codes.

Exit codes: 0 done, 2 bad usage or bad input (one line on stderr), 1 internal failure.
Commands live in ``bot.commands``, imported only when called, so that start-up stays quick.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from bot.errors import BadInputError
from bot.settings import SettingsError

# name → (module of bot.commands, one-line help)
COMMANDS = {
    "parse": ("nlu", "đọc câu hỏi (JSON từng dòng), cho biết hiểu thế nào"),
    "converse": ("nlu", "chạy hội thoại (JSON từng dòng)"),
    "chat": ("chat", "trò chuyện trong cửa sổ lệnh"),
    "answer": ("catalog", "xem câu trả lời về một thủ tục"),
    "catalog": ("catalog", "kiểm tra, nhập, xem tình trạng dữ liệu thủ tục"),
    "dossiers": ("dossiers", "nhập, chuyển trạng thái, xem hồ sơ"),
    "notices": ("notices", "gửi và xem tin báo"),
    "evaluate": ("evaluate", "đo độ đúng trên bộ câu hỏi có nhãn"),
    "serve": ("serve", "chạy dịch vụ"),
    "zalo": ("zalo", "đăng nhập và xem tình trạng Zalo Official Account"),
    "db": ("db", "nâng cấp, sao lưu, phục hồi, kiểm tra cơ sở dữ liệu"),
    "doctor": ("doctor", "kiểm tra cả bản cài đặt và nói cần làm gì"),
    "citizen": ("citizen", "xuất hoặc xóa dữ liệu của một người dân"),
    "staff": ("staff", "thêm và quản lý tài khoản cán bộ"),
}


class _Parser(argparse.ArgumentParser):
    """Usage errors in one line; long flags are never guessed from a prefix."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}", file=sys.stderr)
        raise SystemExit(2)


def _utf8_streams() -> None:
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Bad bytes on input reach the command as surrogates, so that it can name the line.
            stream.reconfigure(encoding="utf-8", errors="surrogateescape" if stream is sys.stdin else "replace")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    _utf8_streams()
    argv = list(sys.argv[1:] if arguments is None else arguments)
    parser = _Parser(prog="motcua", description="Trợ lý của Trung tâm Phục vụ hành chính công", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", metavar="LỆNH", required=True, parser_class=_Parser)
    wanted = argv[0] if argv else None
    for name, (module, help_line) in COMMANDS.items():
        command = commands.add_parser(name, help=help_line, allow_abbrev=False)
        if name == wanted:
            # Each command module adds its arguments and sets ``run`` (args → exit code).
            import_module(f"bot.commands.{module}").configure(name, command)
    try:
        args = parser.parse_args(argv)
        code: int = args.run(args)
        sys.stdout.flush()
    except (BadInputError, SettingsError) as error:
        print(f"motcua: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader has gone (``| head``): not a failure of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
    except Exception as error:
        logging.getLogger("motcua").exception("lỗi bên trong")
        print(f"motcua: lỗi bên trong: {type(error).__name__}", file=sys.stderr)
        return 1
    return code
