"""The office's own facts on the console: hours, counters, address, days off, and its province's fees, as forms.

Of several offices, staff see their own; who sees all chooses one below ``/staff/office/of/``.
"""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from bot.console.pages import Console, Signed
from bot.console.procedures.pages import FactPages
from bot.edits.parts import OFFICE, of_office
from bot.texts import phrases

_T = phrases("procedures")
_HOME = "/staff/office"


def router(console: Console) -> APIRouter:
    """The page of the office and the forms of its parts."""
    routes = APIRouter(prefix=_HOME, include_in_schema=False)
    reads, acts = console.needs("procedures"), console.posts("office.edit")
    edits_only = console.needs("office.edit")
    default = FactPages(console)

    def chosen(who: Signed, slug: str = "") -> FactPages:
        """The pages of the office that is asked for, where this person may see it."""
        if slug and (console.service.talk.offices.known(slug) is None or who.office not in {None, slug}):
            raise HTTPException(404)
        return default.at(slug or who.office)

    async def form(request: Request, who: Signed, slug: str, key: str) -> Response:
        pages = chosen(who, slug)
        home = pages.home if slug else _HOME
        subject = of_office(pages.base(), pages.office, OFFICE[key]) if key in OFFICE else ""
        if not subject:
            return await pages.of_office(request, who, 404, error=_T["refused"]["no_part"])
        if not pages.may_edit(who, subject):
            raise HTTPException(404)
        do = pages.editor.take if request.method == "POST" else pages.editor.show
        return await do(request, who, subject, OFFICE[key], home) or RedirectResponse(home, 303)

    @routes.get("", response_class=HTMLResponse)
    async def office(request: Request, who: Signed = reads, done: str = "") -> Response:
        return await chosen(who).of_office(request, who, done=_T["done"].get(done, ""))

    @routes.get("/of/{slug}", response_class=HTMLResponse)
    async def office_of(request: Request, slug: str, who: Signed = reads, done: str = "") -> Response:
        return await chosen(who, slug).of_office(request, who, done=_T["done"].get(done, ""))

    @routes.get("/{key}", response_class=HTMLResponse)
    async def edit(request: Request, key: str, who: Signed = edits_only) -> Response:
        return await form(request, who, "", key)

    @routes.post("/{key}")
    async def change(request: Request, key: str, who: Signed = acts) -> Response:
        return await form(request, who, "", key)

    @routes.get("/of/{slug}/{key}", response_class=HTMLResponse)
    async def edit_of(request: Request, slug: str, key: str, who: Signed = edits_only) -> Response:
        return await form(request, who, slug, key)

    @routes.post("/of/{slug}/{key}")
    async def change_of(request: Request, slug: str, key: str, who: Signed = acts) -> Response:
        return await form(request, who, slug, key)

    return routes
