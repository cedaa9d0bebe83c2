"""``make bench-nlu``: the embedded engine, our Rasa pipeline and Rasa's stock pipeline side by side in one run.

The same questions, the same linking and the same way over HTTP for both pipelines; only who judges intent and aspects
differs. "Without diacritics": the same questions folded. Of ``set_aside`` only figures are shown.

The stock pipeline learns the sentences that our DIET learns, with their aspects on the labels: on all of them an epoch
takes minutes. A model trained before is used where ``MOTCUA_BENCH_CONFIG`` (ours) or ``MOTCUA_BENCH_STOCK_CONFIG``
names its file; its training is not timed then.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import yaml

from bot.application import open_desk
from bot.clock import VIETNAM
from bot.evaluation import measures
from bot.evaluation.questions import Question, load
from bot.settings import Settings
from nlu.corrections import to_rasa_yaml
from nlu.embedded import EmbeddedEngine
from nlu.entries import fingerprint
from nlu.normalize import fold
from nlu.port import NluEngine
from nlu.rasa import RasaEngine
from nlu.training_data import load_training
from tests.rasa_server import ROOT, running, train

SETS = ("dev", "set_aside")
FORMS: Mapping[str, Callable[[str], str]] = {"as typed": str, "without diacritics": fold}
SHOWN = ("said", "intent", "aspects", "all")
TITLES = {
    "said": "intent and aspects both right",
    "intent": "intent",
    "aspects": "aspects, exact set",
    "all": "right in every respect",
}
OURS, STOCK = ROOT / "config.yml", ROOT / "tests" / "nlu" / "stock_config.yml"
PEOPLE = 4  # at once, for requests a second
_EMBEDDED_ALONE = """
import sys, time; start = time.perf_counter()
from bot.application import open_desk, open_engine
from bot.settings import Settings
settings = Settings(); engine = open_engine(settings, open_desk(settings)); engine.parse("xin chào")
pages = int(open("/proc/self/statm").read().split()[1])
print(time.perf_counter() - start, pages * 4096 / 2**20)
"""


@dataclass
class Row:
    """What was measured of one engine; ``marks`` by (set, form, measure), ``kinds`` by (set, form, kind)."""

    name: str
    training: float = 0.0
    start_up: float = 0.0
    megabytes: float = 0.0
    median: float = 0.0
    slowest: float = 0.0
    a_second: float = 0.0
    marks: dict[tuple[str, str, str], list[bool]] = field(default_factory=lambda: defaultdict(list))
    kinds: dict[tuple[str, str, str], list[bool]] = field(default_factory=lambda: defaultdict(list))


def _judge(row: Row, engine: NluEngine, questions: Mapping[str, Sequence[Question]], current: measures.Current) -> None:
    for name, asked in questions.items():
        for form, shape in FORMS.items():
            for question in asked:
                marks = measures.judge(question, engine.parse(shape(question.text)), current)
                said = marks["intent"] and marks.get("aspects", True)
                for measure, mark in {**marks, "said": said, "all": measures.right(marks)}.items():
                    row.marks[name, form, measure].append(mark)
                row.kinds[name, form, question.kind].append(said)


def _time(row: Row, engine: NluEngine, texts: Sequence[str]) -> None:
    taken = []
    for text in texts:
        start = time.perf_counter()
        engine.parse(text)
        taken.append((time.perf_counter() - start) * 1000)
    taken.sort()
    row.median, row.slowest = statistics.median(taken), taken[int(len(taken) * 0.99)]
    start = time.perf_counter()
    with ThreadPoolExecutor(PEOPLE) as people:
        list(people.map(engine.parse, texts))
    row.a_second = len(texts) / (time.perf_counter() - start)


def _pipeline(
    name: str, config: Path, data: Path, catalogue: str | None, folder: Path, embedded: EmbeddedEngine,
    questions: Mapping[str, Sequence[Question]], current: measures.Current,
) -> Row:  # fmt: skip
    row = Row(name)
    kept = os.environ.get(f"MOTCUA_BENCH_{config.stem.upper()}")
    model = Path(kept) if kept else folder / f"{config.stem}.tar.gz"
    if not kept:
        print(f"… {name}: training", file=sys.stderr, flush=True)
        row.training = train(config, data, model)
    with running(model, folder / f"{config.stem}.log") as server:
        print(f"… {name}: asking", file=sys.stderr, flush=True)
        engine = RasaEngine(server.url, embedded, catalogue=catalogue, limit=10)
        _judge(row, engine, questions, current)
        _time(row, engine, [question.text for question in questions["dev"]])
        row.start_up, row.megabytes = server.started_in, server.megabytes()
        if engine.fallback is not None:
            raise SystemExit(f"{name}: {engine.fallback.reason}, xem {folder}")
        engine.close()
    return row


def _sample(folder: Path) -> Path:
    """The sentences that ``BaseIntents`` leaves to our DIET, labelled ``ask_procedure+documents``."""
    (every,) = [
        part["questions_every"]
        for part in yaml.safe_load(OURS.read_text("utf-8"))["pipeline"]
        if "questions_every" in part
    ]
    taken: Counter[str] = Counter()
    kept = []
    for example in load_training().examples:
        taken[example.procedure or ""] += 1
        if not example.procedure or taken[example.procedure] % every == 0:
            kept.append(replace(example, procedure=None, family=()))
    path = folder / "sample.yml"
    path.write_text(to_rasa_yaml(sorted(kept, key=lambda example: (example.intent, example.aspects))), "utf-8")
    return path


def _embedded(folder: Path, questions: Mapping[str, Sequence[Question]]) -> tuple[Row, EmbeddedEngine]:
    row = Row("embedded")
    desk = open_desk(Settings(var_dir=folder))
    start = time.perf_counter()
    engine = EmbeddedEngine(desk.catalog.entries())
    row.training = time.perf_counter() - start
    for _ in range(2):  # the second time with what the first one kept
        told = subprocess.run(
            [sys.executable, "-c", _EMBEDDED_ALONE], cwd=ROOT, env={**os.environ, "MOTCUA_VAR_DIR": str(folder)},
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    row.start_up, row.megabytes = map(float, told.stdout.split())
    _judge(row, engine, questions, desk.catalog.current)
    _time(row, engine, [question.text for question in questions["dev"]])
    return row, engine


def _share(marks: Sequence[bool]) -> str:
    return f"{sum(marks) / len(marks):.1%}" if marks else "–"


def _print(rows: Sequence[Row], questions: Mapping[str, Sequence[Question]]) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load_now = os.getloadavg()[0]
    print(
        f"{datetime.now(VIETNAM):%d.%m.%Y}, {os.cpu_count()} cores, {memory:.0f} GB, load {load_now:.1f}; "
        f"{', '.join(f'{len(asked)} questions {name}' for name, asked in questions.items())}; `make bench-nlu`\n"
    )
    lines = []
    for measure in SHOWN:
        for name in questions:
            for form in FORMS:
                shares = [_share(row.marks[name, form, measure]) for row in rows]
                lines.append([f"{TITLES[measure]}: {name}, {form}", *shares])
    lines += [
        ["training", *(f"{row.training:.0f} s" if row.training else "–" for row in rows)],
        ["start-up", *(f"{row.start_up:.1f} s" for row in rows)],
        ["memory", *(f"{row.megabytes:.0f} MB" for row in rows)],
        ["a message, median / p99", *(f"{row.median:.1f} / {row.slowest:.1f} ms" for row in rows)],
        [f"messages a second, {PEOPLE} at once", *(f"{row.a_second:.0f}" for row in rows)],
    ]
    _table(rows, lines)
    print("\nBy kind, intent and aspects both right, as typed / without diacritics:\n")
    _table(
        rows,
        [
            [f"{name}: {kind}", *(" / ".join(_share(row.kinds[name, form, kind]) for form in FORMS) for row in rows)]
            for name, asked in questions.items()
            for kind in dict.fromkeys(question.kind for question in asked)
        ],
    )


def _table(rows: Sequence[Row], lines: Sequence[Sequence[str]]) -> None:
    for line in (["", *(row.name for row in rows)], ["---"] * (len(rows) + 1), *lines):
        print(f"| {' | '.join(line)} |")


def main() -> None:
    """Prints the tables."""
    questions = {name: load(ROOT / "tests" / "nlu" / f"{name}.yml")[0] for name in SETS}
    with tempfile.TemporaryDirectory(prefix="motcua-bench-") as name:
        folder = Path(name)
        first, engine = _embedded(folder / "var", questions)
        catalog = open_desk(Settings(var_dir=folder / "var")).catalog
        ours = fingerprint(catalog.entries())
        rest = (engine, questions, catalog.current)
        rows = [
            first,
            _pipeline("our Rasa pipeline", OURS, ROOT / "nlu" / "training", ours, folder, *rest),
            _pipeline("stock Rasa", STOCK, _sample(folder), None, folder, *rest),
        ]
    _print(rows, questions)


if __name__ == "__main__":
    main()
