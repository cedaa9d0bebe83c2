"""The ten statuses of the national exchange (trục liên thông), and which moves staff may make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.texts import phrases


@dataclass(frozen=True, slots=True)
class Status:
    """One status: its number on the national exchange and its name."""

    number: int
    name: str


STATUSES: Mapping[int, Status] = {
    int(number): Status(int(number), told["name"]) for number, told in phrases("status")["statuses"].items()
}
RESULT_READY = 9
RETURNED = 10
FINISHED = frozenset({3, 7, 8, 9, 10})
OPEN = frozenset(STATUSES) - FINISHED  # still worked on: these can be overdue (also in an index, see storage.tables)

# From → to that a person at the desk may choose; an import or the API may jump, because the
# one-stop software is the master. From 9 back to 4: a slip is undone before its notice goes out.
_STAFF: Mapping[int, tuple[int, ...]] = {
    1: (2, 3, 7),
    2: (4, 5, 6, 7, 8, 9),
    3: (2,),
    4: (5, 6, 7, 8, 9),
    5: (4, 7, 8, 9),
    6: (4, 7, 8, 9),
    7: (),
    8: (4,),
    9: (10, 4),
    10: (9,),
}


def may_become_ready(status: int) -> bool:
    """Whether a result found on the desk means that a dossier in this status is ready now.

    Narrower than ``staff_moves``: one that was returned already goes back to "ready" only by hand, for a scan of its
    receipt would call its owner a second time.
    """
    return status in OPEN and RESULT_READY in staff_moves(status)


def staff_moves(status: int) -> tuple[int, ...]:
    """The statuses that staff may move a dossier to."""
    return _STAFF.get(status, ())
