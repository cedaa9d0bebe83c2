"""An office with hours, its advisors, and citizens who write; once on SQLite and once on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import pytest
from sqlmodel import SQLModel, col, select

from bot.catalog.answers import Desk
from bot.catalog.office import Counter, Hours, Office, Shift
from bot.conversation.model import Incoming
from bot.conversation.talk import Talk
from bot.desk.sweep import Swept, sweep
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Conversation, Handoff, OfficeSetting, Outbox, Staff, Turn

# A Wednesday, 9:00 in Vietnam.
NOW = datetime.fromisoformat("2026-11-25T09:00:00+07:00")
HOURS = Hours(
    days="thứ Hai đến thứ Sáu", shifts=(Shift(opens="07:00", closes="11:00"), Shift(opens="13:00", closes="17:00"))
)
COUNTER = "Quầy đất đai"


def with_hours(office: Office) -> Office:
    """The office as its profile would have it."""
    return office.model_copy(update={"hours": (HOURS,), "counters": (Counter(name=COUNTER, fields=("dat-dai",)),)})


class Scene:
    """The service, its clock, and what is in the tables."""

    def __init__(self, database: Database, settings: Settings, talk: Talk) -> None:
        self.now = NOW
        self.database = database
        self.settings = settings

        def desk(now: datetime) -> Desk:
            known = talk.desk(now)
            return replace(known, office=with_hours(known.office))

        self.service = Service(settings, database, replace(talk, desk=desk), clock=lambda: self.now)
        self._numbers = count(1)
        with database.write() as session:
            for name in ("lan", "minh"):
                session.add(
                    Staff(name=name, role="advisor", password_hash="-", display_name=name.title(), created_at=NOW)
                )

    @property
    def office(self) -> Office:
        return self.service.talk.desk(self.now).office

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)

    def incoming(self, text: str, sender: str = "77", channel: str = "telegram") -> Incoming:
        return Incoming(channel, sender, f"m{next(self._numbers)}", text, self.now)

    def say(self, text: str, sender: str = "77", channel: str = "telegram") -> list[str]:
        """A citizen writes; what is answered to it at once."""
        inbox_id = self.service.receive(self.incoming(text, sender, channel))
        while self.service.work_off():
            pass
        with self.database.read() as session:
            rows = session.exec(select(Outbox).where(Outbox.inbox_id == inbox_id).order_by(col(Outbox.id)))
            return [row.body.get("text", "") for row in rows]

    def told(self, sender: str = "77") -> list[str]:
        """All that a citizen was ever told."""
        with self.database.read() as session:
            rows = session.exec(select(Outbox).where(Outbox.recipient == sender).order_by(col(Outbox.id)))
            return [row.body.get("text", "") for row in rows]

    def conversation(self, sender: str = "77") -> Conversation:
        with self.database.read() as session:
            return session.exec(select(Conversation).where(Conversation.sender == sender)).one()

    def queue(self, sender: str = "77") -> str:
        return self.conversation(sender).queue

    def turns(self) -> list[Turn]:
        with self.database.read() as session:
            return list(session.exec(select(Turn).order_by(col(Turn.id))))

    def all(self, table: type[SQLModel], **where: object) -> list[object]:
        with self.database.read() as session:
            return list(session.exec(select(table).filter_by(**where)))

    def open_reasons(self) -> list[str]:
        with self.database.read() as session:
            return list(session.exec(select(Handoff.kind).where(Handoff.state == "open").order_by(col(Handoff.id))))

    def write(self, work: Callable[..., object], *arguments: object) -> object:
        with self.database.write() as session:
            return work(session, *arguments)

    def switch(self, **values: bool | int) -> None:
        with self.database.write() as session:
            for key, value in values.items():
                session.merge(OfficeSetting(key=key, value={"value": value}, by="admin", at=NOW))

    def sweep(self) -> Swept:
        return sweep(self.database, self.settings, {None: self.office}, self.now)


@pytest.fixture
def scene(database: Database, settings: Settings, talk: Talk) -> Scene:
    return Scene(database, settings, talk)
