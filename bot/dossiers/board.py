"""What the board in the hall shows: codes whose results lie at the counter, and those promised for today."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from bot.clock import local
from bot.dossiers.status import FINISHED, RESULT_READY
from bot.storage.sight import Sight
from bot.storage.tables import Dossier, StatusChange

MOST = 400  # codes of each kind: more than a day of any commune


@dataclass(frozen=True, slots=True)
class Board:
    """Codes alone: no name, no procedure.

    Attributes:
        ready: results that lie at the counter, the newest first.
        due: promised for today and not ready yet, in the order of their time.
    """

    ready: tuple[str, ...]
    due: tuple[str, ...]


def board(session: Session, now: datetime, *, days: int, demo: bool, sight: Sight | None = None) -> Board:
    """The board at a moment.

    Args:
        session: for reading.
        now: the moment (aware).
        days: how long the code of a result that nobody fetched stays.
        demo: whether demonstration dossiers are shown (a trial).
        sight: of several offices the one whose dossiers are shown, None for all.
    """
    at_the_counter: list[Any] = [Dossier.return_mode == "counter"]
    if sight is not None:
        at_the_counter.append(sight.has_code(col(Dossier.code)))
    if not demo:
        at_the_counter.append(Dossier.demo == False)  # noqa: E712 - SQL
    since = func.max(StatusChange.at)
    ready = (
        select(Dossier.code)
        .join(StatusChange, col(StatusChange.dossier_code) == Dossier.code)
        .where(Dossier.status == RESULT_READY, StatusChange.after == RESULT_READY, *at_the_counter)
        .group_by(Dossier.code)
        .having(since > now - timedelta(days=days))
        .order_by(since.desc(), col(Dossier.code))
        .limit(MOST)
    )
    midnight = local(now).replace(hour=0, minute=0, second=0, microsecond=0)
    due = (
        select(Dossier.code)
        .where(
            col(Dossier.due_at) >= midnight, col(Dossier.due_at) < midnight + timedelta(days=1),
            col(Dossier.status).notin_(sorted(FINISHED)), *at_the_counter,
        )
        .order_by(col(Dossier.due_at), col(Dossier.code))
        .limit(MOST)
    )  # fmt: skip
    return Board(tuple(session.exec(ready).all()), tuple(session.exec(due).all()))
