"""``motcua notices run|list``."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import socket
import threading
from datetime import datetime
from time import monotonic
from types import FrameType

from sqlalchemy.exc import OperationalError
from sqlmodel import col, select

from bot.clock import local, utc_now
from bot.logs import configure_logging, mask
from bot.notices.policy import KIND
from bot.notices.sending import resolve_uncertain, run_pass, send_due, take_up_lost
from bot.settings import Settings, load_settings
from bot.storage.database import Database, open_database
from bot.storage.tables import Outbox
from bot.texts import phrases

log = logging.getLogger(__name__)

STATES = ("waiting", "sending", "sent", "delivered", "failed", "expired", "cancelled", "uncertain")
PAUSE_SECONDS = 5.0
ASK_SECONDS = 60.0  # between questions to the gateway about uncertain sends


def configure(name: str, parser: argparse.ArgumentParser) -> None:  # noqa: ARG001 - one command lives here
    """Adds the arguments of ``notices``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="VIỆC")
    run = actions.add_parser("run", help="gửi các tin báo đến hạn")
    run.add_argument("--once", action="store_true", help="gửi một lượt rồi dừng")
    run.set_defaults(run=_run)
    listing = actions.add_parser("list", help="xem các tin báo (số điện thoại được che)")
    listing.add_argument("--status", choices=STATES, metavar="S", help=", ".join(STATES))
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(run=_list)


def _run(args: argparse.Namespace) -> int:
    settings = load_settings()
    configure_logging(settings.log_level, as_json=settings.log_format == "json")
    database = open_database(settings)
    owner = f"{socket.gethostname()[:24]}/{os.getpid()}"
    try:
        if args.once:
            handled = run_pass(database, settings, owner=owner, now=utc_now())
            print(phrases("notices")["run_once"].format(handled=handled))
        else:
            _loop(database, settings, owner)
        return 0
    finally:
        database.close()


def _loop(database: Database, settings: Settings, owner: str) -> None:
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()  # the message being sent is finished first

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, end)
    ask_at = monotonic()
    while not stop.is_set():
        try:
            if monotonic() >= ask_at:
                with database.write() as session:
                    take_up_lost(session, utc_now())
                resolve_uncertain(database, settings, now=utc_now())
                ask_at = monotonic() + ASK_SECONDS
            # One at a time, so that a stop is never far away.
            while not stop.is_set() and send_due(database, settings, owner=owner, now=utc_now(), limit=1):
                pass
        except OperationalError as error:
            log.warning("cơ sở dữ liệu chưa dùng được, sẽ thử lại: %s", error.orig)
        stop.wait(PAUSE_SECONDS)


def _list(args: argparse.Namespace) -> int:
    database = open_database(load_settings())
    try:
        with database.read() as session:
            query = select(Outbox).where(Outbox.kind == KIND).order_by(col(Outbox.id))
            if args.status:
                query = query.where(Outbox.state == args.status)
            items = [_item(row) for row in session.exec(query)]
    finally:
        database.close()
    texts = phrases("notices")
    if args.json:
        print(json.dumps(items, ensure_ascii=False))
    elif not items:
        print(texts["list_empty"])
    else:
        for item in items:
            print(texts["list_line"].format(**{key: "-" if value is None else value for key, value in item.items()}))
    return 0


def _item(row: Outbox) -> dict[str, object]:
    return {
        "id": row.id,
        "status": row.state,
        "dossier": row.dossier_code,
        "event": row.event,
        "recipient": mask(row.recipient),
        "gateway": row.gateway,
        "demo": row.demo,
        "text": row.body["text"],
        "not_before": _time(row.not_before),
        "at": _time(row.delivered_at or row.sent_at or row.not_before),
        "sent_at": _time(row.sent_at),
        "delivered_at": _time(row.delivered_at),
        "provider_status": row.provider_status,
        "attempts": row.attempts,
        "error": row.error,
    }


def _time(moment: datetime | None) -> str | None:
    return local(moment).isoformat(timespec="seconds") if moment else None
