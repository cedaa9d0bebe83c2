"""The pages of figures: a month with charts, its report to print or as .xlsx, what got no answer, comments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool

from bot.catalog.answers import Desk
from bot.clock import local
from bot.console import accounts
from bot.console.numbers import typed_number
from bot.console.pages import Console, Signed
from bot.errors import BadInputError
from bot.figures import charts
from bot.figures import report as reports
from bot.figures.overview import Names, Overview, names_of, overview
from bot.figures.period import Period, month_before, month_of, read_days, read_month
from bot.figures.report import Cell, Share, shown
from bot.figures.spreadsheet import workbook
from bot.figures.turns import QUESTIONS
from bot.figures.unanswered import grouped, unanswered
from bot.survey import surveys
from bot.survey.questions import MOST, SCORED
from bot.texts import phrases

T = TypeVar("T")
MONTHS = 13  # to choose from: this one and a year back
KEEP = timedelta(seconds=60)  # the charts of a page are drawn from its figures
MOST_KEPT = 8
GROUPS = 100
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# A picture needs no more; what pygal writes into it is style.
SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class Kept:
    """The figures last made, for the charts of the same page. Of this process; a stranger makes them anew.

    Those of each office (None: of all) are kept apart.
    """

    def __init__(self) -> None:
        self._figures: dict[tuple[Period, str | None], tuple[datetime, Overview]] = {}

    def keep(self, figures: Overview, now: datetime, office: str | None) -> None:
        """Keeps them for ``KEEP``."""
        key = figures.period, office
        self._figures.pop(key, None)
        self._figures[key] = (now, figures)
        while len(self._figures) > MOST_KEPT:
            self._figures.pop(next(iter(self._figures)))

    def get(self, period: Period, now: datetime, office: str | None) -> Overview | None:
        """The figures of a period, None where they are too old or were never made."""
        at, figures = self._figures.get((period, office), (now, None))
        return figures if now - at <= KEEP else None


def router(console: Console) -> APIRouter:
    """The pages, their charts and forms."""
    routes = APIRouter(prefix="/staff/figures", include_in_schema=False)
    reads = console.needs("figures")
    acts = console.posts("figures")
    texts = phrases("figures")
    kept = Kept()
    demo = console.settings.demo

    offices = console.service.talk.offices

    def desk(office: str | None) -> Desk:
        return console.service.talk.at(office, console.clock())

    def names(office: str | None) -> Names:
        at = desk(office)
        several = offices.several and office is None
        return names_of(at.catalog, at.office, {slug: offices.name(slug) for slug in offices.slugs} if several else {})

    def one_of(who: Signed, office: str) -> str | None:
        """The office whose figures are shown: one's own; for who sees all the one asked for, None for all."""
        return who.office or (offices.known(office) if offices.several else None)

    async def figures_of(period: Period, office: str | None) -> Overview:
        now, known = console.clock(), names(office)
        made = await console.read(lambda session: overview(session, period, known, now, demo=demo), office=office)
        kept.keep(made, now, office)
        return made

    def wanted(month: str, first: str, last: str) -> tuple[Period, str]:
        """The period asked for, and what is wrong with the question (then it is this month)."""
        today = local(console.clock()).date()
        try:
            if first or last:
                return read_days(first, last), ""
            return (read_month(month) if month else month_of(today)), ""
        except BadInputError as wrong:
            return month_of(today), str(wrong)

    def months() -> list[str]:
        period, found = month_of(local(console.clock()).date()), []
        for _ in range(MONTHS):
            found.append(period.month)
            period = month_before(period.first)
        return found

    def chosen(period: Period, who: Signed, office: str | None) -> dict[str, Any]:
        listed = months()
        several = offices.several and who.office is None
        return {
            "period": period, "months": listed if period.month in {*listed, ""} else [period.month, *listed],
            "query": f"first={period.first}&last={period.last}" + (f"&office={office}" if several and office else ""),
            "pick": {
                "of": office if several else "",
                "offices": [(slug, offices.name(slug)) for slug in offices.slugs] if several else [],
            },
        }  # fmt: skip

    @routes.get("", response_class=HTMLResponse)
    async def page(
        request: Request, who: Signed = reads, month: str = "", first: str = "", last: str = "", office: str = ""
    ) -> Response:
        (period, wrong), of = wanted(month, first, last), one_of(who, office)
        figures = await figures_of(period, of)
        known = names(of)
        return console.page(
            request, "figures.html", who, 400 if wrong else 200, error=wrong, texts=texts, shown=shown,
            tiles=_tiles(figures, texts), days=_days(figures), fields=reports.by_field(figures, known),
            by_office=reports.by_office(figures, known),
            procedures=reports.by_procedure(figures, known), endings=[texts["endings"][end] for end in QUESTIONS],
            channels=_named(figures.asked.by_channel, texts["channels"]), times=_times(figures, texts["times"]),
            satisfaction=_satisfaction(figures),
            notices=_named(figures.notices.by_state, phrases("console")["outbox_states"]), **chosen(period, who, of),
        )  # fmt: skip

    @routes.get("/chart/{name}.svg")
    async def chart(name: str, who: Signed = reads, first: str = "", last: str = "", office: str = "") -> Response:
        draw = _CHARTS.get(name)
        if draw is None:
            raise HTTPException(404)
        try:
            period = read_days(first, last)
        except BadInputError as wrong:
            raise HTTPException(404, str(wrong)) from None
        of = one_of(who, office)
        figures = kept.get(period, console.clock(), of) or await figures_of(period, of)
        picture = await run_in_threadpool(draw, figures, names(of))
        return Response(picture, media_type="image/svg+xml", headers={"content-security-policy": SVG_POLICY})

    async def report_of(month: str, of: str | None) -> tuple[reports.Report, Period, str]:
        period, wrong = wanted(month, "", "")
        if not month:
            period = month_before(local(console.clock()).date())
        figures = await figures_of(period, of)
        office = desk(of).office
        return reports.report(figures, names(of), office.name, office.commune, console.clock()), period, wrong

    @routes.get("/report", response_class=HTMLResponse)
    async def report(request: Request, who: Signed = reads, month: str = "", office: str = "") -> Response:
        of = one_of(who, office)
        made, period, wrong = await report_of(month, of)
        return console.page(
            request, "figures_report.html", who, 400 if wrong else 200, error=wrong, report=made, shown=shown,
            texts=texts, is_number=_is_number, **chosen(period, who, of),
        )  # fmt: skip

    @routes.get("/report.xlsx")
    async def spreadsheet(who: Signed = reads, month: str = "", office: str = "") -> Response:
        made, period, wrong = await report_of(month, one_of(who, office))
        if wrong:
            raise HTTPException(400, wrong)
        name = texts["report"]["file"].format(month=period.month)
        headers = {"content-disposition": f'attachment; filename="{name}.xlsx"'}
        return Response(await run_in_threadpool(workbook, made), media_type=XLSX, headers=headers)

    @routes.get("/unanswered", response_class=HTMLResponse)
    async def without_answer(
        request: Request, who: Signed = reads, month: str = "", first: str = "", last: str = "", office: str = ""
    ) -> Response:
        (period, wrong), of = wanted(month, first, last), one_of(who, office)
        groups = await console.read(lambda session: grouped(unanswered(session, period)), office=of)
        known = names(of)
        rows = [
            {
                "group": group, "kinds": [texts["unanswered"]["kinds"][kind] for kind in group.kinds],
                "near": known.procedure(group.near) if group.near else "", "last": f"{local(group.last_at):%d/%m/%Y}",
            }
            for group in groups[:GROUPS]
        ]  # fmt: skip
        return console.page(
            request, "figures_unanswered.html", who, 400 if wrong else 200, error=wrong, rows=rows, texts=texts,
            more=max(0, len(groups) - GROUPS), questions=sum(group.count for group in groups),
            kept=texts["unanswered"]["kept"].format(days=console.settings.keep_talk_days), **chosen(period, who, of),
        )  # fmt: skip

    async def comment_page(request: Request, who: Signed, state: str, code: int = 200, **told: Any) -> Response:
        state = state if state in {"new", *surveys.REVIEWED} else "new"

        def read(session: Session) -> list[dict[str, Any]]:
            return [
                {
                    "id": one.id, "text": one.comment, "overall": one.answers.get("overall"),
                    "at": f"{local(one.answered_at):%d/%m/%Y}" if one.answered_at else "",
                    "channel": texts["channels"].get(one.channel or "", one.channel),
                }
                for one in surveys.comments(session, state)
            ]  # fmt: skip

        rows = await console.read(read)
        return console.page(
            request, "figures_comments.html", who, code, rows=rows, state=state, texts=texts["comments"], **told
        )

    @routes.get("/comments", response_class=HTMLResponse)
    async def comments(request: Request, who: Signed = reads, state: str = "new", done: str = "") -> Response:
        return await comment_page(request, who, state, done=texts["comments"]["done"] if done == "1" else "")

    @routes.post("/comments/{number}")
    async def review(
        request: Request, number: str, who: Signed = acts, was: str = Form(""), to: str = Form("")
    ) -> Response:
        def change(session: Session) -> None:
            survey_id = typed_number(number) or 0
            surveys.review(session, survey_id, was, to)
            accounts.audit(session, who.name, f"comment_{to}", f"#{survey_id}", console.clock(), before=was, after=to)

        try:
            await console.write(change)
        except BadInputError as refused:
            return await comment_page(request, who, was, 409, error=str(refused))
        return RedirectResponse(f"/staff/figures/comments?state={was}&done=1", 303)

    return routes


def _tiles(figures: Overview, texts: Mapping[str, Any]) -> list[dict[str, str]]:
    asked, reviewed = figures.asked, figures.correctness
    every = asked.questions
    told: dict[str, Cell] = {"questions": every}
    for end in QUESTIONS[:4]:
        told[end.value] = Share(asked.by_ending[end] / every if every else None)
    right = Share(reviewed.right / reviewed.reviewed) if reviewed.reviewed else None
    told |= {
        "correct": right or texts["not_reviewed"],
        "mean": asked.mean_seconds,
        "received": figures.dossiers.all_received,
        "on_time": Share(figures.dossiers.all_finished.rate),
        "online": Share(figures.dossiers.online_share),
        "satisfied": Share(figures.results.satisfied),
        "notices": figures.notices.all,
    }
    return [{"name": texts["tiles"][key], "value": shown(value), "key": key} for key, value in told.items()]


def _days(figures: Overview) -> list[tuple[str, Sequence[int]]]:
    """Days with questions, the newest first: the day, and how they ended."""
    by_day = figures.asked.by_day
    return [
        (f"{day:%d/%m/%Y}", [by_day[day][end] for end in QUESTIONS])
        for day in sorted(by_day, reverse=True)
        if any(by_day[day][end] for end in QUESTIONS)
    ]


def _named(counts: Mapping[str, int], names: Mapping[str, str]) -> list[tuple[str, int]]:
    return [(names.get(key, key), count) for key, count in sorted(counts.items(), key=lambda item: -item[1])]


def _times(figures: Overview, texts: Mapping[str, str]) -> list[tuple[str, Cell]]:
    asked = figures.asked
    timed = asked.timed or None
    return [
        (texts["quick"], Share(asked.quick / timed if timed else None)),
        (texts["slow"], asked.slow),
        (texts["mean"], asked.mean_seconds),
        (texts["people"], figures.people.minutes),
    ]


def _satisfaction(figures: Overview) -> list[tuple[str, int, Cell]]:
    questions = phrases("hall")["survey"]["questions"]
    results = figures.results
    return [(questions[name], results.scores[name].total(), results.mean(name)) for name in SCORED]


def _is_number(cell: Cell) -> bool:
    return not isinstance(cell, str)


# --- charts --------------------------------------------------------------------------------------------------------


def _chart_of_days(figures: Overview, _names: Names) -> bytes:
    endings = phrases("figures")["endings"]
    days = list(figures.period.days)
    labels = [f"{day.day}" if figures.period.month else f"{day:%d/%m}" for day in days]
    by_day = figures.asked.by_day
    return charts.stacked(labels, {endings[end]: [by_day[day][end] if day in by_day else 0 for day in days]
                                   for end in QUESTIONS})  # fmt: skip


def _chart_of_fields(figures: Overview, names: Names) -> bytes:
    return charts.bars({str(row[0]): int(str(row[1])) for row in reports.by_field(figures, names)[:12]})


def _chart_of_satisfaction(figures: Overview, _names: Names) -> bytes:
    questions = phrases("hall")["survey"]["questions"]
    return charts.bars(
        {questions[name]: round(mean, 2) for name in SCORED if (mean := figures.results.mean(name))}, most=MOST
    )


def _chart_of_notices(figures: Overview, _names: Names) -> bytes:
    return charts.bars(dict(_named(figures.notices.by_state, phrases("console")["outbox_states"])))


_CHARTS: Mapping[str, Callable[[Overview, Names], bytes]] = {
    "days": _chart_of_days, "fields": _chart_of_fields, "satisfaction": _chart_of_satisfaction,
    "notices": _chart_of_notices,
}  # fmt: skip
