"""The page of notices: what waits and since when, what failed and why, what it costs; pause, decide, try."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session

from bot.console import accounts
from bot.console.notices import rows
from bot.console.numbers import typed_number
from bot.console.pages import Console, Signed, local_path
from bot.errors import BadInputError
from bot.logs import mask
from bot.notices import control, overview, policy, sending, trial, wording
from bot.notices.gateways import ZALO_TEMPLATES
from bot.settings import Settings
from bot.storage.tables import GatewayPause
from bot.texts import phrases

VERDICTS = ("sent", "again", "drop")
_NOTES = ("paused", "resumed", "resolved", "test_sent")


def add(routes: APIRouter, console: Console) -> None:
    """The page and its forms."""
    reads = console.needs("notices")
    manages, holds = console.posts("notices.manage"), console.posts("notices.words")
    settings, clock, said = console.settings, console.clock, phrases("desk")

    async def page(
        request: Request, who: Signed, wanted: overview.Wanted, after: str = "", code: int = 200, **shown: Any
    ) -> Response:
        def read(session: Session) -> dict[str, Any]:
            return _board(session, settings, who, clock()) | _list(session, wanted, after)

        return console.page(request, "notices.html", who, code, **(await console.read(read)), **shown)

    async def changed(request: Request, who: Signed, to: str, change: Callable[[Session], None]) -> Response:
        try:
            await console.write(change)
        except BadInputError as refused:
            return await page(request, who, overview.Wanted(), code=409, error=str(refused))
        return RedirectResponse(to, 303)

    @routes.get("", response_class=HTMLResponse)
    async def notices(
        request: Request, who: Signed = reads, state: str = "", channel: str = "", after: str = "", done: str = "",
        about: str = "",
    ) -> Response:  # fmt: skip
        wanted = overview.Wanted(
            state if state in overview.STATES else "", channel if channel in said["channels"] else ""
        )
        return await page(request, who, wanted, after[:80], done=_note(done, about))

    @routes.post("/pause")
    async def pause(request: Request, who: Signed = holds, channel: str = Form(""), reason: str = Form("")) -> Response:
        def change(session: Session) -> None:
            now = clock()
            _known(channel)
            why = " ".join(reason.split())[:300]
            if not why:
                raise BadInputError(said["pause_reason"])
            held = control.pauses(session, now).get(channel)
            if held is not None and held.by != control.SYSTEM:
                raise BadInputError(
                    said["paused_already"].format(
                        channel=rows.channel_name(channel), by=held.by, at=rows.moment(held.at), reason=held.reason
                    )
                )
            control.pause(session, channel, who.name, why, now)
            accounts.audit(session, who.name, "pause_notices", channel, now, reason=why)

        return await changed(request, who, f"/staff/notices?done=paused&about={channel[:20]}", change)

    @routes.post("/resume")
    async def resume(request: Request, who: Signed = holds, channel: str = Form("")) -> Response:
        def change(session: Session) -> None:
            _known(channel)
            held = control.pauses(session, clock()).get(channel)
            if held is None or not control.resume(session, channel):
                raise BadInputError(said["not_paused"].format(channel=rows.channel_name(channel)))
            accounts.audit(session, who.name, "resume_notices", channel, clock(), before=held.reason)

        return await changed(request, who, f"/staff/notices?done=resumed&about={channel[:20]}", change)

    @routes.post("/{number}/resolve")
    async def resolve(
        request: Request, number: str, who: Signed = manages, verdict: str = Form(""), back: str = Form("")
    ) -> Response:
        def change(session: Session) -> None:
            if verdict not in VERDICTS:
                raise BadInputError(said["no_verdict"])
            outbox_id = typed_number(number) or 0
            if not sending.resolve_by_staff(session, outbox_id, verdict, settings, clock()):
                raise BadInputError(said["resolved_meanwhile"].format(id=outbox_id))
            accounts.audit(session, who.name, "resolve_notice", str(outbox_id), clock(), verdict=verdict)

        there = local_path(back) if back.startswith("/staff/dossiers/") else "/staff/notices"
        return await changed(request, who, f"{there}?done=resolved&about={number[:19]}", change)

    @routes.post("/test")
    async def test(
        request: Request, who: Signed = manages, phone: str = Form(""), template: str = Form("")
    ) -> Response:
        def change(session: Session) -> None:
            now = clock()
            office = office_name(settings, who.office)
            row = trial.send(session, phone[:30], template, office, staff=who.name, settings=settings, now=now)
            accounts.audit(session, who.name, "test_notice", mask(row.recipient), now, template=template)

        return await changed(request, who, "/staff/notices?done=test_sent#thu", change)


def office_name(settings: Settings, slug: str | None = None) -> str:
    """The office in whose name a preview or a test speaks: one of several, else the default one."""
    office = policy.configured_office(settings.catalog, slug or settings.office)
    return office.short_name if office else str(phrases("notices")["office"])


def _known(channel: str) -> None:
    if channel not in phrases("desk")["channels"]:
        raise BadInputError(phrases("desk")["no_channel"].format(channel=channel[:20]))


def _note(done: str, about: str) -> str:
    """What a form has just done; a link may carry anything, so only known words are shown."""
    said = phrases("desk")
    if done not in _NOTES:
        return ""
    number = about if about.isascii() and about.isdigit() else "?"
    channel = rows.channel_name(about) if about in said["channels"] else "?"
    return str(said[done]).format(channel=channel, id=number[:19], phone="số đã nhập")


def _list(session: Session, wanted: overview.Wanted, after: str) -> dict[str, Any]:
    found = overview.page(session, wanted, after)
    return {"rows": rows.shown(found.notices), "following": found.following, "wanted": wanted}


def _board(session: Session, settings: Settings, who: Signed, now: datetime) -> dict[str, Any]:
    said = phrases("desk")
    queues = {one.channel: one for one in overview.queues(session, now)}
    held = control.pauses(session, now)
    spent, budget = control.budget(session, "sms", settings, now), None
    if spent.most_segments or spent.most_dong:
        budget = {
            "percent": round(spent.share * 100),
            "segments": f"{spent.segments} / {spent.most_segments}" if spent.most_segments else "",
            "dong": f"{rows.money(spent.dong)} / {rows.money(spent.most_dong)}" if spent.most_dong else "",
        }
    unsure = overview.uncertain(session)
    alerts = []
    if spent.alert:
        alerts.append(said[f"alert_{spent.alert}"].format(percent=round(spent.share * 100)))
    waiting = sum(queue.states.get("uncertain", 0) for queue in queues.values())
    if waiting:
        alerts.append(said["alert_uncertain"].format(count=waiting))
    return {
        "alerts": alerts,
        "channels": [
            _channel(channel, queues.get(channel), held.get(channel), now)
            for channel in _channels(settings, queues.keys() | held.keys())
        ],
        "states": phrases("console")["outbox_states"],
        "state_order": overview.STATES,
        "names": said["channels"],
        "failures": [
            {"reason": one.reason, "count": one.count, "at": rows.moment(one.last_at)}
            for one in overview.failures(session, now)
        ],
        "spend": _spend(session, now),
        "budget": budget,
        "unsure": rows.shown(unsure),
        "verdicts": {name: said["verdicts"][name] for name in VERDICTS},
        "tests": rows.shown(trial.sent_by(session, who.name, now)) if who.may("notices.manage") else [],
        "tests_left": trial.left_today(session, who.name, now),
        "templates": [(one.name, said["templates"].get(one.name, one.name)) for one in wording.all_words(session)],
        "days": overview.RECENT.days,
    }


def _channels(settings: Settings, used: set[str]) -> list[str]:
    """The channels that can carry notices here, and those that did."""
    on = {"sms"} | used
    if settings.zalo_template_ids:
        on |= ZALO_TEMPLATES
    connected = {
        "zalo_oa": settings.has_zalo_oa,
        "zalo_bot": bool(settings.zalo_bot_token),
        "telegram": bool(settings.telegram_token),
    }
    on |= {channel for channel, there in connected.items() if there}
    return [channel for channel in phrases("desk")["channels"] if channel in on]


def _channel(channel: str, queue: overview.Queue | None, held: GatewayPause | None, now: datetime) -> dict[str, Any]:
    queue = queue or overview.Queue(channel)
    minutes = int((now - queue.oldest).total_seconds() // 60) if queue.oldest else None
    return {
        "key": channel,
        "name": rows.channel_name(channel),
        "states": queue.states,
        "oldest": age(minutes),
        "held": held
        and {"by": held.by, "reason": held.reason, "at": rows.moment(held.at), "until": rows.moment(held.until)},
    }


def age(minutes: int | None) -> str:
    """How long something waits, in words: «3 phút», «2 giờ 5 phút», «4 ngày»; "" where nothing does."""
    if minutes is None:
        return ""
    if minutes < 60:
        return f"{minutes} phút"
    if minutes < 24 * 60:
        return f"{minutes // 60} giờ {minutes % 60} phút"
    return f"{minutes // (24 * 60)} ngày"


def _spend(session: Session, now: datetime) -> list[dict[str, Any]]:
    times = {name: overview.spent(session, now, month=month) for name, month in (("today", False), ("month", True))}
    found = []
    for channel in phrases("desk")["channels"]:
        if any(channel in spent for spent in times.values()):
            row: dict[str, Any] = {"name": rows.channel_name(channel)}
            for name, spent in times.items():
                one = spent.get(channel, overview.Sum(0, 0, 0.0))
                row[name] = {"messages": one.messages, "segments": one.segments, "dong": rows.money(one.dong)}
            found.append(row)
    return found
