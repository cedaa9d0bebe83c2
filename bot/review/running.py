"""One process's part in the bank of models: trains what waits in a child process, and answers with the promoted model.

The child runs at a lower priority with one thread, so that replies go on; it knows no database. The engine is
swapped by replacing the service's ``talk``: a turn under way finishes with the one it began with.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from prometheus_client import Gauge
from starlette.concurrency import run_in_threadpool

from bot.clock import Clock
from bot.errors import BadInputError
from bot.review import bank
from bot.review.training import Content, to_build, to_job
from bot.service import Service
from bot.settings import Engine, Settings
from bot.storage.database import Database
from bot.texts import phrases
from nlu.cache import ModelCache
from nlu.embedded import EmbeddedEngine
from nlu.training_data import load_training

log = logging.getLogger("motcua.models")
LOOK_SECONDS = 1.0
BEAT_SECONDS = 15.0
BUILD_SECONDS = 600.0  # for a model that this replica has not kept yet
KEPT_MODELS = 4
_ROOT = Path(__file__).resolve().parents[2]
_ONE_THREAD = dict.fromkeys(("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
_RUNNING = Gauge("motcua_model", "The model of the bank that this process answers with, 0 for the program's own")


class Models:
    """Looks after the bank in one process of the service."""

    def __init__(self, settings: Settings, database: Database, service: Service, clock: Clock, owner: str) -> None:
        self._settings = settings
        self._database = database
        self._service = service
        self._clock = clock
        self._owner = f"{owner[:48]}:{os.urandom(6).hex()}"  # a restart is another owner
        self._child: _Child | None = None
        self._building: subprocess.Popen[str] | None = None
        self._stopping = False
        self._lock = threading.Lock()  # a look under way while the service stops

    @property
    def swaps(self) -> bool:
        """Whether this service answers with models of the bank; with Rasa it does not."""
        return self._settings.chosen_engine is Engine.EMBEDDED

    async def look_on(self) -> None:
        """One round of the background loop."""
        await run_in_threadpool(self.look)
        await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Takes up a training that waits, gives up those that died, and takes over the promoted model."""
        with self._lock:
            if self._stopping:
                return
            with self._database.read() as session:
                training = bank.is_training(session)
                promoted = bank.current(session)
            if training:
                self._train()
            if self.swaps and promoted != self._service.talk.model:
                self._take_over(promoted)

    def stop(self) -> None:
        """Ends a training under way; it is told to have been interrupted."""
        self._stopping = True
        if self._building is not None:
            self._building.kill()
        with self._lock:
            pass  # a look under way ends first
        if self._child is not None:
            self._child.stop(phrases("review")["stopped"])

    # --- answering -------------------------------------------------------------------------------------------------

    def _folder(self, model_id: int | None) -> Path:
        models = (self._settings.var_dir / "models").absolute()
        return models if model_id is None else models / f"bank-{model_id}"

    def _take_over(self, model_id: int | None) -> None:
        with self._database.read() as session:
            content = bank.content_of(session, model_id)
        engine = self._engine(content, self._folder(model_id))
        self._service.talk = replace(self._service.talk, engine=engine, model=model_id)
        _RUNNING.set(model_id or 0)
        log.info("trả lời bằng %s", bank.name(model_id))
        self._tidy()

    def _engine(self, content: Content, folder: Path) -> EmbeddedEngine:
        entries = self._service.talk.desk(self._clock()).catalog.entries()
        training, cache = load_training(), ModelCache(folder)
        if not content.kept(entries, training, cache):
            # Trained beside, so that replies go on: here it would hold them up for seconds.
            job = to_build(entries, content, folder)
            self._build(job)
        return content.engine(entries, training, cache)

    def _build(self, job: str) -> None:
        with subprocess.Popen(  # noqa: S603 - our own program
            _command(self._settings.training_nice), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
            cwd=_ROOT, env=_environment(),
        ) as self._building:  # fmt: skip
            try:
                self._building.communicate(job, timeout=BUILD_SECONDS)
            finally:
                if self._building.poll() is None:
                    self._building.kill()
        done, self._building = self._building.returncode, None
        if done != 0:
            raise subprocess.CalledProcessError(done, _command(self._settings.training_nice))

    def _tidy(self) -> None:
        """Forgets the files of models that nobody will go back to soon; they can be made again."""
        folders = sorted(self._folder(None).glob("bank-*"), key=lambda folder: folder.stat().st_mtime)
        running = self._folder(self._service.talk.model)
        for folder in [folder for folder in folders if folder != running][:-KEPT_MODELS]:
            shutil.rmtree(folder, ignore_errors=True)

    # --- training --------------------------------------------------------------------------------------------------

    def _train(self) -> None:
        if self._child is not None and self._child.runs():
            self._child.beat()
            return
        now = self._clock()
        with self._database.write() as session:
            bank.fail_dead(session, now)
            model = bank.claim(session, self._owner, now)
            if model is None or model.id is None:
                return
            before = bank.current(session)
            running, candidate = bank.content_of(session, before), bank.content_of(session, model.id)
        try:
            with self._database.read() as session:
                asked = bank.asked_of(session, self._settings.labelled_files)
            entries = self._service.talk.desk(now).catalog.entries()
            job = to_job(
                entries, running, candidate, asked, folds=self._settings.training_folds,
                cache=self._folder(model.id), running_cache=self._folder(before),
            )  # fmt: skip
            self._child = _Child(
                self._database, self._clock, self._owner, model.id, before, job, self._settings.training_nice
            )
        except (BadInputError, OSError) as error:
            log.warning("không dựng được bản hiểu %s: %s", model.id, error)
            with self._database.write() as session:
                bank.fail(session, model.id, self._owner, str(error), self._clock())


class _Child:
    """A training under way in a process of its own, and the thread that listens to it."""

    def __init__(
        self, database: Database, clock: Clock, owner: str, model_id: int, before: int | None, job: str, nice: int
    ) -> None:
        self._database, self._clock = database, clock
        self._owner, self._model_id, self._before = owner, model_id, before
        self._beaten = time.monotonic()
        self._errors: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by the listening thread
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            _command(nice), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, cwd=_ROOT,
            env=_environment(),
        )  # fmt: skip
        self._reason = ""
        self._thread = threading.Thread(target=self._listen, args=(job,), name=f"training {model_id}", daemon=True)
        self._thread.start()

    def runs(self) -> bool:
        """Whether it is still under way."""
        return self._thread.is_alive()

    def beat(self) -> None:
        """Shows from time to time that it lives."""
        if time.monotonic() - self._beaten >= BEAT_SECONDS:
            self._alive("")

    def stop(self, reason: str) -> None:
        """Ends it, and waits until that is written down."""
        self._reason = reason
        if self._process.poll() is None:
            self._process.kill()
        self._thread.join(30)

    def _alive(self, progress: str) -> None:
        self._beaten = time.monotonic()
        with self._database.write() as session:
            mine = bank.alive(session, self._model_id, self._owner, self._clock(), progress)
        if not mine:
            self._process.kill()

    def _listen(self, job: str) -> None:
        try:
            figures = self._figures(job)
            with self._database.write() as session:
                if figures is not None:
                    figures["compared_with"] = self._before
                    bank.finish(session, self._model_id, self._owner, figures, self._clock())
                else:
                    bank.fail(session, self._model_id, self._owner, self._why(), self._clock())
        except Exception:
            # The row stays "training" without a sign of life, and is given up after a while.
            log.exception("lỗi khi ghi kết quả dựng bản hiểu %s", self._model_id)
        finally:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout, self._errors):
                if stream is not None:
                    stream.close()

    def _figures(self, job: str) -> dict[str, Any] | None:
        assert self._process.stdin is not None  # noqa: S101 - both are pipes
        assert self._process.stdout is not None  # noqa: S101
        figures: dict[str, Any] | None = None
        try:
            self._process.stdin.write(job)
            self._process.stdin.close()
        except BrokenPipeError:
            return None
        for line in self._process.stdout:
            told = json.loads(line)
            if "figures" in told:
                figures = told["figures"]
            else:
                self._alive(str(told["progress"])[:80])
        return figures if self._process.wait() == 0 else None

    def _why(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read()[-2000:].strip().splitlines()
        if lines:
            log.warning("dựng bản hiểu %s: %s", self._model_id, lines[-1])
        return self._reason or phrases("review")["failed"].format(why=lines[-1][:300] if lines else "–")


def _command(nice: int) -> list[str]:
    return [sys.executable, "-m", "bot.review.training", str(nice)]


def _environment() -> dict[str, str]:
    """As ours, with one thread; what is secret is not for it."""
    hidden = ("TOKEN", "SECRET", "KEY", "PASSWORD", "DATABASE_URL")
    kept = {name: value for name, value in os.environ.items() if not any(part in name.upper() for part in hidden)}
    return kept | _ONE_THREAD
