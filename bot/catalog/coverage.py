"""What the official record states and our file has, aspect by aspect; which papers of the record ours lacks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rapidfuzz import fuzz

from bot.catalog.imports import reading
from bot.catalog.imports.records import Record
from bot.catalog.schema import Aspect, Procedure
from nlu.normalize import fold

_NOTHING = re.compile(
    r"(khong|khong co( thong tin| yeu cau.*)?|khong (yeu cau|quy dinh).*|chua quy dinh|n/a|-|\.+)?[.;]?"
)
COVERED_FROM = 62  # likeness (0–100) from which on a paper of the record counts as covered by one of ours


def _says(text: str) -> bool:
    return not _NOTHING.fullmatch(" ".join(fold(text).split()))


def stated(record: Record) -> set[Aspect]:
    """The aspects that a record says something about."""
    fees = [text for _, text in reading.fee_texts(record) if _says(text)]
    papers = " ".join(f"{paper.name} {paper.form}" for paper in record.papers)
    found = {
        Aspect.DOCUMENTS: bool(record.papers),
        Aspect.FEE: any(reading.money(text) is not None for text in fees),
        Aspect.PROCESSING_TIME: any(re.search(r"\d", method.time) for method in record.methods),
        Aspect.WHERE: _says(record.agency),
        Aspect.STEPS: _says(record.steps),
        Aspect.ONLINE: any("truc tuyen" in fold(method.mode) for method in record.methods),
        Aspect.FORM: bool(reading.forms(papers)),
        Aspect.ELIGIBILITY: _says(record.requirements),
        Aspect.RESULT: _says(record.result),
        Aspect.LEGAL_BASIS: bool(record.legal_basis),
    }
    return {aspect for aspect, says in found.items() if says}


def present(procedure: Procedure) -> set[Aspect]:
    """The aspects that our file says something about."""
    found = {
        Aspect.DOCUMENTS: procedure.documents or procedure.components,
        Aspect.FEE: procedure.fees,
        Aspect.PROCESSING_TIME: procedure.processing_times,
        Aspect.WHERE: procedure.where,
        Aspect.STEPS: procedure.steps,
        Aspect.ONLINE: procedure.online,
        Aspect.FORM: procedure.forms or any(document.form for document in procedure.documents),
        Aspect.ELIGIBILITY: procedure.eligibility or procedure.choose_when,
        Aspect.RESULT: procedure.results,
        Aspect.LEGAL_BASIS: procedure.legal_basis,
    }
    return {aspect for aspect, has in found.items() if has}


def uncovered(record: Record, procedure: Procedure) -> list[str]:
    """Papers of the record that no document, note, step or verifier's note of ours resembles."""
    ours = [
        fold(text)
        for text in (
            *(f"{d.name} {d.form or ''} {d.when or ''}" for d in procedure.documents),
            *procedure.notes, *procedure.verifier_notes, *procedure.steps, *procedure.eligibility,
        )
    ]  # fmt: skip
    missing = []
    for paper in record.papers:
        name = fold(paper.name)
        # The record's names are long sentences, ours short ones: what counts is that ours is inside theirs.
        if not any(max(fuzz.partial_ratio(own, name), fuzz.token_set_ratio(own, name)) >= COVERED_FROM for own in ours):
            missing.append(paper.name)
    return missing


@dataclass(frozen=True, slots=True)
class Row:
    """One field's figures for one aspect: how many records state it, in how many of those ours does too."""

    field: str
    aspect: Aspect
    stated: int
    present: int
    missing: tuple[str, ...]  # codes


def table(pairs: Iterable[tuple[Record, Procedure]], names: Mapping[str, str]) -> list[Row]:
    """Coverage by field and aspect, in the order of the fields' first procedures."""
    counts: dict[tuple[str, Aspect], list[tuple[str, bool]]] = defaultdict(list)
    for record, procedure in pairs:
        has = present(procedure)
        for aspect in stated(record):
            counts[names.get(procedure.field, procedure.field), aspect].append((procedure.code, aspect in has))
    return [
        Row(field, aspect, len(told), sum(has for _, has in told), tuple(code for code, has in told if not has))
        for (field, aspect), told in counts.items()
    ]
