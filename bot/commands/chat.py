"""``motcua chat``: a person talks to the bot in the terminal; dossiers come from the database where there is one."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime

from bot.application import open_desk, open_engine, open_talk
from bot.clock import utc_now
from bot.conversation.due import deadline_of
from bot.conversation.model import DossierView, Memory, Reply
from bot.conversation.talk import LookedUp
from bot.dossiers import lookup, registry
from bot.dossiers.demo import demo_records
from bot.errors import BadInputError
from bot.settings import load_settings
from bot.storage.database import Database, open_database
from bot.storage.tables import Dossier
from bot.texts import phrases


def configure(_name: str, parser: argparse.ArgumentParser) -> None:
    """No arguments but where to end."""
    parser.set_defaults(run=_chat)


def _show(replies: tuple[Reply, ...]) -> None:
    for reply in replies:
        print("\n" + reply.text)
        if reply.buttons:
            print("  " + "   ".join(f"[{button.label}]" for button in reply.buttons))
    print()


def _demo(now: datetime) -> dict[str, Dossier]:
    found = {}
    for record in demo_records(now):
        known = {name: getattr(record, name) for name in record.__slots__ if name != "lookup_code"}
        found[record.code] = Dossier(created_at=now, updated_at=now, **known)
    return found


def _chat(_args: argparse.Namespace) -> int:
    settings = load_settings()
    desk = open_desk(settings)
    talk = open_talk(settings, desk, open_engine(settings, desk))
    database: Database | None
    try:
        database = open_database(settings)
    except BadInputError:
        database = None
    demo = _demo(utc_now()) if settings.demo or database is None else {}

    def look_up(codes: tuple[str, ...]) -> LookedUp:
        views: dict[str, DossierView | None] = {}
        for code in codes:
            dossier = demo.get(code)
            if database is not None:
                with database.read() as session:
                    dossier = registry.get(session, code) or dossier
            views[code] = lookup.view(dossier, lambda c, at: deadline_of(desk, c, at)) if dossier else None
        return LookedUp(views)

    memory = Memory()
    print(phrases("replies")["greet"].format(office=desk.office.name))
    print(phrases("replies")["chat_hint"] + "\n")
    labels: dict[str, str] = {}
    while True:
        try:
            text = input("> ") if sys.stdin.isatty() else sys.stdin.readline()
        except EOFError:
            break
        if not text:
            break
        text = text.strip()
        if text.lower() in {"thoát", "thoat", "quit", "exit"}:
            break
        if not text:
            continue
        said = talk.turn(labels.get(text.lower(), text), memory, utc_now(), look_up)
        memory = said.memory
        # A button's label may be typed where a window would show the button.
        labels = {button.label.lower(): button.value for reply in said.replies for button in reply.buttons}
        _show(said.replies)
    return 0
