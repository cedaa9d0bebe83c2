"""What citizens are told about a procedure: checked facts set into plain sentences. Pure.

Every answer names its source and date. What is not known is said to be unknown;
a list that is cut says how many more there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from bot.catalog.catalog import Catalog
from bot.catalog.office import Office, Province, ProvinceFee, counter_text, in_force
from bot.catalog.schema import (
    Aspect,
    CopyKind,
    Document,
    DocumentKind,
    Fee,
    Procedure,
    ProcessingTime,
    TimeUnit,
)
from bot.texts import phrases

BRIEF_CHARS = 900  # before "xem thêm"
LONG_LINE = 28  # words; a paper's condition that would make its line longer becomes a sentence of its own
_T = phrases("answers")


@dataclass(frozen=True)
class Desk:
    """What an answer depends on besides the procedure itself."""

    catalog: Catalog
    office: Office
    province: Province
    today: date


@dataclass(frozen=True)
class Section:
    """One aspect told: a title and lines; ``cut`` = items left out of a brief answer."""

    aspect: Aspect
    lines: tuple[str, ...]
    known: bool = True
    cut: int = 0

    def text(self) -> str:
        """The section as it is shown."""
        return f"{_T['titles'][self.aspect]}:\n" + "\n".join(self.lines)


def money(amount: int) -> str:
    """12000 → ``12.000``."""
    return f"{amount:,}".replace(",", ".")


def _sentence(text: str) -> str:
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", ":")) else text + "."


def _number(amount: float) -> str:
    return f"{amount:g}".replace(".", ",")


def _document(document: Document) -> str:
    details = []
    if document.form:
        details.append(document.form)
    if copy := _T["copies"][document.copy_kind if document.copy_kind is not CopyKind.ANY else "any"]:
        details.append(copy)
    if document.count > 1:
        details.append(_T["count"].format(count=document.count))
    name = document.name[:1].upper() + document.name[1:]
    when = _T["when"].format(when=document.when) if document.when else ""
    plain = f"• {name}" + (f" ({'; '.join(details)})" if details else "")
    if not when:
        return plain
    if len(f"{plain} {when}".split()) > LONG_LINE:
        return f"{plain}. {_T['only_when'].format(when=document.when)}"
    return f"• {name} ({'; '.join([*details, when])})"


def _documents(procedure: Procedure, _desk: Desk) -> list[str]:
    lines: list[str] = []
    cases = list(dict.fromkeys(d.case for d in procedure.documents if d.case))
    for case in (None, *cases):
        group = [d for d in procedure.documents if d.case == case and d.kind is not DocumentKind.INTERNAL]
        if not group:
            continue
        if case:
            lines.append(_T["case"].format(case=case))
        for kind in (DocumentKind.SUBMIT, DocumentKind.SHOW):
            chosen = [d for d in group if d.kind is kind]
            # What is always needed first, then what depends on something.
            chosen.sort(key=lambda d: d.when is not None)
            if chosen:
                lines.append(_T[kind])
                lines += [_document(d) for d in chosen]
    internal = [d.name for d in procedure.documents if d.kind is DocumentKind.INTERNAL]
    if internal:
        lines.append(_T["made_by_the_office" if lines else "nothing_to_hand_in"])
        lines += [f"• {name}" for name in internal]
    return lines


def cases(procedure: Procedure) -> list[str]:
    """The cases that have papers of their own, as the file lists them."""
    return list(dict.fromkeys(d.case for d in procedure.documents if d.case and d.kind is not DocumentKind.INTERNAL))


def of_case(procedure: Procedure, case: str) -> Procedure:
    """The procedure with the papers of one case and those that every case needs."""
    return procedure.model_copy(update={"documents": tuple(d for d in procedure.documents if d.case in {None, case})})


def _amount(amount: int, unit: str | None) -> str:
    if amount == 0:
        return str(_T["free"])
    return str((_T["per_unit"] if unit else _T["amount"]).format(amount=money(amount), unit=unit))


def _qualifiers(*parts: str | None) -> str:
    return ", ".join(part for part in parts if part)


def _fee(fee: Fee, desk: Desk, local: Sequence[ProvinceFee]) -> list[str]:
    lead = _qualifiers(
        fee.what,
        _T["channels"][fee.channel] if fee.channel else None,
        _T["when"].format(when=fee.when) if fee.when else None,
    )
    if fee.amount is not None:
        told = _amount(fee.amount, fee.unit)
    else:
        matching = [item for item in local if item.what in {None, fee.what}]
        told = (
            "; ".join(f"{_amount(item.amount, item.unit)} ({item.source})" for item in matching)
            if matching
            else _T["set_by_named_council"].format(council=desk.province.council)
        )
    lines = ["• " + _sentence(f"{lead}: {told[:1].lower()}{told[1:]}" if lead else told)]
    if fee.exemption:
        # The exemption may be a whole sentence of its own.
        starts = fee.exemption.lower().startswith(("miễn", "giảm", "không thu", "không phải"))
        lines.append("  " + _sentence(fee.exemption if starts else _T["exemption"].format(exemption=fee.exemption)))
    if fee.note:
        lines.append("  " + _sentence(fee.note))
    return lines


def _fees(procedure: Procedure, desk: Desk) -> list[str]:
    local = [
        item
        for item in desk.province.fees
        if item.code == procedure.code and in_force(item.valid_from, item.valid_to, desk.today)
    ]
    lines: list[str] = []
    for fee in procedure.fees:
        if in_force(fee.valid_from, fee.valid_to, desk.today):
            lines += _fee(fee, desk, local)
    return lines


def limit_text(limit: ProcessingTime) -> str:
    """``7 ngày làm việc``, ``trong ngày làm việc (nhận sau 15 giờ …)``."""
    if limit.unit is TimeUnit.SAME_DAY or limit.amount is None:
        told = str(_T["same_day"])
    else:
        told = f"{_number(limit.amount)} {_T['units'][limit.unit]}"
    if limit.cutoff_15h:
        told += f"; {_T['cutoff']}"
    return told


def _times(procedure: Procedure, _desk: Desk) -> list[str]:
    lines = []
    for limit in procedure.processing_times:
        lead = _qualifiers(
            limit.stage,
            _T["channels"][limit.channel] if limit.channel else None,
            _T["when"].format(when=limit.when) if limit.when else None,
        )
        told = limit_text(limit)
        lines.append("• " + _sentence(f"{lead}: {told}" if lead else told))
        if limit.note and not (limit.cutoff_15h and "15 giờ" in limit.note):
            lines.append("  " + _sentence(limit.note))
    return lines


def _where(procedure: Procedure, desk: Desk) -> list[str]:
    where = procedure.where
    if where is None:
        return []
    lines = [_T["filed_at"].format(place=where.filed_at)]
    if counter := counter_text(desk.office, procedure.field, desk.today):
        lines.append(_T["counter"].format(counter=counter))
    if where.anywhere_in_province:
        lines.append(_T["anywhere"].format(province=desk.province.name))
    if where.note:
        lines.append(_sentence(where.note))
    if where.decided_by and where.decided_by not in where.filed_at:
        lines.append(_T["decided_by"].format(place=where.decided_by))
    if procedure.channels:
        lines.append(_T["channels_line"].format(channels=", ".join(_T["ways"][c] for c in procedure.channels)))
    return lines


def _online(procedure: Procedure, _desk: Desk) -> list[str]:
    if procedure.online is None:
        return []
    lines = [_T["online_yes"] if procedure.online.available else _T["online_no"]]
    if procedure.online.note:
        lines.append(_sentence(procedure.online.note))
    return lines


def _forms(procedure: Procedure, _desk: Desk) -> list[str]:
    lines = [
        "• " + (_T["form_issued"] if form.issued_by else _T["form_plain"]).format(
            number=form.number, name=form.name, issued_by=form.issued_by
        )
        for form in procedure.forms
    ]  # fmt: skip
    told = " ".join(lines)
    return lines + [
        f"• {document.form} – {document.name}"
        for document in procedure.documents
        if document.form and document.form.split(" (")[0] not in told
    ]


def _bullets(attribute: str) -> Callable[[Procedure, Desk], list[str]]:
    def lines(procedure: Procedure, _desk: Desk) -> list[str]:
        return ["• " + _sentence(text) for text in getattr(procedure, attribute)]

    return lines


def _steps(procedure: Procedure, _desk: Desk) -> list[str]:
    return [f"{number}. {_sentence(step)}" for number, step in enumerate(procedure.steps, 1)]


def _overview(procedure: Procedure, desk: Desk) -> list[str]:
    lines = []
    if procedure.components:
        names = [p.short_name for code in procedure.components if (p := desk.catalog.get(code))]
        lines.append(_T["components"].format(names="; ".join(names)))
    wanted = [document for document in procedure.documents if document.kind is not DocumentKind.INTERNAL]
    if wanted:
        varies = any(document.when or document.case for document in wanted)
        key = "overview_documents_vary" if varies else "overview_documents"
        lines.append(_T[key].format(count=len(wanted)))
    for aspect, tell in ((Aspect.PROCESSING_TIME, _times), (Aspect.FEE, _fees), (Aspect.WHERE, _where)):
        told = tell(procedure, desk)
        if told:
            first = told[0].removeprefix("• ")
            lines.append(first if aspect is Aspect.WHERE else f"{_T['titles'][aspect]}: {first}")
    return lines


_TELL: dict[Aspect, Callable[[Procedure, Desk], list[str]]] = {
    Aspect.DOCUMENTS: _documents,
    Aspect.FEE: _fees,
    Aspect.PROCESSING_TIME: _times,
    Aspect.WHERE: _where,
    Aspect.STEPS: _steps,
    Aspect.ONLINE: _online,
    Aspect.FORM: _forms,
    Aspect.ELIGIBILITY: _bullets("eligibility"),
    Aspect.RESULT: _bullets("results"),
    Aspect.LEGAL_BASIS: _bullets("legal_basis"),
    Aspect.OVERVIEW: _overview,
}


def section(procedure: Procedure, aspect: Aspect, desk: Desk, room: int | None = None) -> Section:
    """One aspect in full, or cut to ``room`` characters at a whole item, counting what is left out."""
    lines = _TELL[aspect](procedure, desk)
    if not lines:
        return Section(aspect, (_T["unknown"],), known=False)
    if room is None or sum(len(line) + 1 for line in lines) <= room:
        return Section(aspect, tuple(lines))
    kept: list[str] = []
    used = 0
    for line in lines:
        if used + len(line) + 1 > room - 60 and kept:
            break
        kept.append(line)
        used += len(line) + 1
    while len(kept) > 1 and kept[-1].endswith(":"):  # a heading with nothing below it
        kept.pop()
    left = sum(line.startswith("•") or line[:1].isdigit() for line in lines[len(kept) :])
    kept.append(_T["more"].format(count=left, label=_T["see_all"]))
    return Section(aspect, tuple(kept), cut=left)


def month(as_of: str) -> str:
    """``2026-07`` → ``7/2026``."""
    year, number = as_of.split("-")
    return f"{int(number)}/{year}"


def sources(procedure: Procedure) -> list[str]:
    """The file's source and the sources of single facts, each once."""
    parts: Iterable[object] = (
        *procedure.amendments, *procedure.documents, *procedure.fees, *procedure.processing_times
    )  # fmt: skip
    own = [str(source) for part in parts if (source := getattr(part, "source", None))]
    return list(dict.fromkeys([procedure.provenance.source, *own]))


# What an aspect is told from, where that is not the field of the same name.
_TOLD_FROM: Mapping[Aspect, tuple[str, ...]] = {
    Aspect.DOCUMENTS: ("documents", "notes"),
    Aspect.FEE: ("fees",),
    Aspect.PROCESSING_TIME: ("processing_times",),
    Aspect.WHERE: ("where", "channels"),
    Aspect.FORM: ("forms", "documents"),
    Aspect.RESULT: ("results",),
    Aspect.OVERVIEW: ("documents", "processing_times", "fees", "where"),
}


def source_line(procedure: Procedure, aspects: Iterable[Aspect] = tuple(Aspect)) -> str:
    """Where the facts come from, of when, and whether a civil servant confirmed them.

    Args:
        procedure: whose facts are told.
        aspects: which of them; where the office has changed one of these, that source is named too.
    """
    line = _T["source"].format(source=procedure.provenance.source, month=month(procedure.provenance.as_of))
    told = {field for aspect in aspects for field in _TOLD_FROM.get(aspect, (aspect.value,))}
    for change in procedure.amendments:
        if change.field in told:
            what = _T["fields"][change.field]
            line += " " + _T["amended"].format(what=what, source=change.source, date=f"{change.on:%d/%m/%Y}")
    if procedure.verification:
        return f"{line} {_T['verified'].format(date=f'{procedure.verification.on:%d/%m/%Y}')}"
    return f"{line} {_T['unverified']}"


def compose(
    procedure: Procedure, aspects: Sequence[Aspect], desk: Desk, *, brief: bool = True, ready: str | None = None
) -> tuple[str, tuple[Section, ...]]:
    """The answer to some aspects of one procedure: heading, sections, notes, source.

    Args:
        procedure: the procedure, in force or superseded (which is said first).
        aspects: what was asked, in the order of the contract; overview where nothing else.
        desk: office, province, catalogue and day.
        brief: keep to ``BRIEF_CHARS``, cutting long lists at whole items.
        ready: when a result would be there if filed now, told below the time limit.

    Returns:
        The text and its sections (their ``cut`` tells whether "xem đủ" is worth a button).
    """
    wanted = list(aspects) or [Aspect.OVERVIEW]
    head = [_T["heading"].format(name=procedure.short_name)]
    if procedure.superseded_by and (successor := desk.catalog.get(procedure.superseded_by)):
        head.append(_T["superseded"].format(name=successor.short_name, code=successor.code))
    tail = source_line(procedure, wanted)
    room = BRIEF_CHARS - len(tail) - sum(map(len, head)) - 10
    full = [section(procedure, aspect, desk) for aspect in wanted]
    if ready:
        full = [
            replace(part, lines=(*part.lines, ready)) if part.aspect is Aspect.PROCESSING_TIME and part.known else part
            for part in full
        ]
    total = sum(len(part.text()) + 2 for part in full)
    if brief and total > room:
        spare = room - sum(len(part.text()) + 2 for part in full if len(part.text()) <= room // len(full))
        long = [part for part in full if len(part.text()) > room // len(full)]
        share = max(spare // max(len(long), 1), 220) - 40
        full = [section(procedure, part.aspect, desk, share) if part in long else part for part in full]
    body = [part.text() for part in full]
    used = sum(len(text) + 2 for text in body)
    notes = [_sentence(note) for note in procedure.notes] if Aspect.DOCUMENTS in wanted or not brief else []
    for note in notes:
        if brief and used + len(note) + 2 > room:
            break
        body.append(note)
        used += len(note) + 2
    return "\n\n".join(["\n".join(head), *body, tail]), tuple(full)
