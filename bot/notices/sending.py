"""Works off the SMS in the outbox: claim, send, store how it ended.

The claim is committed before the request goes out and the result after it, so a crash
in between leaves a row that is "sending". It becomes ``uncertain`` and is never blindly
repeated: ``resolve_uncertain`` asks the gateway what it took.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from sqlalchemy import update
from sqlmodel import Session, col, select

from bot.notices import policy
from bot.notices.delivery import settle
from bot.notices.gateways import gateway_for
from bot.notices.gateways.base import Gateway, PermanentError, Sent, Sms, TemporaryError, UncertainError
from bot.settings import Settings
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.tables import Outbox

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=2)
MAX_ATTEMPTS = 6
_DELAYS = tuple(timedelta(minutes=m) for m in (1, 5, 15, 60, 180))
_ADMIN_DELAY = timedelta(minutes=30)  # until staff have mended the account; ends only with expires_at
_ASK_FOR = timedelta(days=1)  # an uncertain send older than this is a person's business
_SKEW = timedelta(minutes=10)  # the gateway's clock against ours
_DEFAULT_VALIDITY = timedelta(hours=10)
_LOST = "không rõ đã gửi hay chưa: tiến trình gửi bị mất"


@dataclass(frozen=True, slots=True)
class _Claim:
    """One row claimed: what the send needs, and what the result is stored under."""

    owner: str
    sms: Sms
    gateway: Gateway
    notice: bool
    attempts: int
    since: datetime


def run_pass(database: Database, settings: Settings, *, owner: str, now: datetime, limit: int = 10_000) -> int:
    """Takes up what a crash left, asks about what is uncertain, sends what is due; returns how many were tried."""
    with database.write() as session:
        take_up_lost(session, now)
    resolve_uncertain(database, settings, now=now)
    return send_due(database, settings, owner=owner, now=now, limit=limit)


def take_up_lost(session: Session, now: datetime) -> None:
    """What ``queue.sweep`` does, for SMS alone: a sender's lease ran out → uncertain; too late → expired.

    The sweep itself is the service's, which has to answer the citizens whose messages it gives up.
    """
    sms = col(Outbox.channel) == policy.SMS
    lost = update(Outbox).where(sms, col(Outbox.state) == "sending", col(Outbox.lease_until) < now)
    session.connection().execute(lost.values(state="uncertain", error=_LOST, lease_until=None))
    late = update(Outbox).where(sms, col(Outbox.state) == "waiting", col(Outbox.expires_at) <= now)
    session.connection().execute(late.values(state="expired"))


def send_due(database: Database, settings: Settings, *, owner: str, now: datetime, limit: int) -> int:
    """Sends SMS that are due, one after the other; blocks on the network, so call it in a thread.

    ``owner`` names this process, and each claim gets a name of its own below it; ``now`` is the time
    at the start of the call.

    Returns:
        How many were tried, at most ``limit``.
    """
    started = monotonic()
    for tried in range(limit):
        moment = now + timedelta(seconds=monotonic() - started)
        with database.write() as session:
            claim = _claim(session, settings, f"{owner[:40]}:{secrets.token_hex(8)}", moment)
        if claim is None:
            return tried
        _send(database, settings, claim, moment)
    return limit


def resolve_uncertain(database: Database, settings: Settings, *, now: datetime) -> int:
    """Asks the gateways about sends whose answer never came.

    What the gateway took is marked sent. What it surely never took (not in its list
    ``settle`` after the try) waits again. All else stays uncertain, for a person.

    Returns:
        How many are certain now.
    """
    with database.read() as session:
        rows = session.exec(
            select(Outbox)
            .where(
                Outbox.channel == policy.SMS,
                Outbox.state == "uncertain",
                col(Outbox.not_before) > now - _ASK_FOR,
            )
            .order_by(col(Outbox.id))
            .limit(50)
        ).all()
    resolved = 0
    for row in rows:
        gateway = gateway_for(settings, demo=row.demo)
        if gateway.name != row.gateway or row.id is None:
            continue  # another account's message; it can't be asked here
        try:
            found = gateway.find(row.recipient, str(row.body["text"]), row.created_at - _SKEW)
        except TemporaryError as error:
            log.warning("tin %s còn chưa rõ: %s", row.id, error)
            return resolved
        with database.write() as session:
            resolved += _resolve(session, row.id, gateway, found, settings=settings, now=now)
    return resolved


def _claim(session: Session, settings: Settings, owner: str, now: datetime) -> _Claim | None:
    while True:
        row = queue.claim_outbox(session, owner=owner, now=now, lease=LEASE, channels=(policy.SMS,))
        if row is None or row.id is None:
            return None
        notice = row.kind == policy.KIND
        if not notice or policy.may_go(session, row, settings, now):
            break
        session.flush()
    gateway = gateway_for(settings, demo=row.demo)
    # Stored with the claim: after a crash they tell whom to ask, and since when.
    row.gateway, row.not_before = gateway.name, now
    valid_for = row.expires_at - now if row.expires_at else _DEFAULT_VALIDITY
    return _Claim(
        owner=owner,
        sms=Sms(row.id, row.recipient, str(row.body["text"]), valid_for),
        gateway=gateway,
        notice=notice,
        attempts=row.attempts,
        since=row.created_at - _SKEW,
    )


def _send(database: Database, settings: Settings, claim: _Claim, now: datetime) -> None:
    notice_id = claim.sms.notice_id
    try:
        sent = _taken_before(database, claim) or claim.gateway.send(claim.sms)
    except UncertainError as error:
        log.warning("tin %s: không rõ đã gửi hay chưa: %s", notice_id, error)
        with database.write() as session:
            queue.mark_uncertain(session, notice_id, claim.owner, now, str(error))
    except TemporaryError as error:
        log.warning("tin %s: chưa gửi được (lần %s): %s", notice_id, claim.attempts, error)
        with database.write() as session:
            if claim.attempts >= MAX_ATTEMPTS:
                queue.mark_failed(session, notice_id, claim.owner, now, str(error))
            else:
                delay = _in_hours(claim, settings, now, _DELAYS[claim.attempts - 1])
                queue.retry_later(session, notice_id, claim.owner, now, str(error), delay)
    except PermanentError as error:
        log.error("tin %s: bị từ chối: %s", notice_id, error)  # noqa: TRY400 - the trace tells nothing more
        with database.write() as session:
            if error.admin:
                delay = _in_hours(claim, settings, now, _ADMIN_DELAY)
                if queue.retry_later(session, notice_id, claim.owner, now, str(error), delay) == "waiting":
                    session.get_one(Outbox, notice_id).attempts -= 1  # the message is not to blame
            else:
                queue.mark_failed(session, notice_id, claim.owner, now, str(error))
    else:
        with database.write() as session:
            # False: a delivery report was quicker and has settled it.
            if queue.mark_sent(session, notice_id, claim.owner, now, sent.provider_id):
                settle(session.get_one(Outbox, notice_id), sent.provider_id, sent.status, now)
        log.info("tin %s: đã gửi qua %s", notice_id, claim.gateway.name)


def _taken_before(database: Database, claim: _Claim) -> Sent | None:
    """Before a repeat, whether an earlier try got through after all (a 5xx need not mean that nothing was done)."""
    if claim.attempts == 1:
        return None
    found = claim.gateway.find(claim.sms.to, claim.sms.text, claim.since)
    with database.read() as session:
        return _unclaimed(session, claim.gateway, found)


def _unclaimed(session: Session, gateway: Gateway, found: list[Sent]) -> Sent | None:
    """The first message that belongs to no other row: the same words may have gone out for an earlier occurrence."""
    ids = [sent.provider_id for sent in found]
    query = select(Outbox.provider_id).where(Outbox.gateway == gateway.name, col(Outbox.provider_id).in_(ids))
    known = set(session.exec(query).all())
    return next((sent for sent in found if sent.provider_id not in known), None)


def _resolve(
    session: Session, outbox_id: int, gateway: Gateway, found: list[Sent], *, settings: Settings, now: datetime
) -> bool:
    query = select(Outbox).where(Outbox.id == outbox_id, Outbox.state == "uncertain").with_for_update()
    row = session.exec(query).first()
    if row is None:
        return False  # settled meanwhile
    sent = _unclaimed(session, gateway, found)
    if sent is not None:
        settle(row, sent.provider_id, sent.status, now)
    elif row.not_before + gateway.settle > now:
        return False
    elif row.attempts >= MAX_ATTEMPTS:
        row.state, row.lease_owner = "failed", None
    else:
        row.state, row.lease_owner = "waiting", None
        row.not_before = policy.sending_time(now, settings) if row.kind == policy.KIND else now
    return True


def _in_hours(claim: _Claim, settings: Settings, now: datetime, delay: timedelta) -> timedelta:
    return policy.sending_time(now + delay, settings) - now if claim.notice else delay
