"""How well receipts are read: ``python -m tests.receipts.measure [SEED]…``.

By symbology and distortion: how many were read, how many wrongly, and the processor time of one photo. ``TUNED`` is the
set that the suite holds the reader to, and that it was made with; ``UNSEEN`` was looked at once, when all was done.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot.receipts import read_receipt
from tests.receipts.drawing import DISTORTIONS, SET_SIZE, SYMBOLOGIES, photos

TUNED, UNSEEN = 99, 2027
PARTS = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo."""

    symbology: str
    distortions: tuple[str, ...]
    code: str
    read: tuple[str, ...]
    milliseconds: float

    @property
    def right(self) -> bool:
        """Whether the code, and nothing else, was read."""
        return self.read == (self.code,)

    @property
    def wrong(self) -> bool:
        """Whether a code was read that is not in the photo."""
        return bool(set(self.read) - {self.code})


def outcomes(seed: int, part: int | None = None) -> Iterator[Outcome]:
    """Reads a seeded set of 300 photos, or one of its :data:`PARTS`, which are of like mixture."""
    numbers = [n for n in range(SET_SIZE) if part is None or n // 2 % PARTS == part]
    for photo in photos(seed, numbers):
        begin = time.process_time()
        read = read_receipt(photo.data).codes
        spent = (time.process_time() - begin) * 1000
        yield Outcome(photo.symbology, photo.distortions, photo.code, read, spent)


def table(results: Iterable[Outcome]) -> str:
    """Read and wrong by symbology and distortion; a photo with two distortions counts under both."""
    results = list(results)
    lines = [f"{'':28}{'photos':>8}{'read':>8}{'':>8}{'wrong':>8}"]

    def row(name: str, some: list[Outcome]) -> None:
        right, wrong = sum(one.right for one in some), sum(one.wrong for one in some)
        lines.append(f"{name:28}{len(some):8}{right:8}{right / max(1, len(some)):8.1%}{wrong:8}")

    for symbology in SYMBOLOGIES:
        of_kind = [one for one in results if one.symbology == symbology]
        row(symbology, of_kind)
        row("  clean", [one for one in of_kind if not one.distortions])
        for name in DISTORTIONS:
            row(f"  {name}, alone", [one for one in of_kind if one.distortions == (name,)])
            row(f"  {name}, with others", [one for one in of_kind if name in one.distortions and one.distortions[1:]])
    row("all", results)
    spent = [one.milliseconds for one in results]
    lines.append(f"ms a photo: median {statistics.median(spent):.0f}, p95 {statistics.quantiles(spent, n=20)[-1]:.0f}")
    unread = [one.milliseconds for one in results if not one.read]
    if unread:
        lines.append(f"ms a photo that cannot be read: {statistics.mean(unread):.0f}, at most {max(unread):.0f}")
    return "\n".join(lines)


if __name__ == "__main__":
    for chosen in map(int, sys.argv[1:] or [TUNED]):
        print(f"Set {chosen}\n{table(outcomes(chosen))}\n")
