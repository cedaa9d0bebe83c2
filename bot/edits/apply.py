"""Edits laid over what the files say, as of a day. Pure; an edit that no longer fits is left out and named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from pydantic import ValidationError

from bot.catalog.answers import Desk
from bot.catalog.catalog import Catalog, cross_faults
from bot.catalog.loading import describe
from bot.catalog.schema import Amendment, Procedure, Verification
from bot.edits.parts import FACTS, NEW, PARTS, VERIFIED, M, Value, fact_digests, with_value


@dataclass(frozen=True, slots=True)
class Edit:
    """One active edit.

    Attributes:
        subject: a procedure's code, "office:<slug>" or "province:<slug>".
        part: key of ``PARTS``.
        value: the part's value; None: as the files have it.
        starts: the first day on which it counts.
        valid_to: the last day; None for no end.
        decided_at: when it became active.
        two_people: whether somebody else than its author confirmed it.
    """

    id: int
    subject: str
    part: str
    value: Value | None
    source: str
    starts: date
    valid_to: date | None
    decided_at: datetime
    two_people: bool


def trial(subject: str, part: str, value: Value, source: str, starts: date, valid_to: date | None = None) -> Edit:
    """An edit that isn't stored (number 0), to see what it would do: newer than all others."""
    newest = datetime.max.replace(tzinfo=UTC)
    return Edit(0, subject, part, value, source, starts, valid_to, newest, two_people=True)


@dataclass(frozen=True)
class Applied:
    """The desk with all edits of its day.

    Attributes:
        desk: what answers are made of.
        current: (subject, part) → the edit that counts.
        left_out: id of an edit that doesn't fit → why, for staff.
        lapsed: codes whose confirmation no longer holds: facts have changed since.
    """

    desk: Desk
    current: Mapping[tuple[str, str], Edit]
    left_out: Mapping[int, str]
    lapsed: frozenset[str]


def in_force(edits: Iterable[Edit], today: date) -> dict[tuple[str, str], Edit]:
    """The edit that counts for each part on a day: of those in force the one that starts last, then the newest."""
    found: dict[tuple[str, str], Edit] = {}
    for edit in sorted(edits, key=lambda one: (one.starts, one.decided_at, one.id)):
        if edit.starts <= today and (edit.valid_to is None or today <= edit.valid_to):
            found[edit.subject, edit.part] = edit
    return found


def apply(base: Desk, edits: Sequence[Edit], office: str) -> Applied:
    """The desk of ``base.today`` with the edits laid over it.

    Args:
        base: as the files make it.
        edits: all active ones, in any order.
        office: slug of the office.
    """
    current = in_force(edits, base.today)
    left_out: dict[int, str] = {}
    procedures = {**base.catalog.procedures, **_added(base.catalog, current, left_out)}
    lapsed: set[str] = set()
    for code in sorted({subject for subject, _ in current if subject in procedures}):
        procedures[code], holds = _edited(procedures[code], code, current, left_out)
        if not holds:
            lapsed.add(code)
    for (subject, part), edit in current.items():
        if part in FACTS and subject not in procedures:
            left_out[edit.id] = f"không còn thủ tục {subject}"
    catalog = Catalog(dict(sorted(procedures.items())), base.catalog.fields)
    ours = overlaid(base.office, f"office:{office}", current, left_out)
    province = overlaid(base.province, f"province:{base.office.province}", current, left_out)
    desk = replace(base, catalog=catalog, office=ours, province=province)
    return Applied(desk, current, left_out, frozenset(lapsed))


def _added(catalog: Catalog, current: Mapping[tuple[str, str], Edit], left_out: dict[int, str]) -> dict[str, Procedure]:
    """Procedures that the files don't have, checked against all others."""
    added: dict[str, Procedure] = {}
    by: dict[str, int] = {}
    for (code, part), edit in current.items():
        if part != NEW or edit.value is None:
            continue
        if code in catalog.procedures:
            left_out[edit.id] = f"tệp của chương trình nay đã có thủ tục {code}"
            continue
        try:
            added[code] = new_procedure(edit.value, code)
            by[code] = edit.id
        except ValidationError as error:
            left_out[edit.id] = why(error)
    while added:
        loaded = [(Path(code), one) for code, one in (*catalog.procedures.items(), *sorted(added.items()))]
        faults = [fault for fault in cross_faults(loaded, catalog.fields) if fault.file in added]
        if not faults:
            break
        del added[faults[0].file]
        left_out[by[faults[0].file]] = f"{faults[0].field}: {faults[0].message}"
    return added


def new_procedure(value: Value, code: str) -> Procedure:
    """The procedure that an edit adds; it is never confirmed from the start.

    Raises:
        pydantic.ValidationError: it doesn't fit the schema.
    """
    return Procedure.model_validate({**value.get(NEW, {}), "code": code, "verification": None, "amendments": []})


def _edited(
    base: Procedure, code: str, current: Mapping[tuple[str, str], Edit], left_out: dict[int, str]
) -> tuple[Procedure, bool]:
    """The procedure with its edits, and whether a confirmation that it has still holds."""
    procedure = base
    changed: dict[str, Edit] = {}
    for key, part in FACTS.items():
        edit = current.get((code, key))
        if edit is None:
            continue
        if edit.value is not None:
            try:
                procedure = with_value(procedure, part, edit.value)
            except ValidationError as error:
                left_out[edit.id] = why(error)
                continue
        changed[key] = edit
    amended = {key for key, edit in changed.items() if edit.value is not None}
    told = (
        *(one for one in base.amendments if one.field not in amended),
        *(Amendment.model_validate({"field": key, "source": changed[key].source, "on": changed[key].starts})
          for key in FACTS if key in amended),
    )  # fmt: skip
    verification, holds = _verified(procedure, current.get((code, VERIFIED)), changed, left_out)
    return (
        procedure.model_copy(update={"amendments": told, "verification": verification if holds else None}),
        holds or verification is None,
    )


def _verified(
    procedure: Procedure, mark: Edit | None, changed: Mapping[str, Edit], left_out: dict[int, str]
) -> tuple[Verification | None, bool]:
    """Who confirmed the procedure, and whether that covers what it says now.

    A confirmation covers what was told when it was given; a change of one part that two people have looked at
    needs no new one.
    """
    if mark is None or mark.value is None:
        return procedure.verification, all(edit.two_people for edit in changed.values())
    if VERIFIED not in mark.value:
        return None, True  # taken back
    try:
        verification = Verification.model_validate(mark.value[VERIFIED])
        covered = dict(mark.value.get("facts", {}))
    except (ValidationError, TypeError, ValueError):
        left_out[mark.id] = "dấu xác nhận không đọc được"
        return None, True
    return verification, all(
        found == covered.get(key) or (key in changed and changed[key].two_people)
        for key, found in fact_digests(procedure).items()
    )


def overlaid(model: M, subject: str, current: Mapping[tuple[str, str], Edit], left_out: dict[int, str]) -> M:
    """An office or a province with its edits; those that don't fit go into ``left_out``."""
    for (of, key), edit in current.items():
        if of != subject or edit.value is None:
            continue
        try:
            model = with_value(model, PARTS[key], edit.value)
        except ValidationError as error:
            left_out[edit.id] = why(error)
    return model


def why(error: ValidationError) -> str:
    """The first fault of a value, in one line."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {describe(first)}" if where else describe(first)
