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


@dataclass(frozen=True, slots=True)
class Kept:
    """All that training makes: the linear models by name, and the words that the aspects' model does not mask."""

    models: Mapping[str, LinearModel]
    unmasked: frozenset[str]


def write_kept(path: Path, kept: Kept) -> None:
    """Writes it as one file (numpy's ``.npz``, whatever the name).

    Raises:
        OSError: the file cannot be written.
    """
    told = {
        "classes": {name: model.classes for name, model in kept.models.items()},
        "tokens": {n: sorted(m.vocabulary, key=m.vocabulary.__getitem__) for n, m in kept.models.items()},
        "unmasked": sorted(kept.unmasked),
    }
    arrays = {
        f"{name}_{part_of}": getattr(model, part_of)
        for name, model in kept.models.items()
        for part_of in ("idf", "weights", "biases")
    }
    with path.open("wb") as file:
        np.savez(file, told=np.frombuffer(json.dumps(told).encode(), np.uint8), **arrays)


def read_kept(path: Path) -> Kept:
    """Reads what ``write_kept`` wrote.

    Raises:
        OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile: it is not there, or broken.
    """
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        told = json.loads(bytes(stored["told"]))
        models = {
            name: LinearModel(
                tuple(classes),
                {token: row for row, token in enumerate(told["tokens"][name])},
                stored[f"{name}_idf"],
                stored[f"{name}_weights"],
                stored[f"{name}_biases"],
            )
            for name, classes in told["classes"].items()
        }
        return Kept(models, frozenset(told["unmasked"]))


class ModelCache:
    """A folder with at most one file (numpy's ``.npz``); a broken or stale one is as good as none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, entries: Sequence[Entry], training: Training) -> Path:
        digest = hashlib.sha256(repr((tuple(entries), training)).encode("utf-8", "backslashreplace"))
        for source in sorted(Path(__file__).parent.glob("*.py")):
            digest.update(source.read_bytes())
        return self._folder / f"embedded-{digest.hexdigest()[:24]}.npz"

    def has(self, entries: Sequence[Entry], training: Training) -> bool:
        """Whether something is kept for exactly this content and code."""
        return self._path(entries, training).exists()

    def load(self, entries: Sequence[Entry], training: Training) -> Kept | None:
        """What was kept for exactly this content and code, or None."""
        try:
            return read_kept(self._path(entries, training))
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None

    def save(self, entries: Sequence[Entry], training: Training, kept: Kept) -> None:
        """Keeps it in place of older files; a folder that cannot be written only costs time."""
        path = self._path(entries, training)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_kept(part, kept)
            part.replace(path)
            for old in self._folder.glob("embedded-*"):
                if old != path:
                    old.unlink(missing_ok=True)
        except OSError as error:
            log.warning("không lưu được bộ hiểu đã học: %s", error)
