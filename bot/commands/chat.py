"""``motcua chat``: a person talks to the bot in the terminal; dossiers come from the database where there is one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from bot.application import open_desk, open_engine, open_talk
from bot.clock import utc_now
from bot.conversation.model import Memory, Reply
from bot.dossiers import registry
from bot.dossiers.demo import demo_records
from bot.dossiers.offline import OfflineDossiers, dossier_of
from bot.edits.opening import office_desk
from bot.errors import BadInputError
from bot.settings import Settings, load_settings
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


def _finder(settings: Settings) -> Callable[[str], Dossier | None]:
    """Finds a dossier in the database where there is one; else, and in a demo, among the demo dossiers."""
    try:
        database: Database | None = open_database(settings)
    except BadInputError:
        database = None
    now = utc_now()
    demo = {record.code: dossier_of(record, now) for record in demo_records(now)}

    def find(code: str) -> Dossier | None:
        stored = None
        if database is not None:
            with database.read() as session:
                stored = registry.get(session, code)
        return stored or (demo.get(code) if settings.demo or database is None else None)

    return find


def _chat(_args: argparse.Namespace) -> int:
    settings = load_settings()
    desk = office_desk(settings, open_desk(settings))
    talk = open_talk(settings, desk, open_engine(settings, desk))
    citizen = OfflineDossiers(_finder(settings), desk)
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
        said = talk.turn(labels.get(text.lower(), text), memory, utc_now(), citizen)
        memory = said.memory
        # A button's label may be typed where a window would show the button.
        labels = {button.label.lower(): button.value for reply in said.replies for button in reply.buttons}
        _show(said.replies)
    return 0
