"""``/kiosk``: a touch screen in the hall. A receipt is scanned and its status shown; guides are found and printed.

Nothing personal stays: codes go by POST and into no address, answers are kept by no cache, after a minute without a
touch the first page takes the place of whatever is shown (``kiosk.js``).
Of several offices each has its own below ``/kiosk/xa/<slug>``: its fees, its counters, its advisors.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool

from bot import guide
from bot.catalog.answers import Desk
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

ROOT = "/kiosk"
MAX_SCANNED = 300
Handler = TypeVar("Handler", bound=Callable[..., Any])
IDLE_SECONDS, WARN_SECONDS = 60, 10


def router(console: Console) -> APIRouter:
    """The kiosk's pages and what its script asks."""
    routes = APIRouter(prefix=ROOT, include_in_schema=False)
    texts = phrases("hall")["kiosk"]
    settings, service = console.settings, console.service

    def at(method: str, path: str) -> Callable[[Handler], Handler]:
        """Adds a page to the kiosk that all offices share, and to that of each."""

        def add(handler: Handler) -> Handler:
            for start in ("", "/xa/{slug}"):
                routes.add_api_route(start + path, handler, methods=[method], response_model=None)
            return handler

        return add

    def office_at(request: Request) -> str | None:
        """The office whose kiosk it is; None for the one that all share."""
        slug = request.path_params.get("slug")
        if slug is not None and service.talk.offices.known(slug) is None:
            raise HTTPException(404)
        return slug

    def desk_at(request: Request) -> Desk:
        return service.talk.at(office_at(request), console.clock())

    def page(request: Request, template: str, code: int = 200, **shown: Any) -> Response:
        office = desk_at(request).office
        frame = {"office": office, "texts": texts, "idle": IDLE_SECONDS, "warn": WARN_SECONDS}
        frame["start"] = root_of(office_at(request))
        return console.templates.TemplateResponse(request, template, frame | shown, status_code=code)

    def wants_json(request: Request) -> bool:
        return "application/json" in request.headers.get("accept", "")

    def refuse_others(request: Request) -> None:
        if not same_origin(request):
            raise HTTPException(403)

    @at("GET", "")
    async def start(request: Request) -> Response:
        return page(request, "kiosk.html", fields=guide.by_field(desk_at(request)))

    @at("GET", "/linh-vuc/{field}")
    async def field_page(request: Request, field: str) -> Response:
        listed = {slug: (info, items) for slug, info, items in guide.by_field(desk_at(request))}
        if field not in listed:
            raise HTTPException(404)
        info, items = listed[field]
        return page(request, "kiosk_list.html", heading=info.everyday or info.name, found=[p for p, _ in items])

    @at("GET", "/tim")
    async def search(request: Request, q: str = "") -> Response:
        desk, query = desk_at(request), q.strip()[: guide.MAX_QUERY]
        found = await run_in_threadpool(guide.search, query, guide.current(desk), service.talk.engine) if query else []
        return page(request, "kiosk_list.html", heading=texts["found"].format(q=query), found=found, q=query)

    @at("GET", "/thu-tuc/{code}")
    async def guide_page(request: Request, code: str) -> Response:
        desk, office = desk_at(request), office_at(request)
        procedure = guide.procedure_of(desk, code)
        address = guide.address_of(request, code, settings.public_base_url)
        await console.write(lambda session: used(session, "guide", console.clock(), office))
        root = f"{root_of(office)}/thu-tuc"
        return page(request, "kiosk_guide.html", root=root, **guide.told(desk, procedure, address))

    @at("POST", "/ho-so")
    async def status(request: Request, code: str = Form("")) -> Response:
        refuse_others(request)
        answer = await console.write(lambda session: looked_up(session, request, code[:MAX_SCANNED]))
        if wants_json(request):
            return JSONResponse(answer)
        return page(request, "kiosk_status.html", **answer)

    def looked_up(session: Session, request: Request, scanned: str) -> dict[str, Any]:
        now, network, office = console.clock(), network_of(request), office_at(request)
        codes = dossier_codes(scanned, address=True) or tuple(hit.code for hit in find_codes(scanned))
        used(session, "look_up", now, office)
        if not codes:
            return {"text": texts["bad_code"], "survey": ""}
        desk = service.talk.at(service.talk.offices.of_code(codes[0]) or office, now)
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
        here = f"&xa={office}" if office else ""
        return {
            "text": status_text(codes[0], found, now), "survey": f"/khao-sat/{token}?o=kiosk{here}" if token else ""
        }  # fmt: skip

    @at("POST", "/goi")
    async def call_advisor(request: Request) -> Response:
        refuse_others(request)
        office = office_at(request)
        told = texts[await console.write(lambda session: call(session, console.clock(), office))]
        return JSONResponse({"text": told}) if wants_json(request) else page(request, "kiosk_status.html", text=told)

    @at("POST", "/in")
    async def printed(request: Request) -> Response:
        refuse_others(request)
        office = office_at(request)
        await console.write(lambda session: used(session, "print", console.clock(), office))
        return Response(status_code=204)

    return routes


def root_of(office: str | None) -> str:
    """The address of the kiosk of one of several offices; of None that of the one that all share."""
    return f"{ROOT}/xa/{office}" if office else ROOT
