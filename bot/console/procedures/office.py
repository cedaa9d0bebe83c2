"""The office's own facts on the console: hours, counters, address, days off, and its province's fees, as forms."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from bot.catalog.answers import Desk
from bot.console.pages import Console, Signed
from bot.console.procedures import forms
from bot.console.procedures.editor import Editor
from bot.console.procedures.listing import Known, describe, known, look_reasons
from bot.edits.parts import OFFICE, model_of, of_office, value_of
from bot.texts import phrases

_T = phrases("procedures")


def router(console: Console) -> APIRouter:
    """The page of the office and the forms of its parts."""
    routes = APIRouter(prefix="/staff/office", include_in_schema=False)
    reads, acts = console.needs("procedures"), console.posts("procedures.edit")
    edits_only = console.needs("procedures.edit")
    service, slug = console.service, console.settings.office
    editor = Editor(console, service.base, service.edits.refresh)

    def base() -> Desk:
        now: datetime = console.clock()
        return service.base(now)

    async def read() -> Known:
        return await console.read(lambda session: known(session, base(), slug))

    @routes.get("", response_class=HTMLResponse)
    async def office(request: Request, who: Signed = reads, done: str = "", refused: str = "") -> Response:
        return await shown(request, who, done=_T["done"].get(done, ""), error=_T["refused"].get(refused, ""))

    async def shown(request: Request, who: Signed, code: int = 200, **more: object) -> Response:
        found = await read()
        parts = []
        for key, part in OFFICE.items():
            subject = of_office(found.base, slug, part)
            model = model_of(found.told.desk, subject)
            value = value_of(model, part) if model is not None else {}
            rows = [row for row in found.of(subject) if row.part == key]
            described = [describe(row, found, editor, found.base) for row in rows]
            lines = forms.lines_of(editor.specs(part, found.base), value)
            parts.append(
                {
                    "key": key, "name": _T["parts"][key], "lines": lines,
                    "pending": [one for one in described if one["state"] == "proposed"],
                    "active": [one for one in described if one["state"] in {"active", "coming", "left_out"}],
                    "history": described,
                }
            )  # fmt: skip
        subjects = dict.fromkeys(of_office(found.base, slug, part) for part in OFFICE.values())
        look = [line for subject in subjects for line in look_reasons(found, subject, found.base, slug)]
        return console.page(
            request, "office.html", who, code, office=found.told.desk.office, province=found.told.desk.province,
            office_parts=parts, look=look, four_eyes=found.four_eyes, **more,
        )  # fmt: skip

    @routes.get("/{key}", response_class=HTMLResponse)
    async def edit(request: Request, key: str, who: Signed = edits_only) -> Response:
        if key not in OFFICE:
            return await shown(request, who, 404, error=_T["refused"]["no_part"])
        subject = of_office(base(), slug, OFFICE[key])
        page = await editor.show(request, who, subject, OFFICE[key], "/staff/office")
        return page or RedirectResponse("/staff/office", 303)

    @routes.post("/{key}")
    async def change(request: Request, key: str, who: Signed = acts) -> Response:
        if key not in OFFICE:
            return await shown(request, who, 404, error=_T["refused"]["no_part"])
        subject = of_office(base(), slug, OFFICE[key])
        page = await editor.take(request, who, subject, OFFICE[key], "/staff/office")
        return page or RedirectResponse("/staff/office", 303)

    return routes
