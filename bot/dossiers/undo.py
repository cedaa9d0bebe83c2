"""Undoing a slip at the desk: the last move of a dossier, as long as nobody was told of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from bot.dossiers.records import dossier_code
from bot.dossiers.status import STATUSES
from bot.errors import BadInputError
from bot.notices import policy
from bot.settings import Settings
from bot.storage.tables import Dossier, Outbox, StatusChange

SOURCE = "undo"  # of the change that an undo writes; it can't be undone itself
_OUT = frozenset({"sending", "sent", "delivered", "uncertain"})  # told, or perhaps told


@dataclass(frozen=True, slots=True)
class Undo:
    """A move that can still be undone.

    Attributes:
        change: id of the ``StatusChange``.
        before: the status it goes back to.
        after: the status it is in.
        until: when the first notice of it goes out; without a notice, when the same delay has passed.
        notices: how many wait.
    """

    change: int
    before: int
    after: int
    until: datetime
    notices: int


def undoable(
    session: Session, dossier: Dossier, settings: Settings, now: datetime, *, lock: bool = False
) -> Undo | None:
    """The last move of a dossier, where staff made it and no notice of it has gone out yet; else None.

    ``lock``: no sender may take a notice of it before the transaction ends.
    """
    change = session.exec(
        select(StatusChange)
        .where(StatusChange.dossier_code == dossier.code)
        .order_by(col(StatusChange.id).desc())
        .limit(1)
    ).first()
    if change is None or change.id is None or change.source != "staff" or change.before in {None, change.after}:
        return None
    notices = _notices(session, change, lock=lock)
    if dossier.status != change.after or any(row.state in _OUT for row in notices):
        return None
    waiting = [row.not_before for row in notices if row.state == "waiting"]
    until = min(waiting, default=change.at + timedelta(minutes=settings.notice_delay_minutes))
    if not waiting and until <= now:
        return None
    return Undo(change.id, change.before or 0, change.after, until, len(waiting))


def undo(session: Session, code: str, change: int, *, by: str, settings: Settings, now: datetime) -> Undo:
    """Brings a dossier back to where it was before its last move; nobody is told of either.

    A notice of the status before that the move had cancelled waits again.

    Args:
        session: the transaction.
        code: of the dossier.
        change: the move that the person saw; another one meanwhile is refused.
        by: who.
        settings: for the delay and the hours.
        now: the moment (aware).

    Raises:
        BadInputError: no such dossier, its notice has gone out, or it was moved again meanwhile.
    """
    code = dossier_code(code)
    dossier = session.get(Dossier, code, with_for_update=True)
    if dossier is None:
        raise BadInputError(f"không có hồ sơ mã {code}")
    found = undoable(session, dossier, settings, now, lock=True)
    if found is None or found.change != change:
        raise BadInputError(
            f"hồ sơ {code} đang ở {dossier.status} ({STATUSES[dossier.status].name}); không hoàn tác được nữa: "
            "tin báo đã gửi, hoặc có người vừa chuyển tiếp"
        )
    dossier.status, dossier.updated_at = found.before, now
    session.add(dossier)
    earlier = session.exec(
        select(StatusChange)
        .where(StatusChange.dossier_code == code, col(StatusChange.id) < change, StatusChange.after == found.before)
        .order_by(col(StatusChange.id).desc())
        .limit(1)
    ).first()
    session.add(StatusChange(dossier_code=code, before=found.after, after=found.before, source=SOURCE, by=by, at=now))
    session.flush()
    policy.on_status_left(session, dossier, now)
    if earlier is not None:
        policy.wait_again(session, earlier, settings, now)
    return found


def _notices(session: Session, change: StatusChange, *, lock: bool) -> list[Outbox]:
    """The notices of one entry into a status."""
    query = select(Outbox).where(
        Outbox.dossier_code == change.dossier_code,
        Outbox.kind == policy.KIND,
        Outbox.occurrence == policy.occurrence_of(change),
    )
    return list(session.exec(query.with_for_update() if lock else query))
