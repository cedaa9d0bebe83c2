"""A real Rasa server for tests and measuring: trained and run by Rasa's own commands in ``.venv-rasa``."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[1]
RASA = ROOT / ".venv-rasa" / "bin" / "rasa"
START_SECONDS = 180.0
_QUIET = {"RASA_TELEMETRY_ENABLED": "false", "TF_CPP_MIN_LOG_LEVEL": "3", "SQLALCHEMY_SILENCE_UBER_WARNING": "1"}


@dataclass(frozen=True, slots=True)
class RunningRasa:
    """A server that answers.

    Attributes:
        url: its base address.
        process: its process, the leader of its own group.
        started_in: seconds from start to the first answer.
    """

    url: str
    process: subprocess.Popen[bytes]
    started_in: float

    def kill(self) -> None:
        """Kills it with all its workers, as ``kill -9`` does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def megabytes(self) -> float:
        """Resident memory of the process and its workers."""
        listed = subprocess.run(
            ["ps", "-o", "rss=", "-g", str(self.process.pid)], capture_output=True, text=True, check=True
        )
        return sum(int(line) for line in listed.stdout.split()) / 1024


def environment() -> dict[str, str]:
    """The environment that Rasa runs in: no telemetry, little talk."""
    return {**os.environ, **_QUIET}


def train(config: Path, data: Path, model: Path) -> float:
    """Trains a model with ``rasa train nlu``, not from Rasa's cache; returns the seconds it took.

    Raises:
        subprocess.CalledProcessError: training failed; its output is in the error.
    """
    start = time.perf_counter()
    command = [
        str(RASA), "train", "nlu", "--config", str(config), "--nlu", str(data),
        "--out", str(model.parent), "--fixed-model-name", model.name.removesuffix(".tar.gz"),
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as empty:  # what Rasa kept of other trainings is not used
        fresh = {**environment(), "RASA_CACHE_DIRECTORY": empty}
        subprocess.run(command, cwd=ROOT, env=fresh, check=True, capture_output=True)
    return time.perf_counter() - start


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(model: Path, log: Path, *, channel: bool = False) -> Iterator[RunningRasa]:
    """A server with that model on a free port of 127.0.0.1; killed at the end.

    Args:
        model: its file.
        log: what it says goes there.
        channel: whether it also answers messages by its REST channel.

    Raises:
        RuntimeError: it did not answer in time; its log is named.
    """
    port = _free_port()
    command = [
        str(RASA), "run", "--enable-api", "--model", str(model), "--interface", "127.0.0.1", "--port", str(port),
        *(["--connector", "rest"] if channel else []),
    ]  # fmt: skip
    start = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        while not _answers(url):
            if process.poll() is not None or time.perf_counter() - start > START_SECONDS:
                raise RuntimeError(f"Rasa không chạy được, xem {log}")
            time.sleep(0.1)
        server = RunningRasa(url, process, time.perf_counter() - start)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(url: str) -> bool:
    try:
        answer = httpx.post(f"{url}/model/parse", json={"text": "xin chào"}, timeout=30, trust_env=False)
        return answer.is_success and "intent" in json.loads(answer.content)
    except (httpx.HTTPError, ValueError):
        return False
