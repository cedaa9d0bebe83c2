"""The page of canned replies: add, change, remove."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session

from bot.console import accounts
from bot.console.pages import Console, Signed
from bot.desk import canned
from bot.desk.messages import T
from bot.errors import BadInputError

_PAGE = "/staff/inbox/canned"


def router(console: Console) -> APIRouter:
    """The page and its forms."""
    routes = APIRouter(prefix=_PAGE, include_in_schema=False)
    reads = console.needs("inbox")
    acts = console.posts("canned")

    async def page(request: Request, who: Signed, code: int = 200, **shown: Any) -> Response:
        rows = await console.read(canned.all_of)
        return console.page(request, "inbox_canned.html", who, code, rows=rows, most=canned.MOST, **shown)

    async def changed(
        request: Request, who: Signed, change: Callable[[Session], None], said: str = "saved", **typed: str
    ) -> Response:
        try:
            await console.write(change)
        except BadInputError as refused:
            return await page(request, who, 409, error=str(refused), **typed)
        return RedirectResponse(f"{_PAGE}?said={said}", 303)

    @routes.get("", response_class=HTMLResponse)
    async def listing(request: Request, who: Signed = reads, said: str = "") -> Response:
        return await page(request, who, done=T["said"][said] if said in {"saved", "removed"} else "")

    @routes.post("")
    async def add(request: Request, who: Signed = acts, shortcut: str = Form(""), text: str = Form("")) -> Response:
        def change(session: Session) -> None:
            row = canned.add(session, shortcut, text, who.name, console.clock())
            accounts.audit(session, who.name, "canned_add", f"/{row.shortcut}", console.clock(), after=row.text)

        return await changed(request, who, change, new_shortcut=shortcut, new_text=text)

    @routes.post("/{reply_id:int}")
    async def edit(
        request: Request,
        reply_id: int,
        who: Signed = acts,
        shortcut: str = Form(""),
        text: str = Form(""),
        version: str = Form(""),
    ) -> Response:
        def change(session: Session) -> None:
            now = console.clock()
            before, after = canned.change(session, _small(reply_id), shortcut, text, version, who.name, now)
            accounts.audit(session, who.name, "canned_change", f"/{shortcut}", now, before=before, after=after)

        return await changed(request, who, change, lost_shortcut=shortcut, lost_text=text)

    @routes.post("/{reply_id:int}/remove")
    async def remove(request: Request, reply_id: int, who: Signed = acts) -> Response:
        def change(session: Session) -> None:
            gone = canned.remove(session, _small(reply_id))
            accounts.audit(session, who.name, "canned_remove", f"/{gone}", console.clock())

        return await changed(request, who, change, "removed")

    return routes


def _small(number: int) -> int:
    return number if number < 2**62 else 0
