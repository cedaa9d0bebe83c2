"""The page of dossiers: list them, move one to its next status, undo a slip within the notice's delay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session, col, select

from bot.catalog.catalog import Catalog
from bot.clock import local
from bot.console import accounts
from bot.console.pages import Console, Signed
from bot.dossiers import access, registry, status
from bot.dossiers.records import moment
from bot.errors import BadInputError
from bot.logs import mask
from bot.storage.tables import Dossier, Outbox
from bot.texts import phrases
from nlu.codes import find_codes

PAGE = 50
_STATE_NAMES: Mapping[str, str] = phrases("console")["outbox_states"]


def router(console: Console) -> APIRouter:
    """The page of dossiers and its forms."""
    routes = APIRouter(prefix="/staff/dossiers", include_in_schema=False)
    reads = console.needs("dossiers")
    settings, clock = console.settings, console.clock
    catalog = console.service.talk.desk(clock()).catalog
    acts = console.posts("dossiers.move")

    async def listing(
        request: Request, who: Signed, q: str = "", done: str = "", error: str = "", code: int = 200
    ) -> Response:
        def read(session: Session) -> tuple[list[dict[str, Any]], list[str]]:
            return _rows(session, q.strip()[:48], catalog, clock()), _guessing(session, clock())

        rows, guessing = await console.read(read)
        return console.page(
            request, "dossiers.html", who, code, rows=rows, q=q[:48], statuses=status.STATUSES, done=done, error=error,
            guessing=guessing,
        )  # fmt: skip

    @routes.get("", response_class=HTMLResponse)
    async def dossiers(request: Request, who: Signed = reads, q: str = "", done: str = "") -> Response:
        # A link may carry anything: only a well-formed dossier code is shown.
        moved = [hit.code for hit in find_codes(done[:48])]
        said = phrases("console")["moved"].format(
            code=moved[0] if moved else "", minutes=f"{settings.notice_delay_minutes:g}"
        )
        return await listing(request, who, q, said if moved else "")

    @routes.post("/{code}/status")
    async def move(
        request: Request, code: str, who: Signed = acts, to: int = Form(...), note: str = Form("")
    ) -> Response:
        def change(session: Session) -> bool:
            now = clock()
            made = registry.set_status(
                session, code, to, by=who.name, note=note.strip()[:500] or None, settings=settings, now=now,
                staff=True,
            )  # fmt: skip
            if made.kind == "unchanged":
                return False
            accounts.audit(session, who.name, "set_status", code, now, to=to)
            return True

        return await settled(request, who, code, change)

    @routes.post("/{code}/due")
    async def postpone(request: Request, code: str, who: Signed = acts, due: str = Form(...)) -> Response:
        def change(session: Session) -> bool:
            now = clock()
            wanted = moment("due_at", due)
            if wanted is None:
                raise BadInputError(phrases("console")["due_missing"])
            made = registry.postpone(session, code, wanted, by=who.name, settings=settings, now=now)
            if made.kind == "unchanged":
                return False
            accounts.audit(session, who.name, "postpone", code, now, due=f"{local(wanted):%Y-%m-%d %H:%M}")
            return True

        return await settled(request, who, code, change)

    async def settled(request: Request, who: Signed, code: str, change: Callable[[Session], bool]) -> Response:
        try:
            moved = await console.write(change)
        except BadInputError as refused:
            return await listing(request, who, error=str(refused), code=409)
        if not moved:
            return await listing(request, who, error=phrases("console")["unchanged"].format(code=code[:48]), code=409)
        target = request.url_for("dossiers").include_query_params(done=code)
        return RedirectResponse(f"{target.path}?{target.query}", 303)

    return routes


def _rows(session: Session, wanted: str, catalog: Catalog, now: datetime) -> list[dict[str, Any]]:
    query = select(Dossier).order_by(col(Dossier.updated_at).desc(), col(Dossier.code)).limit(PAGE)
    if wanted:
        query = query.where(col(Dossier.code).contains(wanted.upper(), autoescape=True))
    found = session.exec(query).all()
    notices = _latest_notices(session, [dossier.code for dossier in found])
    rows = []
    for dossier in found:
        procedure = catalog.get(dossier.procedure) if dossier.procedure else None
        rows.append(
            {
                "code": dossier.code,
                "procedure": procedure.short_name if procedure else dossier.procedure or "–",
                "status": dossier.status,
                "status_name": status.STATUSES[dossier.status].name,
                "due": f"{local(dossier.due_at):%d/%m/%Y}" if dossier.due_at else "–",
                "phone": mask(dossier.phone) if dossier.phone else "–",
                "consent": dossier.consent_sms,
                "demo": dossier.demo,
                "late": bool(dossier.due_at and dossier.due_at < now and dossier.status not in status.FINISHED),
                "next": status.staff_moves(dossier.status),
                "notice": notices.get(dossier.code),
            }
        )
    return rows


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
