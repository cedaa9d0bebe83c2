"""``make bench``: time and memory, each beside a named peer measured in the same run."""

from __future__ import annotations

import gc
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from underthesea_core import TextClassifier

from bot.application import open_desk
from bot.settings import Settings
from nlu.embedded import EmbeddedEngine

QUESTIONS = (
    "làm giấy khai sinh cho con cần gì",
    "phi chung thuc ban sao bao nhieu",
    "ba tôi mới mất hôm qua giờ phải làm sao",
    "h30 99 01 261116 0001 tới đâu rồi",
    "má tui 76 tuổi không có lương hưu thì có được tiền già hông ad",
    "mở quán cà phê cần giấy tờ gì, bao lâu có",
    "trời hôm nay sao",
)


def _times(call: Callable[[str], object], rounds: int = 150) -> tuple[float, float]:
    for text in QUESTIONS:
        call(text)
    gc.collect()
    taken = []
    for _ in range(rounds):
        for text in QUESTIONS:
            start = time.perf_counter()
            call(text)
            taken.append((time.perf_counter() - start) * 1000)
    taken.sort()
    return statistics.median(taken), taken[int(len(taken) * 0.99)]


def _start_up() -> float:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MOTCUA")}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "bot", "parse"], input=b"", check=True, env=environment)
    return time.perf_counter() - start


def main() -> None:
    """Prints the table."""
    desk = open_desk(Settings())
    entries = desk.catalog.entries()
    start = time.perf_counter()
    engine = EmbeddedEngine(entries)
    training = time.perf_counter() - start
    plain = TextClassifier(max_features=20_000, ngram_range=(1, 2), min_df=1, max_df=1.0, c=1.0, max_iter=400)
    start = time.perf_counter()
    plain.fit([text for entry in entries for text in entry.examples], [e.code for e in entries for _ in e.examples])
    plain_training = time.perf_counter() - start
    ours, peer = _times(engine.parse), _times(plain.predict)
    print(f"{len(entries)} procedures; peer: underthesea_core.TextClassifier over the same examples")
    print(f"parse, median / p99    {ours[0]:.2f} / {ours[1]:.2f} ms   peer {peer[0]:.3f} / {peer[1]:.3f} ms")
    print(f"training from scratch  {training:.2f} s   peer {plain_training:.2f} s")
    print(f"start of the engine    {_start_up():.2f} s (process start to ready)")
    print(f"memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
