"""The public guide: every procedure by field with search, and one page a procedure to read, print and take home.

``/thu-tuc`` and ``/thu-tuc/{code}`` work without script; the printed page is one A4 sheet with a
checklist and a QR code back to the page, so that a paper that has gone stale leads to what is current.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import segno
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.templating import Jinja2Templates

from bot.catalog.answers import Desk, Section, section, source_line
from bot.catalog.office import hours_text
from bot.catalog.schema import Aspect, DocumentKind, FieldInfo, Procedure
from bot.clock import Clock
from bot.texts import phrases
from nlu.normalize import prepare
from nlu.port import NluEngine

_T = phrases("answers")
_TOLD = (
    Aspect.ELIGIBILITY, Aspect.WHERE, Aspect.FEE, Aspect.PROCESSING_TIME, Aspect.STEPS, Aspect.ONLINE, Aspect.FORM,
    Aspect.RESULT, Aspect.LEGAL_BASIS,
)  # fmt: skip
# Characters on the printed sheet from which on its letters are smaller, so that it stays one page (measured).
SMALL_FROM, SMALLEST_FROM = 2300, 2700
MAX_QUERY = 100
MAX_FOUND = 30


def findable(procedure: Procedure) -> str:
    """Everything a procedure is called, folded, for search as one types."""
    names = (procedure.code, procedure.name, procedure.short_name, *procedure.everyday_names)
    return " ".join(prepare(name).folded for name in names)


def search(query: str, procedures: Sequence[Procedure], engine: NluEngine) -> list[Procedure]:
    """The procedures a query may mean: those named by all its words, then what the engine understands."""
    words = prepare(query).words
    named = [p for p in procedures if words and all(word in findable(p) for word in words)]
    by_code = {p.code: p for p in procedures}
    meant = [by_code[c.code] for c in engine.parse(query).candidates if c.code in by_code]
    if len(named) > MAX_FOUND // 2:
        named, meant = [*meant, *named], []
    return list({p.code: p for p in (*named, *meant)}.values())[:MAX_FOUND]


def _papers(procedure: Procedure) -> list[dict[str, Any]]:
    """The checklist: groups of papers as (case, title, papers), always needed first."""
    groups = []
    for case in dict.fromkeys([None, *(d.case for d in procedure.documents)]):
        for kind in (DocumentKind.SUBMIT, DocumentKind.SHOW):
            chosen = [d for d in procedure.documents if d.case == case and d.kind is kind]
            for when, papers in ((False, [d for d in chosen if not d.when]), (True, [d for d in chosen if d.when])):
                if papers:
                    title = _T["checklist"][f"{kind.value}_when" if when else kind.value]
                    groups.append({"case": case, "title": title, "papers": papers})
    return groups


def _size(procedure: Procedure, sections: Sequence[tuple[str, Section]]) -> str:
    """How small the printed letters must be: "", "small" or "smallest"."""
    papers = sum(len(d.name) + len(d.when or "") + len(d.form or "") + 40 for d in procedure.documents)
    papers += 70 * len({(d.case, d.kind, d.when is None) for d in procedure.documents})  # headings
    printed = [part for _, part in sections if part.aspect not in {Aspect.LEGAL_BASIS, Aspect.ONLINE}]
    length = papers + sum(len(line) for part in printed for line in part.lines) + sum(map(len, procedure.notes))
    return "smallest" if length > SMALLEST_FROM else "small" if length > SMALL_FROM else ""


def by_field(desk: Desk) -> list[tuple[str, FieldInfo, list[tuple[Procedure, str]]]]:
    """The procedures in force by field, by name: (field, its names, each procedure with what it is found by)."""
    listed: dict[str, list[Procedure]] = defaultdict(list)
    for procedure in sorted(current(desk), key=lambda p: p.short_name):
        listed[procedure.field].append(procedure)
    return [
        (slug, info, [(p, findable(p)) for p in listed[slug]])
        for slug, info in desk.catalog.fields.items()
        if listed[slug]
    ]


def current(desk: Desk) -> list[Procedure]:
    """The procedures in force."""
    return [p for p in desk.catalog.procedures.values() if p.superseded_by is None]


def told(desk: Desk, procedure: Procedure, address: str) -> dict[str, Any]:
    """What a guide's template shows; ``address``: what its QR code leads to."""
    successor = desk.catalog.get(desk.catalog.current(procedure.code)) if procedure.superseded_by else None
    sections: list[tuple[str, Section]] = []
    papers = _papers(procedure) if successor is None else []
    internal = [d.name for d in procedure.documents if d.kind is DocumentKind.INTERNAL and successor is None]
    if successor is None:
        parts = [section(procedure, aspect, desk) for aspect in _TOLD]
        sections = [(_T["titles"][part.aspect], part) for part in parts if part.known]
    return {
        "procedure": procedure, "successor": successor, "sections": sections, "office": desk.office,
        "internal": internal, "internal_title": _T["made_by_the_office" if papers else "nothing_to_hand_in"],
        "papers": papers, "copies": _T["copies"],
        "source": source_line(procedure), "address": address, "today": desk.today,
        "hours": hours_text(desk.office, desk.today), "field": desk.catalog.fields.get(procedure.field),
        "components": [p for c in procedure.components if (p := desk.catalog.get(c))],
        "unknown": _T["unknown"], "size": _size(procedure, sections),
    }  # fmt: skip


def address_of(request: Request, code: str, public_base_url: str | None) -> str:
    """Where the page of a procedure is: at the office's public address, else where the request came."""
    return f"{(public_base_url or str(request.base_url)).rstrip('/')}/thu-tuc/{code}"


def procedure_of(desk: Desk, code: str) -> Procedure:
    """The procedure of a code.

    Raises:
        HTTPException: there is none (404).
    """
    procedure = desk.catalog.get(code)
    if procedure is None:
        raise HTTPException(404, _T["no_such_page"])
    return procedure


def router(
    desk_on: Callable[[datetime], Desk],
    engine: Callable[[], NluEngine],
    templates: Jinja2Templates,
    clock: Clock,
    public_base_url: str | None,
) -> APIRouter:
    """The pages.

    Args:
        desk_on: moment → catalogue and office.
        engine: the one that reads messages at the moment.
        templates: of the pages.
        clock: the time.
        public_base_url: what the QR code leads to, else the address the page was asked at.
    """
    routes = APIRouter(include_in_schema=False, prefix="/thu-tuc")

    @routes.get("", response_class=HTMLResponse)
    def index(request: Request, q: str = "") -> Response:
        desk = desk_on(clock())
        query = q.strip()[:MAX_QUERY]
        procedures = current(desk)
        found = search(query, procedures, engine()) if query else []
        return templates.TemplateResponse(
            request, "guide_index.html",
            {"office": desk.office, "fields": by_field(desk), "q": query, "found": found, "count": len(procedures)},
        )  # fmt: skip

    @routes.get("/{code}", response_class=HTMLResponse)
    def guide(request: Request, code: str) -> Response:
        desk = desk_on(clock())
        procedure = procedure_of(desk, code)
        address = address_of(request, code, public_base_url)
        return templates.TemplateResponse(request, "guide.html", told(desk, procedure, address))

    @routes.get("/{code}/qr.svg")
    def qr(request: Request, code: str) -> Response:
        procedure_of(desk_on(clock()), code)
        picture = io.BytesIO()
        address = address_of(request, code, public_base_url)
        segno.make(address, error="m", micro=False).save(picture, kind="svg", scale=4, border=2)
        return Response(picture.getvalue(), media_type="image/svg+xml")

    return routes
