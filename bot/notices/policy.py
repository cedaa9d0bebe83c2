"""Who is told what, and when: a notice is born in the transaction of the status change that causes it.

Unique by (dossier, event, occurrence, recipient), so a repeat of the change brings
no second notice, and the next entry into the same status brings a new one.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from sqlalchemy import update
from sqlmodel import Session, col, select

from bot.catalog.loading import CatalogError
from bot.catalog.office import load_office
from bot.clock import local
from bot.notices.templates import render
from bot.settings import Settings
from bot.storage import queue
from bot.storage.tables import Conversation, Dossier, Outbox, Preference, StatusChange
from bot.texts import phrases

log = logging.getLogger(__name__)

SMS = "sms"
KIND = "notice"
VALID_FOR = timedelta(days=7)
WORDING = "xin-bao-1"  # which wording of the question the citizen said yes to

# Status of the national exchange → event. Only these are told by SMS.
EVENTS = {3: "not_accepted", 5: "papers_wanted", 6: "payment_due", 8: "stopped", 9: "result_ready"}
RETURN_MODES = frozenset({"counter", "post", "electronic"})


def on_status_change(
    session: Session, dossier: Dossier, change: StatusChange, settings: Settings, now: datetime
) -> int | None:
    """Puts the notices of an entry into a status into the outbox: one SMS, and one to each chat that asked for it.

    Called in the same transaction as the change, after ``on_status_left``.

    Returns:
        The outbox id of the first; None where nobody is to be told: the status is not told, there is no
        phone, no consent, an opt-out, or the notice of this occurrence is there already.
    """
    event = EVENTS.get(change.after)
    if event is None:
        return None
    recipients = [(SMS, dossier.phone or "")] if _may_be_told(session, dossier) else []
    recipients += _chats(session, dossier)
    if not recipients:
        return None
    if change.id is None:
        session.add(change)
        session.flush()
    # "#" keeps our own numbers apart from a source's.
    occurrence = change.source_change_id or f"#{change.id}"
    first = sending_time(now + timedelta(minutes=settings.notice_delay_minutes), settings)
    put = []
    for channel, recipient in recipients:
        row = Outbox(
            kind=KIND,
            channel=channel,
            recipient=recipient,
            dedupe_key=_dedupe_key(channel, dossier.code, event, occurrence, recipient),
            body={"text": _text(channel, event, dossier, settings), "buttons": []},
            dossier_code=dossier.code,
            event=event,
            occurrence=occurrence,
            demo=dossier.demo,
            not_before=first,
            expires_at=first + VALID_FOR,
            created_at=now,
        )
        put.append(queue.put_outbox(session, row))
    return next((one for one in put if one is not None), None)


def subscribe(
    session: Session, channel: str, recipient: str, dossier_code: str, now: datetime, *, evidence: str
) -> None:
    """Writes down that the notices of a dossier are wanted on a channel ("sms", or a chat), and how that is known."""
    session.add(
        Preference(
            channel=channel, recipient=recipient, dossier_code=dossier_code, wants=True, wording=WORDING,
            evidence=evidence[:200], at=now,
        )
    )  # fmt: skip


def wants(session: Session, channel: str, recipient: str, dossier_code: str) -> bool | None:
    """The newest word of a recipient about the notices of a dossier (or of all); None where there is none."""
    newest = session.exec(
        select(Preference)
        .where(
            Preference.channel == channel,
            Preference.recipient == recipient,
            col(Preference.dossier_code).in_(("", dossier_code)),
        )
        .order_by(col(Preference.at).desc(), col(Preference.id).desc())
        .limit(1)
    ).first()
    return None if newest is None else newest.wants


def _chats(session: Session, dossier: Dossier) -> list[tuple[str, str]]:
    """The chats that asked to be told about this dossier, still want it and can be reached."""
    asked = session.exec(
        select(Preference.channel, Preference.recipient)
        .where(Preference.dossier_code == dossier.code, Preference.channel != SMS)
        .distinct()
        .order_by(col(Preference.channel), col(Preference.recipient))
    ).all()
    gone = select(Conversation.sender).where(col(Conversation.unreachable_at).is_not(None))
    return [
        (channel, recipient)
        for channel, recipient in asked
        if wants(session, channel, recipient, dossier.code)
        and session.exec(gone.where(Conversation.channel == channel, Conversation.sender == recipient)).first() is None
    ]


def _text(channel: str, event: str, dossier: Dossier, settings: Settings) -> str:
    template, fields = _template(event, dossier.return_mode), _fields(dossier, settings)
    if channel == SMS:
        return render(template, fields)
    told = str(phrases("notices")[template]).format(**fields)
    return f"{phrases('replies')['status_demo']}\n{told}" if dossier.demo else told


def on_status_left(session: Session, dossier: Dossier, now: datetime) -> int:  # noqa: ARG001 - agreed signature
    """Cancels the dossier's notices that still wait: what they tell is no longer so.

    Called in the same transaction as the change, before ``on_status_change``.

    Returns:
        How many were cancelled. What is being sent or was sent stays.
    """
    waiting = (
        update(Outbox)
        .where(
            col(Outbox.kind) == KIND,
            col(Outbox.dossier_code) == dossier.code,
            col(Outbox.state) == "waiting",
        )
        .values(state="cancelled")
    )
    return int(session.connection().execute(waiting).rowcount)


def may_go(session: Session, row: Outbox, settings: Settings, now: datetime) -> bool:
    """Whether a notice just claimed may be sent now; else it is cancelled, or waits for the morning (uncommitted)."""
    if not readdress(session, row):
        row.state, row.lease_owner, row.lease_until = "cancelled", None, None
    elif (opens := sending_time(now, settings)) > now:
        # Due in the day, but the day is over: a late start or a long queue.
        row.state, row.lease_owner, row.lease_until = "waiting", None, None
        row.not_before, row.attempts = opens, row.attempts - 1
    else:
        return True
    return False


def readdress(session: Session, row: Outbox) -> bool:
    """Brings a notice up to date just before it is sent.

    A corrected phone number takes the old one's place; consent withdrawn meanwhile counts.

    Returns:
        False where it is not to be sent any more. ``on_status_left`` cancels what waits; here falls
        what was being tried just then, and so was no longer waiting.
    """
    dossier = session.get(Dossier, row.dossier_code)
    if dossier is None or EVENTS.get(dossier.status) != row.event or _has_successor(session, row):
        return False
    if row.channel != SMS:
        return bool(wants(session, row.channel, row.recipient, dossier.code))
    if not _may_be_told(session, dossier):
        return False
    if dossier.phone and dossier.phone != row.recipient:
        key = _dedupe_key(SMS, dossier.code, row.event or "", row.occurrence or "", dossier.phone)
        if session.exec(select(Outbox.id).where(Outbox.dedupe_key == key)).first() is not None:
            return False  # the new number has its own notice
        row.recipient, row.dedupe_key = dossier.phone, key
    return True


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


def office_name(dossier: Dossier, settings: Settings) -> str:
    """The office a notice speaks for: the dossier's own, else the configured one's short name."""
    return dossier.office or _configured_office(settings.catalog, settings.office)


@lru_cache(maxsize=8)
def _configured_office(root: Path, slug: str) -> str:
    try:
        return load_office(root, slug)[0].short_name
    except CatalogError as error:
        # A broken profile must not stop a status change; the general name is right for every office.
        log.warning("hồ sơ cơ quan không đọc được, tin báo dùng tên chung: %s", error)
        return str(phrases("notices")["office"])


def _may_be_told(session: Session, dossier: Dossier) -> bool:
    if not dossier.phone:
        return False
    told = wants(session, SMS, dossier.phone, dossier.code)
    return dossier.consent_sms if told is None else told and (dossier.consent_sms or _asked(session, dossier))


def _asked(session: Session, dossier: Dossier) -> bool:
    """Whether this phone's owner asked for the notices of this very dossier, having proved it theirs."""
    mine = select(Preference.id).where(
        Preference.channel == SMS, Preference.recipient == dossier.phone, Preference.dossier_code == dossier.code
    )
    return session.exec(mine.limit(1)).first() is not None


def _template(event: str, return_mode: str) -> str:
    if event != "result_ready":
        return event
    # An unknown way of return falls back to the counter: nobody waits in vain for the post.
    return f"{event}_{return_mode if return_mode in RETURN_MODES else 'counter'}"


def _fields(dossier: Dossier, settings: Settings) -> dict[str, str]:
    return {"office": office_name(dossier, settings), "code": dossier.code}


def _dedupe_key(channel: str, code: str, event: str, occurrence: str, recipient: str) -> str:
    key = f"{code}:{event}:{occurrence}:{recipient}"
    return key if channel == SMS else f"{channel}:{key}"
