"""The pages of notices: queue, list, spend, pauses, tests; and the words of the templates."""

from __future__ import annotations

from fastapi import APIRouter

from bot.console.notices import board, editor
from bot.console.pages import Console


def router(console: Console) -> APIRouter:
    """All pages below /staff/notices."""
    routes = APIRouter(prefix="/staff/notices", include_in_schema=False)
    editor.add(routes, console)
    board.add(routes, console)
    return routes
