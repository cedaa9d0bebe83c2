"""The dossiers on file. Every entry into a status and the notice it causes are one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session, col, select

from bot.clock import local
from bot.dossiers.access import lookup_digest
from bot.dossiers.records import DossierRecord, dossier_code
from bot.dossiers.status import FINISHED, STATUSES, staff_moves
from bot.errors import BadInputError
from bot.notices import consent, policy
from bot.settings import Settings
from bot.storage.tables import Dossier, StatusChange


@dataclass(frozen=True, slots=True)
class Change:
    """What an upsert or a move did: "created", "changed" or "unchanged"; the outbox id of a notice it caused."""

    kind: str
    notice: int | None = None


def get(session: Session, code: str) -> Dossier | None:
    """The dossier of a canonical code, or None."""
    return session.get(Dossier, code)


def fields_of(record: DossierRecord, settings: Settings) -> dict[str, Any]:
    """What a record says of a dossier, but for its code and status, as it is stored."""
    lookup = lookup_digest(settings, record.lookup_code) if record.lookup_code else None
    return {
        "procedure": record.procedure, "received_at": record.received_at, "due_at": record.due_at,
        "office": record.office, "phone": record.phone, "consent_sms": record.consent_sms,
        "return_mode": record.return_mode, "lookup_digest": lookup, "note": record.note,
    }  # fmt: skip


def is_same(dossier: Dossier, record: DossierRecord, fields: dict[str, Any]) -> bool:
    """Whether a record without a number of its own for the change says nothing new of a dossier."""
    return dossier.status == record.status and all(getattr(dossier, name) == value for name, value in fields.items())


def evidence(source: str, now: datetime) -> str:
    """How it is known that somebody agreed."""
    return f"{source} {now:%Y-%m-%dT%H:%M:%SZ}"


def upsert(
    session: Session,
    record: DossierRecord,
    *,
    source: str,
    settings: Settings,
    now: datetime,
    change_id: str | None = None,
    changed_at: datetime | None = None,
    quiet: bool = False,
) -> Change:
    """Brings a dossier to what the one-stop software says; it may jump between statuses.

    Args:
        session: the transaction.
        record: a checked record; absent office, phone … are absent, not "as before".
        source: "import", "api" or "demo".
        settings: for the secret key and the notices.
        now: the moment (aware).
        change_id: the source's own id of this status change. A repeat of it is no new entry and, where the
            dossier has moved on, changes nothing; another id is another entry, into the same status too.
        changed_at: when the source says this status was entered. A change older than the last one known is late news
            and changes nothing; a time in the future (a clock that is wrong) counts as now.
        quiet: no notices (demo data, a first load of old dossiers).
    """
    numbered = change_id is not None
    if changed_at is not None and change_id is None:
        # The same status of the same moment is the same change, however often it is told.
        change_id = f"@{changed_at.astimezone(UTC):%Y%m%d%H%M%S%f}/{record.status}"
    source_at = min(changed_at, now) if changed_at else None
    dossier = session.get(Dossier, record.code, with_for_update=True)
    fields = fields_of(record, settings)
    if dossier is None:
        dossier = Dossier(
            code=record.code, status=record.status, demo=record.demo, created_at=now, updated_at=now, **fields
        )
        session.add(dossier)
        session.flush()
        _consent(session, dossier, source, now)
        notice = _enter(
            session, dossier, None, source, settings, now, change_id=change_id, source_at=source_at, quiet=quiet
        )
        return Change("created", notice)
    if source_at and dossier.status != record.status and _is_late(session, record.code, source_at):
        return Change("unchanged")
    latest = _latest_change_id(session, record.code) if change_id else None
    repeated = change_id is not None and (latest == change_id or _was_told(session, record.code, change_id))
    if repeated and (dossier.status != record.status or latest != change_id):
        return Change("unchanged")  # a late repeat: the dossier has moved on since
    # ``demo`` stays as it is: nothing that was imported over a demo dossier may reach a real phone.
    changed = [name for name, value in fields.items() if getattr(dossier, name) != value]
    for name in changed:
        setattr(dossier, name, fields[name])
    # A source that numbers its changes may ask for papers twice in a row: two occurrences.
    entered = dossier.status != record.status or (numbered and latest is not None and not repeated)
    if not entered and not changed:
        return Change("unchanged")
    before, dossier.status, dossier.updated_at = dossier.status, record.status, now
    session.add(dossier)
    session.flush()
    _consent(session, dossier, source, now)
    notice = None
    if entered:
        notice = _enter(
            session, dossier, before, source, settings, now, change_id=change_id, source_at=source_at, quiet=quiet
        )
    return Change("changed", notice)


def _consent(session: Session, dossier: Dossier, source: str, now: datetime) -> None:
    """Writes down what the source says of consent, with the phone it is for."""
    if dossier.phone:
        consent.give(
            session, dossier.code, consent.SMS, dossier.phone, now, wording=consent.AT_THE_COUNTER,
            evidence=evidence(source, now), given=dossier.consent_sms,
        )  # fmt: skip


def _is_late(session: Session, code: str, source_at: datetime) -> bool:
    """Whether a change that happened later is known already."""
    later = select(StatusChange.id).where(StatusChange.dossier_code == code, col(StatusChange.source_at) > source_at)
    return session.exec(later.limit(1)).first() is not None


def postpone(session: Session, code: str, due_at: datetime, *, by: str, settings: Settings, now: datetime) -> Change:
    """Staff give an overdue dossier a new date; its owner is told, with an apology (Thông tư 03/2025, form 04).

    Raises:
        BadInputError: unknown code, a date that is not in the future, or a dossier that is finished.
    """
    code = dossier_code(code)
    dossier = session.get(Dossier, code, with_for_update=True)
    if dossier is None:
        raise BadInputError(f"không có hồ sơ mã {code}")
    if dossier.status in FINISHED:
        raise BadInputError(f"hồ sơ {code} đã {STATUSES[dossier.status].name}, không hẹn lại")
    if due_at <= now:
        raise BadInputError(f"due_at: ngày hẹn mới {local(due_at):%d/%m/%Y} phải ở sau hôm nay")
    if dossier.due_at == due_at:
        return Change("unchanged")
    late = dossier.due_at is not None and dossier.due_at < now
    dossier.due_at, dossier.updated_at = due_at, now
    session.add(dossier)
    session.add(
        StatusChange(
            dossier_code=code, before=dossier.status, after=dossier.status, source="staff", by=by,
            note=f"hẹn lại {local(due_at):%d/%m/%Y}", at=now,
        )
    )  # fmt: skip
    session.flush()
    if not late or not policy.switched_on("overdue", code, settings):
        return Change("changed")  # only who was let down gets an apology
    policy.cancel_waiting(session, code, "overdue")
    day = f"{local(due_at):%d/%m/%Y}"
    return Change("changed", policy.tell(session, dossier, "overdue", day, settings, now, due=day))


def _was_told(session: Session, code: str, change_id: str) -> bool:
    told = select(StatusChange.id).where(StatusChange.dossier_code == code, StatusChange.source_change_id == change_id)
    return session.exec(told.limit(1)).first() is not None


def _latest_change_id(session: Session, code: str) -> str | None:
    newest = (
        select(StatusChange.source_change_id)
        .where(StatusChange.dossier_code == code)
        .order_by(col(StatusChange.id).desc())
        .limit(1)
    )
    return session.exec(newest).first()


def set_status(
    session: Session,
    code: str,
    status: int,
    *,
    by: str,
    settings: Settings,
    now: datetime,
    note: str | None = None,
    staff: bool = True,
) -> Change:
    """Moves a dossier to a status.

    Raises:
        BadInputError: unknown code or status, or a move that staff may not make.
    """
    code = dossier_code(code)
    if status not in STATUSES:
        raise BadInputError(f"trạng thái {status}: cần số từ 1 đến 10")
    dossier = session.get(Dossier, code, with_for_update=True)
    if dossier is None:
        raise BadInputError(f"không có hồ sơ mã {code}")
    if dossier.status == status:
        return Change("unchanged")
    allowed = staff_moves(dossier.status)
    if staff and status not in allowed:
        can = ", ".join(map(str, allowed)) or "không trạng thái nào"
        raise BadInputError(
            f"hồ sơ {code} đang ở {dossier.status} ({STATUSES[dossier.status].name}); chỉ chuyển được sang: {can}"
        )
    before, dossier.status, dossier.updated_at = dossier.status, status, now
    if note is not None:
        dossier.note = note
    session.add(dossier)
    session.flush()
    return Change("changed", _enter(session, dossier, before, "staff", settings, now, by=by, note=note))


def _enter(
    session: Session,
    dossier: Dossier,
    before: int | None,
    source: str,
    settings: Settings,
    now: datetime,
    *,
    by: str | None = None,
    note: str | None = None,
    change_id: str | None = None,
    source_at: datetime | None = None,
    quiet: bool = False,
) -> int | None:
    """Writes the entry into a status; cancels what waits of the one left, puts out the new notice."""
    change = StatusChange(
        dossier_code=dossier.code, before=before, after=dossier.status, source=source, source_change_id=change_id,
        source_at=source_at, by=by, note=note, at=now,
    )  # fmt: skip
    session.add(change)
    session.flush()
    if before is not None:
        policy.on_status_left(session, dossier, now)
    return None if quiet else policy.on_status_change(session, dossier, change, settings, now)
