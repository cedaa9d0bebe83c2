"""The list of dossiers: filters with their counts, pages by key, the scan field, who seems to guess codes."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session, col, select

from bot.catalog.catalog import Catalog
from bot.clock import local
from bot.console.pages import Console, Signed
from bot.dossiers import access, listing, scanning, status
from bot.logs import mask
from bot.storage.tables import Dossier, Outbox
from bot.texts import phrases
from nlu.codes import find_codes

_STATE_NAMES: Mapping[str, str] = phrases("console")["outbox_states"]


class ShowList(Protocol):
    """Answers with the list; for forms on it that were refused."""

    def __call__(self, request: Request, who: Signed, error: str = "", code: int = 200) -> Awaitable[Response]:
        """The page."""
        ...


def add(routes: APIRouter, console: Console) -> ShowList:
    """The list, and where a scan leads; returns what answers with the list."""
    reads = console.needs("dossiers")
    settings, clock, said = console.settings, console.clock, phrases("desk")

    async def page(
        request: Request, who: Signed, asked: Mapping[str, str], done: str = "", error: str = "", code: int = 200
    ) -> Response:
        catalog, now = console.service.talk.desk(clock()).catalog, clock()

        def read(session: Session) -> dict[str, Any]:
            return _shown(session, asked, catalog, now) | {"guessing": [] if who.office else _guessing(session, now)}

        return console.page(
            request, "dossiers.html", who, code, **(await console.read(read)), statuses=status.STATUSES, done=done,
            error=error,
        )  # fmt: skip

    @routes.get("", response_class=HTMLResponse, name="dossiers")
    async def dossiers(
        request: Request,
        who: Signed = reads,
        view: str = "",
        status: str = "",
        field: str = "",
        procedure: str = "",
        q: str = "",
        after: str = "",
        done: str = "",
        scan: str = "",
    ) -> Response:
        asked = {
            "view": view, "status": status, "field": field[:60], "procedure": procedure[:12], "q": q.strip()[:48],
            "after": after[:100],
        }  # fmt: skip
        # A link may carry anything: only a well-formed dossier code is shown.
        moved = [hit.code for hit in find_codes(done[:48])]
        note = phrases("console")["moved"].format(
            code=moved[0] if moved else "", minutes=f"{settings.notice_delay_minutes:g}"
        )
        error = said["scan_none"].format(text=mask(q.strip()[:48])) if scan == "none" else ""
        return await page(request, who, asked, note if moved else "", error)

    @routes.get("/find", dependencies=[reads])
    async def find(code: str = "") -> Response:
        return RedirectResponse(scanned_path(code), 303)

    async def show(request: Request, who: Signed, error: str = "", code: int = 200) -> Response:
        return await page(request, who, {}, error=error, code=code)

    return show


def scanned_path(text: str) -> str:
    """Where a scan leads: to its dossier, else to a search for what was typed."""
    codes = scanning.read_scan(text)
    if len(codes) == 1:
        return f"/staff/dossiers/{codes[0]}"
    query = {"q": text.strip()[:48]} | ({} if codes or not text.strip() else {"scan": "none"})
    return f"/staff/dossiers?{urlencode(query)}"


def _shown(session: Session, asked: Mapping[str, str], catalog: Catalog, now: datetime) -> dict[str, Any]:
    said = phrases("desk")
    wanted = _wanted(asked, catalog)
    found = listing.page(session, wanted, now, asked.get("after", ""))
    by_status = listing.by_status(session, wanted.procedures)
    counts = listing.counts(session, wanted.procedures, now, by_status)
    fields, procedures = _kinds(listing.by_procedure(session), catalog, asked.get("field", ""))
    return {
        "rows": _rows(session, found.dossiers, catalog, now),
        "following": found.following,
        "wanted": wanted,
        "field": asked.get("field", ""),
        "procedure": asked.get("procedure", ""),
        "views": [(view, said["views"][view], counts[view]) for view in listing.VIEWS],
        "by_status": by_status,
        "fields": fields,
        "procedures": procedures,
        "later": bool(asked.get("after")),
    }


def _wanted(asked: Mapping[str, str], catalog: Catalog) -> listing.Wanted:
    view, number, procedures = asked.get("view", ""), asked.get("status", ""), None
    if asked.get("procedure"):
        procedures = frozenset({asked["procedure"]})
    elif asked.get("field"):
        by_code = {code: procedure.field for code, procedure in catalog.procedures.items()}
        procedures = listing.of_field(by_code, asked["field"])
    return listing.Wanted(
        view if view in listing.VIEWS else listing.ALL,
        int(number) if number in {str(one) for one in status.STATUSES} else None,
        procedures,
        asked.get("q", ""),
    )


def _kinds(
    by_procedure: Mapping[str, int], catalog: Catalog, field: str
) -> tuple[list[tuple[str, str, int]], list[tuple[str, str, int]]]:
    """The fields, and the procedures of the chosen one, that have dossiers: (key, name, how many)."""
    fields: dict[str, int] = {}
    procedures = []
    for code, many in by_procedure.items():
        procedure = catalog.get(code)
        if procedure is not None:
            fields[procedure.field] = fields.get(procedure.field, 0) + many
        if code and (not field or (procedure is not None and procedure.field == field)):
            procedures.append((code, procedure.short_name if procedure else code, many))
    names = {key: info.name for key, info in catalog.fields.items()}
    found = sorted(((key, names.get(key, key), many) for key, many in fields.items()), key=lambda one: one[1])
    return found, sorted(procedures, key=lambda one: one[1])


def _rows(session: Session, found: Sequence[Dossier], catalog: Catalog, now: datetime) -> list[dict[str, Any]]:
    notices = _latest_notices(session, [dossier.code for dossier in found])
    return [
        {
            "code": dossier.code,
            "procedure": procedure_name(catalog, dossier.procedure),
            "status": dossier.status,
            "status_name": status.STATUSES[dossier.status].name,
            "due": f"{local(dossier.due_at):%d/%m/%Y}" if dossier.due_at else "–",
            "phone": mask(dossier.phone) if dossier.phone else "–",
            "consent": dossier.consent_sms,
            "demo": dossier.demo,
            "late": listing.is_late(dossier, now),
            "next": status.staff_moves(dossier.status),
            "notice": notices.get(dossier.code),
        }
        for dossier in found
    ]


def procedure_name(catalog: Catalog, code: str | None) -> str:
    """The short name of a procedure; its code where the catalogue doesn't have it."""
    procedure = catalog.get(code) if code else None
    return procedure.short_name if procedure else code or "–"


def _guessing(session: Session, now: datetime) -> list[str]:
    """Who seems to guess codes, a line each."""
    told = phrases("console")["guessing"]
    return [
        told.format(who=mask(one.who), unknown=one.unknown, refused=one.refused, at=f"{local(one.last_at):%H:%M %d/%m}")
        for one in access.guessing(session, now)
    ]


def _latest_notices(session: Session, codes: Sequence[str]) -> dict[str, str]:
    latest: dict[str, str] = {}
    rows = session.exec(
        select(Outbox).where(Outbox.kind == "notice", col(Outbox.dossier_code).in_(codes)).order_by(col(Outbox.id))
    ).all()
    for row in rows:
        told = _STATE_NAMES.get(row.state, row.state)
        if row.state == "waiting":
            told += f" {local(row.not_before):%H:%M %d/%m}"
        latest[row.dossier_code or ""] = told
    return latest
