"""The office's desk for commands: what the files say with what staff have changed, where there is a database."""

from __future__ import annotations

import sys

from bot.catalog.answers import Desk
from bot.edits.live import LiveEdits
from bot.errors import BadInputError
from bot.settings import Settings
from bot.storage.database import open_database


def office_desk(settings: Settings, desk: Desk) -> Desk:
    """The desk as citizens are answered from it; the files alone where there is no database, or where it can't be read.

    The last is said on stderr.
    """
    if not settings.database_url and not settings.var_dir.joinpath("motcua.sqlite3").exists():
        return desk
    try:
        database = open_database(settings)
    except BadInputError as error:
        print(f"motcua: chưa tính bản sửa của cán bộ: {error}", file=sys.stderr)
        return desk
    try:
        return LiveEdits(database, settings.office).desk(desk)
    finally:
        database.close()
