"""The service as an office runs it: a process of its own, started with an environment, killed or stopped at will."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from bot.settings import Settings

ROOT = Path(__file__).resolve().parents[1]


class ServiceProcess:
    """``with ServiceProcess(folder, TELEGRAM_TOKEN=…) as service`` runs ``python -m bot serve`` on a free port.

    Attributes:
        url: its address, once started.
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        """``folder``: its ``var_dir``, whose database is set up already; trained models are shared between all."""
        outside = {str(field.validation_alias) for field in Settings.model_fields.values()}
        clean = {key: value for key, value in os.environ.items() if key not in outside}
        own = {"MOTCUA_VAR_DIR": str(folder), "PORT": "0", "MOTCUA_DEMO": "1"}
        self._environment = clean | own | environment
        self._log = folder / "log"
        self.url = ""
        self.process: subprocess.Popen[str] | None = None
        models = Settings(var_dir=ROOT / "var").var_dir / "models"
        models.mkdir(parents=True, exist_ok=True)
        if not (folder / "models").exists():
            (folder / "models").symlink_to(models)

    def start(self) -> Self:
        """Starts it and reads the address it tells; it may not listen yet."""
        self.url = ""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bot", "serve"],
                env=self._environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "http://" in line and not self.url:
                self.url = "http://" + line.split("http://")[1].strip().rstrip("/")
            if "Ctrl+C" in line:
                return self
        raise AssertionError(f"the service did not start:\n{self.log()}")

    def kill(self) -> None:
        """SIGKILL: nothing is tidied up."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM, as a service manager stops it; its exit status."""
        return self._end(signal.SIGTERM)

    def log(self) -> str:
        """What it has logged so far, in all its lives."""
        return self._log.read_text("utf-8")

    def _end(self, how: signal.Signals) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.send_signal(how)
        status = self.process.wait(60)
        self.process.stdout.close()
        self.process = None
        return status

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.kill()
