"""The peer of ``tests.bench_turns``: a Rasa server trained on the same labelled messages, asked over HTTP.

Its REST channel answers every message with one fixed sentence (a rule and RulePolicy's fallback), keeps the talk in
memory and stores nothing: the least that Rasa does for a turn. Needs ``.venv-rasa`` (``make rasa-test`` makes it);
trains for minutes unless ``MOTCUA_BENCH_REST`` names a model that was kept.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from itertools import count, cycle
from pathlib import Path

import httpx
import yaml

from tests.rasa_server import RASA, ROOT, RunningRasa, environment, running

CONNECTIONS = 24
_NUMBERS = count(1)


def train(folder: Path) -> Path:
    """Trains understanding as ``config.yml`` has it, and the rule; the model's file."""
    config = yaml.safe_load((ROOT / "config.yml").read_text("utf-8"))
    config["policies"] = [
        {"name": "RulePolicy", "core_fallback_threshold": 0.4, "core_fallback_action_name": "utter_answer"}
    ]
    domain = yaml.safe_load((ROOT / "domain.yml").read_text("utf-8"))
    domain["responses"] = {"utter_answer": [{"text": "Dạ"}]}
    rules = {"version": "3.1", "rules": [{"rule": "one", "steps": [{"intent": "greet"}, {"action": "utter_answer"}]}]}
    for name, content in (("config", config), ("domain", domain), ("rules", rules)):
        (folder / f"{name}.yml").write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    command = [
        str(RASA), "train", "--config", str(folder / "config.yml"), "--domain", str(folder / "domain.yml"),
        "--data", "nlu/training", str(folder / "rules.yml"), "--out", str(folder), "--fixed-model-name", "rest",
    ]  # fmt: skip
    subprocess.run(command, cwd=ROOT, env=environment(), check=True, capture_output=True)
    return folder / "rest.tar.gz"


async def _ask(url: str, path: str, texts: Sequence[str], pace: float | None) -> list[float]:
    """Milliseconds that each text took (inf: no answer), asked by ``CONNECTIONS`` at once or at ``pace`` a second."""
    took: list[float] = []
    todo: asyncio.Queue[str | None] = asyncio.Queue(CONNECTIONS * 2)

    async def work(client: httpx.AsyncClient) -> None:
        while (text := await todo.get()) is not None:
            body = {"sender": str(next(_NUMBERS) % 5000), "message": text, "text": text}
            began = time.perf_counter()
            try:
                answer = await client.post(f"{url}{path}", content=json.dumps(body))
                answered = answer.status_code == 200 and bool(answer.json())
            except httpx.HTTPError:
                answered = False
            took.append((time.perf_counter() - began) * 1000 if answered else math.inf)

    async with httpx.AsyncClient(timeout=30, trust_env=False, limits=httpx.Limits(max_connections=None)) as client:
        workers = [asyncio.create_task(work(client)) for _ in range(CONNECTIONS if pace is None else 400)]
        began = time.monotonic()
        for number, text in enumerate(texts):
            if pace is not None:
                await asyncio.sleep(max(0.0, began + number / pace - time.monotonic()))
            await todo.put(text)
        for _ in workers:
            await todo.put(None)
        await asyncio.gather(*workers)
    return took


def _rate(server: RunningRasa, path: str, texts: Sequence[str]) -> float:
    began = time.monotonic()
    took = asyncio.run(_ask(server.url, path, texts, None))
    return sum(map(math.isfinite, took)) / (time.monotonic() - began)


def report(questions: Sequence[str], turns: int, pace: float) -> float | None:
    """Prints what the peer does with the same questions; its turns a second, None where it isn't installed."""
    if not RASA.exists():
        print("peer: no .venv-rasa here (make rasa-test makes it)")
        return None
    texts = [text for text, _ in zip(cycle(questions), range(turns), strict=False)]
    with tempfile.TemporaryDirectory() as folder:
        kept = os.environ.get("MOTCUA_BENCH_REST")
        model = Path(kept) if kept else train(Path(folder))
        with running(model, Path(folder) / "rasa.log", channel=True) as server:
            asyncio.run(_ask(server.url, "/webhooks/rest/webhook", texts[:100], None))  # warm
            rest = _rate(server, "/webhooks/rest/webhook", texts)
            parse = _rate(server, "/model/parse", texts)
            print(
                f"Rasa                     {rest:.0f} turns/s by its REST channel, {parse:.0f}/s by /model/parse",
                flush=True,
            )
            print(
                f"  memory {server.megabytes():.0f} MB after {2 * turns + 100:,}; cold start {server.started_in:.1f} s"
            )
            late = sorted(asyncio.run(_ask(server.url, "/webhooks/rest/webhook", texts[: int(pace * 10)], pace)))
            lost = sum(map(math.isinf, late))
            p95 = late[int(len(late) * 0.95)]
            print(
                f"  at {pace:.0f} a second: p95 {p95:.0f} ms to the answer, {lost} of {len(late)} without", flush=True
            )
    return rest
