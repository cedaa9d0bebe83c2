"""The page where staff switch the settings (``bot.storage.switches``), with the words that explain each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session

from bot.console import accounts
from bot.console.pages import Console, Signed
from bot.errors import BadInputError
from bot.storage.switches import SETTINGS, setting
from bot.storage.tables import OfficeSetting
from bot.texts import phrases


def switch(session: Session, key: str, value: bool | int, by: str, now: datetime) -> None:  # noqa: FBT001
    """Sets a setting and writes the audit log.

    Raises:
        BadInputError: there is no such setting, or the value is none it can have.
    """
    kind = SETTINGS.get(key)
    if kind is None:
        raise BadInputError(f"không có cài đặt {key!r}")
    if isinstance(value, bool) is not isinstance(kind.default, bool):
        raise BadInputError(f"{key}: giá trị {value!r} không đúng loại")
    if not isinstance(kind.default, bool) and not kind.least <= value <= kind.most:
        told = phrases("console")["settings"][key]["name"]
        raise BadInputError(f"{told}: cần số từ {kind.least} đến {kind.most}")
    before = setting(session, key)
    if before == value:
        return
    session.merge(OfficeSetting(key=key, value={"value": value}, by=by, at=now))
    session.flush()
    accounts.audit(session, by, "setting", key, now, before=before, after=value)


def router(console: Console) -> APIRouter:
    """The page of settings and its form."""
    routes = APIRouter(prefix="/staff/settings", include_in_schema=False)
    reads = console.needs("settings")
    acts = console.posts("settings")

    async def page(request: Request, who: Signed, code: int = 200, **shown: Any) -> Response:
        def read(session: Session) -> list[dict[str, Any]]:
            told = phrases("console")["settings"]
            return [
                {
                    "key": key,
                    **told[key],
                    "value": setting(session, key),
                    "kind": kind,
                    "switch": isinstance(kind.default, bool),
                }
                for key, kind in SETTINGS.items()
            ]

        return console.page(request, "settings.html", who, code, rows=await console.read(read), **shown)

    @routes.get("", response_class=HTMLResponse)
    async def settings_page(request: Request, who: Signed = reads, done: str = "") -> Response:
        return await page(request, who, done=phrases("console")["saved"] if done == "1" else "")

    @routes.post("")
    async def change(request: Request, who: Signed = acts) -> Response:
        form = await request.form()

        def write(session: Session) -> None:
            for key, kind in SETTINGS.items():
                given = str(form.get(key, "")).strip()
                if isinstance(kind.default, bool):
                    switch(session, key, given == "1", who.name, console.clock())
                elif given.isascii() and given.isdigit():
                    switch(session, key, int(given[:9]), who.name, console.clock())
                else:
                    told = phrases("console")["settings"][key]["name"]
                    raise BadInputError(f"{told}: cần số từ {kind.least} đến {kind.most}")

        try:
            await console.write(write)
        except BadInputError as refused:
            return await page(request, who, 409, error=str(refused))
        return RedirectResponse("/staff/settings?done=1", 303)

    return routes
