"""The turns to look at: the most doubtful first, all, or those looked at; a page at a time, by key, never by number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, tuple_
from sqlmodel import Session, col, func, select

from bot.storage.sight import only_own
from bot.storage.tables import Review, Turn

PAGE = 50
LISTS = ("doubtful", "all", "reviewed")
_KEY = re.compile(r"(\d{1,9})\.(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of turns, each with its review where there is one; ``more`` is the key of the next page, "" for none."""

    rows: Sequence[tuple[Turn, Review | None]]
    more: str


def key_of(turn: Turn, review: Review | None, which: str) -> str:
    """Where a turn stands in a list; what comes after it is asked for with this."""
    if which == "doubtful":
        return f"{max(turn.doubt, 0)}.{turn.id}"
    return f"0.{review.id if which == 'reviewed' and review else turn.id}"


def statement(which: str, after: str, limit: int, own: Sequence[ColumnElement[bool]] = ()) -> Any:
    """The query of a page (a test holds that it reads an index only as far as needed).

    Args:
        which: one of ``LISTS``.
        after: the key that the page comes after; "" or rubbish for the start.
        limit: rows.
        own: conditions on the turns; of reviews their turns have them.
    """
    match = _KEY.fullmatch(after)
    doubt, number = (int(match[1]), int(match[2])) if match else (0, 0)
    if which == "reviewed":
        reviews = select(Review).order_by(col(Review.id).desc()).limit(limit)
        reviews = reviews.where(col(Review.id) < number) if number else reviews
        # In the order of the reviews, each looked up: the turns of an office may be many times as many.
        mine = select(Turn.id).where(col(Turn.id) == Review.turn_id, *own).correlate(Review).exists()
        return reviews.where(mine) if own else reviews
    if which == "all":
        turns = select(Turn).where(*own).order_by(col(Turn.id).desc()).limit(limit)
        return turns.where(col(Turn.id) < number) if number else turns
    turns = select(Turn).where(*own, col(Turn.reviewed).is_(False), col(Turn.doubt) >= 0)
    if match:
        turns = turns.where(tuple_(col(Turn.doubt), col(Turn.id)) < tuple_(doubt, number))
    return turns.order_by(col(Turn.reviewed).desc(), col(Turn.doubt).desc(), col(Turn.id).desc()).limit(limit)


def page(session: Session, which: str, after: str = "", size: int = PAGE) -> Page:
    """One page of a list."""
    # Two plain queries: a planner can't get them wrong, as it could a join.
    found = list(session.exec(statement(which, after, size + 1, only_own(session, col(Turn.office)))))
    rows: list[tuple[Turn, Review | None]]
    if which == "reviewed":
        numbers = [review.turn_id for review in found]
        turns = {turn.id: turn for turn in session.exec(select(Turn).where(col(Turn.id).in_(numbers)))}
        rows = [(turns[review.turn_id], review) for review in found[:size] if review.turn_id in turns]
    else:
        numbers = [turn.id for turn in found]
        reviews = {one.turn_id: one for one in session.exec(select(Review).where(col(Review.turn_id).in_(numbers)))}
        rows = [(turn, reviews.get(turn.id)) for turn in found[:size]]
    more = key_of(*rows[-1], which) if rows and len(found) > size else ""
    return Page(rows, more)


def next_turn(session: Session, which: str, after: str = "") -> int | None:
    """The turn that comes after a key; None at the end of the list."""
    rows = page(session, which, after, 1).rows
    return rows[0][0].id if rows else None


def waiting(session: Session, most: int = 1000) -> int:
    """How many doubtful turns wait to be looked at; counted up to ``most``."""
    own = only_own(session, col(Turn.office))
    some = select(Turn.id).where(*own, col(Turn.reviewed).is_(False), col(Turn.doubt) > 0).limit(most).subquery()
    return int(session.exec(select(func.count()).select_from(some)).one())
