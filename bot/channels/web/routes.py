"""The pages and calls of the chat, the same at every door."""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import segno
from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates
from starlette.concurrency import run_in_threadpool

from bot.catalog.office import hours_text
from bot.channels.web import shown
from bot.channels.web.door import (
    FRAME,
    OFFICES,
    OWN_PAGE,
    Door,
    frame_of,
    network_of,
    new_visitor,
    page_of,
)
from bot.channels.web.limits import Limits
from bot.channels.web.photo import BusyError as UploadsBusyError
from bot.channels.web.photo import Photos, UnreadableRequestError
from bot.channels.web.shown import CHANNEL
from bot.channels.web.streams import BusyError, Streams
from bot.conversation.model import Incoming
from bot.conversation.wording import start_buttons
from bot.service import Service
from bot.texts import phrases

MAX_TEXT = 4000
_MESSAGE_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
_EVENT_ID = re.compile(r"[0-9]{1,18}")
_BUSY_SECONDS = 5
_T: Mapping[str, Any] = phrases("channels")["web"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a message: its replies, and whether that is all (else they arrive on the stream)."""

    replies: list[shown.Bubble]
    done: bool


class Chat:
    """The chat behind one door."""

    def __init__(self, door: Door, service: Service, templates: Jinja2Templates, streams: Streams, limits: Limits,
                 photos: Photos) -> None:  # fmt: skip
        self.door = door
        self.service = service
        self.streams = streams
        self._templates = templates
        self._limits = limits
        self._photos = photos
        self._secure = (service.settings.public_base_url or "").startswith("https://")

    async def page(self, request: Request, notice: str = "", draft: str = "", status: int = 200) -> Response:
        """The page with the talk so far; ``notice``: what went wrong, ``draft``: what stays in the field."""
        visitor = self.door.visitor(request)
        talk = await run_in_threadpool(self._talk, visitor) if visitor else shown.Shown((), 0, ())
        desk = self.service.talk.at(self.door.office, self.service.clock())
        response = self._templates.TemplateResponse(
            request,
            "chat.html",
            {
                "door": self.door, "office": desk.office, "hours": hours_text(desk.office, desk.today),
                "talk": talk, "start": start_buttons(), "demo": self.service.settings.demo, "texts": _T,
                "offices": self._offices(), "common": self._is_common,
                "zalo_verification": self.service.settings.zalo_site_verification,
                "notice": notice, "draft": draft, "max_text": MAX_TEXT // 2,
            },
            status_code=status,
        )  # fmt: skip
        return self.door.remember(response, visitor or new_visitor(), secure=self._secure)

    def no_office(self, request: Request) -> Response:
        """The page that says that an address names none of the offices here."""
        desk = self.service.talk.at(None, self.service.clock())
        told = {"office": desk.office, "texts": _T["no_office"]}
        return self._templates.TemplateResponse(request, "no_office.html", told, status_code=404)

    async def say(self, request: Request, text: str, own_id: str) -> Response:
        """Takes a typed or tapped message and answers it."""
        refused = await self._refusal(request, "chat", text)
        if refused is not None:
            return refused
        visitor = self.door.visitor(request) or new_visitor()
        said = text[:MAX_TEXT].strip()
        if not said:
            return self._answered(request, visitor, Answer([], done=True))
        incoming = self._incoming(request, visitor, own_id, said)
        return self._answered(request, visitor, await self._answer(incoming))

    async def photo(self, request: Request, own_id: str) -> Response:
        """Takes a photo of the receipt: its codes are answered as if they were typed, the picture is forgotten."""
        refused = await self._refusal(request, "photo")
        if refused is not None:
            return refused
        try:
            reading = await self._photos.read(request, network_of(request))
        except UploadsBusyError:
            return await self._problem(request, 503, _T["busy"], wait=_BUSY_SECONDS)
        except UnreadableRequestError as error:
            told = _T["too_large"] if error.status == 413 else _T["no_photo"]
            return await self._problem(request, error.status, told)
        visitor = self.door.visitor(request) or new_visitor()
        incoming = self._incoming(
            request, visitor, own_id, "\n".join(reading.codes), kind="photo", problem=reading.problem
        )
        return self._answered(request, visitor, await self._answer(incoming))

    async def events(self, request: Request, after: str) -> Response:
        """The visitor's stream, from the last message that the page has."""
        visitor = self.door.visitor(request)
        if visitor is None:
            return Response(status_code=204)  # tells a browser not to come back
        wait = self._limits.wait("events", visitor, network_of(request))
        if wait:
            return Response(status_code=429, headers={"retry-after": str(wait)})
        known = (request.headers.get("last-event-id", ""), after)
        try:
            return self.streams.open(visitor, max(int(one) if _EVENT_ID.fullmatch(one) else 0 for one in known))
        except BusyError as error:
            return Response(status_code=429 if error.own else 503, headers={"retry-after": str(_BUSY_SECONDS)})

    async def _refusal(self, request: Request, kind: str, draft: str = "") -> Response | None:
        if not self.door.admits(request):
            return JSONResponse({"error": _T["foreign"]}, status_code=403)
        wait = self._limits.wait(kind, self.door.visitor(request), network_of(request))
        if wait:
            return await self._problem(request, 429, _T["too_often"], wait=wait, draft=draft)
        return None

    async def _problem(self, request: Request, status: int, text: str, *, wait: int = 0, draft: str = "") -> Response:
        told = text.format(seconds=wait)
        if _wants_json(request):
            response: Response = JSONResponse({"error": told}, status_code=status)
        else:
            response = await self.page(request, told, draft[:MAX_TEXT], status)
        if wait:
            response.headers["retry-after"] = str(wait)
        return response

    def _incoming(self, request: Request, visitor: str, own_id: str, text: str, **more: Any) -> Incoming:
        own = own_id if _MESSAGE_ID.fullmatch(own_id) else secrets.token_hex(12)
        message_id = shown.message_id(visitor, own)
        return Incoming(
            CHANNEL, visitor, message_id, text, self.service.clock(), network=network_of(request),
            account=self.door.office, **more,
        )  # fmt: skip

    async def _answer(self, incoming: Incoming) -> Answer:
        return await run_in_threadpool(_answer, self.service, incoming)

    def _answered(self, request: Request, visitor: str, answer: Answer) -> Response:
        if _wants_json(request):
            body = {"replies": answer.replies, "done": answer.done}
            response: Response = JSONResponse(body, status_code=200 if answer.done else 202)
        else:
            response = RedirectResponse(f"{self.door.page}#cuoi", 303)
        return self.door.remember(response, visitor, secure=self._secure)

    def _offices(self) -> list[tuple[str, str]]:
        """The addresses and names of the offices' own pages, told on the page that several share."""
        offices = self.service.talk.offices
        if self.door.framed or not self._is_common:
            return []
        return [(page_of(slug).path, offices.name(slug)) for slug in offices.slugs]

    @property
    def _is_common(self) -> bool:
        """Whether several offices answer here."""
        return self.service.talk.offices.several and self.door.office is None

    def _talk(self, visitor: str) -> shown.Shown:
        now = self.service.clock()
        with self.service.database.read() as session:
            talk = shown.talk(session, visitor, now)
        if talk.waiting:
            with self.service.database.write() as session:
                shown.mark_delivered(session, talk.waiting, now)
        return talk


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


def _answer(service: Service, incoming: Incoming) -> Answer:
    """Receives, works off and reads the reply back; a repeat of a message shows its first answer again."""
    inbox_id = service.receive(incoming)
    if inbox_id is None:
        inbox_id = service.inbox_id(incoming.channel, incoming.message_id)
    # Earlier messages of this visitor come first; another process may be at one of them.
    for _ in range(5):
        if service.is_done(inbox_id) or not service.work_off(only=inbox_id):
            break
    done = service.is_done(inbox_id) or service.wait_for(inbox_id)
    now = service.clock()
    with service.database.read() as session:
        told = shown.messages(session, incoming.sender, 0, now, inbox_id)
    if told.waiting:
        # The answer to this very request carries them: they are delivered with it.
        with service.database.write() as session:
            shown.mark_delivered(session, told.waiting, now)
    return Answer(list(told.bubbles), done)


def router(service: Service, templates: Jinja2Templates, streams: Streams) -> APIRouter:
    """The routes of all doors; the frames are there only where sites are named that may show them."""
    routes = APIRouter(include_in_schema=False)
    limits, photos = Limits(service.settings), Photos()

    def chat(door: Door) -> Chat:
        return Chat(door, service, templates, streams, limits, photos)

    framed = bool(service.settings.embed_origins)
    own_doors = ((OWN_PAGE, page_of), (FRAME, frame_of))
    for shared, of_office in own_doors if framed else own_doors[:1]:
        chats: dict[str | None, Chat] = {slug: chat(of_office(slug)) for slug in service.settings.offices}
        chats[None] = chat(shared)
        _add(routes, shared, chats)
        _add(routes, of_office("{slug}"), chats)

    @routes.get("/embed.js")
    @routes.get(f"{OFFICES}/{{slug}}/embed.js")
    async def embed(request: Request) -> Response:
        slug = request.path_params.get("slug")
        if not framed or slug not in {None, *service.settings.offices}:
            raise HTTPException(404)
        # Loaded by other sites, that is what it is for.
        headers = {"cache-control": "public, max-age=3600", "cross-origin-resource-policy": "cross-origin"}
        told = {"texts": _T["embed"], "page": (frame_of(slug) if slug else FRAME).path}
        return templates.TemplateResponse(request, "embed.js", told, media_type="text/javascript", headers=headers)

    @routes.get(f"{OFFICES}/{{slug}}/qr.svg")
    async def qr(request: Request, slug: str) -> Response:
        if slug not in service.settings.offices:
            raise HTTPException(404)
        base = (service.settings.public_base_url or str(request.base_url)).rstrip("/")
        picture = io.BytesIO()
        segno.make(base + page_of(slug).path, error="m", micro=False).save(picture, kind="svg", scale=4, border=2)
        return Response(picture.getvalue(), media_type="image/svg+xml")

    return routes


def _add(routes: APIRouter, door: Door, chats: Mapping[str | None, Chat]) -> None:
    """Adds the routes of a door, or of those of all offices alike ("{slug}" in its path); ``chats``: slug → chat."""
    path = door.path
    shared = chats[None]

    def of(request: Request) -> Chat | None:
        return chats.get(request.path_params.get("slug"))

    @routes.get(door.page, response_class=HTMLResponse)
    async def page(request: Request) -> Response:
        chat = of(request)
        return await chat.page(request) if chat else shared.no_office(request)

    @routes.post(f"{path}/chat")
    async def say(request: Request, text: str = Form(""), id: str = Form("")) -> Response:  # noqa: A002 - form field
        chat = of(request)
        return await chat.say(request, text, id) if chat else shared.no_office(request)

    @routes.post(f"{path}/chat/photo")
    async def photo(request: Request, id: str = "") -> Response:  # noqa: A002 - query parameter
        chat = of(request)
        return await chat.photo(request, id) if chat else shared.no_office(request)

    @routes.get(f"{path}/chat/events")
    async def events(request: Request, after: str = "") -> Response:
        chat = of(request)
        return await chat.events(request, after) if chat else shared.no_office(request)
