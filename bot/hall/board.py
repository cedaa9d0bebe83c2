"""``/bang``: the board, for a large screen in the hall; fetches its codes every minute, turns its pages by itself."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlmodel import Session

from bot.clock import local
from bot.console.pages import Console
from bot.dossiers.board import board
from bot.storage.switches import setting
from bot.texts import phrases


def router(console: Console) -> APIRouter:
    """The board's page and its codes as JSON."""
    routes = APIRouter(prefix="/bang", include_in_schema=False)
    demo = console.settings.demo

    async def codes() -> dict[str, Any]:
        now = console.clock()

        def read(session: Session) -> dict[str, Any]:
            found = board(session, now, days=setting(session, "board_days"), demo=demo)
            return {"ready": list(found.ready), "due": list(found.due)}

        return await console.read(read) | {"at": f"{local(now):%H:%M}", "day": f"{local(now):%d/%m/%Y}"}

    @routes.get("", response_class=HTMLResponse)
    async def page(request: Request) -> Response:
        office = console.service.talk.desk(console.clock()).office
        shown = {"codes": await codes(), "texts": phrases("hall")["board"], "office": office, "demo": demo}
        return console.templates.TemplateResponse(request, "board.html", shown)

    @routes.get("/so")
    async def numbers() -> dict[str, Any]:
        return await codes()

    return routes
