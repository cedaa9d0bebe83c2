"""The staff pages: sign in, list dossiers, move one to its next status, undo a slip within the notice's delay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates
from sqlmodel import Session, col, select
from starlette.concurrency import run_in_threadpool

from bot.catalog.catalog import Catalog
from bot.channels.web import same_origin
from bot.clock import Clock, local
from bot.console import accounts
from bot.dossiers import access, registry, status
from bot.dossiers.records import moment
from bot.errors import BadInputError
from bot.logs import mask
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Dossier, Outbox
from bot.texts import phrases
from nlu.codes import find_codes

COOKIE = "motcua_staff"
PAGE = 50
_STATE_NAMES: Mapping[str, str] = phrases("console")["outbox_states"]


@dataclass(frozen=True)
class Signed:
    """Who is signed in on this request."""

    name: str
    csrf: str
    token: str


def router(
    settings: Settings, database: Database, catalog: Catalog, templates: Jinja2Templates, clock: Clock
) -> APIRouter:
    """All staff pages, below ``/staff``."""
    routes = APIRouter(prefix="/staff", include_in_schema=False)
    secure = (settings.public_base_url or "").startswith("https://")

    async def signed(request: Request) -> Signed | None:
        token = request.cookies.get(COOKIE, "")

        def find() -> Signed | None:
            with database.read() as session:
                found = accounts.signed_in(session, token, clock())
                return Signed(found.staff, found.csrf, token) if found else None

        return await run_in_threadpool(find)

    def page(request: Request, template: str, who: Signed | None = None, code: int = 200, **context: Any) -> Response:
        shown = {"who": who, "demo": settings.demo, **context}
        return templates.TemplateResponse(request, template, shown, status_code=code)

    @routes.get("", response_class=HTMLResponse)
    async def start(request: Request) -> Response:
        who = await signed(request)
        return RedirectResponse("/staff/dossiers" if who else "/staff/sign-in", 303)

    @routes.get("/sign-in", response_class=HTMLResponse)
    async def sign_in_page(request: Request) -> Response:
        return page(request, "sign_in.html")

    @routes.post("/sign-in", response_class=HTMLResponse)
    async def sign_in(request: Request, name: str = Form(""), password: str = Form("")) -> Response:
        if not same_origin(request):
            return page(request, "sign_in.html", code=403, error=phrases("console")["expired"])

        def enter() -> str | None:
            with database.write() as session:
                lasts = timedelta(hours=settings.session_hours)
                return accounts.sign_in(session, name.strip(), password, clock(), lasts)

        token = await run_in_threadpool(enter)
        if token is None:
            return page(request, "sign_in.html", code=401, error=phrases("console")["wrong_password"], name=name[:64])
        response = RedirectResponse("/staff/dossiers", 303)
        response.set_cookie(
            COOKIE, token, max_age=settings.session_hours * 3600, httponly=True, samesite="strict", secure=secure,
            path="/",
        )  # fmt: skip
        return response

    @routes.post("/sign-out")
    async def sign_out(request: Request, csrf: str = Form("")) -> Response:
        who = await signed(request)
        if who is not None and accounts.may_post(who.csrf, csrf):

            def leave() -> None:
                with database.write() as session:
                    accounts.sign_out(session, who.token)

            await run_in_threadpool(leave)
        response = RedirectResponse("/staff/sign-in", 303)
        response.delete_cookie(COOKIE, path="/")
        return response

    async def listing(
        request: Request, who: Signed, q: str = "", done: str = "", error: str = "", code: int = 200
    ) -> Response:
        def read() -> tuple[list[dict[str, Any]], list[str]]:
            with database.read() as session:
                return _rows(session, q.strip()[:48], catalog, clock()), _guessing(session, clock())

        rows, guessing = await run_in_threadpool(read)
        return page(
            request, "dossiers.html", who, rows=rows, q=q[:48], statuses=status.STATUSES, done=done, error=error,
            guessing=guessing, code=code,
        )  # fmt: skip

    @routes.get("/dossiers", response_class=HTMLResponse)
    async def dossiers(request: Request, q: str = "", done: str = "") -> Response:
        who = await signed(request)
        if who is None:
            return RedirectResponse("/staff/sign-in", 303)
        # A link may carry anything: only a well-formed dossier code is shown.
        moved = [hit.code for hit in find_codes(done[:48])]
        said = phrases("console")["moved"].format(
            code=moved[0] if moved else "", minutes=f"{settings.notice_delay_minutes:g}"
        )
        return await listing(request, who, q, said if moved else "")

    @routes.post("/dossiers/{code}/status")
    async def move(
        request: Request, code: str, to: int = Form(...), csrf: str = Form(""), note: str = Form("")
    ) -> Response:
        who = await signed(request)
        if who is None:
            return RedirectResponse("/staff/sign-in", 303)
        if not same_origin(request) or not accounts.may_post(who.csrf, csrf):
            return page(request, "sign_in.html", code=403, error=phrases("console")["expired"])

        def change() -> bool:
            with database.write() as session:
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

    @routes.post("/dossiers/{code}/due")
    async def postpone(request: Request, code: str, due: str = Form(...), csrf: str = Form("")) -> Response:
        who = await signed(request)
        if who is None:
            return RedirectResponse("/staff/sign-in", 303)
        if not same_origin(request) or not accounts.may_post(who.csrf, csrf):
            return page(request, "sign_in.html", code=403, error=phrases("console")["expired"])

        def change() -> bool:
            with database.write() as session:
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

    async def settled(request: Request, who: Signed, code: str, change: Callable[[], bool]) -> Response:
        try:
            moved = await run_in_threadpool(change)
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


def sms_shown(session: Session, limit: int = 60) -> dict[str, list[dict[str, Any]]]:
    """What the phone simulator shows: masked number → its SMS, newest first."""
    rows = session.exec(
        select(Outbox)
        .where(Outbox.channel == "sms", Outbox.gateway == "simulator", col(Outbox.sent_at).is_not(None))
        .order_by(col(Outbox.sent_at).desc(), col(Outbox.id).desc())
        .limit(limit)
    ).all()
    phones: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        at = f"{local(row.sent_at):%H:%M %d/%m/%Y}" if row.sent_at else ""
        phones.setdefault(mask(row.recipient), []).append({"text": row.body.get("text", ""), "at": at})
    return phones


__all__ = ["router", "sms_shown"]
