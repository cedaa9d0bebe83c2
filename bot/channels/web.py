"""The front page: a chat that works with and without script. The browser's cookie is the sender."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates
from sqlmodel import Session, col, select
from starlette.concurrency import run_in_threadpool

from bot.catalog.office import hours_text
from bot.conversation.model import Incoming
from bot.conversation.wording import start_buttons
from bot.service import Service
from bot.storage.database import Database
from bot.storage.tables import Conversation, Outbox, Turn

COOKIE = "motcua_chat"
COOKIE_DAYS = 30
CHANNEL = "web"
MAX_TEXT = 4000
SHOWN_TURNS = 30
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,64}")
_MESSAGE_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


def same_origin(request: Request) -> bool:
    """Whether a form or fetch comes from our own page (a browser always says for POST)."""
    origin = request.headers.get("origin")
    if origin is None:
        return True  # no browser sent it; the cookie is SameSite=Lax besides
    return urlsplit(origin).netloc == request.headers.get("host")


def _visitor(request: Request) -> str | None:
    token = request.cookies.get(COOKIE, "")
    return token if _TOKEN.fullmatch(token) else None


def _with_cookie(response: Response, token: str, *, secure: bool) -> Response:
    response.set_cookie(
        COOKIE, token, max_age=COOKIE_DAYS * 86400, httponly=True, samesite="lax", secure=secure, path="/"
    )
    return response


def _history(session: Session, token: str) -> list[dict[str, Any]]:
    conversation = session.exec(
        select(Conversation).where(Conversation.channel == CHANNEL, Conversation.sender == token)
    ).first()
    if conversation is None:
        return []
    turns = session.exec(
        select(Turn).where(Turn.conversation_id == conversation.id).order_by(col(Turn.id).desc()).limit(SHOWN_TURNS)
    ).all()
    return [{"text": turn.text, "replies": turn.replies.get("replies", [])} for turn in reversed(turns)]


def _replies(session: Session, inbox_id: int, token: str) -> list[Mapping[str, Any]]:
    rows = session.exec(
        select(Outbox)
        .where(Outbox.inbox_id == inbox_id, Outbox.recipient == token, Outbox.channel == CHANNEL)
        .order_by(col(Outbox.id))
    ).all()
    return [{"id": row.id, **row.body} for row in rows]


def router(service: Service, templates: Jinja2Templates) -> APIRouter:
    """The pages and calls of the chat."""
    routes = APIRouter(include_in_schema=False)
    settings, database = service.settings, service.database
    secure = (settings.public_base_url or "").startswith("https://")

    @routes.get("/", response_class=HTMLResponse)
    async def page(request: Request) -> Response:
        token = _visitor(request)
        history = await run_in_threadpool(_read, database, token) if token else []
        desk = service.talk.desk(service.clock())
        response = templates.TemplateResponse(
            request,
            "chat.html",
            {
                "office": desk.office,
                "hours": hours_text(desk.office, desk.today),
                "history": history,
                "start": start_buttons(),
                "demo": settings.demo,
                "zalo_verification": settings.zalo_site_verification,
            },
        )
        return _with_cookie(response, token or secrets.token_urlsafe(32), secure=secure)

    @routes.post("/chat")
    async def say(request: Request, text: str = Form(""), id: str = Form("")) -> Response:  # noqa: A002 - form field
        wants_json = "application/json" in request.headers.get("accept", "")
        if not same_origin(request):
            return JSONResponse({"error": "Yêu cầu không hợp lệ."}, status_code=403)
        token = _visitor(request) or secrets.token_urlsafe(32)
        said = text[:MAX_TEXT].strip()
        if not said:
            return _with_cookie(
                JSONResponse({"replies": []}) if wants_json else RedirectResponse("/", 303), token, secure=secure
            )
        message = f"{token[:12]}:{id if _MESSAGE_ID.fullmatch(id) else secrets.token_hex(12)}"
        network = request.client.host if request.client else None
        incoming = Incoming(CHANNEL, token, message, said, service.clock(), network=network)
        replies = await run_in_threadpool(_answer, service, incoming)
        if wants_json:
            return _with_cookie(JSONResponse({"replies": replies}), token, secure=secure)
        return _with_cookie(RedirectResponse("/#cuoi", 303), token, secure=secure)

    return routes


def _read(database: Database, token: str) -> list[dict[str, Any]]:
    with database.read() as session:
        return _history(session, token)


def _answer(service: Service, incoming: Incoming) -> list[Mapping[str, Any]]:
    """Receives, works off and reads the reply back; a repeat of a message shows its first answer again."""
    inbox_id = service.receive(incoming)
    if inbox_id is None:
        inbox_id = service.inbox_id(incoming.channel, incoming.message_id)
    # Earlier messages of this visitor come first; another process may be at one of them.
    for _ in range(5):
        if service.is_done(inbox_id) or not service.work_off(only=inbox_id):
            break
    if not service.is_done(inbox_id):
        service.wait_for(inbox_id)
    with service.database.write() as session:
        replies = _replies(session, inbox_id, incoming.sender)
        for row in session.exec(select(Outbox).where(Outbox.inbox_id == inbox_id, Outbox.state == "waiting")).all():
            # The answer to this very request carries them: they are delivered with it.
            row.state, row.sent_at = "delivered", service.clock()
            session.add(row)
    return replies
