"""The service as a process of its own, for tests that kill it or talk to it as the world does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

from bot.storage.database import Database
from bot.storage.schema import upgrade

ROOT = Path(__file__).resolve().parents[2]
_PREFIXES = ("MOTCUA", "TELEGRAM", "TWILIO", "ZALO", "PUBLIC_BASE_URL", "PORT", "HOST")


class Process:
    """``motcua serve`` on a free port, with demo dossiers.

    Attributes:
        base: where it listens.
        log: everything it has said so far; ``mark``: the line at which its present life begins.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        """Starts it.

        Args:
            folder: of its own, for ``MOTCUA_VAR_DIR``.
            settings: environment variables; a database named there must be upgraded.
        """
        folder.mkdir(parents=True, exist_ok=True)
        kept = ROOT / "var" / "models"  # what was learned for other tests need not be learned again
        kept.mkdir(parents=True, exist_ok=True)
        if not (folder / "models").exists():
            (folder / "models").symlink_to(kept)
        clean = {key: value for key, value in os.environ.items() if not key.startswith(_PREFIXES)}
        self.environment = clean | {
            "MOTCUA_VAR_DIR": str(folder), "PORT": "0", "MOTCUA_DEMO": "1", "PYTHONUNBUFFERED": "1",
            **settings,
        }  # fmt: skip
        self._lines: list[str] = []
        self._told = threading.Condition()
        self.base = ""
        if "MOTCUA_DATABASE_URL" not in settings:
            database = Database(f"sqlite:///{folder / 'motcua.sqlite3'}")
            upgrade(database)
            database.close()
        self.start()

    def start(self) -> None:
        """Starts it and waits until it listens."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bot", "serve"], env=self.environment, cwd=ROOT, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.mark = len(self._lines)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        found = self.wait_for(r"Tình trạng\s+(http://\S+)/ready", self.mark)
        self.base = found[1]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._told:
                self._lines.append(line)
                self._told.notify_all()
        with self._told:
            self._told.notify_all()

    @property
    def log(self) -> str:
        """Everything it has said so far."""
        with self._told:
            return "".join(self._lines)

    def wait_for(self, pattern: str, mark: int = 0) -> re.Match[str]:
        """Waits for words on its output, from line ``mark`` on."""

        def found() -> re.Match[str] | None:
            return re.search(pattern, "".join(self._lines[mark:]))

        with self._told:
            self._told.wait_for(lambda: found() or not self._reader.is_alive(), 60)
            match = found()
        assert match, f"không thấy «{pattern}»:\n{self.log}"
        return match

    def kill(self) -> None:
        """Ends it at once, as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self._end()

    def stop(self) -> None:
        """Ends it in order."""
        self.process.terminate()
        self._end()

    def _end(self) -> None:
        self.process.wait(40)
        self._reader.join(10)
        if self.process.stdout is not None:
            self.process.stdout.close()
