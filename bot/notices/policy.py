"""What is told, and when: a notice is born in the transaction of the status change that causes it.

Unique by (dossier, event, occurrence, recipient), so a repeat of the change brings
no second notice, and the next entry into the same status brings a new one. To whom and
on which way: ``bot.notices.routes``; whether they agreed: ``bot.notices.consent``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from sqlalchemy import or_, update
from sqlmodel import Session, col, func, select

from bot.catalog.loading import CatalogError
from bot.catalog.office import Office, load_office
from bot.catalog.offices import Offices, load_offices
from bot.clock import local
from bot.notices import consent
from bot.notices.routes import BY_USER, PHONE_CHANNELS, ZALO, Step, dedupe_key, put, routes
from bot.settings import Settings
from bot.storage.sight import EVERY_OFFICE
from bot.storage.tables import Dossier, Outbox, StatusChange
from bot.survey import surveys
from bot.texts import phrases

log = logging.getLogger(__name__)

SMS = consent.SMS
KIND = "notice"
VALID_FOR = timedelta(days=7)

# Status of the national exchange → event. Only these are told.
EVENTS = {3: "not_accepted", 5: "papers_wanted", 6: "payment_due", 8: "stopped", 9: "result_ready", 10: "survey"}
PRIORITIES = {"reminder": 5, "survey": 6}  # all else: 0, first
RETURN_MODES = frozenset({"counter", "post", "electronic"})
# Statuses in which what an event says is still so.
_STILL = {"reminder": frozenset({9}), "overdue": frozenset({1, 2, 4, 5, 6})}


def on_status_change(
    session: Session, dossier: Dossier, change: StatusChange, settings: Settings, now: datetime
) -> int | None:
    """Puts the notices of an entry into a status into the outbox, one for each person to be told.

    Called in the same transaction as the change, after ``on_status_left``.

    Returns:
        The outbox id of the first; None where nobody is to be told: the status is not told, there is no
        phone, no consent, an opt-out, or the notice of this occurrence is there already.
    """
    event = EVENTS.get(change.after)
    if event is None or not switched_on(event, dossier.code, settings):
        return None
    more = {}
    if event == surveys.EVENT:
        if change.before is None or not surveys.switched_on(session):
            return None  # an old dossier loaded late, not a return that just happened
        surveys.open_one(session, settings, dossier.code, now)
        link = surveys.link(settings, dossier.code)
        more = {"link": link} if link else {}
    if change.id is None:
        session.add(change)
        session.flush()
    return tell(session, dossier, event, occurrence_of(change), settings, now, **more)


def tells_of_new(status: int) -> bool:
    """Whether anybody could have to be told of a dossier that is new and in this status."""
    return EVENTS.get(status, surveys.EVENT) != surveys.EVENT


def occurrence_of(change: StatusChange) -> str:
    """What tells this entry into a status from another; "#" keeps our own numbers apart from a source's."""
    return change.source_change_id or f"#{change.id}"


def tell(
    session: Session,
    dossier: Dossier,
    event: str,
    occurrence: str,
    settings: Settings,
    now: datetime,
    **more: str,
) -> int | None:
    """Puts the notices of one occurrence of an event into the outbox.

    Args:
        session: the transaction of what happened.
        dossier: it happened to.
        event: its name.
        occurrence: what tells this time from another; the same again puts nothing.
        settings: delay, hours, ways.
        now: the moment (aware).
        more: further fields of the template, for example ``due``.
    """
    fields = {"office": office_name(dossier, settings), "code": dossier.code, **more}
    first = sending_time(now + timedelta(minutes=settings.notice_delay_minutes), settings)
    like = Outbox(
        kind=KIND, channel="", recipient="", dedupe_key="", event=event, occurrence=occurrence,
        priority=PRIORITIES.get(event, 0), not_before=first, expires_at=first + VALID_FOR, created_at=now,
        office=office_of(dossier.code, settings),
    )  # fmt: skip
    several, template = len(settings.offices) > 1, _template(event, dossier.return_mode, fields)
    told = [
        put(session, steps, dossier, like, template, fields, several=several)
        for steps in routes(session, dossier, event, settings)
    ]
    return next((one for one in told if one is not None), None)


def on_status_left(session: Session, dossier: Dossier, now: datetime) -> int:  # noqa: ARG001 - agreed signature
    """Cancels the dossier's notices that still wait: what they tell is no longer so.

    Called in the same transaction as the change, before ``on_status_change``.

    Returns:
        How many were cancelled. What is being sent or was sent stays.
    """
    return cancel_waiting(session, dossier.code)


def cancel_waiting(session: Session, code: str, event: str | None = None) -> int:
    """Cancels a dossier's notices (of one event, or all) that still wait; returns how many."""
    which = [col(Outbox.kind) == KIND, col(Outbox.dossier_code) == code, col(Outbox.state) == "waiting"]
    if event is not None:
        which.append(col(Outbox.event) == event)
    return int(session.connection().execute(update(Outbox).where(*which).values(state="cancelled")).rowcount)


def wait_again(session: Session, change: StatusChange, settings: Settings, now: datetime) -> int:
    """Lets the notices of an entry wait again that were cancelled, untried, by a move that was undone.

    Whether what they say is still so, and wanted, is looked at when they go (``may_go``).

    Returns:
        How many.
    """
    first = sending_time(now + timedelta(minutes=settings.notice_delay_minutes), settings)
    again = update(Outbox).where(
        col(Outbox.kind) == KIND,
        col(Outbox.dossier_code) == change.dossier_code,
        col(Outbox.occurrence) == occurrence_of(change),
        col(Outbox.state) == "cancelled",
        col(Outbox.attempts) == 0,
        col(Outbox.expires_at) > first,
    )
    return int(session.connection().execute(again.values(state="waiting", not_before=first)).rowcount)


def may_go(session: Session, row: Outbox, settings: Settings, now: datetime) -> bool:
    """Whether a notice just claimed may be sent now; else it is cancelled, or waits (uncommitted)."""
    if not readdress(session, row, settings):
        row.state, row.lease_owner, row.lease_until = "cancelled", None, None
    elif (opens := _first_allowed(session, row, settings, now)) > now:
        # Due in the day, but the day is over (a late start, a long queue), or this person was told enough today.
        row.state, row.lease_owner, row.lease_until = "waiting", None, None
        row.not_before, row.attempts = opens, row.attempts - 1
    else:
        return True
    return False


_UNDER_WAY_OR_OVER = ("sending", "sent", "delivered", "failed", "uncertain", "cancelled", "expired")


def _first_allowed(session: Session, row: Outbox, settings: Settings, now: datetime) -> datetime:
    opens = sending_time(now, settings)
    if opens > now:
        return opens
    midnight = local(now).replace(hour=0, minute=0, second=0, microsecond=0)
    today = session.exec(
        select(func.count())
        .select_from(Outbox)
        .where(
            Outbox.channel == row.channel,
            Outbox.recipient == row.recipient,
            Outbox.kind == KIND,
            Outbox.id != row.id,
            # What waits was not sent. Said also for SQLite, which else takes the index of all notices (measured).
            col(Outbox.state).in_(_UNDER_WAY_OR_OVER),
            or_(col(Outbox.sent_at) >= midnight, col(Outbox.state) == "sending"),
        )
        .execution_options(**{EVERY_OFFICE: True})  # a citizen's phone counts what it gets from all offices
    ).one()
    return sending_time(midnight + timedelta(days=1), settings) if today >= settings.notices_per_recipient_day else now


def readdress(session: Session, row: Outbox, settings: Settings) -> bool:
    """Brings a notice up to date just before it is sent.

    A corrected phone number takes the old one's place; consent withdrawn meanwhile counts.

    Returns:
        False where it is not to be sent any more. ``on_status_left`` cancels what waits; here falls
        what was being tried just then, and so was no longer waiting.
    """
    dossier = session.get(Dossier, row.dossier_code)
    if dossier is None or not _still_so(dossier, row.event or "") or _has_successor(session, row):
        return False
    if row.channel not in PHONE_CHANNELS:
        chat = ZALO if row.channel == BY_USER else row.channel
        return bool(consent.wants(session, chat, row.recipient, dossier.code))
    if not consent.may_sms(session, dossier, settings):
        return False
    if dossier.phone and dossier.phone != row.recipient:
        key = dedupe_key(Step(row.channel, dossier.phone), dossier.code, row.event or "", row.occurrence or "")
        if session.exec(select(Outbox.id).where(Outbox.dedupe_key == key)).first() is not None:
            return False  # the new number has its own notice
        row.recipient, row.dedupe_key = dossier.phone, key
        row.body = {**row.body, "route": [
            [channel, dossier.phone if channel in PHONE_CHANNELS else recipient]
            for channel, recipient in row.body.get("route") or ()
        ]}  # fmt: skip
    return True


def _still_so(dossier: Dossier, event: str) -> bool:
    return dossier.status in _STILL[event] if event in _STILL else EVENTS.get(dossier.status) == event


def _has_successor(session: Session, row: Outbox) -> bool:
    """Whether the dossier came into this status again later: that entry has its own notice."""
    later = select(Outbox.id).where(
        Outbox.kind == KIND,
        Outbox.channel == row.channel,
        Outbox.dossier_code == row.dossier_code,
        Outbox.event == row.event,
        Outbox.occurrence != row.occurrence,
        col(Outbox.id) > row.id,
    )
    return session.exec(later).first() is not None


def sending_time(moment: datetime, settings: Settings) -> datetime:
    """The first moment from ``moment`` on within the hours in which notices may go out (Vietnam time)."""
    wall = local(moment)
    opens = wall.replace(hour=settings.notice_from_hour, minute=0, second=0, microsecond=0)
    if wall < opens:
        return opens
    if wall.hour >= settings.notice_to_hour:
        return opens + timedelta(days=1)
    return moment


def office_of(code: str, settings: Settings) -> str | None:
    """Slug of the office that a dossier's code belongs to; None where there is one office alone, or it is nobody's."""
    return configured_offices(settings.catalog, settings.offices).of_code(code) if len(settings.offices) > 1 else None


def office_name(dossier: Dossier, settings: Settings) -> str:
    """The office a notice speaks for: as the dossier has it, else by the short name of the one it belongs to."""
    configured = _profile(dossier.code, settings)
    return dossier.office or (configured.short_name if configured else str(phrases("notices")["office"]))


def switched_on(event: str, code: str, settings: Settings) -> bool:
    """Whether the office that a dossier's code belongs to tells of an event."""
    office = _profile(code, settings)
    if event == "survey":
        return office is not None and office.notify.survey
    return office is None or event not in office.notify.off


def _profile(code: str, settings: Settings) -> Office | None:
    """The profile of the office that a dossier's code belongs to; None of several where it is nobody's."""
    slug = office_of(code, settings) if len(settings.offices) > 1 else settings.office
    return configured_office(settings.catalog, slug) if slug else None


@lru_cache(maxsize=256)
def configured_office(root: Path, slug: str) -> Office | None:
    """The office's profile; None where it can't be read, which must not stop a status change."""
    try:
        return load_office(root, slug)[0]
    except CatalogError as error:
        log.warning("hồ sơ cơ quan không đọc được, tin báo dùng tên chung: %s", error)
        return None


@lru_cache(maxsize=8)
def configured_offices(root: Path, slugs: tuple[str, ...]) -> Offices:
    """All offices; none where they can't be read, which must not stop a status change."""
    try:
        return load_offices(root, slugs)
    except CatalogError as error:
        log.warning("hồ sơ các cơ quan không đọc được: %s", error)
        return Offices()


def _template(event: str, return_mode: str, fields: Mapping[str, str]) -> str:
    if event == surveys.EVENT and "link" in fields:
        return "survey_link"
    if event != "result_ready":
        return event
    # An unknown way of return falls back to the counter: nobody waits in vain for the post.
    return f"{event}_{return_mode if return_mode in RETURN_MODES else 'counter'}"
