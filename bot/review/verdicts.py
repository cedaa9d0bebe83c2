"""An advisor's verdict on a turn: right, or wrong and what would have been right."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, select

from bot.clock import local
from bot.errors import BadInputError
from bot.review.labels import Label, understood
from bot.storage.tables import Review, Turn
from bot.texts import phrases

_T = phrases("review")


class ReviewedMeanwhileError(BadInputError):
    """Somebody else has looked at the turn since the page was opened; nothing was saved."""


def of_turn(session: Session, turn_id: int) -> Review | None:
    """The review of a turn, if any."""
    return session.exec(select(Review).where(Review.turn_id == turn_id)).first()


def give(
    session: Session, turn_id: int, verdict: str, label: Label | None, *, by: str, version: int, now: datetime
) -> Review:
    """Saves a verdict.

    Args:
        session: a writing one.
        turn_id: the turn.
        verdict: "right" or "wrong".
        label: what would have been right, None where the understanding was right and only the answer's content wrong.
        by: the advisor.
        version: of the review that the advisor saw, 0 for none.
        now: the moment.

    Raises:
        ReviewedMeanwhileError: there is a newer one.
        BadInputError: no such turn, or nothing is left of what was said.
    """
    turn = session.get(Turn, turn_id, with_for_update=True)
    if turn is None:
        raise BadInputError(_T["no_turn"])
    if not turn.text:
        raise BadInputError(_T["no_words"])
    known = of_turn(session, turn_id)
    if (known.version if known else 0) != version:
        if known is None:
            raise ReviewedMeanwhileError(_T["no_turn"])
        told = _T["verdicts"][known.verdict]
        at = f"{local(known.at):%H:%M %d/%m}"
        raise ReviewedMeanwhileError(_T["meanwhile"].format(by=known.by, at=at, verdict=told))
    review = known or Review(turn_id=turn_id, verdict="", by="", at=now, version=0)
    meant = understood(turn) if verdict == "right" else label
    review.verdict, review.label = verdict, meant.to_json() if meant else {}
    review.by, review.at, review.version = by, now, review.version + 1
    turn.reviewed = True
    session.add_all((turn, review))
    session.flush()
    return review
