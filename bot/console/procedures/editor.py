"""One form for every part of a procedure, the office and the province: shown, previewed, saved; nothing typed is lost.

Saving needs a preview of exactly what is saved. What somebody else saved meanwhile is shown beside one's own.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ValidationError
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool

from bot.catalog.answers import Desk
from bot.catalog.schema import Aspect
from bot.clock import local
from bot.console import accounts
from bot.console.pages import Console, Signed
from bot.console.procedures import forms, previews, typed
from bot.edits import store
from bot.edits.apply import Applied, Edit, apply, in_force, trial
from bot.edits.parts import Part, Value, digest, model_of, value_of, with_value
from bot.errors import BadInputError
from bot.storage.switches import setting
from bot.storage.tables import FactEdit
from bot.texts import phrases

_T = phrases("procedures")
FIELDS = ("source", "valid_from", "valid_to")
QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "contact": ("địa chỉ cơ quan ở đâu", "cho xin số điện thoại cơ quan"),
    "hours": ("giờ làm việc của cơ quan",),
}


@dataclass(frozen=True)
class Scene:
    """Everything a form depends on, read in one transaction.

    Attributes:
        base: what the files say (with the procedure, where an edit has added it).
        rows: all edits of the part, newest first.
        edits: all active ones.
        seen: short name of the state of the part.
        told: the part's value that is told today.
        four_eyes: whether another person must confirm.
    """

    base: Desk
    rows: Sequence[FactEdit]
    edits: Sequence[Edit]
    seen: str
    told: Value
    four_eyes: bool


@dataclass
class Form:
    """What stands in a form."""

    texts: dict[str, Any]
    value: Value
    rest: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    fresh: str = ""


@dataclass(frozen=True)
class Editor:
    """Shows and takes the form of any part.

    Attributes:
        base: the files' desk at a moment.
        after: told that an edit has become active.
        office: slug of the office.
    """

    console: Console
    base: Callable[[datetime], Desk]
    after: Callable[[], Any]
    office: str

    def specs(self, part: Part, desk: Desk) -> tuple[forms.Spec, ...]:
        """The form of a part."""
        fields = tuple((slug, info.name) for slug, info in desk.catalog.fields.items())
        return forms.specs_of(part.model, part.fields, {"Counter.fields": fields})

    def scene(self, session: Session, subject: str, part: Part) -> Scene | None:
        """What the form of a part depends on now; None where there is no such procedure."""
        now = self.console.clock()
        rows = store.rows_of(session, subject, part.key)
        edits = store.active(session)
        base = store.files_of(self.base(now), edits, subject, self.office)
        if model_of(base, subject) is None:
            return None
        return Scene(
            base, rows, edits, store.state_of(rows, base, subject, part),
            store.told_on(base, edits, self.office, subject, part, base.today),
            part.four_eyes and bool(setting(session, "four_eyes")),
        )  # fmt: skip

    async def show(self, request: Request, who: Signed, subject: str, part: Part, back: str) -> Response | None:
        """The form as it stands, or filled from an earlier edit ("?from=", "?undo=", "?base=1")."""
        scene = await self.console.read(lambda session: self.scene(session, subject, part))
        if scene is None:
            return None
        value, rest = scene.told, dict.fromkeys(FIELDS, "")
        ask = request.query_params
        wanted = ask.get("from") or ask.get("undo") or ""
        row = next((one for one in scene.rows if str(one.id) == wanted), None)
        model = model_of(scene.base, subject)
        if ask.get("base") and model is not None:
            value = value_of(model, part)
        elif row is not None and ask.get("undo"):
            value, rest["source"] = row.before.get("value", {}), _T["undo_source"].format(number=row.id)
        elif row is not None:
            value = row.after.get("value", value_of(model, part) if model and row.after.get("base") else {})
            rest = {
                "source": row.source,
                "valid_from": row.valid_from.isoformat() if row.valid_from else "",
                "valid_to": row.valid_to.isoformat() if row.valid_to else "",
            }
        form = Form(forms.texts_of(self.specs(part, scene.base), value), value, rest)
        return self._page(request, who, subject, part, back, scene, form)

    async def take(  # noqa: PLR0911 - each thing that may come of a form
        self, request: Request, who: Signed, subject: str, part: Part, back: str
    ) -> Response | None:
        """A form that came back: another row, a preview, or to be saved."""
        given = await request.form()
        listed: dict[str, list[str]] = {}
        for key, text in given.multi_items():
            if isinstance(text, str):
                listed.setdefault(key, []).append(text.replace("\0", ""))
        scene = await self.console.read(lambda session: self.scene(session, subject, part))
        if scene is None:
            return None
        act = listed.get("act", ["preview"])[-1]
        specs = self.specs(part, scene.base)
        rest = {name: listed.get(name, [""])[-1].strip() for name in FIELDS}
        if act == "load":
            value = _loaded(listed.get("given", [""])[-1], part, model_of(scene.base, subject))
            return self._page(request, who, subject, part, back, scene, Form(forms.texts_of(specs, value), value, rest))
        found = typed.read(specs, listed)
        form = Form(found.texts, found.value, rest)
        if act.startswith(("more:", "up:")):
            form.texts = typed.moved(form.texts, act)
            form.fresh = act[5:] if act.startswith("more:") else ""
            return self._page(request, who, subject, part, back, scene, form, seen=listed.get("seen", [""])[-1])
        change = self._checked(form, scene, subject, part, listed.get("seen", [""])[-1])
        if change is None:
            return self._page(
                request, who, subject, part, back, scene, form, 422, error=_T["refused"]["faults"], seen=_seen(listed)
            )
        if change.seen != scene.seen:
            error = _T["refused"]["changed_meanwhile"]
            return self._page(request, who, subject, part, back, scene, form, 409, error=error, theirs=True)
        shown = self._name(change)
        if act != "save" or listed.get("shown", [""])[-1] != shown:
            error = _T["refused"]["look_again"] if act == "save" else ""
            # Off the event loop: it asks the engine what it would answer.
            return await run_in_threadpool(self._preview, request, who, part, back, scene, form, change, error)
        return await self._save(request, who, part, back, form, change)

    def _checked(self, form: Form, scene: Scene, subject: str, part: Part, seen: str) -> store.Change | None:
        """The change that a form asks for; None where something in it is wrong (``form.errors`` says what)."""
        days: dict[str, date | None] = {}
        for name in ("valid_from", "valid_to"):
            text = typed.day_of(form.rest[name])
            try:
                days[name] = date.fromisoformat(text) if text else None
            except ValueError:
                form.errors[name] = _T["faults"]["date"]
        model = model_of(scene.base, subject)
        value = form.value
        if model is not None:
            try:
                value = value_of(with_value(model, part, form.value), part)
            except ValidationError as error:
                form.errors |= typed.faults_of(error)
        start, end = days.get("valid_from"), days.get("valid_to")
        try:
            store.check_source(form.rest["source"])
        except BadInputError as error:
            form.errors["source"] = str(error)
        try:
            store.check_dates(start, end, scene.base.today)
        except BadInputError as error:
            form.errors["valid_to"] = str(error)
        return None if form.errors else store.Change(subject, part.key, value, form.rest["source"], seen, start, end)

    def _name(self, change: store.Change) -> str:
        return digest([change.value, change.source, str(change.valid_from), str(change.valid_to)])

    def _preview(
        self, request: Request, who: Signed, part: Part, back: str, scene: Scene, form: Form, change: store.Change,
        error: str,
    ) -> Response:  # fmt: skip
        day = max(change.valid_from or scene.base.today, scene.base.today)
        wanted = trial(change.subject, part.key, change.value, change.source, change.valid_from or day, change.valid_to)
        base = replace(scene.base, today=day)
        now_told = apply(base, scene.edits, self.office)
        then = apply(base, [*scene.edits, wanted], self.office)
        if 0 in then.left_out:
            form.errors[""] = then.left_out[0]
            return self._page(
                request, who, change.subject, part, back, scene, form, 422, error=then.left_out[0], seen=change.seen
            )
        pairs = self._pairs(now_told, then, change, part)
        running = in_force(scene.edits, day).get((change.subject, part.key))
        return self._page(
            request, who, change.subject, part, back, scene, form, seen=change.seen, error=error or None,
            shown=self._name(change), pairs=pairs, day=f"{day:%d/%m/%Y}",
            difference=compared(self._lines(part, scene, before_on(scene, change, part, day, self.office)),
                                self._lines(part, scene, change.value)),
            hidden=running is not None and running.starts > (change.valid_from or day),
        )  # fmt: skip

    def _pairs(
        self, now_told: Applied, then: Applied, change: store.Change, part: Part
    ) -> list[tuple[str, list[tuple[previews.Shown, previews.Shown]]]]:
        """Channel → the answers now and then."""
        talk, now = self.console.service.talk, self.console.clock()
        found = []
        for channel in previews.CHANNELS:
            pairs = [
                (previews.answer(now_told.desk, code, aspect, channel, talk, now),
                 previews.answer(then.desk, code, aspect, channel, talk, now))
                for code, aspect in _asked(change, part, then.desk)
            ]  # fmt: skip
            pairs += [
                (previews.said(now_told.desk, question, channel, talk, now),
                 previews.said(then.desk, question, channel, talk, now))
                for question in QUESTIONS.get(part.key, ())
            ]  # fmt: skip
            found.append((channel, pairs))
        return found

    async def _save(
        self, request: Request, who: Signed, part: Part, back: str, form: Form, change: store.Change
    ) -> Response:
        now = self.console.clock()
        base = self.base(now)

        def write(session: Session) -> FactEdit:
            four_eyes = bool(setting(session, "four_eyes"))
            row = store.save(session, base, self.office, change, by=who.name, now=now, four_eyes=four_eyes)
            record(session, who.name, "fact_propose" if row.state == "proposed" else "fact_save", row, now)
            return row

        try:
            row = await self.console.write(write)
        except BadInputError as refused:
            scene = await self.console.read(lambda session: self.scene(session, change.subject, part))
            if scene is None:
                return RedirectResponse(back, 303)
            form.errors[""] = str(refused)
            meanwhile = isinstance(refused, store.ChangedMeanwhileError)
            return self._page(
                request, who, change.subject, part, back, scene, form, 409, error=str(refused), theirs=meanwhile
            )
        if row.state == "active":
            await run_in_threadpool(self.after)
        later = row.starts is not None and row.starts > local(now).date()
        return RedirectResponse(f"{back}?done={'later' if later else row.state}", 303)

    def _lines(self, part: Part, scene: Scene, value: Value) -> list[str]:
        return forms.lines_of(self.specs(part, scene.base), value)

    def _page(
        self, request: Request, who: Signed, subject: str, part: Part, back: str, scene: Scene, form: Form,
        code: int = 200, *, seen: str | None = None, theirs: bool = False, **shown: Any,
    ) -> Response:  # fmt: skip
        """The page of the form; ``theirs``: what somebody else saved meanwhile is shown beside it."""
        procedure = scene.base.catalog.get(subject)
        specs = self.specs(part, scene.base)
        today = scene.base.today
        return self.console.page(
            request, "procedure_edit.html", who, code,
            fields=forms.fields_of(specs, form.texts, form.errors, form.fresh), rest=form.rest, errors=form.errors,
            seen=scene.seen if seen is None else seen, part=part, part_name=_T["parts"][part.key], subject=subject,
            procedure=procedure, back=back, four_eyes=scene.four_eyes, channels=_T["channels"],
            pending=[row for row in scene.rows if row.state == "proposed"],
            coming=[row for row in scene.rows if row.state == "active" and row.starts and row.starts > today],
            theirs=compared(self._lines(part, scene, form.value), self._lines(part, scene, scene.told))
            if theirs else None,
            **shown,
        )  # fmt: skip


def before_on(scene: Scene, change: store.Change, part: Part, day: date, office: str) -> Value:
    """What is told on the first day of a change without it."""
    return store.told_on(scene.base, scene.edits, office, change.subject, part, day)


def _seen(listed: Mapping[str, list[str]]) -> str:
    return listed.get("seen", [""])[-1]


def _loaded(text: str, part: Part, model: BaseModel | None) -> Value:
    """A value that another page hands over (an imported record); {} for anything else."""
    try:
        found = json.loads(text)
        return value_of(with_value(model, part, found), part) if model and isinstance(found, dict) else {}
    except (ValueError, RecursionError):
        return {}


def _asked(change: store.Change, part: Part, desk: Desk) -> list[tuple[str, Aspect]]:
    """The answers that a change may alter: (code, aspect)."""
    if ":" not in change.subject:
        return [(change.subject, aspect) for aspect in part.aspects]
    codes: list[str] = []
    if part.key == "province_fees":
        codes = [fee["code"] for fee in change.value.get("fees", ())]
    elif part.key == "counters":
        wanted = {slug for counter in change.value.get("counters", ()) for slug in counter["fields"]}
        codes = [next((p.code for p in desk.catalog.procedures.values() if p.field == slug), "") for slug in wanted]
    known = [code for code in dict.fromkeys(codes) if code in desk.catalog.procedures]
    return [(code, aspect) for code in known[:3] for aspect in part.aspects]


def compared(before: Sequence[str], after: Sequence[str]) -> list[tuple[str, str]]:
    """Lines with what became of them: "same", "out" or "in"."""
    found: list[tuple[str, str]] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            found += [("same", line) for line in before[a:b]]
        else:
            found += [("out", line) for line in before[a:b]] + [("in", line) for line in after[c:d]]
    return found


def record(session: Session, who: str, action: str, row: FactEdit, now: datetime) -> None:
    """Writes the audit log for an edit; the whole values stay in the edit itself."""
    accounts.audit(
        session, who, action, f"{row.subject} {row.part}", now, edit=row.id,
        before=_short(row.before.get("value")), after=_short(row.after.get("value", _T["base"])),
        source=row.source,
    )  # fmt: skip


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 600 else text[:599] + "…"
