"""Reminders: results that have lain at the counter for the number of working days the office set."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from bot.catalog.opening import calendar_of
from bot.clock import local
from bot.dossiers.status import RESULT_READY
from bot.edits import store
from bot.notices import policy
from bot.settings import Settings
from bot.storage.sight import Sight
from bot.storage.tables import Dossier, StatusChange

_OLDEST = timedelta(days=180)  # after half a year a reminder helps nobody


def remind(session: Session, settings: Settings, now: datetime) -> int:
    """Puts the reminders that are due into the outbox; each entry into "result ready" is reminded of once.

    Returns:
        How many were put.
    """
    return sum(_remind(session, settings, slug, now) for slug in settings.offices)


def _remind(session: Session, settings: Settings, slug: str, now: datetime) -> int:
    """The same of the dossiers of one office; of all where there is one alone."""
    office = policy.configured_office(settings.catalog, slug)
    if office is None or office.notify.reminder_after is None:
        return 0
    own = [Sight(slug, office.codes).has_code(col(Dossier.code))] if len(settings.offices) > 1 else []
    told = store.office_on(session, office, slug, local(now).date())
    calendar = calendar_of(told)
    # So many working days never fit into fewer days of the calendar: what is newer needs no look.
    latest = now - timedelta(days=office.notify.reminder_after - 1)
    lying = session.exec(
        select(Dossier, StatusChange)
        .join(StatusChange, col(StatusChange.dossier_code) == Dossier.code)
        .where(
            *own,
            Dossier.status == RESULT_READY,
            Dossier.return_mode == "counter",
            StatusChange.after == RESULT_READY,
            col(StatusChange.at) < latest,
            col(StatusChange.at) > now - _OLDEST,
        )
        .order_by(col(StatusChange.id).desc())
    ).all()
    put, seen = 0, set()
    for dossier, change in lying:
        if dossier.code in seen:
            continue
        seen.add(dossier.code)
        due = calendar.after(local(change.at).date(), office.notify.reminder_after)
        if due <= local(now).date():
            put += policy.tell(session, dossier, "reminder", f"#{change.id}", settings, now) is not None
    return put
