"""Works off the notices in the outbox: claim, send, store how it ended.

The claim is committed before the request goes out and the result after it, so a crash
in between leaves a row that is "sending". It becomes ``uncertain`` and is never blindly
repeated: ``resolve_uncertain`` asks the gateway what it took.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from prometheus_client import Counter
from sqlalchemy import update
from sqlmodel import Session, col, select

from bot.logs import in_turn
from bot.notices import control, policy, routes
from bot.notices.delivery import settle
from bot.notices.gateways.base import Gateway, Parcel, PermanentError, Sent, TemporaryError, UncertainError
from bot.notices.gateways.pool import Gateways
from bot.office_accounts import id_of
from bot.settings import Settings
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.tables import Outbox

log = logging.getLogger(__name__)

CHANNELS = ("sms", "zbs_uid", "zbs_phone")  # chats send their own (bot.api.background)
LEASE = timedelta(minutes=2)
MAX_ATTEMPTS = 6
PARALLEL = 8  # sends at once
_DELAYS = tuple(timedelta(minutes=m) for m in (1, 5, 15, 60, 180))
# The gateway's clock against ours when the message was made: a machine whose hardware clock keeps local time is seven
# hours ahead until it hears otherwise. What is found too early belongs to another row, or is looked over (_unclaimed).
_SKEW = timedelta(hours=12)
_DEFAULT_VALIDITY = timedelta(hours=10)
_LOST = "không rõ đã gửi hay chưa: tiến trình gửi bị mất"
_SENDS = Counter("motcua_notice_sends_total", "Sends of notices by channel and how they ended", ["channel", "result"])


@dataclass(frozen=True, slots=True)
class Claim:
    """One row claimed: what the send needs, and what the result is stored under."""

    owner: str
    parcel: Parcel
    channel: str
    demo: bool
    notice: bool
    attempts: int
    inbox_id: int | None = None  # of the turn it answers, None for a notice


async def run_pass(
    database: Database,
    settings: Settings,
    *,
    owner: str,
    now: datetime,
    limit: int = 10_000,
    gateways: Gateways | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Takes up what a crash left, asks about what is uncertain, sends what is due; returns how many were tried.

    ``stopped``: True lets what is being sent end, and begins no other.
    """
    own = gateways or Gateways(settings)
    try:
        await asyncio.to_thread(_take_up, database, now)
        await resolve_uncertain(database, settings, own, now=now)
        return await send_due(database, settings, own, owner=owner, now=now, limit=limit, stopped=stopped)
    finally:
        if gateways is None:
            await own.close()


def _take_up(database: Database, now: datetime) -> None:
    with database.write() as session:
        take_up_lost(session, now)


def take_up_lost(session: Session, now: datetime) -> None:
    """What ``queue.sweep`` does, for notices alone: a sender's lease ran out → uncertain; too late → expired.

    The sweep itself is the service's, which has to answer the citizens whose messages it gives up.
    """
    ours = col(Outbox.channel).in_(CHANNELS)
    lost = update(Outbox).where(ours, col(Outbox.state) == "sending", col(Outbox.lease_until) < now)
    session.connection().execute(lost.values(state="uncertain", error=_LOST, lease_until=None))
    late = update(Outbox).where(ours, col(Outbox.state) == "waiting", col(Outbox.expires_at) <= now)
    session.connection().execute(late.values(state="expired"))


async def send_due(
    database: Database,
    settings: Settings,
    gateways: Gateways,
    *,
    owner: str,
    now: datetime,
    limit: int,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Sends what is due, ``PARALLEL`` at once, until ``stopped``.

    ``owner`` names this process, and each claim gets a name of its own below it; ``now`` is the time
    at the start of the call.

    Returns:
        How many were tried, at most ``limit``.
    """
    started = monotonic()
    tried = 0

    def claim(moment: datetime) -> Claim | None:
        with database.write() as session:
            return _claim(session, settings, f"{owner[:40]}:{secrets.token_hex(8)}", moment)

    async def worker() -> None:
        nonlocal tried
        while tried < limit and not stopped():
            tried += 1
            moment = now + timedelta(seconds=monotonic() - started)
            found = await asyncio.to_thread(claim, moment)
            if found is None:
                tried -= 1
                return
            with in_turn(found.inbox_id):
                await _send(database, settings, gateways, found, moment)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(PARALLEL, limit)):
            group.create_task(worker())
    return tried


def _claim(session: Session, settings: Settings, owner: str, now: datetime) -> Claim | None:
    paused = control.pauses(session, now)
    channels = [channel for channel in CHANNELS if channel not in paused]
    notices_on = [channel for channel in channels if control.within_budget(session, channel, settings, now)]
    while True:
        row = queue.claim_outbox(
            session, owner=owner, now=now, lease=LEASE, channels=channels, notices_on=notices_on
        )  # fmt: skip
        if row is None or row.id is None:
            return None
        with session.no_autoflush:  # the claim is written once, with what is added below
            if row.kind != policy.KIND or policy.may_go(session, row, settings, now):
                break
        session.flush()
    # Stored with the claim: after a crash they tell whom to ask, and since when.
    row.gateway, row.not_before, row.looks, row.looked_at = Gateways.name_of(settings, row), now, 0, None
    return Claim(owner, parcel_of(row, now), row.channel, row.demo, row.kind == policy.KIND, row.attempts, row.inbox_id)


def parcel_of(row: Outbox, now: datetime) -> Parcel:
    """What a gateway needs of a row."""
    return Parcel(
        notice_id=row.id or 0,
        reference=f"mc-{row.id}-{row.created_at:%y%m%d%H%M%S}",
        to=id_of(row.recipient),
        text=str(row.body.get("text", "")),
        valid_for=row.expires_at - now if row.expires_at else _DEFAULT_VALIDITY,
        since=row.created_at - _SKEW,
        template=row.event or "",
        fields=row.body.get("fields") or {},
        office=row.office,
    )


async def _send(database: Database, settings: Settings, gateways: Gateways, claim: Claim, now: datetime) -> None:
    notice_id = claim.parcel.notice_id
    gateway = gateways.of(claim.channel, demo=claim.demo)
    try:
        sent = await _taken_before(database, gateway, claim)
        if sent is None:
            await gateways.turn(gateway.name)
            sent = await gateway.send(claim.parcel)
    except (UncertainError, TemporaryError, PermanentError) as error:
        await asyncio.to_thread(_store_failure, database, settings, claim, now, error)
    except Exception as error:
        # Nobody knows how far it got.
        log.exception("tin %s: lỗi khi gửi", notice_id)
        unsure = UncertainError(type(error).__name__)
        await asyncio.to_thread(_store_failure, database, settings, claim, now, unsure)
    else:
        _SENDS.labels(claim.channel, "sent").inc()
        await asyncio.to_thread(_store_sent, database, settings, claim, now, sent)
        log.info("tin %s: đã gửi qua %s", notice_id, gateway.name)


def _store_sent(database: Database, settings: Settings, claim: Claim, now: datetime, sent: Sent) -> None:
    with database.write() as session:
        # None: a delivery report was quicker and has settled it.
        row = queue.held_outbox(session, claim.parcel.notice_id, claim.owner)
        if row is not None:
            settle(row, sent.provider_id, sent.status, now)
            control.record(session, row, settings, now, float(sent.cost) if sent.cost is not None else None)


def _store_failure(
    database: Database,
    settings: Settings,
    claim: Claim,
    now: datetime,
    error: UncertainError | TemporaryError | PermanentError,
) -> None:
    notice_id, told = claim.parcel.notice_id, str(error)
    with database.write() as session:
        if isinstance(error, UncertainError):
            _SENDS.labels(claim.channel, "uncertain").inc()
            log.warning("tin %s: không rõ đã gửi hay chưa: %s", notice_id, told)
            queue.mark_uncertain(session, notice_id, claim.owner, now, told)
        elif isinstance(error, TemporaryError):
            _SENDS.labels(claim.channel, "temporary").inc()
            log.warning("tin %s: chưa gửi được (lần %s): %s", notice_id, claim.attempts, told)
            if claim.attempts >= MAX_ATTEMPTS:
                _give_up(session, settings, claim, now, told)
            else:
                pause = _DELAYS[claim.attempts - 1] * (1 + random.uniform(0, 0.2))  # noqa: S311 - spreads the load
                delay = _in_hours(claim, settings, now, max(pause, error.delay or timedelta()))
                queue.retry_later(session, notice_id, claim.owner, now, told, delay)
        elif error.kind == "account":
            _SENDS.labels(claim.channel, "account").inc()
            its_own = settings.has_own_sender(claim.parcel.office, claim.channel)
            if its_own and (error.sender or claim.channel != routes.SMS):  # one Official Account is all of it
                # What leaves from the other offices' accounts must not wait for this one.
                log.error("tài khoản gửi riêng của %s bị từ chối: %s", claim.parcel.office, told)
                delay = _in_hours(claim, settings, now, control.ACCOUNT_PAUSE)
            else:
                control.stop_for_account(session, claim.channel, told, now)
                delay = timedelta()
            if queue.retry_later(session, notice_id, claim.owner, now, told, delay) == "waiting":
                session.get_one(Outbox, notice_id).attempts -= 1  # the message is not to blame
        else:
            _SENDS.labels(claim.channel, error.kind).inc()
            log.error("tin %s: bị từ chối (%s): %s", notice_id, error.kind, told)
            _give_up(session, settings, claim, now, told)


def _give_up(session: Session, settings: Settings, claim: Claim, now: datetime, told: str) -> None:
    """Surely not sent, and not to be sent this way: the next way takes over, where there is one."""
    if queue.mark_failed(session, claim.parcel.notice_id, claim.owner, now, told):
        routes.fall_back(session, session.get_one(Outbox, claim.parcel.notice_id), settings, now)


async def _taken_before(database: Database, gateway: Gateway, claim: Claim) -> Sent | None:
    """Before a repeat, whether an earlier try got through after all (a 5xx need not mean that nothing was done)."""
    if claim.attempts == 1:
        return None
    found = await gateway.find(claim.parcel)

    def unclaimed() -> Sent | None:
        with database.read() as session:
            return _unclaimed(session, gateway, claim.parcel.notice_id, found)

    return await asyncio.to_thread(unclaimed)


def _unclaimed(session: Session, gateway: Gateway, notice_id: int, found: list[Sent]) -> Sent | None:
    """The first message that belongs to no other row: the same words may have gone out for an earlier occurrence."""
    ids = [sent.provider_id for sent in found]
    query = select(Outbox.provider_id).where(
        Outbox.gateway == gateway.name, Outbox.id != notice_id, col(Outbox.provider_id).in_(ids)
    )
    known = set(session.exec(query).all())
    return next((sent for sent in found if sent.provider_id not in known), None)


async def resolve_uncertain(database: Database, settings: Settings, gateways: Gateways, *, now: datetime) -> int:
    """Asks the gateways about sends whose answer never came.

    What the gateway took is marked sent. What it did not know in ``looks`` looks, each ``settle`` after the one
    before, was never taken and waits again. All else stays uncertain, for a person (``resolve_by_staff``).

    Returns:
        How many are certain now.
    """

    def unsure() -> list[Outbox]:
        with database.read() as session:
            return list(
                session.exec(
                    select(Outbox)
                    .where(col(Outbox.channel).in_(CHANNELS), Outbox.state == "uncertain")
                    .order_by(col(Outbox.looked_at).is_not(None), col(Outbox.looked_at), col(Outbox.id))
                    .limit(200)
                )
            )

    resolved = 0
    for row in await asyncio.to_thread(unsure):
        gateway = gateways.of(row.channel, demo=row.demo)
        if gateway.name != row.gateway or now > gateway.found_until(row.not_before):
            continue  # another account's message, or too old to ask about: a person's business
        try:
            found = await gateway.find(parcel_of(row, now))
        except (TemporaryError, PermanentError, UncertainError) as error:
            log.warning("tin %s còn chưa rõ: %s", row.id, error)
            continue
        resolved += await asyncio.to_thread(_resolve, database, row.id or 0, gateway, found, settings, now)
    return resolved


def _resolve(
    database: Database, outbox_id: int, gateway: Gateway, found: list[Sent], settings: Settings, now: datetime
) -> bool:
    with database.write() as session:
        query = select(Outbox).where(Outbox.id == outbox_id, Outbox.state == "uncertain").with_for_update()
        row = session.exec(query).first()
        if row is None:
            return False  # settled meanwhile
        sent = _unclaimed(session, gateway, outbox_id, found)
        if sent is not None:
            settle(row, sent.provider_id, sent.status, now)
            control.record(session, row, settings, now, float(sent.cost) if sent.cost is not None else None)
            return True
        if row.looked_at is None or now >= row.looked_at + gateway.settle:
            row.looks, row.looked_at = row.looks + 1, now
        if row.looks < gateway.looks or now < row.not_before + gateway.settle:
            return False
        if row.attempts >= MAX_ATTEMPTS:
            row.state, row.lease_owner = "failed", None
            routes.fall_back(session, row, settings, now)
        else:
            row.state, row.lease_owner = "waiting", None
            row.not_before = policy.sending_time(now, settings) if row.kind == policy.KIND else now
        return True


def resolve_by_staff(session: Session, outbox_id: int, verdict: str, settings: Settings, now: datetime) -> bool:
    """A person decides about an uncertain send.

    Args:
        session: the transaction.
        outbox_id: the row.
        verdict: "sent" (the citizen has it), "again" (surely not: send it once more) or "drop" (too late to matter).
        settings: for the hours.
        now: the moment (aware).

    Returns:
        False where the row is not uncertain any more.
    """
    row = session.exec(
        select(Outbox).where(Outbox.id == outbox_id, Outbox.state == "uncertain").with_for_update()
    ).first()
    if row is None:
        return False
    row.lease_owner = row.lease_until = None
    if verdict == "sent":
        row.state, row.sent_at = "sent", row.sent_at or now
        control.record(session, row, settings, now)
    elif verdict == "again":
        row.state = "waiting"
        row.not_before = policy.sending_time(now, settings) if row.kind == policy.KIND else now
    else:
        row.state = "cancelled"
    session.flush()
    return True


def _in_hours(claim: Claim, settings: Settings, now: datetime, delay: timedelta) -> timedelta:
    return policy.sending_time(now + delay, settings) - now if claim.notice else delay
