"""The words of notices: each template with its number of SMS as it is typed, tried out, stored, taken back."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from sqlmodel import Session, col, select

from bot.clock import local
from bot.console import accounts
from bot.console.notices import rows
from bot.console.notices.board import office_name
from bot.console.numbers import typed_number
from bot.console.pages import Console, Signed
from bot.errors import BadInputError
from bot.notices import templates, wording
from bot.notices.gsm7 import BASIC, EXTENSION, segments
from bot.settings import SmsGateway
from bot.storage.tables import Audit
from bot.texts import phrases

HISTORY = 20
# What the script needs to count as the server does; one source for both.
COUNTING = json.dumps(
    {
        "basic": "".join(sorted(BASIC)),
        "extension": "".join(sorted(EXTENSION)),
        "neutral": templates.NEUTRAL,
        "longest": dict(templates.LONGEST),
    },
    ensure_ascii=False,
)


def add(routes: APIRouter, console: Console) -> None:
    """The list of templates, and the page of each."""
    reads = console.needs("notices")
    tries = console.posts("notices")
    manages = console.posts("notices.words")
    settings, clock, said = console.settings, console.clock, phrases("desk")

    def office_of(who: Signed) -> str:
        return office_name(settings, who.office)

    async def page(
        request: Request, who: Signed, name: str, typed: wording.Words | None = None, code: int = 200, **shown: Any
    ) -> Response:
        if name not in templates.templates():
            return await listing(request, who, 404, error=said["no_template"].format(name=name[:40]))

        def read(session: Session) -> tuple[wording.Words, list[dict[str, Any]]]:
            return wording.words(session, name), _history(session, name)

        stored, history = await console.read(read)
        words = typed or stored
        return console.page(
            request, "notice_template.html", who, code, words=words, stored=stored, history=history,
            label=said["templates"].get(name, name), preview=_preview(words, office_of(who)),
            most=wording.MOST_SEGMENTS,
            field_names=said["fields"], counting=COUNTING, at=rows.moment(stored.at) if stored.by else "",
            esms=settings.sms_goes_through is SmsGateway.ESMS, typed=typed is not None,
            longest_sms=wording.LONGEST_SMS, longest_chat=wording.LONGEST_CHAT, **shown,
        )  # fmt: skip

    async def listing(request: Request, who: Signed, code: int = 200, **shown: Any) -> Response:
        def read(session: Session) -> list[dict[str, Any]]:
            return [
                {
                    "name": one.name,
                    "label": said["templates"].get(one.name, one.name),
                    "changed": one.changed,
                    "by": one.by,
                    "at": rows.moment(one.at) if one.by else "",
                    "preview": _preview(one, office_of(who)),
                }
                for one in wording.all_words(session)
            ]

        return console.page(request, "notice_templates.html", who, code, rows=await console.read(read), **shown)

    @routes.get("/templates", response_class=HTMLResponse)
    async def all_templates(request: Request, who: Signed = reads) -> Response:
        return await listing(request, who)

    @routes.get("/templates/{name}", response_class=HTMLResponse)
    async def template(request: Request, name: str, who: Signed = reads, done: str = "") -> Response:
        note = {"saved": "template_saved", "reset": "template_reset"}.get(done)
        return await page(request, who, name, done=said[note].format(name=name) if note else "")

    @routes.post("/templates/{name}/preview")
    async def preview(
        name: str, who: Signed = tries, sms: str = Form(""), chat: str = Form(""), segments: str = Form("")
    ) -> JSONResponse:
        if name not in templates.templates():
            return JSONResponse({"error": said["no_template"].format(name=name[:40])}, 404)
        stored = await console.read(lambda session: wording.words(session, name))
        return JSONResponse(_preview(wording.typed_words(stored, sms, chat, _number(segments)), office_of(who)))

    @routes.post("/templates/{name}")
    async def save(
        request: Request,
        name: str,
        who: Signed = manages,
        sms: str = Form(""),
        chat: str = Form(""),
        segments: str = Form(""),
        version: str = Form(""),
        do: str = Form("save"),
    ) -> Response:
        if name not in templates.templates():
            return await page(request, who, name)
        stored = await console.read(lambda session: wording.words(session, name))
        typed = wording.typed_words(stored, sms, chat, _number(segments))
        if do == "preview":
            return await page(request, who, name, typed, opened=_number(version))

        def change(session: Session) -> None:
            before, after = wording.save(
                session, name, sms=sms, chat=chat, segments=_number(segments), version=_number(version),
                by=who.name, now=clock(),
            )  # fmt: skip
            accounts.audit(session, who.name, "notice_template", name, clock(), before=before.told, after=after.told)

        try:
            await console.write(change)
        except wording.ChangedMeanwhileError as other:
            return await page(request, who, name, typed, 409, error=str(other), meanwhile=True)
        except BadInputError as refused:
            return await page(request, who, name, typed, 409, error=str(refused), opened=_number(version))
        return RedirectResponse(f"/staff/notices/templates/{name}?done=saved", 303)

    @routes.post("/templates/{name}/reset")
    async def reset(request: Request, name: str, who: Signed = manages, version: str = Form("")) -> Response:
        if name not in templates.templates():
            return await page(request, who, name)

        def change(session: Session) -> None:
            before, after = wording.back_to_file(session, name, version=_number(version), by=who.name, now=clock())
            accounts.audit(
                session, who.name, "notice_template_reset", name, clock(), before=before.told, after=after.told
            )

        try:
            await console.write(change)
        except BadInputError as refused:
            return await page(request, who, name, code=409, error=str(refused))
        return RedirectResponse(f"/staff/notices/templates/{name}?done=reset", 303)


def _number(typed: str) -> int:
    """A small whole number; -1 for anything else, which no version and no number of SMS is."""
    number = typed_number(typed, 9)
    return -1 if number is None else number


def _preview(words: wording.Words, office: str) -> dict[str, Any]:
    """The texts with example fields, what SMS they need now and at the most, and what is wrong with them."""
    wrong = wording.faults(words)
    told: dict[str, Any] = {"faults": wrong, "sms": "", "chat": "", "now": {}, "longest": {}, "marked": {}}
    if any(name not in words.fields for name in templates.used_fields(words.sms) | templates.used_fields(words.chat)):
        return told
    fields = {**templates.EXAMPLE, "office": office}
    try:
        told["sms"] = templates.render(words.name, fields, "sms", words.template)
        told["chat"] = templates.render(words.name, fields, "chat", words.template)
    except (ValueError, IndexError):  # a lone brace
        return told
    longest = templates.longest(words.sms)
    for key, size in (("now", segments(told["sms"])), ("longest", longest), ("marked", segments(words.sms))):
        told[key] = {"encoding": size.encoding, "units": size.units, "count": size.count}
    return told


def _history(session: Session, name: str) -> list[dict[str, Any]]:
    actions = ("notice_template", "notice_template_reset")
    changes = session.exec(
        select(Audit)
        .where(col(Audit.action).in_(actions), Audit.subject == name)
        .order_by(col(Audit.id).desc())
        .limit(HISTORY)
    )
    return [
        {
            "by": one.staff,
            "at": f"{local(one.at):{rows.LONG}}",
            "reset": one.action == actions[1],
            "before": dict(one.detail.get("before") or {}),
            "after": dict(one.detail.get("after") or {}),
        }
        for one in changes
    ]
