"""All figures of a period together, as the page, the report and the spreadsheet show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session

from bot.catalog.catalog import Catalog
from bot.catalog.office import Office
from bot.figures.dossiers import Dossiers, dossiers
from bot.figures.hall import uses
from bot.figures.notices import Notices, notices
from bot.figures.period import Period
from bot.figures.turns import (
    NOBODYS,
    Asked,
    Correctness,
    Ending,
    People,
    asked,
    asked_by_office,
    correctness,
    people,
)
from bot.survey.results import Results, results
from bot.texts import phrases


@dataclass(frozen=True)
class Names:
    """What procedures, fields and counters are called.

    Attributes:
        fields: procedure code → field.
        of_field: field → its name; "" → that of what has none.
        of_procedure: procedure code → its short name.
        counters: field → the counter it is filed at; what has none is filed at the office's own.
        offices: slug → name, of several offices; empty where there is one alone, or the figures are those of one.
    """

    fields: Mapping[str, str]
    of_field: Mapping[str, str]
    of_procedure: Mapping[str, str]
    counters: Mapping[str, str]
    offices: Mapping[str, str] = field(default_factory=dict)

    def office(self, slug: str) -> str:
        """The name of an office, and a word for none."""
        return self.offices.get(slug, slug) if slug else str(phrases("figures")["no_office"])

    def counter(self, field: str) -> str:
        """The counter of a field."""
        return self.counters.get(field, str(phrases("figures")["own_counter"]))

    def field(self, field: str) -> str:
        """The name of a field."""
        return self.of_field.get(field, field)

    def procedure(self, code: str) -> str:
        """The short name of a procedure, its code where it is not known here, and a word for none."""
        return self.of_procedure.get(code, code) if code else str(phrases("figures")["no_procedure"])


def names_of(catalog: Catalog, office: Office, offices: Mapping[str, str] | None = None) -> Names:
    """The names as this office has them; ``offices``: slug → name where the figures are those of several."""
    return Names(
        fields={code: procedure.field for code, procedure in catalog.procedures.items()},
        of_field={slug: info.name for slug, info in catalog.fields.items()} | {"": phrases("figures")["no_field"]},
        of_procedure={code: procedure.short_name for code, procedure in catalog.procedures.items()},
        counters={field: counter.name for counter in office.counters for field in counter.fields},
        offices=offices or {},
    )


@dataclass(frozen=True)
class Overview:
    """All figures of a period."""

    period: Period
    asked: Asked
    people: People
    correctness: Correctness
    dossiers: Dossiers
    notices: Notices
    results: Results
    hall: Counter[str]
    by_office: Mapping[str, Counter[Ending]] = field(default_factory=dict)


def overview(session: Session, period: Period, names: Names, now: datetime, *, demo: bool) -> Overview:
    """Sums up everything.

    Args:
        session: for reading.
        period: which days.
        names: of procedures and fields.
        now: the moment (aware).
        demo: whether demonstration dossiers count (a trial).
    """
    every = asked(session, period)
    of_offices = asked_by_office(session, period) if names.offices else {}
    if of_offices:
        of_offices[NOBODYS] = every.by_ending - sum(of_offices.values(), Counter[Ending]())
    return Overview(
        period,
        every,
        people(session, period),
        correctness(session, period),
        dossiers(session, period, names.fields, now, demo=demo),
        notices(session, period, demo=demo),
        results(session, period, demo=demo),
        uses(session, period),
        of_offices,
    )
