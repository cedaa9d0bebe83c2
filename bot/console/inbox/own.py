"""What an advisor sets for themselves: the name that citizens see, the chats where they are told who waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlmodel import Session

from bot.console import accounts
from bot.console.inbox.shown import channel_name
from bot.console.pages import Console, Signed
from bot.desk import alerts, queues
from bot.desk.messages import T
from bot.errors import BadInputError

MOST = 40


async def own_page(console: Console, request: Request, who: Signed, code: int = 200, **shown: Any) -> Response:
    """The page of one's own account; with name and chats for those who answer citizens."""

    def read(session: Session) -> dict[str, Any] | None:
        if not who.may("inbox"):
            return None
        return {
            "name": accounts.account(session, who.name).display_name or "",
            "shown": queues.shown_name(session, who.name),
            "chats": [
                {"id": chat.id, "channel": channel_name(chat.channel), "tail": chat.sender[-4:]}
                for chat in alerts.chats_of(session, who.name)
            ],
        }

    return console.page(request, "me.html", who, code, own=await console.read(read), **shown)


def router(console: Console) -> APIRouter:
    """The forms."""
    routes = APIRouter(prefix="/staff/me", include_in_schema=False)
    acts = console.posts("inbox")

    async def changed(request: Request, who: Signed, change: Callable[[Session], None]) -> Response:
        try:
            await console.write(change)
        except BadInputError as refused:
            return await own_page(console, request, who, 409, error=str(refused))
        return RedirectResponse("/staff/me", 303)

    @routes.post("/name")
    async def name(request: Request, who: Signed = acts, display_name: str = Form("")) -> Response:
        def change(session: Session) -> None:
            wanted = " ".join(display_name.split())
            if not 1 <= len(wanted) <= MOST or not wanted.isprintable():
                raise BadInputError(T["errors"]["name"])
            staff = accounts.account(session, who.name)
            before, staff.display_name = staff.display_name, wanted
            session.add(staff)
            accounts.audit(
                session, who.name, "display_name", who.name, console.clock(), before=before or "", after=wanted
            )

        return await changed(request, who, change)

    @routes.post("/chat")
    async def chat(request: Request, who: Signed = acts) -> Response:
        def make(session: Session) -> str:
            return alerts.new_code(session, console.settings, who.name, console.clock())

        return await own_page(console, request, who, code_to_send=await console.write(make))

    @routes.post("/chat/{chat_id:int}/remove")
    async def unlink(request: Request, chat_id: int, who: Signed = acts) -> Response:
        def change(session: Session) -> None:
            if chat_id < 2**62 and alerts.unlink(session, who.name, chat_id):
                accounts.audit(session, who.name, "chat_unlink", who.name, console.clock())

        return await changed(request, who, change)

    return routes
