"""``make bench``: time and memory, each beside a named peer measured in the same run."""

from __future__ import annotations

import gc
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from underthesea_core import TextClassifier

from bot.application import open_desk
from bot.catalog.catalog import load_catalog
from bot.catalog.kept import load_kept
from bot.evaluation.questions import load
from bot.settings import Settings
from nlu.embedded import EmbeddedEngine

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"


def _times(call: Callable[[str], object], questions: Sequence[str]) -> tuple[float, float]:
    """Milliseconds a call, median and 99th percentile, warm."""
    for text in questions:
        call(text)
    gc.collect()
    taken = []
    for text in questions:
        start = time.perf_counter()
        call(text)
        taken.append((time.perf_counter() - start) * 1000)
    taken.sort()
    return statistics.median(taken), taken[int(len(taken) * 0.99)]


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _start_up(folder: str) -> float:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MOTCUA")}
    command = [sys.executable, "-m", "bot", "parse"]
    return _seconds(
        lambda: subprocess.run(command, input=b"", check=True, env={**environment, "MOTCUA_VAR_DIR": folder})
    )


def _memory() -> float:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize() / 2**20


def main() -> None:
    """Prints the table."""
    questions = [question.text for question in load(ROOT / "tests" / "nlu" / "dev.yml")[0]]
    desk = open_desk(Settings())
    entries = desk.catalog.entries()
    made: list[EmbeddedEngine] = []
    training = _seconds(lambda: made.append(EmbeddedEngine(entries)))
    (engine,) = made
    gc.collect()
    memory = _memory()
    plain = TextClassifier(max_features=20_000, ngram_range=(1, 2), min_df=1, max_df=1.0, c=1.0, max_iter=400)
    pairs = [(text, entry.code) for entry in entries for text in entry.examples]
    plain_training = _seconds(lambda: plain.fit([text for text, _ in pairs], [code for _, code in pairs]))
    ours, peer = _times(engine.parse, questions), _times(plain.predict, questions)
    print(f"{len(entries)} procedures, {len(questions)} questions; peer: underthesea_core.TextClassifier over examples")
    print(f"parse, median / p99     {ours[0]:.2f} / {ours[1]:.2f} ms   peer {peer[0]:.3f} / {peer[1]:.3f} ms")
    print(f"training from scratch   {training:.2f} s   peer {plain_training:.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        print(f"process start to ready  {_start_up(folder):.2f} s first, {_start_up(folder):.2f} s with what was kept")
        kept = Path(folder) / "kept"
        root = ROOT / "procedures_data"
        read = _seconds(lambda: load_catalog(root))
        load_kept(root, kept)
        again = _seconds(lambda: load_kept(root, kept))
        print(f"catalogue               {read * 1000:.0f} ms read, {again * 1000:.0f} ms kept")
        if DATA.is_dir():
            national = EmbeddedEngine(load_catalog(DATA / "national_procedures.jsonl.gz").entries())
            large = _times(national.parse, questions)
            ratio = large[0] / ours[0]
            print(f"3,796 procedures        {large[0]:.2f} / {large[1]:.2f} ms a message: {ratio:.1f} × the time")
            command = [sys.executable, "-m", "bot", "catalog", "import", str(DATA / "commune_procedures.json")]
            importing = _seconds(
                lambda: subprocess.run(
                    [*command, "--into", f"{folder}/drafts"], check=True, stdout=subprocess.DEVNULL
                )
            )  # fmt: skip
            print(f"import                  {696 / importing * 60:,.0f} records a minute")
    print(f"memory with the engine  {memory:.0f} MB resident (this process)")


if __name__ == "__main__":
    main()
