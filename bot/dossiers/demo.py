"""Demonstration dossiers: codes of province H30 with invented inner numbers, phones starting 095. Never real."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from sqlmodel import Session

from bot.catalog.calendar import Calendar
from bot.clock import VIETNAM, local
from bot.dossiers import registry
from bot.dossiers.access import lookup_digest
from bot.dossiers.records import DossierRecord
from bot.settings import Settings
from bot.storage.tables import Dossier

_OFFICE = "Trung tâm Phục vụ hành chính công xã Châu Thành"
# number, procedure, status, filed so many days ago, due in so many days, return mode, phone, consent, note,
# look-up code
_ROWS = (
    (1, "1.001193", 4, 1, 1, "counter", "+84951000001", True, None, "KX-4711"),
    (2, "1.004873", 4, 2, 1, "counter", "+84951000002", True, None, "MT-2083"),
    (3, "1.013225", 5, 6, 8, "counter", "+84951000003", True, "Thiếu bản vẽ mặt bằng", "BN-5926"),
    (4, "1.001612", 9, 3, 0, "electronic", "+84951000004", True, None, "QH-7340"),
    (5, "1.000894", 10, 9, -8, "counter", "+84951000005", True, None, "LD-1859"),
    (6, "1.001776", 4, 20, 2, "post", "+84951000006", True, None, "TR-6472"),
    (7, "1.013978", 6, 12, 10, "counter", "+84951000007", False, None, "VC-3915"),
    (8, "1.004194", 1, 0, 3, "electronic", "+84951000008", True, None, "PS-8204"),
    (9, "1.004859", 4, 12, -2, "counter", "+84951000009", True, None, "GH-4068"),
    (10, "2.000635", 3, 5, None, "counter", None, False, None, "NM-9731"),
)


def _at(day: date, clock: time, *, back: bool = False) -> datetime:
    calendar = Calendar()
    while back and not calendar.is_working_day(day):
        day -= timedelta(days=1)
    return datetime.combine(calendar.on_or_after(day), clock, VIETNAM)


def demo_records(now: datetime) -> list[DossierRecord]:
    """The demo dossiers; their dates are working days around ``now``, their codes are fixed."""
    today = local(now).date()
    return [
        DossierRecord(
            code=f"H30.99.01-261116-{number:04d}",
            status=status,
            procedure=procedure,
            received_at=_at(today - timedelta(days=ago), time(9, 0), back=True),
            due_at=_at(today + timedelta(days=due), time(16, 0)) if due is not None else None,
            office=_OFFICE,
            phone=phone,
            consent_sms=consent,
            return_mode=return_mode,
            note=note,
            lookup_code=lookup,
            demo=True,
        )
        for number, procedure, status, ago, due, return_mode, phone, consent, note, lookup in _ROWS
    ]


def seed(session: Session, settings: Settings, now: datetime) -> int:
    """Adds the demo dossiers that are missing, without notices; returns how many."""
    added = 0
    for record in demo_records(now):
        dossier = session.get(Dossier, record.code)
        if dossier is None:
            registry.upsert(session, record, source="demo", settings=settings, now=now, quiet=True)
            added += 1
        elif dossier.demo and dossier.lookup_digest is None and record.lookup_code:
            dossier.lookup_digest = lookup_digest(settings, record.lookup_code)  # of a trial before they had one
    return added
