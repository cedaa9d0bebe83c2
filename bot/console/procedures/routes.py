"""Procedures on the console: look, change, confirm. What is shown: ``pages``; the forms: ``editor``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool

from bot.clock import local
from bot.console.numbers import typed_number
from bot.console.pages import Console, Signed
from bot.console.procedures.editor import record
from bot.console.procedures.known import known
from bot.console.procedures.pages import FactPages
from bot.edits import store
from bot.edits.parts import FACTS, NEW, VERIFIED, digest, fact_digests
from bot.errors import BadInputError
from bot.storage.switches import setting
from bot.storage.tables import FactEdit
from bot.texts import phrases

_T = phrases("procedures")


def router(console: Console) -> APIRouter:
    """The pages of procedures and the forms on them."""
    routes = APIRouter(prefix="/staff/procedures", include_in_schema=False)
    reads, acts = console.needs("procedures"), console.posts("procedures.edit")
    edits_only, decides = console.needs("procedures.edit"), console.posts("office.edit")
    service, clock = console.service, console.clock
    default = FactPages(console)

    def pages_of(who: Signed) -> FactPages:
        return default.at(who.office)

    @routes.get("", response_class=HTMLResponse)
    async def index(
        request: Request, who: Signed = reads, q: str = "", field: str = "", show: str = "all", done: str = ""
    ) -> Response:
        return await pages_of(who).listing(request, who, q=q, field=field, show=show, done=_T["done"].get(done, ""))

    @routes.get("/{code}", response_class=HTMLResponse)
    async def one(
        request: Request, code: str, who: Signed = reads, channel: str = "zalo_oa", day: str = "", done: str = ""
    ) -> Response:
        return await pages_of(who).one(request, who, code, channel=channel, day=day, done=_T["done"].get(done, ""))

    @routes.get("/{code}/history", response_class=HTMLResponse)
    async def history(request: Request, code: str, who: Signed = reads) -> Response:
        return await pages_of(who).history(request, who, code)

    @routes.get("/{code}/edit/{key}", response_class=HTMLResponse)
    async def edit(request: Request, code: str, key: str, who: Signed = edits_only) -> Response:
        shown = None
        if key in FACTS and ":" not in code:
            shown = await pages_of(who).editor.show(request, who, code, FACTS[key], f"/staff/procedures/{code}")
        return shown or await pages_of(who).missing(request, who, code)

    @routes.post("/{code}/edit/{key}")
    async def change(request: Request, code: str, key: str, who: Signed = acts) -> Response:
        shown = None
        if key in FACTS and ":" not in code:
            shown = await pages_of(who).editor.take(request, who, code, FACTS[key], f"/staff/procedures/{code}")
        return shown or await pages_of(who).missing(request, who, code)

    @routes.post("/{code}/verify")
    async def verify(
        request: Request, code: str, who: Signed = acts, seen: str = Form(""), facts: str = Form(""),
        source: str = Form(""), act: str = Form("verify"),
    ) -> Response:  # fmt: skip
        now, office, base = clock(), default.office, default.base()

        def write(session: Session) -> FactEdit:
            found = known(session, base, office)
            procedure = found.told.desk.catalog.get(code)
            if procedure is None:
                raise BadInputError(_T["refused"]["no_name"].format(code=code[:20]))
            value: dict[str, Any] = {}
            if act == "verify":
                if facts != digest(fact_digests(procedure)):
                    raise store.ChangedMeanwhileError(_T["refused"]["facts_changed"])
                mark = {"by": who.name, "on": f"{local(now):%Y-%m-%d}"}
                value = {VERIFIED: mark, "facts": fact_digests(procedure)}
            change = store.Change(code, VERIFIED, value, source.strip(), seen)
            row = store.save(session, found.base, office, change, by=who.name, now=now, four_eyes=found.four_eyes)
            record(session, who.name, "fact_verify", row, now)
            return row

        try:
            row = await console.write(write)
        except BadInputError as refused:
            return await pages_of(who).one(request, who, code, status=409, error=str(refused), typed_source=source)
        await taken_up(row)
        return RedirectResponse(f"/staff/procedures/{code}?done={row.state}", 303)

    async def taken_up(row: FactEdit) -> None:
        """This process answers with it at once; the others within seconds."""
        if row.state == "active":
            await run_in_threadpool(service.edits.refresh)

    @routes.post("/edits/{number}/decide")
    async def decide(
        request: Request, number: str, who: Signed = decides, act: str = Form(""), reason: str = Form("")
    ) -> Response:
        now = clock()
        wanted = typed_number(number, 15) or 0

        def subject_of(session: Session) -> str:
            found = session.get(FactEdit, wanted)
            return found.subject if found else ""

        subject = await console.read(subject_of)
        if subject and not default.may_edit(who, subject):
            raise HTTPException(404)
        pages = default.at(_office_of(subject, who, console))

        def write(session: Session) -> FactEdit:
            row = store.decide(
                session, pages.base(), pages.office, wanted, act, by=who.name, now=now, reason=reason,
                four_eyes=bool(setting(session, "four_eyes")),
            )  # fmt: skip
            record(session, who.name, f"fact_{act}", row, now)
            return row

        try:
            row = await console.write(write)
        except BadInputError as refused:
            if ":" in subject:
                return await pages.of_office(request, who, 409, error=str(refused))
            if not subject:
                return await pages.listing(request, who, code=409, error=str(refused))
            return await pages.one(request, who, subject, status=409, error=str(refused))
        await taken_up(row)
        home = "/staff/office" if who.office else pages.home
        back = home if ":" in row.subject else f"/staff/procedures/{row.subject}"
        if row.part == NEW:
            act, back = ("added", back) if row.state == "active" else (act, "/staff/procedures")
        return RedirectResponse(f"{back}?done={act}", 303)

    return routes


def _office_of(subject: str, who: Signed, console: Console) -> str | None:
    """The one of several offices whose page an edit stands on; None for the default one."""
    kind, _, slug = subject.partition(":")
    known = kind == "office" and slug != console.settings.office
    return who.office or (console.service.talk.offices.known(slug) if known else None)
