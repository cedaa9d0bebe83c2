"""What ``/metrics`` counts in the database at the moment it is asked: queues, notices, pauses, the backup's age."""

from __future__ import annotations

import math
from datetime import datetime

from prometheus_client import Gauge
from sqlmodel import Session, col, func, select

from bot.notices import control, policy
from bot.settings import Settings
from bot.storage.nightly import last_backup
from bot.storage.tables import Inbox, Outbox

_ROWS = Gauge("motcua_queue_rows", "Rows that are not finished", ["queue", "state"])
_OLDEST = Gauge("motcua_queue_oldest_seconds", "How long the oldest row has waited that could go; 0: none", ["queue"])
_NOTICES = Gauge("motcua_notices", "Notices by state", ["state"])
_PAUSED = Gauge("motcua_gateway_paused", "1: the notices of this channel are held back", ["channel"])
_BACKUP_AGE = Gauge("motcua_backup_age_seconds", "Since the last nightly backup; +Inf: never, NaN: switched off")
_BACKUP_PROBLEM = Gauge("motcua_backup_problem", "1: this process could not make the nightly backup, see /ready")
_UNFINISHED = (
    ("inbox", Inbox, ("waiting", "claimed", "dead")),
    ("outbox", Outbox, ("waiting", "sending", "uncertain", "failed")),
)
_NOTICE_STATES = ("waiting", "sending", "sent", "delivered", "failed", "expired", "cancelled", "uncertain")
_FETCHED = ("web",)  # whose replies wait for the citizen to fetch them, not for us to send them
_KINDS = ("reply", "otp", "notice")


def measure(session: Session, settings: Settings, now: datetime, backup_problem: str | None) -> None:
    """Sets the gauges."""
    for name, table, states in _UNFINISHED:
        counted = select(table.state, func.count()).where(col(table.state).in_(states)).group_by(table.state)
        found = dict(session.exec(counted).all())
        for state in states:
            _ROWS.labels(name, state).set(found.get(state, 0))
    received = select(func.min(Inbox.received_at)).where(col(Inbox.state).in_(("waiting", "claimed")))
    _OLDEST.labels("inbox").set(_age(session.exec(received).one(), now))
    # From when on it could go: the three minutes for second thoughts and the night are no delay.
    since = (
        select(Outbox.kind, func.min(Outbox.not_before))
        .where(Outbox.state == "waiting", col(Outbox.channel).not_in(_FETCHED))
        .group_by(Outbox.kind)
    )
    oldest = dict(session.exec(since).all())
    for kind in _KINDS:
        _OLDEST.labels(kind).set(_age(oldest.get(kind), now))
    by_state = select(Outbox.state, func.count()).where(Outbox.kind == policy.KIND).group_by(Outbox.state)
    notices = dict(session.exec(by_state).all())
    for state in _NOTICE_STATES:
        _NOTICES.labels(state).set(notices.get(state, 0))
    _PAUSED.clear()
    for channel in control.pauses(session, now):
        _PAUSED.labels(channel).set(1)
    last = last_backup(session)
    age = (now - last).total_seconds() if last else math.inf
    _BACKUP_AGE.set(age if settings.backup else math.nan)
    _BACKUP_PROBLEM.set(backup_problem is not None)


def _age(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since else 0.0
