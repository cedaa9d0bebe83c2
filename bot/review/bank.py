"""The bank of models: begin one, let it be trained, promote it where no kind gets worse, go back in one step.

A model is the program's own training content and a set of added sentences and names. Which one answers is the newest
row of ``ModelChange``; every process looks there now and then (``bot.review.running``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, func, select

from bot.errors import BadInputError
from bot.evaluation.questions import load
from bot.masking import mask
from bot.review.examples import active, active_names, examples_of
from bot.review.labels import Label
from bot.review.training import TURNS, Asked, Content, worse
from bot.storage.tables import AddedExample, CandidateModel, EverydayName, ModelChange, Review, Turn
from bot.texts import phrases

DEAD_AFTER = timedelta(minutes=2)  # without a sign of life a training is over
TURNS_MOST = 1000  # reviewed turns compared, the newest
SECRET = "set_aside"  # a labelled set so called is only ever told in figures  # noqa: S105 - no password
_T = phrases("review")


# --- what models are made of ----------------------------------------------------------------------------------------


def current(session: Session) -> int | None:
    """The model that answers; None for the program's own content alone."""
    newest = session.exec(select(ModelChange).order_by(col(ModelChange.id).desc()).limit(1)).first()
    return newest.model_id if newest else None


def content_of(session: Session, model_id: int | None) -> Content:
    """What a model has beside the program's own content."""
    model = session.get(CandidateModel, model_id) if model_id is not None else None
    if model is None:
        return Content()
    examples = [session.get_one(AddedExample, number) for number in model.examples.get("examples", ())]
    names = [session.get_one(EverydayName, number) for number in model.examples.get("names", ())]
    return Content(examples_of(examples), tuple((row.procedure, row.name) for row in names))


def wanted(session: Session) -> dict[str, list[int]]:
    """The sentences and names that a new model would have."""
    return {
        "examples": [row.id or 0 for row in active(session)],
        "names": [row.id or 0 for row in active_names(session)],
    }


def news(session: Session) -> tuple[int, int]:
    """How many sentences and names were added, and how many withdrawn, since the model that answers was made."""
    now_wanted = wanted(session)
    model_id = current(session)
    model = session.get(CandidateModel, model_id) if model_id is not None else None
    has = model.examples if model else {}
    added = withdrawn = 0
    for what, numbers in now_wanted.items():
        before = set(has.get(what, ()))
        added += len(set(numbers) - before)
        withdrawn += len(before - set(numbers))
    return added, withdrawn


def asked_of(session: Session, sets: Sequence[Path]) -> list[Asked]:
    """What candidates are compared on: the turns that were reviewed, and labelled sets.

    Only turns whose words meant it by themselves count ("còn phí?" means nothing alone), and of those that were wrong
    only where somebody said what would have been right.

    Raises:
        BadInputError: a labelled set can't be read.
    """
    rows = session.exec(
        select(Turn, Review)
        .join(Review, col(Review.turn_id) == col(Turn.id))
        .where(Turn.text != "")
        .order_by(col(Review.id).desc())
        .limit(TURNS_MOST)
    ).all()
    found = []
    for turn, review in rows:
        if review.label and turn.understanding.get("how") == "alone":
            question = Label.from_json(review.label).question(str(turn.id), turn.text, review.label["intent"])
            found.append(Asked(question, TURNS, question.kind, covered=mask(turn.text).text))
    for path in sets:
        questions, _ = load(path)
        secret = SECRET in path.name
        found += [Asked(question, path.stem, question.kind or "–", secret) for question in questions]
    return found


# --- training -------------------------------------------------------------------------------------------------------


def begin(session: Session, by: str, now: datetime) -> CandidateModel:
    """A new model of all that advisors added and did not withdraw; a process of the service will train it.

    Raises:
        BadInputError: one is being trained, or there is nothing new.
    """
    busy = session.exec(select(CandidateModel).where(CandidateModel.state == "training").with_for_update()).first()
    if busy is not None:
        raise BadInputError(_T["training_already"].format(number=busy.id, by=busy.by))
    has = wanted(session)
    model_id = current(session)
    running = session.get(CandidateModel, model_id) if model_id is not None else None
    if has == (running.examples if running else {"examples": [], "names": []}):
        raise BadInputError(_T["nothing_new"])
    model = CandidateModel(state="training", examples=dict(has), by=by, at=now, alive_at=now)
    session.add(model)
    try:
        session.flush()
    except IntegrityError as error:
        raise BadInputError(_T["training_already"].format(number="–", by="–")) from error
    return model


def is_training(session: Session) -> bool:
    """Whether a model waits to be trained or is being trained."""
    return (
        session.exec(select(CandidateModel.id).where(CandidateModel.state == "training").limit(1)).first() is not None
    )


def claim(session: Session, owner: str, now: datetime) -> CandidateModel | None:
    """Takes a model that nobody trains yet."""
    query = select(CandidateModel).where(CandidateModel.state == "training", col(CandidateModel.owner).is_(None))
    model = session.exec(query.limit(1).with_for_update(skip_locked=True)).first()
    if model is not None:
        model.owner, model.alive_at = owner, now
        session.add(model)
    return model


def alive(session: Session, model_id: int, owner: str, now: datetime, progress: str = "") -> bool:
    """A sign of life; False where the training is not ours any more and should end."""
    model = _mine(session, model_id, owner)
    if model is None:
        return False
    model.alive_at, model.progress = now, progress or model.progress
    session.add(model)
    return True


def finish(session: Session, model_id: int, owner: str, figures: Mapping[str, Any], now: datetime) -> bool:
    """The training ended well; False where it had been given up."""
    model = _mine(session, model_id, owner)
    if model is None:
        return False
    model.state, model.figures, model.ended_at, model.progress = "ready", dict(figures), now, ""
    session.add(model)
    return True


def fail(session: Session, model_id: int, owner: str, reason: str, now: datetime) -> None:
    """The training ended badly."""
    model = _mine(session, model_id, owner)
    if model is not None:
        _failed(session, model, reason, now)


def fail_dead(session: Session, now: datetime) -> None:
    """Gives up trainings whose process is gone."""
    query = select(CandidateModel).where(
        CandidateModel.state == "training", col(CandidateModel.alive_at) < now - DEAD_AFTER
    )
    for model in session.exec(query.with_for_update(skip_locked=True)):
        _failed(session, model, _T["interrupted"], now)


def _failed(session: Session, model: CandidateModel, reason: str, now: datetime) -> None:
    model.state, model.error, model.ended_at, model.progress = "failed", reason[:500], now, ""
    session.add(model)


def _mine(session: Session, model_id: int, owner: str) -> CandidateModel | None:
    model = session.get(CandidateModel, model_id, with_for_update=True)
    return model if model is not None and model.state == "training" and model.owner == owner else None


# --- promotion ------------------------------------------------------------------------------------------------------


def promote(
    session: Session, model_id: int, *, by: str, seen: int | None, at_most_points: float, now: datetime
) -> int | None:
    """Lets a model answer from now on.

    Args:
        session: a writing one.
        model_id: a ready model.
        by: the advisor.
        seen: the model that answered when the page was opened.
        at_most_points: how many points a kind may lose.
        now: the moment.

    Returns:
        The model that answered before.

    Raises:
        BadInputError: it isn't ready, was compared with another model than runs now, or a kind gets worse.
    """
    before = _locked_current(session, seen)
    model = session.get(CandidateModel, model_id, with_for_update=True)
    if model is None or model.state != "ready":
        raise BadInputError(_T["not_ready"].format(number=model_id))
    if model.figures.get("compared_with") != before:
        raise BadInputError(_T["compared_with_other"])
    if bad := worse(model.figures, at_most_points):
        told = "; ".join(kind_text(row) for row in bad)
        raise BadInputError(_T["worse"].format(kinds=told, most=f"{at_most_points:g}"))
    _change(session, before, model, "promote", by, now)
    return before


def previous(session: Session) -> tuple[bool, int | None]:
    """Whether there is something to go back to, and the model that answered before; None: the program's own."""
    newest = session.exec(select(ModelChange).order_by(col(ModelChange.id).desc())).all()
    return _before(newest)


def _before(changes: Sequence[ModelChange]) -> tuple[bool, int | None]:
    """Walks the changes back: going back twice goes back two steps, not to and fro."""
    if not changes:
        return False, None
    stack: list[int | None] = [None]
    for change in reversed(changes):
        if change.kind == "roll_back":
            stack.pop()
        else:
            stack.append(change.model_id)
    return (True, stack[-2]) if len(stack) > 1 else (False, None)


def roll_back(session: Session, *, by: str, seen: int | None, now: datetime) -> tuple[int | None, int | None]:
    """Lets the model answer again that answered before.

    Returns:
        Both models: before and now.

    Raises:
        BadInputError: there is none before, or another one answers than when the page was opened.
    """
    before = _locked_current(session, seen)
    there, target = previous(session)
    if not there:
        raise BadInputError(_T["nothing_before"])
    model = session.get(CandidateModel, target) if target is not None else None
    _change(session, before, model, "roll_back", by, now)
    return before, target


def _locked_current(session: Session, seen: int | None) -> int | None:
    newest = session.exec(select(ModelChange).order_by(col(ModelChange.id).desc()).limit(1).with_for_update()).first()
    before = newest.model_id if newest else None
    if before != seen:
        raise BadInputError(_T["changed_meanwhile"].format(model=name(before), by=newest.by if newest else "–"))
    return before


def _change(
    session: Session, before: int | None, model: CandidateModel | None, kind: str, by: str, now: datetime
) -> None:
    old = session.get(CandidateModel, before) if before is not None else None
    if old is not None:
        old.state = "retired"
        session.add(old)
    if model is not None:
        model.state = "promoted"
        session.add(model)
    newest = session.exec(select(func.max(ModelChange.id))).one() or 0
    session.add(ModelChange(model_id=model.id if model else None, after=newest, kind=kind, by=by, at=now))
    try:
        session.flush()
    except IntegrityError as error:
        raise BadInputError(_T["changed_meanwhile"].format(model="–", by="–")) from error


def name(model_id: int | None) -> str:
    """What staff call a model."""
    return str(_T["own_model"] if model_id is None else _T["model"].format(number=model_id))


def kind_text(row: Mapping[str, Any]) -> str:
    """One kind's figures in words: of which set, how many right before and after, and how many sentences there are."""
    kind = _T["intents"].get(row["kind"]) or _T["set_kinds"].get(row["kind"]) or row["kind"]
    source = _T["sources"].get(row["source"], row["source"])
    told = _T["kind_line"].format(
        kind=kind, source=source, before=row["before"], after=row["after"], total=row["total"]
    )
    return str(told)
