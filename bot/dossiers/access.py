"""Whose dossier: proofs, one-time codes, what they open, and how often they may be tried.

Each look-up, proof and request for a code is a row of ``lookup``: limits per sender, network and dossier are counts
of them. Limits and answers are the same whether a dossier has a phone or not, so that they tell nothing.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import Counter
from sqlmodel import Session, col, func, select

from bot.conversation.model import DossierDetails, Proof
from bot.logs import mask
from bot.notices import consent, policy
from bot.notices.templates import one_time_code
from bot.secrets import digest
from bot.settings import Settings
from bot.storage import queue
from bot.storage.tables import Access, Dossier, Lookup, OneTimeCode, Outbox

log = logging.getLogger(__name__)
TRIES = 5  # of one one-time code
DIGITS = 6
# All visitors of one network together may do so many times what one sender may: a family, a school, an office.
NETWORK_SHARE = 5
_PROOFS = Counter("motcua_proofs_total", "Proofs of ownership tried", ["how", "result"])
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Citizen:
    """Who asks: their id on a channel, and the network where the channel shows it."""

    channel: str
    sender: str
    network: str | None = None


def asked(session: Session, since: datetime, kind: str, *where: object) -> int:
    """How many look-ups, proofs or requests for a code (``kind``) there were since then."""
    query = select(func.count()).select_from(Lookup).where(Lookup.kind == kind, col(Lookup.at) > since, *where)  # type: ignore[arg-type]
    return int(session.exec(query).one())


def by_citizen(session: Session, since: datetime, kind: str, citizen: Citizen, *where: object) -> tuple[int, int]:
    """The same for one sender, and for their network (0 where the channel shows none)."""
    mine = asked(session, since, kind, Lookup.channel == citizen.channel, Lookup.sender == citizen.sender, *where)
    network = asked(session, since, kind, Lookup.network == citizen.network, *where) if citizen.network else 0
    return mine, network


def note(session: Session, citizen: Citizen, kind: str, code: str, now: datetime, *, found: bool) -> None:
    """Writes one look-up, proof or request down."""
    session.add(
        Lookup(
            channel=citizen.channel, sender=citizen.sender, network=citizen.network, code=code, kind=kind, found=found,
            at=now,
        )
    )  # fmt: skip


def is_open(session: Session, citizen: Citizen, code: str, now: datetime) -> bool:
    """Whether this citizen has proved the dossier theirs, and that still holds."""
    where = (
        Access.channel == citizen.channel, Access.sender == citizen.sender, Access.dossier_code == code,
        col(Access.until) > now,
    )  # fmt: skip
    return session.exec(select(Access.id).where(*where).limit(1)).first() is not None


def prove(session: Session, citizen: Citizen, code: str, proof: Proof, settings: Settings, now: datetime) -> str:
    """Tries a proof for a canonical dossier code.

    Returns:
        "opened" (the details are open to this citizen for ``access_hours``), "refused", or "limited": too many
        failures of this sender, network or (for typed codes) about this dossier.
    """
    failed = Lookup.found == False  # noqa: E712 - SQL
    mine, network = by_citizen(session, now - _HOUR, "proof", citizen, failed)
    about = asked(session, now - _DAY, "proof", failed, Lookup.code == code) if proof.kind == "code" else 0
    if (
        mine >= settings.proofs_per_sender_hour
        or network >= settings.proofs_per_sender_hour * NETWORK_SHARE
        or about >= settings.proofs_per_dossier_day
    ):
        _PROOFS.labels(proof.kind, "limited").inc()
        log.warning("thử mở hồ sơ quá nhiều lần", extra={"channel": citizen.channel, "sender": citizen.sender})
        return "limited"
    dossier = session.get(Dossier, code)
    how = _matches(session, citizen, dossier, proof, settings, now) if dossier else None
    note(session, citizen, "proof", code, now, found=how is not None)
    _PROOFS.labels(how or proof.kind, "opened" if how else "refused").inc()
    if how is None:
        return "refused"
    until = now + timedelta(hours=settings.access_hours)
    session.add(Access(channel=citizen.channel, sender=citizen.sender, dossier_code=code, how=how, at=now, until=until))
    session.flush()
    return "opened"


def _matches(
    session: Session, citizen: Citizen, dossier: Dossier, proof: Proof, settings: Settings, now: datetime
) -> str | None:
    """How the proof fits ("phone", "otp", "lookup_code"), None where it does not; each comparison in constant time."""
    if proof.kind == "phone":
        return "phone" if dossier.phone and hmac.compare_digest(dossier.phone.encode(), proof.value.encode()) else None
    newest = session.exec(
        select(OneTimeCode)
        .where(
            OneTimeCode.channel == citizen.channel,
            OneTimeCode.sender == citizen.sender,
            OneTimeCode.dossier_code == dossier.code,
            col(OneTimeCode.expires_at) > now,
        )
        .order_by(col(OneTimeCode.id).desc())
        .limit(1)
        .with_for_update()
    ).first()
    if newest is not None and newest.tries < TRIES:
        newest.tries += 1
        session.add(newest)
        if newest.digest and hmac.compare_digest(newest.digest, _digest(settings, newest, proof.value)):
            newest.digest = None  # once
            return "otp"
    given = lookup_digest(settings, proof.value)
    return "lookup_code" if dossier.lookup_digest and hmac.compare_digest(dossier.lookup_digest, given) else None


def code_allowed(session: Session, citizen: Citizen, code: str, settings: Settings, now: datetime) -> bool:
    """Whether one more one-time code may be sent: limits per sender, network and dossier and day."""
    mine, network = by_citizen(session, now - _DAY, "otp", citizen)
    about = asked(session, now - _DAY, "otp", Lookup.code == code)
    return (
        mine < settings.codes_per_sender_day
        and network < settings.codes_per_sender_day * NETWORK_SHARE
        and about < settings.codes_per_dossier_day
    )


def send_code(session: Session, citizen: Citizen, code: str, settings: Settings, now: datetime) -> int | None:
    """Sends a fresh one-time code to the phone of a dossier; the one before it stops to count.

    Returns:
        The outbox id; None where the limits are reached or there is no phone (which nobody is told).
    """
    if not code_allowed(session, citizen, code, settings, now):
        return None
    note(session, citizen, "otp", code, now, found=True)
    expires = now + timedelta(minutes=settings.code_minutes)
    row = OneTimeCode(
        channel=citizen.channel, sender=citizen.sender, dossier_code=code, at=now, expires_at=expires
    )  # fmt: skip
    session.add(row)
    session.flush()
    dossier = session.get(Dossier, code)
    if dossier is None or dossier.phone is None:
        return None
    typed = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    row.digest = _digest(settings, row, typed)
    text = one_time_code(typed, settings.code_minutes, policy.office_name(dossier, settings))
    return queue.put_outbox(
        session,
        Outbox(
            kind="otp", channel=consent.SMS, recipient=dossier.phone, dedupe_key=f"otp:{row.id}",
            body={"text": text, "buttons": []}, demo=dossier.demo, not_before=now, expires_at=expires, created_at=now,
            office=policy.office_of(code, settings),
        ),
    )  # fmt: skip


def lookup_digest(settings: Settings, typed: str) -> str:
    """HMAC of a look-up code, the same however it is typed (``as_printed``)."""
    return digest(settings, "lookup", as_printed(typed))


def as_printed(typed: str) -> str:
    """A look-up code without blanks and in capitals."""
    return "".join(typed.split()).upper()


def _digest(settings: Settings, row: OneTimeCode, typed: str) -> str:
    # The row's number makes equal codes unequal, so that the table tells nothing.
    return digest(settings, "otp", f"{row.id}:{row.dossier_code}:{typed}")


def details(
    session: Session, citizen: Citizen, code: str, now: datetime, procedure_name: str | None
) -> DossierDetails | None:
    """What the owner may see; None where this citizen has not proved it (or the dossier is gone)."""
    dossier = session.get(Dossier, code)
    if dossier is None or not is_open(session, citizen, code, now):
        return None
    wants = consent.wants(session, consent.SMS, dossier.phone, code) if dossier.phone else False
    return DossierDetails(
        procedure=procedure_name,
        received_at=dossier.received_at,
        note=dossier.note,
        phone=mask(dossier.phone) if dossier.phone else None,
        sms=bool(dossier.consent_sms if wants is None else wants),
        chat=bool(consent.wants(session, citizen.channel, citizen.sender, code)),
    )


@dataclass(frozen=True, slots=True)
class Guessing:
    """One sender or network that seems to guess codes, for staff.

    Attributes:
        who: masked: channel and the end of the sender's id, or the network.
        unknown: different codes asked for that are not on file.
        refused: proofs that did not fit.
        last_at: the last of them.
    """

    who: str
    unknown: int
    refused: int
    last_at: datetime


UNKNOWN_FROM, REFUSED_FROM = 5, 3
MOST_READ = 5000


def guessing(session: Session, now: datetime, limit: int = 20) -> list[Guessing]:
    """Who asked for many codes that are not on file, or failed to prove, in the last day; the latest first."""
    failed = session.exec(
        select(Lookup)
        .where(col(Lookup.at) > now - _DAY, Lookup.found == False)  # noqa: E712 - SQL
        .order_by(col(Lookup.at).desc())
        .limit(MOST_READ)
    ).all()
    by_who: dict[str, list[Lookup]] = {}
    for row in failed:
        # Behind one network a new visitor costs nothing; elsewhere an account is a person.
        who = f"{row.channel} {row.network}" if row.network else f"{row.channel} …{row.sender[-4:]}"
        by_who.setdefault(who, []).append(row)
    found = [
        Guessing(
            who,
            unknown=len({row.code for row in rows if row.kind == "code"}),
            refused=sum(row.kind == "proof" for row in rows),
            last_at=rows[0].at,
        )
        for who, rows in by_who.items()
    ]
    return [one for one in found if one.unknown >= UNKNOWN_FROM or one.refused >= REFUSED_FROM][:limit]
