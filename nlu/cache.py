"""What training worked out, kept between starts: JSON named by the hash of everything it was made from."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nlu.entries import Entry
from nlu.training_data import Training

log = logging.getLogger("motcua.nlu")
_CODE = ("linker.py", "normalize.py", "labels.py", "embedded.py")


@dataclass(frozen=True, slots=True)
class Kept:
    """Learned weights of the linker, and the linker's evidence for each training message."""

    learned: dict[str, dict[int, float]]
    proofs: dict[str, list[str]]


class ModelCache:
    """A folder with at most one file; a broken or stale one is as good as none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, entries: Sequence[Entry], training: Training) -> Path:
        digest = hashlib.sha256(repr((tuple(entries), training)).encode("utf-8", "backslashreplace"))
        for name in _CODE:
            digest.update((Path(__file__).parent / name).read_bytes())
        return self._folder / f"embedded-{digest.hexdigest()[:24]}.json"

    def load(self, entries: Sequence[Entry], training: Training) -> Kept | None:
        """What was kept for exactly this content and code, or None."""
        try:
            stored = json.loads(self._path(entries, training).read_text("utf-8"))
            learned = {f: {int(owner): w for owner, w in by.items()} for f, by in stored["learned"].items()}
            return Kept(learned, stored["proofs"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def save(
        self,
        entries: Sequence[Entry],
        training: Training,
        learned: Mapping[str, Mapping[int, float]],
        proofs: Mapping[str, Sequence[str]],
    ) -> None:
        """Keeps it in place of older files; a folder that cannot be written only costs time."""
        path = self._path(entries, training)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps({"learned": learned, "proofs": proofs}, ensure_ascii=False), "utf-8")
            part.replace(path)
            for old in self._folder.glob("embedded-*.json"):
                if old != path:
                    old.unlink(missing_ok=True)
        except OSError as error:
            log.warning("không lưu được bộ hiểu đã học: %s", error)
