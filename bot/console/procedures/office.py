"""The office's own facts on the console: hours, counters, address, days off, and its province's fees, as forms."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from bot.console.pages import Console, Signed
from bot.console.procedures.pages import FactPages
from bot.edits.parts import OFFICE, of_office
from bot.texts import phrases

_T = phrases("procedures")


def router(console: Console) -> APIRouter:
    """The page of the office and the forms of its parts."""
    routes = APIRouter(prefix="/staff/office", include_in_schema=False)
    reads, acts = console.needs("procedures"), console.posts("procedures.edit")
    edits_only = console.needs("procedures.edit")
    pages = FactPages(console)

    @routes.get("", response_class=HTMLResponse)
    async def office(request: Request, who: Signed = reads, done: str = "") -> Response:
        return await pages.of_office(request, who, done=_T["done"].get(done, ""))

    @routes.get("/{key}", response_class=HTMLResponse)
    async def edit(request: Request, key: str, who: Signed = edits_only) -> Response:
        if key not in OFFICE:
            return await pages.of_office(request, who, 404, error=_T["refused"]["no_part"])
        subject = of_office(pages.base(), pages.office, OFFICE[key])
        shown = await pages.editor.show(request, who, subject, OFFICE[key], "/staff/office")
        return shown or RedirectResponse("/staff/office", 303)

    @routes.post("/{key}")
    async def change(request: Request, key: str, who: Signed = acts) -> Response:
        if key not in OFFICE:
            return await pages.of_office(request, who, 404, error=_T["refused"]["no_part"])
        subject = of_office(pages.base(), pages.office, OFFICE[key])
        shown = await pages.editor.take(request, who, subject, OFFICE[key], "/staff/office")
        return shown or RedirectResponse("/staff/office", 303)

    return routes
