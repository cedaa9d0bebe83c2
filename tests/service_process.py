"""The service as an office runs it: a process of its own, started with an environment, killed or stopped at will."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import make_url

from bot.settings import Settings
from bot.storage import schema
from bot.storage.database import Database

ROOT = Path(__file__).resolve().parents[1]


SECRETS = frozenset(
    str(field.validation_alias) for field in Settings.model_fields.values() if "SecretStr" in str(field.annotation)
)


def _is_secret(name: str) -> bool:
    """Also of an office's own account: TELEGRAM_TOKEN_DONG_PHUOC."""
    return name in SECRETS or any(name.startswith(f"{secret}_") for secret in SECRETS)


def _password_of(address: str) -> dict[str, str]:
    password = make_url(address).password if address else None
    return {"MOTCUA_DATABASE_URL": str(password)} if password else {}


class ServiceProcess:
    """``with ServiceProcess(folder, TELEGRAM_TOKEN=…) as service`` runs ``python -m bot serve`` on a free port.

    Attributes:
        url: its address, once started.
        mark: the line of its output at which its present life begins.
    """

    def __init__(self, folder: Path, *, program: Sequence[str] = ("bot", "serve"), **environment: str) -> None:
        """Starts nothing yet; what other tests have trained is not trained again.

        Args:
            folder: of its own, for ``MOTCUA_VAR_DIR``.
            program: the module that serves, and its arguments.
            environment: more variables; a database named there must be upgraded.
        """
        outside = {str(field.validation_alias) for field in Settings.model_fields.values()}
        self._secrets = {
            name: value for name, value in environment.items() if value and _is_secret(name)
        } | _password_of(environment.get("MOTCUA_DATABASE_URL", ""))
        clean = {key: value for key, value in os.environ.items() if key not in outside}
        own = {"MOTCUA_VAR_DIR": str(folder), "PORT": "0", "MOTCUA_DEMO": "1", "PYTHONUNBUFFERED": "1"}
        self._program = program
        self._environment = clean | own | environment
        self._lines: list[str] = []
        self._told = threading.Condition()
        self.url = ""
        self.mark = 0
        self.process: subprocess.Popen[str] | None = None
        models = ROOT / "var" / "models"
        models.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "models").exists():
            (folder / "models").symlink_to(models)
        self.database = folder / "motcua.sqlite3"
        if "MOTCUA_DATABASE_URL" not in environment and not self.database.exists():
            database = Database(f"sqlite:///{self.database}")
            schema.upgrade(database)
            database.close()

    def start(self) -> Self:
        """Starts it and waits until it listens."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self._program], env=self._environment, cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.mark = len(self._lines)
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()
        self.url = self.wait_for(r"Tình trạng\s+(http://\S+)/ready")[1]
        self.wait_for("Ctrl\\+C")
        return self

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self._told:
                self._lines.append(line)
                self._told.notify_all()
        with self._told:
            self._told.notify_all()

    def log(self) -> str:
        """Everything it has said so far, in all its lives."""
        with self._told:
            return "".join(self._lines)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Waits for words on its output in its present life."""

        def found() -> re.Match[str] | None:
            return re.search(pattern, "".join(self._lines[self.mark :]))

        with self._told:
            self._told.wait_for(lambda: found() or not self._reader.is_alive(), 60)
            match = found()
        assert match, f"không thấy «{pattern}»:\n{self.log()}"
        return match

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL: nothing is tidied up."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM, as a service manager stops it; its exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        status = self.process.wait(60)
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        self._check_secrets()
        return status

    def _check_secrets(self) -> None:
        """No secret that a service of the suite was given may stand in what it said; nor the second half of a token."""
        told = self.log()
        for name, value in self._secrets.items():
            for secret in {value, value.rsplit(":", 1)[-1]}:
                assert secret not in told, f"{name} stands in the log"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.kill()
