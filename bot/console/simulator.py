"""The phone simulator of the demonstration: what the invented phones got."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from sqlmodel import Session, col, select

from bot.clock import local
from bot.console.pages import Console
from bot.logs import mask
from bot.storage.tables import Outbox


def router(console: Console) -> APIRouter:
    """The page of the phones, where the demonstration runs."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/simulator", response_class=HTMLResponse)
    async def simulator(request: Request) -> Response:
        if not console.settings.demo:
            raise HTTPException(404)
        return console.templates.TemplateResponse(request, "simulator.html", {"phones": await console.read(sms_shown)})

    return routes


def sms_shown(session: Session, limit: int = 60) -> dict[str, list[dict[str, Any]]]:
    """What the phone simulator shows: masked number → its SMS, newest first."""
    rows = session.exec(
        select(Outbox)
        .where(Outbox.channel == "sms", Outbox.gateway == "simulator", col(Outbox.sent_at).is_not(None))
        .order_by(col(Outbox.sent_at).desc(), col(Outbox.id).desc())
        .limit(limit)
    ).all()
    phones: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        at = f"{local(row.sent_at):%H:%M %d/%m/%Y}" if row.sent_at else ""
        phones.setdefault(mask(row.recipient), []).append({"text": row.body.get("text", ""), "at": at})
    return phones
