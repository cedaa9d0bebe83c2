"""Edits in the database: propose, confirm, reject; two people at once are told of each other.

Whoever writes locks the rows of the part, so that on PostgreSQL, too, one comes after the other; two first edits
at once meet at the unique revision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, func, select

from bot.catalog.answers import Desk
from bot.catalog.office import Office
from bot.catalog.schema import Procedure
from bot.clock import local
from bot.edits.apply import Edit, apply, in_force, new_procedure, overlaid, trial, why
from bot.edits.parts import NEW, VERIFIED, Part, Value, digest, fact_digests, model_of, part_of, value_of, with_value
from bot.errors import BadInputError
from bot.storage.tables import FactEdit
from bot.texts import phrases

_T = phrases("procedures")["refused"]
MAX_SOURCE = 300
OPEN = ("proposed", "active")


class ChangedMeanwhileError(BadInputError):
    """Somebody else has changed the same part since it was shown."""


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody wants to change.

    Attributes:
        subject: a procedure's code, "office:<slug>" or "province:<slug>".
        part: key of ``PARTS``.
        value: the part's new value.
        source: where it comes from; never empty.
        valid_from: the first day, None for at once.
        valid_to: the last day, None for no end.
        seen: ``state_of`` the part when it was shown.
    """

    subject: str
    part: str
    value: Value
    source: str
    seen: str
    valid_from: date | None = None
    valid_to: date | None = None


def active(session: Session) -> list[Edit]:
    """All active edits."""
    rows = session.exec(select(FactEdit).where(FactEdit.state == "active").order_by(col(FactEdit.id)))
    return [edit_of(row) for row in rows]


def version(session: Session) -> int:
    """Grows with each edit that becomes active: none ever stops being so."""
    return session.exec(select(func.count()).select_from(FactEdit).where(FactEdit.state == "active")).one()


def office_on(session: Session, office: Office, slug: str, today: date) -> Office:
    """The office's profile on a day, with what staff have changed of it."""
    return overlaid(office, f"office:{slug}", in_force(active(session), today), {})


def edit_of(row: FactEdit) -> Edit:
    """An active row as ``apply`` takes it."""
    return Edit(
        id=row.id or 0,
        subject=row.subject,
        part=row.part,
        value=None if row.after.get("base") else row.after.get("value", {}),
        source=row.source,
        starts=row.starts or local(row.at).date(),
        valid_to=row.valid_to,
        decided_at=row.decided_at or row.at,
        two_people=row.decided_by is not None and row.decided_by != row.by,
    )


def rows_of(session: Session, subject: str, part: str | None = None) -> list[FactEdit]:
    """The edits of a procedure, the office or the province, newest first; of one part where it is given."""
    query = select(FactEdit).where(FactEdit.subject == subject).order_by(col(FactEdit.id).desc())
    return list(session.exec(query.where(FactEdit.part == part) if part else query))


def state_of(rows: Sequence[FactEdit], base: Desk, subject: str, part: Part) -> str:
    """A short name of everything that concerns a part: shown with a form, compared when it comes back."""
    model = model_of(base, subject)
    known = [[row.id, row.state] for row in sorted(rows, key=lambda row: row.id or 0) if row.part == part.key]
    return digest([known, value_of(model, part) if model else None])


def files_of(base: Desk, edits: Sequence[Edit], subject: str, office: str) -> Desk:
    """What the files say, with the procedure itself where an edit has added it: what its parts' edits lie upon."""
    if subject in base.catalog.procedures or ":" in subject:
        return base
    return apply(base, [edit for edit in edits if edit.part == NEW], office).desk


def save(
    session: Session, base: Desk, office: str, change: Change, *, by: str, now: datetime, four_eyes: bool
) -> FactEdit:
    """Proposes a change; it is active at once where nobody else has to confirm it.

    Args:
        session: a writing one.
        base: what the files say, as of the day.
        office: slug of the office.
        change: what is wanted.
        by: who wants it.
        now: the moment.
        four_eyes: whether the office wants a second person for fees and documents.

    Raises:
        ChangedMeanwhileError: somebody has changed the part since ``change.seen``.
        BadInputError: the value doesn't fit, nothing changes, no source, dates the wrong way round.
    """
    part = part_of(change.part)
    rows = _locked(session, change.subject, part)
    edits = active(session)
    base = files_of(base, edits, change.subject, office)
    if state_of(rows, base, change.subject, part) != change.seen:
        raise ChangedMeanwhileError(_T["changed_meanwhile"])
    today = local(now).date()
    check_source(change.source)
    check_dates(change.valid_from, change.valid_to, today)
    before, after = _before_after(base, edits, office, change, part, today)
    row = FactEdit(
        subject=change.subject, part=part.key, revision=len(rows) + 1, before={"value": before}, after=after,
        base_digest=_base_digest(base, change.subject, part), valid_from=change.valid_from, valid_to=change.valid_to,
        source=change.source.strip(), by=by, at=now,
    )  # fmt: skip
    _in_order(rows, row, today)
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:
        raise ChangedMeanwhileError(_T["changed_meanwhile"]) from error
    # Taking a confirmation back is the careful side: nobody has to agree.
    taken_back = part.key == VERIFIED and not change.value
    if not (part.four_eyes and four_eyes) or taken_back:
        _activate(row, by, now)
        session.add(row)
    return row


def check_source(source: str) -> None:
    """Passes where a source is named.

    Raises:
        BadInputError: it isn't, or it is too long to be told.
    """
    if not 3 <= len(source.strip()) <= MAX_SOURCE:
        raise BadInputError(_T["source"].format(most=MAX_SOURCE))


def check_dates(valid_from: date | None, valid_to: date | None, today: date) -> None:
    """Passes where the dates are in order and not over.

    Raises:
        BadInputError: they aren't.
    """
    if valid_from and valid_to and valid_from > valid_to:
        raise BadInputError(_T["dates"])
    if valid_to and valid_to < today:
        raise BadInputError(_T["over"])


def _before_after(
    base: Desk, edits: Sequence[Edit], office: str, change: Change, part: Part, today: date
) -> tuple[Value, dict[str, object]]:
    """What is told on the first day of a change without it, and the change as it is stored."""
    if part.key == NEW:
        if base.catalog.get(change.subject) is not None:
            raise BadInputError(_T["known"].format(code=change.subject))
        _fits(base, edits, office, change, today)
        return {}, {"value": dict(change.value)}
    model = model_of(base, change.subject)
    if model is None:
        raise BadInputError(_T["no_subject"])
    before = told_on(base, edits, office, change.subject, part, max(change.valid_from or today, today))
    if part.key == VERIFIED:
        return before, {"value": dict(change.value)}
    try:
        value = value_of(with_value(model, part, change.value), part)
    except ValidationError as error:
        raise BadInputError(why(error)) from error
    now_in_force = in_force(edits, today).get((change.subject, part.key))
    open_ended = now_in_force is None or now_in_force.valid_to is None
    if value == before and change.valid_from is None and change.valid_to is None and open_ended:
        raise BadInputError(_T["nothing"])
    return before, {"base": True} if value == value_of(model, part) else {"value": value}


def _fits(base: Desk, edits: Sequence[Edit], office: str, change: Change, today: date) -> None:
    try:
        procedure = new_procedure(change.value, change.subject)
    except ValidationError as error:
        raise BadInputError(why(error)) from error
    added = trial(procedure.code, NEW, change.value, change.source, today)
    reasons = apply(replace(base, today=today), [*edits, added], office).left_out
    if 0 in reasons:
        raise BadInputError(reasons[0])


def told_on(base: Desk, edits: Sequence[Edit], office: str, subject: str, part: Part, day: date) -> Value:
    """The value of a part that is told on a day."""
    model = model_of(apply(replace(base, today=day), edits, office).desk, subject)
    return value_of(model, part) if model is not None else {}


def decide(
    session: Session, base: Desk, office: str, number: int, act: str, *, by: str, now: datetime, four_eyes: bool,
    reason: str = "",
) -> FactEdit:  # fmt: skip
    """Confirms, rejects or withdraws a proposed edit, or keeps an active one that the files have overtaken.

    Args:
        session: a writing one.
        base: what the files say, as of the day.
        office: slug of the office.
        number: id of the edit.
        act: "confirm", "reject", "withdraw" or "keep".
        by: who decides.
        now: the moment.
        four_eyes: whether the office wants a second person for fees and documents.
        reason: why it is rejected.

    Raises:
        ChangedMeanwhileError: it is decided already, or what it was made on is no longer told.
        BadInputError: there is none, or this person may not decide it.
    """
    found = session.get(FactEdit, number)
    if found is None:
        raise BadInputError(_T["no_edit"])
    part = part_of(found.part)
    rows = _locked(session, found.subject, part)
    row = next(one for one in rows if one.id == number)
    edits = active(session)
    today = local(now).date()
    if act == "keep":
        if row.state != "active":
            raise ChangedMeanwhileError(_T["decided"])
        row.base_digest = _base_digest(files_of(base, edits, row.subject, office), row.subject, part)
        session.add(row)
        return row
    if row.state != "proposed":
        raise ChangedMeanwhileError(_T["decided"])
    if act == "confirm":
        if part.four_eyes and four_eyes and row.by == by:
            raise BadInputError(_T["own"])
        _may_start(base, office, row, part, edits, today)
        _in_order(rows, row, today)
        _activate(row, by, now)
    elif act == "reject":
        row.state, row.decided_by, row.decided_at, row.reason = "rejected", by, now, reason.strip()[:300] or None
    elif act == "withdraw":
        if row.by != by:
            raise BadInputError(_T["not_yours"])
        row.state, row.decided_by, row.decided_at = "withdrawn", by, now
    else:
        raise BadInputError(_T["no_act"])
    session.add(row)
    return row


def _may_start(base: Desk, office: str, row: FactEdit, part: Part, edits: Sequence[Edit], today: date) -> None:
    """Passes where what the edit was made on is still what is told: else it would undo somebody else's."""
    if row.valid_to and row.valid_to < today:
        raise BadInputError(_T["over"])
    value = row.after.get("value", {})
    change = Change(row.subject, row.part, value, row.source, "", row.valid_from, row.valid_to)
    if part.key == NEW:
        if files_of(base, edits, row.subject, office).catalog.get(row.subject) is not None:
            raise BadInputError(_T["known"].format(code=row.subject))
        _fits(base, edits, office, change, today)
        return
    day = max(row.valid_from or today, today)
    if told_on(base, edits, office, row.subject, part, day) != row.before.get("value"):
        raise ChangedMeanwhileError(_T["made_on_other"])
    if part.key == VERIFIED and "facts" in value:
        procedure = model_of(apply(replace(base, today=today), edits, office).desk, row.subject)
        if not isinstance(procedure, Procedure) or value["facts"] != fact_digests(procedure):
            raise ChangedMeanwhileError(_T["made_on_other"])
    model = model_of(files_of(base, edits, row.subject, office), row.subject)
    if model is None:
        raise BadInputError(_T["no_subject"])
    if part.key != VERIFIED and not row.after.get("base"):
        try:
            with_value(model, part, value)
        except ValidationError as error:
            raise BadInputError(why(error)) from error


def _activate(row: FactEdit, by: str, now: datetime) -> None:
    row.state, row.decided_by, row.decided_at = "active", by, now
    row.starts = row.valid_from or local(now).date()


def _in_order(rows: Sequence[FactEdit], row: FactEdit, today: date) -> None:
    """Passes where the edit would count on its first day: one that begins later than it does would hide it.

    Raises:
        BadInputError: it would be hidden.
    """
    starts = row.valid_from or today
    running = in_force([edit_of(one) for one in rows if one.state == "active"], max(today, starts))
    hides = next((one for one in running.values() if one.starts > starts), None)
    if hides is not None:
        raise BadInputError(_T["hidden"].format(day=f"{hides.starts:%d/%m/%Y}"))


def _base_digest(base: Desk, subject: str, part: Part) -> str:
    model = model_of(base, subject)
    return digest(value_of(model, part)) if model is not None and part.fields else ""


def is_stale(row: FactEdit, base: Desk) -> bool:
    """Whether the files have changed below an edit, to something else than the edit says."""
    part = part_of(row.part)
    model = model_of(base, row.subject)
    if not part.fields or part.key == VERIFIED or row.after.get("base"):
        return False
    if model is None:
        return True
    found = value_of(model, part)
    return digest(found) != row.base_digest and found != row.after.get("value")


def _locked(session: Session, subject: str, part: Part) -> list[FactEdit]:
    """All edits of a part, oldest first; nobody else changes them until the end of the transaction."""
    query = select(FactEdit).where(FactEdit.subject == subject, FactEdit.part == part.key).order_by(col(FactEdit.id))
    session.exec(query.with_for_update()).all()
    # Whoever had the lock before may have added one: only a new statement sees it.
    return list(session.exec(query.execution_options(populate_existing=True)))
