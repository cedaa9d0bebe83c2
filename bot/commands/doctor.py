"""``motcua doctor``: checks a deployment with the settings it would run with, and says what to do."""

from __future__ import annotations

import argparse
import json

import httpx

from bot.clock import utc_now
from bot.doctor import Deployment, State, data, examine, machine, network
from bot.doctor.finding import Check
from bot.logs import mask
from bot.settings import load_settings
from bot.storage.database import Database

SECONDS = 5.0  # for one answer from outside

# In this order: what others rest on comes first, the clocks once everybody was asked.
_HERE: tuple[tuple[str, Check], ...] = (
    ("Python", machine.python), ("Thư mục", machine.folders), ("Khóa bí mật", machine.key),
    ("Cơ sở dữ liệu", data.database), ("Số kết nối", data.connections), ("Sao lưu", data.backups),
    ("Thủ tục", data.catalogue),
    ("Ngày nghỉ", data.holidays), ("Cán bộ", data.staff), ("Zalo OA", data.zalo_tokens), ("Dịch vụ", machine.port),
)  # fmt: skip
_OUTSIDE: tuple[tuple[str, Check], ...] = (
    ("Địa chỉ công khai", network.public_address), ("Web hook", network.web_hooks), ("Telegram", network.telegram),
    ("Zalo Bot", network.zalo_bot), ("SMS", network.sms), ("Rasa", network.rasa),
)  # fmt: skip
_LAST: tuple[tuple[str, Check], ...] = (("Đồng hồ", data.clocks),)


def configure(_name: str, parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("--offline", action="store_true", help="không hỏi ra ngoài")
    parser.add_argument("--json", action="store_true", help="mỗi mục một dòng JSON")
    parser.set_defaults(run=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    settings = load_settings()
    database = Database(settings.database)
    worst = 0
    try:
        with httpx.Client(timeout=SECONDS) as http:
            deployment = Deployment(settings, database, http, utc_now)
            for found in examine(deployment, (*_HERE, *(() if args.offline else _OUTSIDE), *_LAST)):
                worst |= found.state is State.BAD
                told, todo = mask(found.told), found.todo
                if args.json:
                    line = {"subject": found.subject, "state": found.state, "told": told, "todo": todo}
                    print(json.dumps(line, ensure_ascii=False), flush=True)
                else:
                    print(f"{found.state:<8} {found.subject:<18} {told}", flush=True)
                    if todo:
                        print(f"{'':<27} → {todo}", flush=True)
    finally:
        database.close()
    return int(worst)
