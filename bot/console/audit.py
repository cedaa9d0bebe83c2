"""The log of all changes: who, what, when, before and after; newest first, a page at a time."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlmodel import Session, col, select

from bot.clock import local
from bot.console.pages import Console, Signed
from bot.storage.tables import Audit
from bot.texts import phrases

PAGE = 100


def router(console: Console) -> APIRouter:
    """The page of the log."""
    routes = APIRouter(prefix="/staff/audit", include_in_schema=False)
    reads = console.needs("audit")

    @routes.get("", response_class=HTMLResponse)
    async def log(request: Request, who: Signed = reads, before: int = 0, of: str = "") -> Response:
        names = phrases("console")["actions"]

        def read(session: Session) -> list[dict[str, Any]]:
            query = select(Audit).order_by(col(Audit.id).desc()).limit(PAGE)
            if before > 0:
                query = query.where(col(Audit.id) < before)
            if of:
                query = query.where(col(Audit.staff) == of[:64])
            return [
                {
                    "id": row.id,
                    "at": f"{local(row.at):%d/%m/%Y %H:%M:%S}",
                    "staff": row.staff,
                    "action": names.get(row.action, row.action),
                    "subject": row.subject,
                    "detail": "; ".join(f"{key}: {_shown(value)}" for key, value in row.detail.items()),
                }
                for row in session.exec(query)
            ]

        rows = await console.read(read)
        more = rows[-1]["id"] if len(rows) == PAGE else None
        return console.page(request, "audit.html", who, rows=rows, more=more, of=of)

    return routes


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
