"""Looking up dossier codes: limits per sender and network, a log, and a view that tells no more than it may."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.conversation.model import DossierView
from bot.dossiers import access
from bot.dossiers.access import Citizen
from bot.settings import Settings
from bot.storage.tables import Dossier, Lookup

log = logging.getLogger(__name__)

# (procedure code, received at) → the computed due date and whether it is an estimate; None where unknown.
Deadline = Callable[[str, datetime], tuple[datetime, bool] | None]


@dataclass(frozen=True, slots=True)
class LookupResult:
    """Each code with its view or None; ``limited`` where too many were asked."""

    views: Mapping[str, DossierView | None]
    limited: bool = False


def view(dossier: Dossier, deadline: Deadline | None = None) -> DossierView:
    """What a bare code opens. A due date of the one-stop software wins over a computed one."""
    due_at, computed, estimated = dossier.due_at, False, False
    if due_at is None and deadline and dossier.procedure and dossier.received_at:
        found = deadline(dossier.procedure, dossier.received_at)
        if found:
            due_at, computed, estimated = found[0], True, found[1]
    return DossierView(
        code=dossier.code,
        status=dossier.status,
        due_at=due_at,
        due_computed=computed,
        due_estimated=estimated,
        office=dossier.office or "",
        return_mode=dossier.return_mode,
        updated_at=dossier.updated_at,
        demo=dossier.demo,
    )


def look_up(
    session: Session,
    codes: tuple[str, ...],
    citizen: Citizen,
    *,
    settings: Settings,
    now: datetime,
    deadline: Deadline | None = None,
) -> LookupResult:
    """Looks up canonical codes and writes the log; nothing is looked up once a limit is reached.

    An unknown code and one of another office look the same from outside. Unknown codes have a lower limit: who
    guesses has many of them.
    """
    since = now - timedelta(hours=1)
    by_sender, by_network = access.by_citizen(session, since, "code", citizen)
    unknown, unknown_network = access.by_citizen(session, since, "code", citizen, Lookup.found == False)  # noqa: E712
    if (
        by_sender + len(codes) > settings.lookups_per_sender_hour
        or by_network + len(codes) > settings.lookups_per_network_hour
        or unknown >= settings.unknown_codes_per_sender_hour
        or unknown_network >= settings.unknown_codes_per_sender_hour * access.NETWORK_SHARE
    ):
        log.warning(
            "tra cứu quá nhiều mã hồ sơ trong một giờ", extra={"channel": citizen.channel, "sender": citizen.sender}
        )
        return LookupResult(dict.fromkeys(codes), limited=True)
    views: dict[str, DossierView | None] = {}
    for code in codes:
        dossier = session.get(Dossier, code)
        views[code] = view(dossier, deadline) if dossier else None
        access.note(session, citizen, "code", code, now, found=dossier is not None)
    return LookupResult(views)
