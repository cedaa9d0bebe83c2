"""The pages of procedures and of the office as they are shown: the list, one procedure, its history, the office."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from bot.catalog.answers import Desk, source_line
from bot.catalog.schema import Aspect, Procedure
from bot.console.pages import Console, Signed
from bot.console.procedures import forms, previews
from bot.console.procedures.editor import Editor
from bot.console.procedures.known import Known, describe, known, look_reasons, state_of
from bot.edits import store
from bot.edits.apply import Applied, apply, trial
from bot.edits.parts import (
    FACTS,
    NEW,
    OFFICE,
    PARTS,
    VERIFIED,
    digest,
    fact_digests,
    model_of,
    of_office,
    value_of,
)
from bot.storage.tables import FactEdit
from bot.texts import phrases
from nlu.normalize import prepare

_T = phrases("procedures")
FILTERS = tuple(_T["filters"])
OPEN_UP_TO = 60  # procedures found: then their fields are not folded
# Under which answer of the chat the form of a part stands.
_FORM_OF = {part.aspects[0]: key for key, part in FACTS.items() if part.aspects and key != "notes"}


@dataclass(frozen=True)
class FactPages:
    """Builds the pages."""

    console: Console
    slug: str | None = None  # of one of several offices; None: the default one

    def at(self, slug: str | None) -> FactPages:
        """The same for one of several offices; None: for the default one."""
        return self if slug == self.slug else replace(self, slug=slug)

    @property
    def office(self) -> str:
        """Slug of the office."""
        return self.slug or self.console.settings.office

    @property
    def home(self) -> str:
        """Address of the page of the office, for those who see all."""
        return f"/staff/office/of/{self.slug}" if self.slug else "/staff/office"

    @cached_property
    def editor(self) -> Editor:
        """The form of every part."""
        service = self.console.service
        return Editor(self.console, lambda _now: self.base(), service.edits.refresh, self.office)

    def base(self) -> Desk:
        """What the files say, as of today."""
        service, now = self.console.service, self.console.clock()
        return service.files(self.slug, now) if self.slug else service.base(now)

    def may_edit(self, who: Signed, subject: str) -> bool:
        """Whether somebody may change a procedure, an office or a province."""
        if not subject.startswith("office:"):
            return who.may("procedures.edit")
        return who.may("office.edit") and who.office in {None, subject.partition(":")[2]}

    async def read(self) -> Known:
        """Everything the pages show."""
        return await self.console.read(lambda session: known(session, self.base(), self.office))

    def described(self, who: Signed, row: FactEdit, found: Known) -> dict[str, Any]:
        """An edit in words, and whether this person may change it."""
        return {**describe(row, found, self.editor), "may_edit": self.may_edit(who, row.subject)}

    # --- the list --------------------------------------------------------------------------------------------------

    async def listing(self, request: Request, who: Signed, **asked: Any) -> Response:
        """All procedures by field, those that fit the search ``q``, the ``field`` and the filter ``show``."""
        found = await self.read()
        return await run_in_threadpool(lambda: self._listing(request, who, found, **asked))

    def _listing(
        self, request: Request, who: Signed, found: Known, q: str = "", field: str = "", show: str = "all",
        code: int = 200, **shown: Any,
    ) -> Response:  # fmt: skip
        words = prepare(q.strip()[:100]).words
        catalog = found.told.desk.catalog
        rows = [self._entry(found, procedure) for procedure in catalog.procedures.values()]
        waiting = [row for listed in found.rows.values() for row in listed if row.state == "proposed"]
        news = [
            {"code": row.subject, "name": row.after.get("value", {}).get(NEW, {}).get("short_name", row.subject)}
            for row in waiting if row.part == NEW and row.subject not in catalog.procedures
        ]  # fmt: skip
        chosen = [
            row for row in rows
            if (show not in FILTERS or show == "all" or row[show])
            and (not field or row["procedure"].field == field)
            and all(word in row["findable"] for word in words)
        ]  # fmt: skip
        fields = [(info.name, [row for row in chosen if row["procedure"].field == slug])
                  for slug, info in catalog.fields.items()]  # fmt: skip
        return self.console.page(
            request, "procedures.html", who, code, q=q[:100], field=field, show=show, filters=_T["filters"],
            counts={key: sum(key == "all" or bool(row[key]) for row in rows) for key in FILTERS},
            fields=fields, all_fields=catalog.fields, found=len(chosen), news=news, open=len(chosen) <= OPEN_UP_TO,
            **shown,
        )  # fmt: skip

    def _entry(self, found: Known, procedure: Procedure) -> dict[str, Any]:
        rows = found.of(procedure.code)
        names = (procedure.code, procedure.name, procedure.short_name, *procedure.everyday_names)
        return {
            "procedure": procedure,
            "findable": " ".join(prepare(name).folded for name in names),
            "unverified": procedure.verification is None and procedure.superseded_by is None,
            "edited": any(row.state == "active" for row in rows),
            "waiting": any(row.state == "proposed" for row in rows),
            "look": look_reasons(found, procedure.code, self.office, procedure, old=False),
        }

    async def missing(self, request: Request, who: Signed, code: str) -> Response:
        """The list, and that there is no such procedure."""
        error = _T["refused"]["no_name"].format(code=code[:20])
        return await self.listing(request, who, code=404, error=error)

    # --- one procedure ---------------------------------------------------------------------------------------------

    async def one(self, request: Request, who: Signed, code: str, **asked: Any) -> Response:
        """A procedure as citizens see it on a ``channel`` and ``day``, what waits, what was changed; also a new one."""
        found = await self.read()
        shown = await run_in_threadpool(lambda: self._one(request, who, found, code, **asked))
        return shown or await self.missing(request, who, code)

    def _one(
        self, request: Request, who: Signed, found: Known, code: str, channel: str = "zalo_oa", day: str = "",
        status: int = 200, **more: Any,
    ) -> Response | None:  # fmt: skip
        today = found.base.today
        on = _day(day) or today
        rows = found.of(code)
        told, new = self._told(found, code, on)
        procedure = told.desk.catalog.get(code)
        if procedure is None and new is None:
            return None
        if procedure is None:
            more.setdefault("error", told.left_out.get(0))
        channel = channel if channel in previews.CHANNELS else "zalo_oa"
        service, now = self.console.service, self.console.clock()
        answers = previews.answers(told.desk, code, Aspect, channel, service.talk, now) if procedure else []
        counts = {"active", "coming", "left_out"}
        return self.console.page(
            request, "procedure.html", who, status, procedure=procedure, subject=code, new=new,
            answers=[(one, _FORM_OF.get(aspect)) for one, aspect in zip(answers, Aspect, strict=False)],
            channel=channel, channels=_T["channels"], day=on.isoformat(), today=on == today,
            source=source_line(procedure, ()) if procedure else "", four_eyes=found.four_eyes,
            field=found.base.catalog.fields.get(procedure.field) if procedure else None,
            pending=[self.described(who, row, found) for row in rows if row.state == "proposed"],
            active=[self.described(who, row, found) for row in rows
                    if row.part != VERIFIED and state_of(row, found.told, today) in counts],
            look=look_reasons(found, code, self.office, procedure) if procedure else [], parts=_T["parts"],
            full=[(key, forms.lines_of(self.editor.specs(part, found.base), value_of(procedure, part)))
                  for key, part in FACTS.items()] if procedure else [],
            verify_seen=store.state_of(rows, found.base, code, PARTS[VERIFIED]),
            facts_seen=digest(fact_digests(procedure)) if procedure else "", **more,
        )  # fmt: skip

    def _told(self, found: Known, code: str, on: date) -> tuple[Applied, FactEdit | None]:
        """What is told on a day; with a proposed procedure as if it were confirmed, and that proposal."""
        base = replace(found.base, today=on)
        told = found.told if on == found.base.today else apply(base, found.edits, self.office)
        if code in told.desk.catalog.procedures:
            return told, None
        new = next((row for row in found.of(code) if row.part == NEW and row.state == "proposed"), None)
        if new is None:
            return told, None
        added = trial(code, NEW, new.after.get("value", {}), new.source, on)
        return apply(base, [*found.edits, added], self.office), new

    async def history(self, request: Request, who: Signed, code: str) -> Response:
        """Who changed what, from what to what."""
        found = await self.read()
        shown = await run_in_threadpool(lambda: self._history(request, who, found, code))
        return shown or await self.missing(request, who, code)

    def _history(self, request: Request, who: Signed, found: Known, code: str) -> Response | None:
        procedure = found.told.desk.catalog.get(code)
        others = who.office is not None and ":" in code  # an office's or a province's
        if procedure is None and (others or not found.of(code)):
            return None
        return self.console.page(
            request, "procedure_history.html", who, subject=code, procedure=procedure,
            rows=[self.described(who, row, found) for row in found.of(code)], back=f"/staff/procedures/{code}",
        )  # fmt: skip

    # --- the office ------------------------------------------------------------------------------------------------

    async def of_office(self, request: Request, who: Signed, code: int = 200, **more: Any) -> Response:
        """The office's own facts, what waits and what was changed."""
        found = await self.read()
        return await run_in_threadpool(lambda: self._of_office(request, who, found, code, **more))

    def _of_office(self, request: Request, who: Signed, found: Known, code: int, **more: Any) -> Response:
        parts = []
        for key, part in OFFICE.items():
            subject = of_office(found.base, self.office, part)
            model = model_of(found.told.desk, subject)
            value = value_of(model, part) if model is not None else {}
            described = [self.described(who, row, found) for row in found.of(subject) if row.part == key]
            parts.append(
                {
                    "key": key, "name": _T["parts"][key], "history": described,
                    "may_edit": self.may_edit(who, subject),
                    "lines": forms.lines_of(self.editor.specs(part, found.base), value),
                    "pending": [one for one in described if one["state"] == "proposed"],
                    "active": [one for one in described if one["state"] in {"active", "coming", "left_out"}],
                }
            )  # fmt: skip
        subjects = dict.fromkeys(of_office(found.base, self.office, part) for part in OFFICE.values())
        look = [line for subject in subjects for line in look_reasons(found, subject, self.office)]
        desk = found.told.desk
        return self.console.page(
            request, "office.html", who, code, office=desk.office, province=desk.province, office_parts=parts,
            look=look, home="/staff/office" if who.office else self.home, others=self._others(who), **more,
        )  # fmt: skip

    def _others(self, who: Signed) -> list[tuple[str, str, bool]]:
        """The offices to choose from, for those who see several: address, name, whether it is this one."""
        offices = self.console.service.talk.offices
        if who.office is not None or not offices.several:
            return []
        return [(f"/staff/office/of/{slug}", offices.name(slug), slug == self.office) for slug in offices.slugs]


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
