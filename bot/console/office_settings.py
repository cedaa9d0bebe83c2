"""Settings that staff switch on the console, each with its default and the words that explain it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session

from bot.console import accounts
from bot.console.pages import Console, Signed
from bot.errors import BadInputError
from bot.storage.tables import OfficeSetting
from bot.texts import phrases


@dataclass(frozen=True, slots=True)
class Kind:
    """A setting: a switch where ``default`` is a bool, else a whole number between ``least`` and ``most``."""

    default: bool | int
    least: int = 0
    most: int = 0


SETTINGS: Mapping[str, Kind] = MappingProxyType(
    {
        # Inbox. See the texts "settings" in bot/texts/console.yml for what each says to staff.
        "approve_unsure": Kind(default=False),
        "approve_below_percent": Kind(90, 50, 100),
        "approve_minutes": Kind(10, 1, 120),
        "return_after_minutes": Kind(15, 2, 240),
        "alert_after_minutes": Kind(5, 1, 120),
        # Procedures.
        "four_eyes": Kind(default=True),
        # Models: how many points of accuracy a kind may lose at most for a candidate to be promoted.
        "worse_at_most_points": Kind(1, 0, 20),
        # Survey after a result is returned.
        "survey": Kind(default=True),
        # How long the code of a result that nobody fetched stays on the board in the hall.
        "board_days": Kind(7, 1, 90),
    }
)


def setting(session: Session, key: str) -> Any:
    """The value of a setting: a bool or a whole number.

    Raises:
        KeyError: there is no such setting.
    """
    kind = SETTINGS[key]
    row = session.get(OfficeSetting, key)
    return row.value.get("value", kind.default) if row else kind.default


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
    accounts.audit(session, by, "setting", key, now, before=before, after=value)


def router(console: Console) -> APIRouter:
    """The page of settings and its form."""
    routes = APIRouter(prefix="/staff/settings", include_in_schema=False)
    reads = console.needs("staff")
    acts = console.posts("staff")

    async def page(request: Request, who: Signed, code: int = 200, **shown: Any) -> Response:
        def read(session: Session) -> list[dict[str, Any]]:
            told = phrases("console")["settings"]
            return [
                {
                    "key": key,
                    **told[key],
                    "value": setting(session, key),
                    "kind": kind,
                    "switch": kind.default in (True, False) and isinstance(kind.default, bool),
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
