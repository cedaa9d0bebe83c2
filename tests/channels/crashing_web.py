"""The web application that a test kills in the middle of a turn. Arguments: database address, folder for files.

It tells its address, and "in turn" once a message has been taken in and claimed; there it halts.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import uvicorn

from bot.api.app import create_app
from bot.application import open_desk, open_talk
from bot.commands.serve import _listen
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from nlu.port import NluEngine


class Halting(Service):
    def _turn(self, *_: Any) -> None:
        print("in turn", flush=True)
        sys.stdin.read()


def main(url: str, folder: str) -> None:
    settings = Settings(var_dir=Path(folder), port=0, database_url=url)
    database = Database(url)
    # No message gets as far as being understood.
    talk = open_talk(settings, open_desk(settings), cast("NluEngine", None))
    app = create_app(settings, database, Halting(settings, database, talk))
    listener = _listen(settings)
    listener.listen()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_config=None)).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
