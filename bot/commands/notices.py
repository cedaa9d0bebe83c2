"""``motcua notices run|list|status|pause|resume|resolve|check|preview``."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import logging
import os
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from time import monotonic

from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, select

from bot.channels.opening import open_gateways
from bot.clock import Clock, local, utc_now
from bot.console.accounts import audit
from bot.errors import BadInputError
from bot.logs import configure_logging, mask
from bot.notices import control
from bot.notices.gsm7 import segments
from bot.notices.policy import KIND
from bot.notices.reminders import remind
from bot.notices.sending import (
    CHANNELS,
    PARALLEL,
    resolve_by_staff,
    resolve_uncertain,
    run_pass,
    send_due,
    take_up_lost,
)
from bot.notices.templates import EXAMPLE, faults, render, templates
from bot.notices.wording import all_words
from bot.settings import Settings, load_settings
from bot.storage.database import Database, open_database
from bot.storage.tables import Outbox, Spend
from bot.storage.timekeeping import CommonClock, clock_of
from bot.texts import phrases

log = logging.getLogger(__name__)

STATES = ("waiting", "sending", "sent", "delivered", "failed", "expired", "cancelled", "uncertain")
PAUSE_SECONDS = 5.0
REMIND_SECONDS = 3600.0
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
    for action, what, told in (("pause", _pause, "tạm dừng tin báo qua một kênh"), ("resume", _resume, "cho đi tiếp")):
        held = actions.add_parser(action, help=told)
        held.add_argument("channel", choices=CHANNELS)
        if action == "pause":
            held.add_argument("--reason", default="", help="lý do, để người sau biết")
        held.set_defaults(run=what)
    actions.add_parser("status", help="kênh nào đang gửi, hôm nay gửi bao nhiêu").set_defaults(run=_status)
    resolve = actions.add_parser("resolve", help="quyết định về một tin chưa rõ đã gửi hay chưa")
    resolve.add_argument("id", type=int)
    resolve.add_argument("verdict", choices=("sent", "again", "drop"), help="sent: đã đến; again: gửi lại; drop: bỏ")
    resolve.set_defaults(run=_resolve)
    actions.add_parser("check", help="soát các mẫu tin").set_defaults(run=_check)
    actions.add_parser("preview", help="xem từng mẫu tin và số tin SMS").set_defaults(run=_preview)


def _run(args: argparse.Namespace) -> int:
    settings = load_settings()
    configure_logging(settings.log_level, as_json=settings.log_format == "json")
    _check(args, say=False)
    database = open_database(settings)
    owner = f"{socket.gethostname()[:24]}/{os.getpid()}"
    try:
        if args.once:
            handled = asyncio.run(_once(database, settings, owner))
            print(phrases("notices")["run_once"].format(handled=handled))
        else:
            asyncio.run(_loop(database, settings, owner))
        return 0
    finally:
        database.close()


async def _once(database: Database, settings: Settings, owner: str) -> int:
    clock = clock_of(database)
    gateways = open_gateways(settings, database, clock)
    try:
        return await run_pass(database, settings, owner=owner, now=clock(), gateways=gateways)
    finally:
        await gateways.close()


async def _loop(database: Database, settings: Settings, owner: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)  # what is being sent is finished first
    clock = clock_of(database)
    gateways = open_gateways(settings, database, clock)
    ask_at = remind_at = monotonic()
    try:
        while not stop.is_set():
            try:
                if monotonic() >= ask_at:
                    await asyncio.to_thread(_take_up, database, clock)
                    await resolve_uncertain(database, settings, gateways, now=clock())
                    ask_at = monotonic() + ASK_SECONDS
                if monotonic() >= remind_at:
                    await asyncio.to_thread(_remind, database, settings, clock)
                    remind_at = monotonic() + REMIND_SECONDS
                # A few at a time, so that a stop is never far away.
                while not stop.is_set() and await send_due(
                    database, settings, gateways, owner=owner, now=clock(), limit=PARALLEL
                ):
                    pass
            except OperationalError as error:
                log.warning("cơ sở dữ liệu chưa dùng được, sẽ thử lại: %s", error.orig)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), PAUSE_SECONDS)
    finally:
        await gateways.close()


def _take_up(database: Database, clock: Clock) -> None:
    if isinstance(clock, CommonClock):
        clock.set()
    with database.write() as session:
        take_up_lost(session, clock())


def _remind(database: Database, settings: Settings, clock: Clock) -> None:
    with database.write() as session:
        remind(session, settings, clock())


def _pause(args: argparse.Namespace) -> int:
    with _writing() as session:
        control.pause(session, args.channel, getpass.getuser(), args.reason, utc_now())
    print(phrases("notices")["paused"].format(channel=args.channel))
    return 0


def _resume(args: argparse.Namespace) -> int:
    with _writing() as session:
        done = control.resume(session, args.channel)
    print(phrases("notices")["resumed" if done else "not_paused"].format(channel=args.channel))
    return 0


def _status(_args: argparse.Namespace) -> int:
    texts, now = phrases("notices"), utc_now()
    with _writing() as session:
        held = control.pauses(session, now)
        for channel in CHANNELS:
            pause = held.get(channel)
            state = texts["state_open"]
            if pause is not None:
                state = texts["state_paused"].format(at=_time(pause.at), by=pause.by, reason=pause.reason or "–")
            spend = session.get(Spend, (local(now).date(), channel)) or Spend(day=local(now).date(), channel=channel)
            print(
                texts["state_line"].format(
                    channel=channel,
                    state=state,
                    messages=spend.messages,
                    segments=spend.segments,
                    dong=round(spend.dong),
                )
            )
    return 0


def _resolve(args: argparse.Namespace) -> int:
    texts = phrases("notices")
    with _writing() as session:
        if not resolve_by_staff(session, args.id, args.verdict, load_settings(), utc_now()):
            raise BadInputError(texts["not_uncertain"].format(id=args.id))
        audit(session, getpass.getuser(), "resolve_notice", str(args.id), utc_now(), verdict=args.verdict)
    print(texts["resolved"].format(id=args.id))
    return 0


def _check(_args: argparse.Namespace, *, say: bool = True) -> int:
    found = list(faults())
    if found:
        raise BadInputError("bot/texts/notices.yml: " + "; ".join(found))
    if say:
        print(phrases("notices")["check_ok"].format(count=len(templates())))
    return 0


def _preview(args: argparse.Namespace) -> int:
    _check(args, say=False)
    own = _changed_words()
    for name in templates():
        for channel in ("sms", "chat"):
            text = render(name, EXAMPLE, channel, own.get(name))
            size = segments(text)
            print(
                phrases("notices")["preview_line"].format(
                    name=name,
                    channel=channel,
                    segments=size.count if channel == "sms" else "–",
                    units=size.units,
                    text=text,
                )
            )
    return 0


def _changed_words() -> dict[str, Mapping[str, object]]:
    """The templates as staff changed them; none where there is no database yet."""
    try:
        database = open_database(load_settings())
    except BadInputError:
        return {}
    try:
        with database.read() as session:
            return {one.name: one.template for one in all_words(session)}
    finally:
        database.close()


@contextmanager
def _writing() -> Iterator[Session]:
    database = open_database(load_settings())
    try:
        with database.write() as session:
            yield session
    finally:
        database.close()


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
