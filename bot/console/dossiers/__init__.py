"""The pages of dossiers: the list, one dossier, a pile of results scanned at once."""

from __future__ import annotations

from fastapi import APIRouter

from bot.console.dossiers import dossier, listing, pile
from bot.console.pages import Console


def router(console: Console) -> APIRouter:
    """All pages below /staff/dossiers."""
    routes = APIRouter(prefix="/staff/dossiers", include_in_schema=False)
    show_list = listing.add(routes, console)
    pile.add(routes, console)
    dossier.add(routes, console, show_list)  # last: its addresses fit everything
    return routes
