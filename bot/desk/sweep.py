"""What happens by itself at the advisors' desk when time passes: deadlines, advisors who left, hand-offs nobody takes.

Looks without writing, and writes one matter a transaction, each checked again under the conversation's lock: safe on
any number of replicas, and after a crash.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session, select

from bot.catalog.office import Office
from bot.desk import alerts, held, queues
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.switches import setting
from bot.storage.tables import Conversation

log = logging.getLogger("motcua.desk")
_MOST = 500  # conversations that advisors have at the same time


@dataclass(frozen=True, slots=True)
class Swept:
    """The ids of what was done: held answers expired, conversations taken back, conversations alerted about."""

    expired: list[int] = field(default_factory=list)
    returned: list[int] = field(default_factory=list)
    alerted: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether anything was done."""
        return bool(self.expired or self.returned or self.alerted)


def sweep(database: Database, settings: Settings, offices: Mapping[str | None, Office], now: datetime) -> Swept:
    """One round.

    Args:
        database: of the offices.
        settings: for the address in alerts.
        offices: their profiles by slug, for the hours; under None that of conversations of no known office, with one
            office its own.
        now: the moment (aware).
    """

    def office_of(conversation: Conversation) -> Office:
        return offices.get(conversation.office) or offices[None]

    with database.read() as session:
        away = timedelta(minutes=setting(session, "return_after_minutes"))
        patience = timedelta(minutes=setting(session, "alert_after_minutes"))
        late = held.due(session, now)
        taken = session.exec(select(Conversation).where(Conversation.queue == queues.TAKEN).limit(_MOST)).all()
        left = [one.id for one in taken if one.id is not None and queues.idle(one, away, office_of(one), now)]
    swept = Swept()

    def each(ids: list[int], done: list[int], act: Callable[[Session, int], object]) -> None:
        for one in ids:
            with database.write() as session:
                if act(session, one):
                    done.append(one)

    each(late, swept.expired, lambda session, one: held.expire(session, one, office_of, now))
    each(left, swept.returned, lambda session, one: queues.take_back(session, one, away, office_of, now))
    with database.read() as session:
        unheard = alerts.due(session, offices, patience, now)

    def alert(session: Session, one: int) -> bool:
        told = alerts.alert(session, settings, one, office_of, patience, now)
        log.info("người dân chờ lâu, đã báo %d cuộc trò chuyện của cán bộ", told, extra={"conversation": one})
        return True

    each(unheard, swept.alerted, alert)
    return swept
