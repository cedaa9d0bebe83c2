"""A month's report in the order of the pilot's (reference/dossiers_and_rules.md, "The pilot's model"). Pure.

Sections of tables and nothing else, so that the commune can paste them into its own report; the page and the
spreadsheet are made of the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.clock import local
from bot.figures.dossiers import Finished
from bot.figures.overview import Names, Overview
from bot.figures.turns import NOBODYS, QUESTIONS, Ending
from bot.survey.questions import SCORED
from bot.texts import phrases

MOST_PROCEDURES = 15


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, 0 to 1; None where there is no whole."""

    value: float | None


Cell = str | int | float | Share | None


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the report; the first cell of each row names it.

    Attributes:
        total: whether the last row sums up those above.
        remarks: lines below the table.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    remarks: tuple[str, ...] = ()
    total: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report."""

    title: str
    office: str
    commune: str
    made: str
    sections: tuple[Section, ...]


def shown(cell: Cell) -> str:
    """A cell as people read it: ``1.234``, ``3,5``, ``95,2 %``, "–" for nothing."""
    if isinstance(cell, Share):
        return "–" if cell.value is None else f"{cell.value * 100:.1f} %".replace(".", ",")
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:,.1f}".replace(",", " ").replace(".", ",").replace(" ", ".")
    return f"{cell:,}".replace(",", ".") if isinstance(cell, int) else cell


def report(figures: Overview, names: Names, office: str, commune: str, now: datetime) -> Report:
    """Sets the figures of a period into the report's tables."""
    texts = phrases("figures")
    told: Mapping[str, Any] = texts["report"]
    sections = tuple(make(figures, names, told) for make in _SECTIONS)
    if figures.by_office:
        sections += (_offices(figures, names, told),)
    return Report(
        title=told["title"].format(period=figures.period.title), office=office, commune=commune,
        made=told["made"].format(at=f"{local(now):%H:%M %d/%m/%Y}"), sections=sections,
    )  # fmt: skip


def _columns(told: Mapping[str, Any], section: str) -> tuple[str, ...]:
    return tuple(told[section]["columns"])


def _received(figures: Overview, names: Names, told: Mapping[str, Any]) -> Section:
    counts = figures.dossiers.received
    order = sorted(counts, key=lambda field: (names.counter(field), -counts[field]))
    rows = [(names.counter(field), names.field(field), counts[field]) for field in order]
    rows.append((told["total"], "", figures.dossiers.all_received))
    return Section(told["received"]["title"], _columns(told, "received"), tuple(rows), total=True)


def _finished(figures: Overview, names: Names, told: Mapping[str, Any]) -> Section:
    dossiers = figures.dossiers

    def row(name: str, one: Finished) -> tuple[Cell, ...]:
        return name, one.all, one.on_time, one.late, one.undated, Share(one.rate)

    fields = sorted(dossiers.finished, key=lambda field: -dossiers.finished[field].all)
    rows = [row(names.field(field), dossiers.finished[field]) for field in fields]
    rows.append(row(told["total"], dossiers.all_finished))
    remarks = tuple(
        line.format(
            returned=shown(dossiers.returned), refused=shown(dossiers.refused), papers=shown(dossiers.papers),
            postponed=shown(dossiers.postponed), pending=shown(dossiers.pending), overdue=shown(dossiers.overdue),
        )
        for line in told["finished"]["remarks"]
    )  # fmt: skip
    return Section(told["finished"]["title"], _columns(told, "finished"), tuple(rows), remarks, total=True)


def _online(figures: Overview, _names: Names, told: Mapping[str, Any]) -> Section:
    dossiers, rows = figures.dossiers, told["online"]["rows"]
    return Section(
        told["online"]["title"], _columns(told, "online"),
        (
            (rows["received"], dossiers.all_received),
            (rows["electronic"], dossiers.electronic),
            (rows["share"], Share(dossiers.online_share)),
        ),
        tuple(told["online"]["remarks"]),
    )  # fmt: skip


def _satisfaction(figures: Overview, _names: Names, told: Mapping[str, Any]) -> Section:
    results, questions = figures.results, phrases("hall")["survey"]["questions"]
    rows: list[tuple[Cell, ...]] = [
        (questions[name], results.scores[name].total(), *(results.scores[name][n] for n in range(1, 6)),
         results.mean(name))
        for name in SCORED
    ]  # fmt: skip
    remarks = [
        line.format(
            asked=shown(results.asked), answered=shown(results.answered), satisfied=shown(Share(results.satisfied)),
            extra=shown(results.extra_payment), of=shown(results.asked_of_payment),
        )
        for line in told["satisfaction"]["remarks"]
    ]  # fmt: skip
    remarks += [f"– {comment}" for comment in results.comments]
    return Section(told["satisfaction"]["title"], _columns(told, "satisfaction"), tuple(rows), tuple(remarks))


def _hall(figures: Overview, _names: Names, told: Mapping[str, Any]) -> Section:
    rows, hall = told["hall"]["rows"], figures.hall
    counted: tuple[tuple[Cell, ...], ...] = (
        (rows["look_up"], hall["look_up"]),
        (rows["chat"], figures.asked.look_ups),
        (rows["guide"], hall["guide"]),
        (rows["print"], hall["print"]),
    )
    return Section(told["hall"]["title"], _columns(told, "hall"), counted)


def _endings(
    counts: Mapping[str, Counter[Ending]], name: Callable[[str], str], total: str, most: int | None = None
) -> list[tuple[Cell, ...]]:
    def asked(key: str) -> int:
        return sum(counts[key][end] for end in QUESTIONS)

    order = sorted((key for key in counts if asked(key)), key=lambda key: (key == NOBODYS, -asked(key)))
    rows: list[tuple[Cell, ...]] = [
        (name(key), asked(key), *(counts[key][end] for end in QUESTIONS)) for key in order[:most]
    ]
    if total:
        every = sum((counts[key] for key in order), Counter[Ending]())
        rows.append((total, sum(every[end] for end in QUESTIONS), *(every[end] for end in QUESTIONS)))
    return rows


def by_field(figures: Overview, names: Names, total: str = "") -> list[tuple[Cell, ...]]:
    """Field, questions, and how they ended (in the order of ``QUESTIONS``); the most asked first."""
    return _endings(figures.asked.by_field(names.fields), names.field, total)


def by_procedure(figures: Overview, names: Names, most: int | None = None) -> list[tuple[Cell, ...]]:
    """Procedure, questions, and how they ended (in the order of ``QUESTIONS``); the most asked first."""
    return _endings(figures.asked.by_procedure, names.procedure, "", most)


def by_office(figures: Overview, names: Names, total: str = "") -> list[tuple[Cell, ...]]:
    """Of several offices: the office, questions, and how they ended (in the order of ``QUESTIONS``)."""
    return _endings(figures.by_office, names.office, total)


def _offices(figures: Overview, names: Names, told: Mapping[str, Any]) -> Section:
    rows = tuple(by_office(figures, names, told["total"]))
    return Section(told["offices"]["title"], _columns(told, "offices"), rows, total=True)


def _advice(figures: Overview, names: Names, told: Mapping[str, Any]) -> Section:
    asked = figures.asked
    remarks = [
        told["advice"]["times"].format(
            quick=shown(Share(asked.quick / asked.timed)), slow=shown(asked.slow), mean=shown(asked.mean_seconds)
        )
        if asked.timed
        else told["advice"]["no_times"]
    ]
    reviewed = figures.correctness
    if reviewed.reviewed:
        share = shown(Share(reviewed.right / reviewed.reviewed))
        remarks.append(told["advice"]["correct"].format(reviewed=shown(reviewed.reviewed), share=share))
    else:
        remarks.append(told["advice"]["not_reviewed"])
    rows = tuple(by_field(figures, names, told["total"]))
    return Section(told["advice"]["title"], _columns(told, "advice"), rows, tuple(remarks), total=True)


def _procedures(figures: Overview, names: Names, told: Mapping[str, Any]) -> Section:
    rows = tuple(by_procedure(figures, names, MOST_PROCEDURES))
    return Section(told["procedures"]["title"].format(most=MOST_PROCEDURES), _columns(told, "advice_of"), rows)


def _handed_over(figures: Overview, _names: Names, told: Mapping[str, Any]) -> Section:
    rows, people = told["people"]["rows"], figures.people
    counted: tuple[tuple[Cell, ...], ...] = (
        (rows["handed_over"], people.handed_over),
        (rows["called"], people.called),
        (rows["complaints"], people.complaints),
        (rows["open"], people.open),
        (rows["minutes"], people.minutes),
    )
    return Section(told["people"]["title"], _columns(told, "people"), counted)


def _notices(figures: Overview, _names: Names, told: Mapping[str, Any]) -> Section:
    notices, states = figures.notices, phrases("console")["outbox_states"]
    rows = _counted(notices.by_state, lambda state: states.get(state, state))
    rows.append((told["total"], notices.all))
    spent = told["notices"]["spent"].format(segments=shown(notices.segments), dong=shown(round(notices.dong)))
    return Section(told["notices"]["title"], _columns(told, "notices"), tuple(rows), (spent,), total=True)


def _counted(counts: Mapping[str, int], name: Callable[[str], str]) -> list[tuple[Cell, ...]]:
    ordered: Iterable[tuple[str, int]] = sorted(counts.items(), key=lambda item: -item[1])
    return [(name(key), count) for key, count in ordered]


_SECTIONS = (
    _received, _finished, _online, _satisfaction, _hall, _advice, _procedures, _handed_over, _notices
)  # fmt: skip
