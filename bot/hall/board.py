"""``/bang``: the board, for a large screen in the hall; fetches its codes every minute, turns its pages by itself.

Of several offices each has its own at ``/bang/xa/<slug>``.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from sqlmodel import Session

from bot.clock import local
from bot.console.pages import Console
from bot.dossiers.board import board
from bot.storage.switches import setting
from bot.texts import phrases

ROOT = "/bang"


def router(console: Console) -> APIRouter:
    """The board's page and its codes as JSON."""
    routes = APIRouter(prefix=ROOT, include_in_schema=False)
    demo = console.settings.demo

    def known(slug: str | None) -> str | None:
        if slug is not None and console.service.talk.offices.known(slug) is None:
            raise HTTPException(404)
        return slug

    async def codes(slug: str | None) -> dict[str, Any]:
        now, sight = console.clock(), console.sight(known(slug))

        def read(session: Session) -> dict[str, Any]:
            found = board(session, now, days=setting(session, "board_days"), demo=demo, sight=sight)
            return {"ready": list(found.ready), "due": list(found.due)}

        return await console.read(read) | {"at": f"{local(now):%H:%M}", "day": f"{local(now):%d/%m/%Y}"}

    async def shown_at(request: Request, slug: str | None) -> Response:
        office = console.service.talk.at(known(slug), console.clock()).office
        shown = {"codes": await codes(slug), "texts": phrases("hall")["board"], "office": office, "demo": demo}
        shown["news"] = f"{ROOT}/xa/{slug}/so" if slug else f"{ROOT}/so"
        return console.templates.TemplateResponse(request, "board.html", shown)

    @routes.get("", response_class=HTMLResponse)
    async def page(request: Request) -> Response:
        return await shown_at(request, None)

    @routes.get("/so")
    async def numbers() -> dict[str, Any]:
        return await codes(None)

    @routes.get("/xa/{slug}", response_class=HTMLResponse)
    async def page_of(request: Request, slug: str) -> Response:
        return await shown_at(request, slug)

    @routes.get("/xa/{slug}/so")
    async def numbers_of(slug: str) -> dict[str, Any]:
        return await codes(slug)

    return routes
