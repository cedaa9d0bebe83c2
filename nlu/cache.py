"""What training worked out, kept between starts in a file named by the hash of everything it was made from."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nlu.entries import Entry
from nlu.linear import LinearModel
from nlu.training_data import Training

log = logging.getLogger("motcua.nlu")
_CODE = ("features.py", "linear.py", "linker.py", "normalize.py", "intents.py", "concepts.py", "embedded.py")


@dataclass(frozen=True, slots=True)
class Kept:
    """The linker's linear model, and the linker's evidence for each training message."""

    model: LinearModel
    proofs: dict[str, list[str]]


class ModelCache:
    """A folder with at most one file (numpy's ``.npz``); a broken or stale one is as good as none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, entries: Sequence[Entry], training: Training) -> Path:
        digest = hashlib.sha256(repr((tuple(entries), training)).encode("utf-8", "backslashreplace"))
        for name in _CODE:
            digest.update((Path(__file__).parent / name).read_bytes())
        return self._folder / f"embedded-{digest.hexdigest()[:24]}.npz"

    def load(self, entries: Sequence[Entry], training: Training) -> Kept | None:
        """What was kept for exactly this content and code, or None."""
        try:
            with np.load(self._path(entries, training), allow_pickle=False) as stored:
                told = json.loads(bytes(stored["told"]))
                model = LinearModel(
                    tuple(told["classes"]),
                    {token: row for row, token in enumerate(told["tokens"])},
                    stored["idf"],
                    stored["weights"],
                    stored["biases"],
                )
                return Kept(model, told["proofs"])
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None

    def save(
        self,
        entries: Sequence[Entry],
        training: Training,
        model: LinearModel,
        proofs: Mapping[str, Sequence[str]],
    ) -> None:
        """Keeps it in place of older files; a folder that cannot be written only costs time."""
        path = self._path(entries, training)
        part = path.with_suffix(f".{os.getpid()}.part")
        tokens = sorted(model.vocabulary, key=model.vocabulary.__getitem__)
        told = json.dumps({"classes": model.classes, "tokens": tokens, "proofs": proofs}).encode()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                np.savez(
                    file, told=np.frombuffer(told, np.uint8), idf=model.idf, weights=model.weights, biases=model.biases
                )
            part.replace(path)
            for old in self._folder.glob("embedded-*"):
                if old != path:
                    old.unlink(missing_ok=True)
        except OSError as error:
            log.warning("không lưu được bộ hiểu đã học: %s", error)
