"""Procedures on the console: the list with filters, one procedure as citizens see it, its history, who decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session, col, select
from starlette.concurrency import run_in_threadpool

from bot.catalog.answers import Desk, month, source_line
from bot.catalog.schema import Aspect, Procedure
from bot.clock import local
from bot.console.office_settings import setting
from bot.console.pages import Console, Signed
from bot.console.procedures import forms, previews
from bot.console.procedures.editor import Editor, compared, record
from bot.edits import store
from bot.edits.apply import Applied, Edit, apply, trial
from bot.edits.parts import FACTS, NEW, PARTS, VERIFIED, digest, fact_digests, part_of
from bot.errors import BadInputError
from bot.storage.tables import FactEdit
from bot.texts import phrases
from nlu.normalize import prepare

_T = phrases("procedures")
FILTERS = tuple(_T["filters"])


@dataclass(frozen=True)
class Known:
    """All that the pages show, read in one transaction: what is told today and all that was changed."""

    base: Desk
    told: Applied
    edits: Sequence[Edit]
    rows: Mapping[str, Sequence[FactEdit]]  # subject → its edits, newest first
    four_eyes: bool

    def of(self, subject: str) -> Sequence[FactEdit]:
        """The edits of a procedure, office or province, newest first."""
        return self.rows.get(subject, ())


def known(session: Session, base: Desk, office: str) -> Known:
    """Reads everything."""
    rows: dict[str, list[FactEdit]] = {}
    for row in session.exec(select(FactEdit).order_by(col(FactEdit.id).desc())):
        rows.setdefault(row.subject, []).append(row)
    edits = store.active(session)
    return Known(base, apply(base, edits, office), edits, rows, bool(setting(session, "four_eyes")))


def router(console: Console) -> APIRouter:
    """The pages of procedures and the forms on them."""
    routes = APIRouter(prefix="/staff/procedures", include_in_schema=False)
    reads, acts = console.needs("procedures"), console.posts("procedures.edit")
    edits_only = console.needs("procedures.edit")
    service, clock, office = console.service, console.clock, console.settings.office

    def base() -> Desk:
        return service.base(clock())

    editor = Editor(console, service.base, service.edits.refresh)

    async def read() -> Known:
        return await console.read(lambda session: known(session, base(), office))

    @routes.get("", response_class=HTMLResponse)
    async def index(
        request: Request, who: Signed = reads, q: str = "", field: str = "", show: str = "all", done: str = ""
    ) -> Response:
        return listing(request, who, await read(), q, field, show, done=_T["done"].get(done, ""))

    def listing(
        request: Request, who: Signed, found: Known, q: str = "", field: str = "", show: str = "all",
        code: int = 200, **shown: Any,
    ) -> Response:  # fmt: skip
        words = prepare(q.strip()[:100]).words
        catalog = found.told.desk.catalog
        rows = [entry(found, procedure) for procedure in catalog.procedures.values()]
        waiting = [row for listed in found.rows.values() for row in listed if row.state == "proposed"]
        counts = {key: sum(key == "all" or bool(row[key]) for row in rows) for key in FILTERS}
        counts["waiting"] = len({row.subject for row in waiting if ":" not in row.subject})
        chosen = [
            row for row in rows
            if (show not in FILTERS or show == "all" or row[show])
            and (not field or row["procedure"].field == field)
            and all(word in row["findable"] for word in words)
        ]  # fmt: skip
        fields = [(slug, info.name, [row for row in chosen if row["procedure"].field == slug])
                  for slug, info in catalog.fields.items()]  # fmt: skip
        news = [
            {"code": row.subject, "name": row.after.get("value", {}).get(NEW, {}).get("short_name", row.subject)}
            for row in waiting if row.part == NEW and row.subject not in catalog.procedures
        ]  # fmt: skip
        return console.page(
            request, "procedures.html", who, code, q=q[:100], field=field, show=show, filters=_T["filters"],
            counts=counts, fields=fields, all_fields=catalog.fields, found=len(chosen), news=news, **shown,
        )  # fmt: skip

    def entry(found: Known, procedure: Procedure) -> dict[str, Any]:
        rows = found.of(procedure.code)
        names = (procedure.code, procedure.name, procedure.short_name, *procedure.everyday_names)
        return {
            "procedure": procedure,
            "findable": " ".join(prepare(name).folded for name in names),
            "unverified": procedure.verification is None and procedure.superseded_by is None,
            "edited": any(row.state == "active" for row in rows),
            "waiting": any(row.state == "proposed" for row in rows),
            "look": reasons(found, procedure, old=False),
        }

    def reasons(found: Known, procedure: Procedure, *, old: bool = True) -> list[str]:
        return look_reasons(found, procedure.code, base(), office, procedure, old=old)

    @routes.get("/{code}", response_class=HTMLResponse)
    async def page(
        request: Request, code: str, who: Signed = reads, channel: str = "zalo_oa", day: str = "", done: str = ""
    ) -> Response:
        return await shown(request, who, code, channel, day, done=_T["done"].get(done, ""))

    async def shown(
        request: Request, who: Signed, code: str, channel: str = "zalo_oa", day: str = "", status: int = 200,
        **more: Any,
    ) -> Response:  # fmt: skip
        found = await read()
        today = found.base.today
        on = _day(day) or today
        told = found.told if on == today else apply(replace(found.base, today=on), found.edits, office)
        procedure = told.desk.catalog.get(code)
        rows = found.of(code)
        new = next((row for row in rows if row.part == NEW and row.state == "proposed"), None)
        if procedure is None and new is not None:
            added = trial(code, NEW, new.after.get("value", {}), new.source, on)
            told = apply(replace(found.base, today=on), [*found.edits, added], office)
            procedure = told.desk.catalog.get(code)
            more.setdefault("error", told.left_out.get(0))
        if procedure is None and new is None:
            return listing(request, who, found, code=404, error=_T["refused"]["no_name"].format(code=code[:20]))
        channel = channel if channel in previews.CHANNELS else "zalo_oa"
        told_now = previews.answers(told.desk, code, Aspect, channel, service.talk, clock()) if procedure else []
        by_aspect = {aspect: part.key for part in FACTS.values() for aspect in part.aspects[:1] if part.key != "notes"}
        mark = store.state_of(rows, found.base, code, PARTS[VERIFIED])
        return console.page(
            request, "procedure.html", who, status, procedure=procedure, subject=code, new=new,
            answers=[(one, by_aspect.get(aspect)) for one, aspect in zip(told_now, Aspect, strict=False)],
            channel=channel, channels=_T["channels"], day=on.isoformat(), today=on == today,
            source=source_line(procedure, ()) if procedure else "", four_eyes=found.four_eyes,
            field=found.base.catalog.fields.get(procedure.field) if procedure else None,
            pending=[described(row, found) for row in rows if row.state == "proposed"],
            active=[described(row, found) for row in rows if row.state == "active" and row.part != VERIFIED
                    and state(row, found) in {"active", "coming", "left_out"}],
            look=reasons(found, procedure) if procedure else [], parts=_T["parts"], facts=tuple(FACTS),
            verify_seen=mark, facts_seen=digest(fact_digests(procedure)) if procedure else "", **more,
        )  # fmt: skip

    def described(row: FactEdit, found: Known) -> dict[str, Any]:
        return describe(row, found, editor, base())

    def state(row: FactEdit, found: Known) -> str:
        return state_of(row, found.told, found.base.today)

    @routes.get("/{code}/history", response_class=HTMLResponse)
    async def history(request: Request, code: str, who: Signed = reads) -> Response:
        found = await read()
        if code not in found.told.desk.catalog.procedures and not found.of(code):
            return listing(request, who, found, code=404, error=_T["refused"]["no_name"].format(code=code[:20]))
        return console.page(
            request, "procedure_history.html", who, subject=code, procedure=found.told.desk.catalog.get(code),
            rows=[described(row, found) for row in found.of(code)], back=f"/staff/procedures/{code}",
        )  # fmt: skip

    @routes.get("/{code}/edit/{key}", response_class=HTMLResponse)
    async def edit(request: Request, code: str, key: str, who: Signed = edits_only) -> Response:
        back = f"/staff/procedures/{code}"
        page = await editor.show(request, who, code, FACTS[key], back) if key in FACTS and ":" not in code else None
        return page or await missing(request, who, code)

    @routes.post("/{code}/edit/{key}")
    async def change(request: Request, code: str, key: str, who: Signed = acts) -> Response:
        back = f"/staff/procedures/{code}"
        page = await editor.take(request, who, code, FACTS[key], back) if key in FACTS and ":" not in code else None
        return page or await missing(request, who, code)

    async def missing(request: Request, who: Signed, code: str) -> Response:
        error = _T["refused"]["no_name"].format(code=code[:20])
        return listing(request, who, await read(), code=404, error=error)

    @routes.post("/{code}/verify")
    async def verify(
        request: Request, code: str, who: Signed = acts, seen: str = Form(""), facts: str = Form(""),
        source: str = Form(""), act: str = Form("verify"),
    ) -> Response:  # fmt: skip
        now = clock()

        def write(session: Session) -> FactEdit:
            found = known(session, base(), office)
            procedure = found.told.desk.catalog.get(code)
            if procedure is None:
                raise BadInputError(_T["refused"]["no_name"].format(code=code[:20]))
            if act == "verify" and facts != digest(fact_digests(procedure)):
                raise store.ChangedMeanwhileError(_T["refused"]["changed_meanwhile"])
            value: dict[str, Any] = {}
            if act == "verify":
                on = {"by": who.name, "on": f"{local(now):%Y-%m-%d}"}
                value = {VERIFIED: on, "facts": fact_digests(procedure)}
            change = store.Change(code, VERIFIED, value, source.strip(), seen)
            row = store.save(session, base(), office, change, by=who.name, now=now, four_eyes=found.four_eyes)
            record(session, who.name, "fact_verify", row, now)
            return row

        try:
            row = await console.write(write)
        except BadInputError as refused:
            return await shown(request, who, code, status=409, error=str(refused), typed_source=source)
        await refreshed(row)
        return RedirectResponse(f"/staff/procedures/{code}?done={row.state}", 303)

    async def refreshed(row: FactEdit) -> None:
        if row.state == "active":
            await run_in_threadpool(service.edits.refresh)

    @routes.post("/edits/{number}/decide")
    async def decide(
        request: Request, number: str, who: Signed = acts, act: str = Form(""), reason: str = Form("")
    ) -> Response:
        now = clock()
        wanted = int(number) if number.isascii() and number.isdigit() and len(number) < 16 else 0

        def write(session: Session) -> FactEdit:
            row = store.decide(
                session, base(), office, wanted, act, by=who.name, now=now, reason=reason,
                four_eyes=bool(setting(session, "four_eyes")),
            )  # fmt: skip
            record(session, who.name, f"fact_{act}", row, now)
            return row

        def subject_of(session: Session) -> str:
            found = session.get(FactEdit, wanted)
            return found.subject if found else ""

        try:
            row = await console.write(write)
        except BadInputError as refused:
            subject = await console.read(subject_of)
            if ":" in subject:
                return RedirectResponse("/staff/office?refused=" + _refused(refused), 303)
            return await shown(request, who, subject or "0", status=409, error=str(refused))
        await refreshed(row)
        back = "/staff/office" if ":" in row.subject else f"/staff/procedures/{row.subject}"
        if row.part == NEW and row.state != "active":
            back = "/staff/procedures"
        return RedirectResponse(f"{back}?done={act}", 303)

    return routes


def _refused(error: BadInputError) -> str:
    """The key of a refusal: a link may carry anything, so only keys are taken from it."""
    return next((key for key, text in _T["refused"].items() if text == str(error)), "decided")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def state_of(row: FactEdit, told: Applied, today: date) -> str:
    """What has become of an edit: a key of the texts ``states``."""
    if row.state != "active":
        return row.state
    if row.id in told.left_out:
        return "left_out"
    if row.starts and row.starts > today:
        return "coming"
    if row.valid_to and row.valid_to < today:
        return "past"
    counts = told.current.get((row.subject, row.part))
    return "active" if counts is not None and counts.id == row.id else "replaced"


def describe(row: FactEdit, found: Known, editor: Editor, base: Desk) -> dict[str, Any]:
    """An edit as the pages show it."""
    part = part_of(row.part)
    state = state_of(row, found.told, found.base.today)
    if part.key in {NEW, VERIFIED}:
        difference = [("in", line) for line in _marked(row)]
    else:
        specs = editor.specs(part, base)
        after = row.after.get("value")
        lines = forms.lines_of(specs, after) if after is not None else [_T["base"]]
        difference = compared(forms.lines_of(specs, row.before.get("value", {})), lines)
    return {
        "id": row.id, "part": part.key, "part_name": _T["parts"][part.key], "state": state,
        "state_name": _T["states"][state], "difference": difference, "source": row.source, "by": row.by,
        "at": f"{local(row.at):%H:%M %d/%m/%Y}", "decided_by": row.decided_by, "reason": row.reason,
        "decided_at": f"{local(row.decided_at):%H:%M %d/%m/%Y}" if row.decided_at else "",
        "valid_from": f"{row.valid_from:%d/%m/%Y}" if row.valid_from else "",
        "valid_to": f"{row.valid_to:%d/%m/%Y}" if row.valid_to else "",
        "starts": f"{row.starts:%d/%m/%Y}" if row.starts else "",
        "editable": part.key not in {NEW, VERIFIED}, "four_eyes": part.four_eyes and found.four_eyes,
        "stale": row.state == "active" and state == "active"
        and store.is_stale(row, store.files_of(base, found.edits, row.subject, editor.office)),
    }  # fmt: skip


def _marked(row: FactEdit) -> list[str]:
    value = row.after.get("value", {})
    if row.part == NEW:
        added = value.get(NEW, {})
        return [str(added.get("name", "")), f"{len(added.get('documents', []))} giấy tờ"]
    mark = value.get(VERIFIED)
    return [f"{mark.get('by')}, {mark.get('on')}"] if mark else [_T["empty"]]


def look_reasons(
    found: Known, subject: str, base: Desk, office: str, procedure: Procedure | None = None, *, old: bool = True
) -> list[str]:
    """Why staff should have a look at a procedure, office or province; a line each."""
    told: list[str] = []
    words = _T["look"]
    rows = found.of(subject)
    files = store.files_of(base, found.edits, subject, office) if rows else base
    for row in rows:
        name = _T["parts"].get(row.part, row.part)
        state = state_of(row, found.told, found.base.today)
        if state == "left_out":
            told.append(words["left_out"].format(part=name, why=found.told.left_out[row.id or 0]))
        elif state in {"active", "coming"} and store.is_stale(row, files):
            told.append(words["stale"].format(part=name))
    if procedure is not None:
        told += _aged(found, procedure, old=old)
    return told


def _aged(found: Known, procedure: Procedure, *, old: bool) -> list[str]:
    words, today = _T["look"], found.base.today
    told = [words["lapsed"]] if procedure.code in found.told.lapsed else []
    if procedure.valid_to and procedure.valid_to < today:
        told.append(words["expired"].format(what=procedure.short_name))
    told += [
        words["expired"].format(what=fee.what or _T["parts"]["fees"])
        for fee in procedure.fees
        if fee.valid_to and fee.valid_to < today
    ]
    if old and procedure.provenance.as_of < f"{today.year - 1}-{today.month:02d}":
        told.append(words["old"].format(month=month(procedure.provenance.as_of)))
    return told
