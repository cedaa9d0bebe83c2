"""Sentences and everyday names that advisors add: checked, kept with who and when, withdrawn rather than deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sqlmodel import Session, col, select

from bot.catalog.catalog import Catalog, cross_faults
from bot.errors import BadInputError
from bot.masking import looks_personal
from bot.review.labels import Label
from bot.storage.tables import AddedExample, EverydayName
from bot.texts import phrases
from nlu.corrections import from_rasa_yaml, label_of, to_rasa_yaml
from nlu.entries import Entry
from nlu.normalize import prepare
from nlu.training_data import Example, TrainingDataError

MAX_TEXT = 1000
MAX_NAME = 120
MOST_IMPORTED = 2000
_T = phrases("review")


def active(session: Session) -> list[AddedExample]:
    """The sentences that count, oldest first."""
    query = select(AddedExample).where(col(AddedExample.withdrawn_at).is_(None)).order_by(col(AddedExample.id))
    return list(session.exec(query))


def active_names(session: Session) -> list[EverydayName]:
    """The names that count, oldest first."""
    query = select(EverydayName).where(col(EverydayName.withdrawn_at).is_(None)).order_by(col(EverydayName.id))
    return list(session.exec(query))


def add(
    session: Session, text: str, label: Label, *, by: str, now: datetime, turn_id: int | None = None
) -> AddedExample:
    """Adds a sentence to learn from.

    Raises:
        BadInputError: it is empty or too long, looks personal, is known already, or can't be an example.
    """
    text = " ".join(text.split())
    _check(text, label)
    words = prepare(text).words
    for known in active(session):
        if prepare(known.text).words == words:
            same = Label.from_json(known.label) == label
            raise BadInputError(_T["known" if same else "known_otherwise"].format(by=known.by, number=known.id))
    row = AddedExample(text=text, label=label.to_json(), turn_id=turn_id, by=by, at=now)
    session.add(row)
    session.flush()
    return row


def _check(text: str, label: Label) -> None:
    if not prepare(text).words:
        raise BadInputError(_T["no_sentence"])
    if len(text) > MAX_TEXT:
        raise BadInputError(_T["too_long"].format(most=MAX_TEXT))
    if found := looks_personal(text):
        raise BadInputError(_T["personal"].format(kinds=", ".join(_T["kinds"][kind] for kind in found)))
    try:
        label_of(label.example(text))
    except TrainingDataError as error:
        raise BadInputError(str(error)) from error


def add_name(
    session: Session, name: str, code: str, catalog: Catalog, *, by: str, now: datetime, turn_id: int | None = None
) -> EverydayName:
    """Adds what people call a procedure.

    Raises:
        BadInputError: no such procedure, or the name is empty, personal, known, or another procedure's.
    """
    name = " ".join(name.split())
    procedure = catalog.get(catalog.current(code))
    if procedure is None:
        raise BadInputError(_T["no_procedure"].format(code=code[:20]))
    if not 2 <= len(name) <= MAX_NAME or not prepare(name).words:
        raise BadInputError(_T["name_length"].format(most=MAX_NAME))
    if found := looks_personal(name):
        raise BadInputError(_T["personal"].format(kinds=", ".join(_T["kinds"][kind] for kind in found)))
    folded = prepare(name).words
    if any(
        prepare(known).words == folded for known in (procedure.name, procedure.short_name, *procedure.everyday_names)
    ):
        raise BadInputError(_T["name_known"].format(procedure=procedure.short_name))
    with_names = with_added_names(catalog, active_names(session))
    for other in with_names.procedures.values():
        if other.code != procedure.code and any(prepare(its).words == folded for its in (other.name, other.short_name)):
            raise BadInputError(_T["name_taken"].format(procedure=other.short_name, code=other.code))
    # The same check that a catalogue's files get: a name claimed twice is a fault unless the two name each other.
    first = with_names.procedures[procedure.code]
    named = first.model_copy(update={"everyday_names": (*first.everyday_names, name)})
    others = [(Path(one.code), one) for one in with_names.procedures.values() if one.code != procedure.code]
    before = cross_faults([*others, (Path(first.code), first)], with_names.fields)
    if new := [f for f in cross_faults([*others, (Path(first.code), named)], with_names.fields) if f not in before]:
        owner = next((p for _, p in others if any(prepare(its).words == folded for its in p.everyday_names)), None)
        if owner is None:
            raise BadInputError(str(new[0]))
        raise BadInputError(_T["name_taken"].format(procedure=owner.short_name, code=owner.code))
    if any(
        prepare(known.name).words == folded and known.procedure == procedure.code for known in active_names(session)
    ):
        raise BadInputError(_T["name_known"].format(procedure=procedure.short_name))
    row = EverydayName(name=name, procedure=procedure.code, turn_id=turn_id, by=by, at=now)
    session.add(row)
    session.flush()
    return row


def with_added_names(catalog: Catalog, names: Iterable[EverydayName]) -> Catalog:
    """The catalogue with the names that advisors added to it."""
    procedures = dict(catalog.procedures)
    for added in names:
        if (found := procedures.get(added.procedure)) is not None:
            procedures[found.code] = found.model_copy(update={"everyday_names": (*found.everyday_names, added.name)})
    return Catalog(procedures, catalog.fields)


def withdraw(session: Session, row: AddedExample | EverydayName | None, *, by: str, now: datetime) -> None:
    """Takes a sentence or name back; the next model is made without it.

    Raises:
        BadInputError: there is none, or it is withdrawn already.
    """
    if row is None:
        raise BadInputError(_T["no_example"])
    if row.withdrawn_at is not None:
        raise BadInputError(_T["withdrawn_already"].format(by=row.withdrawn_by))
    row.withdrawn_by, row.withdrawn_at = by, now
    session.add(row)


def examples_of(rows: Iterable[AddedExample]) -> tuple[Example, ...]:
    """Sentences as training examples."""
    return tuple(Label.from_json(row.label).example(row.text) for row in rows)


def entries_with(entries: Sequence[Entry], names: Iterable[tuple[str, str]]) -> list[Entry]:
    """The engine's entries with added names, given as (code, name)."""
    added: dict[str, list[str]] = {}
    for code, name in names:
        added.setdefault(code, []).append(name)
    return [
        replace(entry, everyday_names=(*entry.everyday_names, *added[entry.code])) if entry.code in added else entry
        for entry in entries
    ]


def export(session: Session, *, with_names: bool = False) -> str:
    """All sentences that count as Rasa NLU YAML; ``with_names``: each name too, as what is asked by a bare name."""
    found = list(examples_of(active(session)))
    if with_names:
        found += [Example(row.name, "ask_procedure", ("overview",), row.procedure) for row in active_names(session)]
    return to_rasa_yaml(found)


def import_back(session: Session, text: str, catalog: Catalog, *, by: str, now: datetime) -> tuple[int, int]:
    """Adds the sentences of a Rasa NLU YAML file; what is there already is passed over.

    Returns:
        How many were added, and how many were there.

    Raises:
        BadInputError: the file or one of its sentences is wrong; then nothing is added.
    """
    try:
        given = from_rasa_yaml(text)
    except TrainingDataError as error:
        raise BadInputError(str(error)) from error
    if len(given) > MOST_IMPORTED:
        raise BadInputError(_T["too_many"].format(most=MOST_IMPORTED))
    known = {prepare(row.text).words: Label.from_json(row.label) for row in active(session)}
    added = 0
    for number, example in enumerate(given, 1):
        label, line = Label.of_example(example), " ".join(example.text.split())
        try:
            _check(line, label)
            if missing := [code for code in label.procedures if catalog.get(code) is None]:
                raise BadInputError(_T["no_procedure"].format(code=missing[0]))
            words = prepare(line).words
            if known.get(words, label) != label:
                raise BadInputError(_T["taught_otherwise"])
        except BadInputError as error:
            raise BadInputError(_T["line"].format(number=number, text=line[:60], error=error)) from error
        if words not in known:
            known[words] = label
            session.add(AddedExample(text=line, label=label.to_json(), by=by, at=now))
            added += 1
    return added, len(given) - added
