"""``/kiosk``: a touch screen in the hall. A receipt is scanned and its status shown; guides are found and printed.

Nothing personal stays: codes go by POST and into no address, answers are kept by no cache, after a minute without a
touch the first page takes the place of whatever is shown (``kiosk.js``).
"""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool

from bot import guide
from bot.channels.web.door import network_of, same_origin
from bot.console.pages import Console
from bot.conversation.due import deadline_of
from bot.conversation.wording import status_text
from bot.desk.messages import KIOSK
from bot.dossiers.access import Citizen
from bot.dossiers.lookup import look_up
from bot.figures.hall import used
from bot.hall.calls import call
from bot.receipts.contents import dossier_codes
from bot.survey import surveys
from bot.texts import phrases
from nlu.codes import find_codes

MAX_SCANNED = 300
IDLE_SECONDS, WARN_SECONDS = 60, 10


def router(console: Console) -> APIRouter:
    """The kiosk's pages and what its script asks."""
    routes = APIRouter(prefix="/kiosk", include_in_schema=False)
    texts = phrases("hall")["kiosk"]
    settings, service = console.settings, console.service

    def page(request: Request, template: str, code: int = 200, **shown: Any) -> Response:
        desk = service.talk.desk(console.clock())
        frame = {"office": desk.office, "texts": texts, "idle": IDLE_SECONDS, "warn": WARN_SECONDS}
        return console.templates.TemplateResponse(request, template, frame | shown, status_code=code)

    def wants_json(request: Request) -> bool:
        return "application/json" in request.headers.get("accept", "")

    def refuse_others(request: Request) -> None:
        if not same_origin(request):
            raise HTTPException(403)

    @routes.get("", response_class=HTMLResponse)
    async def start(request: Request) -> Response:
        return page(request, "kiosk.html", fields=guide.by_field(service.talk.desk(console.clock())))

    @routes.get("/linh-vuc/{field}", response_class=HTMLResponse)
    async def field_page(request: Request, field: str) -> Response:
        listed = {slug: (info, items) for slug, info, items in guide.by_field(service.talk.desk(console.clock()))}
        if field not in listed:
            raise HTTPException(404)
        info, items = listed[field]
        return page(request, "kiosk_list.html", heading=info.everyday or info.name, found=[p for p, _ in items])

    @routes.get("/tim", response_class=HTMLResponse)
    async def search(request: Request, q: str = "") -> Response:
        desk, query = service.talk.desk(console.clock()), q.strip()[: guide.MAX_QUERY]
        found = await run_in_threadpool(guide.search, query, guide.current(desk), service.talk.engine) if query else []
        return page(request, "kiosk_list.html", heading=texts["found"].format(q=query), found=found, q=query)

    @routes.get("/thu-tuc/{code}", response_class=HTMLResponse)
    async def guide_page(request: Request, code: str) -> Response:
        now = console.clock()
        desk = service.talk.desk(now)
        procedure = guide.procedure_of(desk, code)
        address = guide.address_of(request, code, settings.public_base_url)
        await console.write(lambda session: used(session, "guide", now))
        return page(request, "kiosk_guide.html", root="/kiosk/thu-tuc", **guide.told(desk, procedure, address))

    @routes.post("/ho-so")
    async def status(request: Request, code: str = Form("")) -> Response:
        refuse_others(request)
        answer = await console.write(lambda session: looked_up(session, request, code[:MAX_SCANNED]))
        if wants_json(request):
            return JSONResponse(answer)
        return page(request, "kiosk_status.html", **answer)

    def looked_up(session: Session, request: Request, scanned: str) -> dict[str, Any]:
        now, network = console.clock(), network_of(request)
        desk = service.talk.desk(now)
        codes = dossier_codes(scanned, address=True) or tuple(hit.code for hit in find_codes(scanned))
        used(session, "look_up", now)
        if not codes:
            return {"text": texts["bad_code"], "survey": ""}
        # The kiosk is many people: one after the other, they share the limits of its network.
        who = Citizen(KIOSK, secrets.token_hex(8) if network else KIOSK, network)
        looked = look_up(
            session, codes[:1], who, settings=settings, now=now, deadline=lambda c, at: deadline_of(desk, c, at)
        )
        if looked.limited:
            return {"text": texts["limited"], "survey": ""}
        found = looked.views[codes[0]]
        asks = surveys.at_the_kiosk(session, settings, codes[0], now) if found else None
        token = surveys.token_of(settings, codes[0]) if asks else ""
        return {
            "text": status_text(codes[0], found, now), "survey": f"/khao-sat/{token}?o=kiosk" if token else ""
        }  # fmt: skip

    @routes.post("/goi")
    async def call_advisor(request: Request) -> Response:
        refuse_others(request)
        told = texts[await console.write(lambda session: call(session, console.clock()))]
        return JSONResponse({"text": told}) if wants_json(request) else page(request, "kiosk_status.html", text=told)

    @routes.post("/in")
    async def printed(request: Request) -> Response:
        refuse_others(request)
        await console.write(lambda session: used(session, "print", console.clock()))
        return Response(status_code=204)

    return routes
