"""What a barcode scanner types at the desk, and the pile of results it reads: which dossiers are ready now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.dossiers import registry
from bot.dossiers.status import RESULT_READY, RETURNED, may_become_ready
from bot.receipts.contents import dossier_codes
from bot.settings import Settings
from bot.storage.tables import Dossier
from nlu.codes import find_codes

MOST = 200  # codes of one pile
LONGEST_LINE = 400  # characters; a QR code with a web address is far shorter
READY, DONE, ALREADY, RETURNED_ALREADY, NOT_YET, UNKNOWN, UNREADABLE = (
    "ready", "done", "already", "returned", "not_yet", "unknown", "unreadable",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a pile.

    Attributes:
        code: canonical; where nothing was read, the beginning of what was typed.
        state: READY (may become "có kết quả" now), DONE (has just become so), ALREADY (is so), RETURNED_ALREADY,
            NOT_YET (its status doesn't lead there), UNKNOWN (not on file), UNREADABLE (no dossier code).
        status: of the dossier, None where there is none.
        before: the status it was in, where it is DONE.
    """

    code: str
    state: str
    status: int | None = None
    before: int | None = None


def read_scan(text: str) -> tuple[str, ...]:
    """The dossier codes of one scan, canonical, each once.

    A scanner types what the symbol says: the code, in lower case where caps lock is on, or for a QR code a web address
    around it. A hand may have typed it too, so slips of form are mended as everywhere.
    """
    text = text.strip()[:LONGEST_LINE]
    machine = dossier_codes(text, address=True)
    return machine or tuple(dict.fromkeys(hit.code for hit in find_codes(text)))


def pile(text: str) -> tuple[str, ...]:
    """The scans of a pile, a line each: canonical codes (what can't be read stays as it is), each once, in order."""
    return tuple(_lines(text))[:MOST]


def is_over(text: str) -> bool:
    """Whether a pile holds more than ``MOST``."""
    return len(_lines(text)) > MOST


def _lines(text: str) -> dict[str, None]:
    found: dict[str, None] = {}
    for line in text.splitlines():
        if line.strip():
            found |= dict.fromkeys(read_scan(line) or (line.strip()[:48],))
    return found


def state_of(code: str, dossier: Dossier | None) -> Line:
    """What a scan of this code would do."""
    if dossier is None:
        return Line(code, UNKNOWN if read_scan(code) else UNREADABLE)
    if dossier.status == RESULT_READY:
        return Line(code, ALREADY, dossier.status)
    if dossier.status == RETURNED:
        return Line(code, RETURNED_ALREADY, dossier.status)
    return Line(code, READY if may_become_ready(dossier.status) else NOT_YET, dossier.status)


def set_ready(session: Session, code: str, *, by: str, settings: Settings, now: datetime) -> Line:
    """Sets "có kết quả" where a scan of this code may, and puts its notice out; else tells why not.

    Args:
        session: the transaction, of this one dossier.
        code: canonical.
        by: who.
        settings: for the notice.
        now: the moment (aware).
    """
    line = state_of(code, session.get(Dossier, code, with_for_update=True))
    if line.state != READY:
        return line
    registry.set_status(session, code, RESULT_READY, by=by, settings=settings, now=now)
    return Line(code, DONE, RESULT_READY, line.status)


def summary(lines: Iterable[Line]) -> dict[str, int]:
    """How many lines are in each state."""
    told: dict[str, int] = {}
    for line in lines:
        told[line.state] = told.get(line.state, 0) + 1
    return told
