"""What the error codes of providers mean: each has one table, and all are read here. Pure."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from bot.logs import mask
from bot.notices.gateways.base import PermanentError, TemporaryError, UncertainError

log = logging.getLogger(__name__)
Refusal = TemporaryError | PermanentError | UncertainError

TEMPORARY, UNCERTAIN = "temporary", "uncertain"
NUMBER, OPTED_OUT, CLOSED, CONTENT, ACCOUNT = "number", "opted_out", "closed", "content", "account"
_SAID = 120  # characters of the provider's own words that staff get to see
_unknown: set[tuple[str, int]] = set()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Meaning:
    """One code.

    Attributes:
        kind: TEMPORARY, UNCERTAIN, or a kind of ``PermanentError``.
        told: what staff read, Vietnamese.
        delay: how long to wait before the next try; None: the queue's own pace.
        sender: of ACCOUNT, whether it is about the sender's name or number alone.
    """

    kind: str
    told: str
    delay: timedelta | None = None
    sender: bool = False


def refusal(
    provider: str,
    table: Mapping[int, Meaning],
    code: int,
    said: str = "",
    *,
    otherwise: Meaning | None = None,
    delay: timedelta | None = None,
) -> Refusal:
    """The error for a code.

    Args:
        provider: for the log.
        table: code → meaning.
        code: as the provider gave it.
        said: the provider's own words, for staff; cut and masked.
        otherwise: what a code means that is not in the table; None: refused for its content, and logged once a process.
        delay: how long the provider asks to wait, where it does; else the table's.
    """
    words = f": {mask(said)[:_SAID]}" if said else ""
    meaning = table.get(code, otherwise)
    if meaning is None:
        with _lock:
            new = (provider, code) not in _unknown
            _unknown.add((provider, code))
        if new:
            log.error("%s trả mã lỗi chưa biết %d; coi là tin bị từ chối%s", provider, code, words)
        meaning = Meaning(CONTENT, "bị từ chối")
    message = f"{meaning.told} (mã {code}{words})"
    if meaning.kind == TEMPORARY:
        return TemporaryError(message, delay=delay if delay is not None else meaning.delay)
    if meaning.kind == UNCERTAIN:
        return UncertainError(message)
    return PermanentError(message, kind=meaning.kind, sender=meaning.sender)
