"""One dossier: where it stands, what its owner was told, what may be done; a scan sets "có kết quả" with one key."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session, col, select

from bot.catalog.catalog import Catalog
from bot.clock import local
from bot.console import accounts
from bot.console.dossiers.listing import ShowList, procedure_name, scanned_path
from bot.console.dossiers.pile import told
from bot.console.notices import rows
from bot.console.notices.board import VERDICTS
from bot.console.numbers import typed_number
from bot.console.pages import Console, Signed
from bot.dossiers import listing, registry, scanning, status
from bot.dossiers.records import dossier_code, moment, short_text
from bot.dossiers.undo import undo, undoable
from bot.errors import BadInputError
from bot.logs import mask
from bot.notices import consent, overview
from bot.settings import Settings
from bot.storage.tables import Consent, Dossier, Preference, StatusChange
from bot.texts import phrases
from nlu.codes import is_canonical

_NOTES = ("set_ready", "moved", "due_set", "undone", "resolved")


class _MovedMeanwhileError(BadInputError):
    """Somebody else changed the dossier after the page was opened."""


def add(routes: APIRouter, console: Console, show_list: ShowList) -> None:
    """The page of one dossier and its forms. ``show_list`` answers for forms that stand on the list."""
    reads = console.needs("dossiers")
    acts = console.posts("dossiers.move")
    settings, clock, said = console.settings, console.clock, phrases("desk")

    async def page(
        request: Request, who: Signed, code: str, done: str = "", error: str = "", answer: int = 200, about: str = ""
    ) -> Response:
        catalog, now = console.service.talk.desk(clock()).catalog, clock()
        found = await console.read(lambda session: _shown(session, code, catalog, settings, now))
        if found is None:
            shown = code if is_canonical(code) else "?"
            return await show_list(request, who, said["scan_unknown"].format(code=shown), 404)
        return console.page(
            request, "dossier.html", who, answer, **found, done=_note(done, about, found), error=error,
            verdicts={name: said["verdicts"][name] for name in VERDICTS},
        )  # fmt: skip

    async def settled(
        request: Request, who: Signed, code: str, back: str, change: Callable[[Session], str]
    ) -> Response:
        """Runs a change, which tells what it did ("" for nothing), and goes back to where its form stood."""
        try:
            did = await console.write(change)
        except BadInputError as refused:
            if back == "dossier":
                return await page(request, who, code, error=str(refused), answer=409)
            return await show_list(request, who, str(refused), 409)
        if not did:
            unchanged = phrases("console")["unchanged"].format(code=code[:48])
            if back == "dossier":
                return await page(request, who, code, error=unchanged, answer=409)
            return await show_list(request, who, unchanged, 409)
        if back == "dossier":
            return RedirectResponse(f"/staff/dossiers/{code}?done={did}", 303)
        return RedirectResponse(f"/staff/dossiers?done={code}", 303)

    @routes.post("/scanned")
    async def scanned(request: Request, who: Signed = acts, code: str = Form(""), current: str = Form("")) -> Response:
        # A code opens its dossier; Enter alone, with the field empty, sets the one that is open.
        if code.strip():
            return RedirectResponse(scanned_path(code), 303)

        def change(session: Session) -> str:
            now, wanted = clock(), dossier_code(current)
            line = scanning.set_ready(session, wanted, by=who.name, settings=settings, now=now)
            if line.state != scanning.DONE:
                raise BadInputError(said["not_ready"].format(code=wanted, why=told(line)["told"]))
            accounts.audit(session, who.name, "set_status", wanted, now, before=line.before, after=line.status)
            return "set_ready"

        return await settled(request, who, current[:48], "dossier", change)

    @routes.get("/{code}", response_class=HTMLResponse)
    async def dossier(request: Request, code: str, who: Signed = reads, done: str = "", about: str = "") -> Response:
        return await page(request, who, code, done, about=about)

    @routes.post("/{code}/status")
    async def move(
        request: Request,
        code: str,
        who: Signed = acts,
        to: str = Form(""),
        was: str = Form(""),
        note: str = Form(""),
        back: str = Form(""),
    ) -> Response:
        def change(session: Session) -> str:
            now = clock()
            wanted = typed_number(to, 2)
            if wanted is None:
                raise BadInputError(said["status_missing"])
            before = _status_is(session, code, was)
            words = short_text("note", note, 500)
            made = registry.set_status(
                session, code, wanted, by=who.name, note=words, settings=settings, now=now, staff=True
            )
            if made.kind == "unchanged":
                return ""
            accounts.audit(session, who.name, "set_status", code, now, before=before, after=wanted)
            return "moved"

        return await settled(request, who, code, back, change)

    @routes.post("/{code}/due")
    async def postpone(
        request: Request,
        code: str,
        who: Signed = acts,
        due: str = Form(""),
        was: str = Form(""),
        back: str = Form(""),
    ) -> Response:
        def change(session: Session) -> str:
            now = clock()
            wanted = moment("due_at", due)
            if wanted is None:
                raise BadInputError(phrases("console")["due_missing"])
            before = _due_is(session, code, was)
            made = registry.postpone(session, code, wanted, by=who.name, settings=settings, now=now)
            if made.kind == "unchanged":
                return ""
            after = f"{local(wanted):%Y-%m-%d %H:%M}"
            accounts.audit(session, who.name, "postpone", code, now, before=before, after=after)
            return "due_set"

        return await settled(request, who, code, back, change)

    @routes.post("/{code}/undo")
    async def take_back(
        request: Request, code: str, who: Signed = acts, change: str = Form(""), back: str = Form("dossier")
    ) -> Response:
        def work(session: Session) -> str:
            now = clock()
            number = typed_number(change) or 0
            undone = undo(session, code, number, by=who.name, settings=settings, now=now)
            accounts.audit(session, who.name, "undo_status", code, now, before=undone.after, after=undone.before)
            return "undone"

        return await settled(request, who, code, back, work)


def _status_is(session: Session, code: str, was: str) -> int | None:
    """The status a dossier is in, which must be the one the person saw (where the form tells it).

    Raises:
        BadInputError: somebody else has moved it.
    """
    dossier = session.get(Dossier, code, with_for_update=True)
    if dossier is None:
        return None  # the registry says so
    if was and was != str(dossier.status):
        last = session.exec(
            select(StatusChange).where(StatusChange.dossier_code == code).order_by(col(StatusChange.id).desc()).limit(1)
        ).first()
        said = phrases("desk")
        raise _MovedMeanwhileError(
            said["moved_meanwhile"].format(
                by=(last and last.by) or said["someone"], code=code, status=dossier.status,
                name=status.STATUSES[dossier.status].name, at=rows.moment(dossier.updated_at),
            )
        )  # fmt: skip
    return dossier.status


def _due_is(session: Session, code: str, was: str) -> str:
    """The date of a dossier, which must be the one the person saw (where the form tells it).

    Raises:
        BadInputError: somebody else has changed it.
    """
    dossier = session.get(Dossier, code, with_for_update=True)
    now = f"{local(dossier.due_at):%Y-%m-%d %H:%M}" if dossier and dossier.due_at else ""
    if dossier is not None and was and was != now:
        raise _MovedMeanwhileError(phrases("desk")["due_meanwhile"].format(code=code, due=rows.moment(dossier.due_at)))
    return now


def _note(done: str, about: str, found: dict[str, Any]) -> str:
    """What a form has just done; a link may carry anything, so only known words are shown."""
    if done not in _NOTES:
        return ""
    return str(phrases("desk")[done]).format(
        code=found["dossier_code"],
        status=found["status"],
        name=found["status_name"],
        id=about[:19] if about.isascii() and about.isdigit() else "?",
    )


def _shown(session: Session, code: str, catalog: Catalog, settings: Settings, now: datetime) -> dict[str, Any] | None:
    dossier = session.get(Dossier, code)
    if dossier is None:
        return None
    said = phrases("desk")
    last = undoable(session, dossier, settings, now)
    return {
        "dossier_code": dossier.code,
        "procedure": procedure_name(catalog, dossier.procedure),
        "status": dossier.status,
        "status_name": status.STATUSES[dossier.status].name,
        "may_become_ready": status.may_become_ready(dossier.status),
        "next": [(number, status.STATUSES[number].name) for number in status.staff_moves(dossier.status)],
        "received": rows.moment(dossier.received_at) or "–",
        "due": rows.moment(dossier.due_at) or "–",
        "due_was": f"{local(dossier.due_at):%Y-%m-%d %H:%M}" if dossier.due_at else "",
        "late": listing.is_late(dossier, now),
        "open": dossier.status in status.OPEN,
        "office": dossier.office or "–",
        "return_mode": said["return_modes"].get(dossier.return_mode, dossier.return_mode),
        "note": dossier.note or "",
        "demo": dossier.demo,
        "undo": last
        and {
            "change": last.change,
            "before": last.before,
            "name": status.STATUSES[last.before].name,
            "minutes": max(math.ceil((last.until - now).total_seconds() / 60), 0),
            "notices": last.notices,
        },
        "history": _history(session, code),
        "notices": rows.shown(overview.of_dossier(session, code)),
        "consents": _consents(session, dossier),
        "sms": said["may_sms"].format(phone=mask(dossier.phone or ""))
        if consent.may_sms(session, dossier, settings)
        else said["may_not_sms"],
    }


def _history(session: Session, code: str) -> list[dict[str, str]]:
    said = phrases("desk")
    changes = session.exec(
        select(StatusChange).where(StatusChange.dossier_code == code).order_by(col(StatusChange.id).desc()).limit(100)
    )
    return [
        {
            "at": rows.moment(one.at),
            "after": f"{one.after}. {status.STATUSES[one.after].name}" if one.before != one.after else "",
            "by": one.by or said["sources"].get(one.source, one.source),
            "how": said["sources"].get(one.source, one.source),
            "note": one.note or "",
        }
        for one in changes
    ]


def _consents(session: Session, dossier: Dossier) -> list[dict[str, str]]:
    """What was said about notices of this dossier, and by its phone about all, the newest first."""
    said, found = phrases("desk"), []
    for one in session.exec(select(Consent).where(Consent.dossier_code == dossier.code)):
        words = said["consent_given" if one.given else "consent_ended"]
        found.append((one.at, one.channel, one.recipient, words, one.evidence))
    wishes = session.exec(select(Preference).where(Preference.dossier_code == dossier.code)).all()
    if dossier.phone:
        wishes = [
            *wishes,
            *session.exec(
                select(Preference).where(
                    Preference.channel == consent.SMS, Preference.recipient == dossier.phone,
                    Preference.dossier_code == "",
                )
            ),
        ]  # fmt: skip
    for wish in wishes:
        which = ("wants_" if wish.wants else "refuses_") + ("one" if wish.dossier_code else "all")
        found.append((wish.at, wish.channel, wish.recipient, said[which], wish.evidence))
    return [
        {
            "at": rows.moment(at),
            "channel": rows.channel_name(channel),
            "recipient": rows.masked(recipient),
            "told": words,
            "evidence": mask(evidence),
        }
        for at, channel, recipient, words, evidence in sorted(found, key=lambda one: one[0], reverse=True)
    ]
