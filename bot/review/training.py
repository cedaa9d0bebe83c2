"""Training a candidate and measuring it against the running model, in a process of its own at the lowest priority.

The process gets a job as JSON on its standard input and tells its progress and the result as JSON lines; it knows no
database. Two things are measured, always with both models on the same sentences:

- cross-validation: the examples are dealt into folds by the hash of their words; both models are trained anew without
  one fold and asked its sentences, which neither has seen. All sentences of rare kinds are asked, of questions about
  procedures a sample. Three folds by default: each costs two trainings (about 4.5 s of CPU each for 13,000 examples),
  so that a whole run stays under a minute on one core; five folds cost 20 s more.
- comparison: the turns that advisors reviewed, and the office's labelled sets. A sentence that was added as an example
  is "taught": it is shown, but does not count for or against a kind.

Run by ``bot.review.running``: ``python -m bot.review.training NICE < job.json``.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bot.evaluation import measures
from bot.evaluation.questions import Question
from bot.review.examples import entries_with
from bot.review.labels import codes_in
from nlu.cache import ModelCache
from nlu.embedded import EmbeddedEngine
from nlu.entries import Entry
from nlu.normalize import prepare
from nlu.port import Understanding
from nlu.training_data import Example, Training, load_training

FOLDS = 3
SAMPLE = 1000  # sentences about procedures asked in cross-validation, of all folds together
SHOWN_MOST = 200  # fixed and broken sentences kept of each measure
FOLDED = "folds"  # the source of cross-validated sentences
TURNS = "turns"  # of those that advisors reviewed
Z = 1.64  # one-sided 95 %
Told = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Content:
    """What a model of the bank has beside the program's own training content.

    Attributes:
        examples: sentences that advisors added.
        names: everyday names as (code, name).
    """

    examples: tuple[Example, ...] = ()
    names: tuple[tuple[str, str], ...] = ()

    def kept(self, entries: Sequence[Entry], training: Training, cache: ModelCache) -> bool:
        """Whether the engine need not be trained anew."""
        return cache.has(entries_with(entries, self.names), replace(training, added=self.examples))

    def engine(self, entries: Sequence[Entry], training: Training, cache: ModelCache | None = None) -> EmbeddedEngine:
        """The engine made of it."""
        return EmbeddedEngine(entries_with(entries, self.names), replace(training, added=self.examples), cache)


@dataclass(frozen=True, slots=True)
class Asked:
    """One labelled sentence to compare with.

    Attributes:
        question: sentence and label; its id is what the sentence is found again by ("turn:12", "d001").
        source: "turns", or the name of a labelled set.
        kind: what it counts for.
        secret: the set's sentences are never shown.
        covered: the sentence as it would be taught, without personal data; "" where it has none.
    """

    question: Question
    source: str
    kind: str
    secret: bool = False
    covered: str = ""


def words_of(text: str) -> tuple[str, ...]:
    """What makes two sentences the same to the engine."""
    return prepare(text).words


def fold_of(words: Sequence[str], folds: int) -> int:
    """The fold of a sentence, the same in every run."""
    return int.from_bytes(hashlib.sha256(" ".join(words).encode()).digest()[:8], "big") % folds


def kind_of(example: Example) -> str:
    """What a training example counts for in cross-validation: its intent, or that the bot has to ask back."""
    return "ambiguous" if example.family else example.intent


def _question(example: Example, number: int) -> Question:
    codes = (example.procedure,) if example.procedure else example.family
    kind = "ambiguous" if example.family else ""
    dossiers = codes_in(example.text)
    return Question(str(number), example.text, example.intent, example.aspects, codes, kind, dossiers)


def _sampled(examples: Iterable[Example]) -> Iterator[Example]:
    """Every sentence of the rare kinds once, and a sample of the questions about procedures, the same in every run."""
    seen: dict[tuple[str, ...], Example] = {}
    for example in examples:
        words = words_of(example.text)
        if words:
            seen.setdefault(words, example)
    plain = [words for words, example in seen.items() if kind_of(example) == "ask_procedure"]
    chosen = set(sorted(plain, key=lambda words: hashlib.sha256(" ".join(words).encode()).digest())[:SAMPLE])
    for words, example in seen.items():
        if kind_of(example) != "ask_procedure" or words in chosen:
            yield example


class Tally:
    """Marks of both models, by source and kind, with the sentences that changed."""

    def __init__(self, current: measures.Current) -> None:
        self._current = current
        self._kinds: dict[tuple[str, str], list[int]] = {}
        self.changed: dict[str, list[dict[str, Any]]] = {"fixed": [], "broken": []}
        self._taught = {"total": 0, "right": 0}

    def add(self, asked: Asked, before: Understanding, after: Understanding, *, taught: bool = False) -> None:
        """Counts one sentence."""
        was = measures.right(measures.judge(asked.question, before, self._current))
        now = measures.right(measures.judge(asked.question, after, self._current))
        if taught:
            self._taught["total"] += 1
            self._taught["right"] += now
        else:
            row = self._kinds.setdefault((asked.source, asked.kind), [0, 0, 0, 0, 0])
            for at, one in enumerate((1, was, now, now and not was, was and not now)):
                row[at] += one
        if was != now:
            which = "fixed" if now else "broken"
            if len(self.changed[which]) < SHOWN_MOST and not asked.secret:
                self.changed[which].append(_changed(asked, before, after, taught=taught))

    def figures(self) -> dict[str, Any]:
        """As stored: ``kinds`` rows of source, kind, how many, how many right before and after, fixed and broken."""
        names = ("total", "before", "after", "fixed", "broken")
        kinds = [
            {"source": source, "kind": kind, **dict(zip(names, row, strict=True))}
            for (source, kind), row in sorted(self._kinds.items())
        ]
        return {"kinds": kinds, **self.changed, "taught": self._taught}


def _changed(asked: Asked, before: Understanding, after: Understanding, *, taught: bool) -> dict[str, Any]:
    question = asked.question
    wanted = {"intent": question.intent, "aspects": question.aspects, "procedures": question.procedures}
    # The words of a citizen's turn stay with the turn.
    words = {"turn": int(question.id)} if asked.source == TURNS else {"text": question.text}
    return {
        **words, "source": asked.source, "kind": asked.kind, "taught": taught, "wanted": wanted,
        "before": _said(before), "after": _said(after),
    }  # fmt: skip


def _said(found: Understanding) -> dict[str, Any]:
    offered = [] if found.procedures else [candidate.code for candidate in found.candidates[:4]]
    return {"intent": found.intent, "aspects": found.aspects, "procedures": found.procedures, "offered": offered}


def worse(figures: Mapping[str, Any], at_most_points: float) -> list[dict[str, Any]]:
    """The kinds in which the candidate is worse than the running model by more than so many points.

    Of turns that advisors reviewed every sentence counts: what is lost can be taught again. Labelled sets and folds are
    never taught, and training alone changes about 2 % of decisions by chance (the solver stops early): there a kind is
    worse where its loss beyond the limit is more than chance explains (95 %, of the sentences that changed).
    """
    found = []
    for row in figures.get("kinds", ()):
        beyond = row["before"] - row["after"] - at_most_points * row["total"] / 100.0
        chance = 0.0 if row["source"] == TURNS else Z * math.sqrt(row["fixed"] + row["broken"])
        if beyond > chance:
            found.append(row)
    return found


def train(
    entries: Sequence[Entry],
    running: Content,
    candidate: Content,
    asked: Sequence[Asked],
    *,
    folds: int,
    cache: Path | None,
    running_cache: Path | None = None,
    training: Training | None = None,
    told: Told = lambda _progress: None,
) -> dict[str, Any]:
    """Trains the candidate and measures it.

    Args:
        entries: the catalogue.
        running: of the model that answers now.
        candidate: of the model to make.
        asked: sentences to compare both with.
        folds: of cross-validation; 0 leaves it out.
        cache: folder to keep the trained candidate in.
        running_cache: folder where the running model is kept.
        training: for tests; the program's own by default.
        told: hears the progress, short words for staff.

    Returns:
        The figures: ``kinds``, ``fixed``, ``broken``, ``taught``, ``folds``.
    """
    training = training or load_training()
    steps = folds + 2
    told(f"1/{steps}")
    new = candidate.engine(entries, training, ModelCache(cache) if cache else None)
    old = running.engine(entries, training, ModelCache(running_cache) if running_cache else None)
    successor = {entry.code: entry.superseded_by for entry in entries if entry.superseded_by}
    tally = Tally(lambda code: successor.get(code) or code)
    taught = {words_of(example.text) for example in candidate.examples}
    told(f"2/{steps}")
    for one in asked:
        text = one.question.text
        tally.add(one, old.parse(text), new.parse(text), taught=words_of(one.covered or text) in taught)
    everything = (*training.examples, *running.examples, *candidate.examples)
    sample = list(_sampled(everything)) if folds > 1 else []
    for fold in range(folds if folds > 1 else 0):
        told(f"{fold + 3}/{steps}")
        without = replace(training, examples=_rest(training.examples, fold, folds))
        olds = replace(running, examples=_rest(running.examples, fold, folds)).engine(entries, without)
        news = replace(candidate, examples=_rest(candidate.examples, fold, folds)).engine(entries, without)
        for number, example in enumerate(sample):
            if fold_of(words_of(example.text), folds) == fold:
                question = _question(example, number)
                one = Asked(question, FOLDED, kind_of(example))
                tally.add(one, olds.parse(example.text), news.parse(example.text))
    return {**tally.figures(), "folds": folds if folds > 1 else 0, "sampled": len(sample)}


def _rest(examples: Sequence[Example], fold: int, folds: int) -> tuple[Example, ...]:
    return tuple(example for example in examples if fold_of(words_of(example.text), folds) != fold)


# --- the process ----------------------------------------------------------------------------------------------------


def to_job(
    entries: Sequence[Entry], running: Content, candidate: Content, asked: Sequence[Asked], *, folds: int,
    cache: Path, running_cache: Path,
) -> str:  # fmt: skip
    """What the process is given."""
    return json.dumps(
        {
            "entries": [asdict(entry) for entry in entries],
            "running": asdict(running),
            "candidate": asdict(candidate),
            "asked": [asdict(one) for one in asked],
            "folds": folds,
            "cache": str(cache),
            "running_cache": str(running_cache),
        },
        ensure_ascii=False,
    )


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _content(stored: Mapping[str, Any]) -> Content:
    examples = tuple(Example(**_tuples(one)) for one in stored["examples"])
    return Content(examples, tuple((code, name) for code, name in stored["names"]))


def to_build(entries: Sequence[Entry], content: Content, cache: Path) -> str:
    """A job that only keeps a model in ``cache``, where a replica has it not yet."""
    job = {"entries": [asdict(entry) for entry in entries], "candidate": asdict(content), "cache": str(cache)}
    return json.dumps(job, ensure_ascii=False)


def _run(job: Mapping[str, Any], told: Told) -> dict[str, Any]:
    if "asked" not in job:
        entries = [Entry(**_tuples(entry)) for entry in job["entries"]]
        _content(job["candidate"]).engine(entries, load_training(), ModelCache(Path(job["cache"])))
        return {}
    return train(
        [Entry(**_tuples(entry)) for entry in job["entries"]],
        _content(job["running"]),
        _content(job["candidate"]),
        [Asked(**{**one, "question": Question(**_tuples(one["question"]))}) for one in job["asked"]],
        folds=job["folds"],
        cache=Path(job["cache"]),
        running_cache=Path(job["running_cache"]),
        told=told,
    )


def main() -> None:
    """Reads a job from standard input; writes JSON lines with ``progress``, and at the end one with ``figures``."""
    os.nice(int(sys.argv[1]))

    def say(line: Mapping[str, Any]) -> None:
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()  # a parent that is gone breaks the pipe, and so ends this

    figures = _run(json.load(sys.stdin), lambda progress: say({"progress": progress}))
    say({"figures": figures})


if __name__ == "__main__":
    main()
