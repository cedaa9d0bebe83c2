"""One office with its dossiers and a clock to set; what the tests of notices act on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import Session, col, select
from standins.twilio import ACCOUNT, SENDER, TOKEN

from bot.dossiers import registry
from bot.notices import policy, sending
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Dossier, Outbox, Preference, StatusChange

MORNING = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)  # 09:00 in Vietnam
CODE = "H30.99.01-261116-0001"
PHONE = "+84951234567"


@dataclass
class Office:
    """Changes statuses as the registry does, and sends; ``now`` only moves when told to."""

    database: Database
    settings: Settings
    now: datetime = MORNING

    def file(self, code: str = CODE, **fields: object) -> None:
        """A dossier in processing (status 4)."""
        values = {"status": 4, "phone": PHONE, "consent_sms": True, "office": None, **fields}
        with self.database.write() as session:
            session.add(Dossier(code=code, created_at=self.now, updated_at=self.now, **values))

    def change(self, code: str = CODE, **fields: object) -> None:
        with self.database.write() as session:
            for name, value in fields.items():
                setattr(session.get_one(Dossier, code), name, value)

    def enter(self, status: int, code: str = CODE, change_id: str | None = None) -> int | None:
        """The dossier enters a status; with ``change_id``, as a source tells it, even where it is there already."""
        with self.database.write() as session:
            if change_id is None:
                move = registry.set_status(
                    session, code, status, by="test", settings=self.settings, now=self.now, staff=False
                )
                return move.notice
            return _enter(session, self, code, status, change_id)

    def prefer(self, *, wants: bool, code: str = "") -> None:
        with self.database.write() as session:
            session.add(Preference(channel="sms", recipient=PHONE, dossier_code=code, wants=wants, at=self.now))

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)

    def run(self) -> int:
        """One pass of ``motcua notices run``."""
        return asyncio.run(sending.run_pass(self.database, self.settings, owner="test", now=self.now))

    def rows(self) -> list[Outbox]:
        with self.database.read() as session:
            return list(session.exec(select(Outbox).order_by(col(Outbox.id))))

    def states(self) -> list[str]:
        return [row.state for row in self.rows()]


def _enter(session: Session, office: Office, code: str, status: int, change_id: str) -> int | None:
    dossier = session.get_one(Dossier, code)
    policy.on_status_left(session, dossier, office.now)
    change = StatusChange(
        dossier_code=code, before=dossier.status, after=status, source="api", source_change_id=change_id, at=office.now
    )
    session.add(change)
    dossier.status = status
    return policy.on_status_change(session, dossier, change, office.settings, office.now)


def with_twilio(settings: Settings, url: str, **changes: object) -> Settings:
    values = settings.model_dump() | {
        "twilio_account_sid": ACCOUNT,
        "twilio_auth_token": TOKEN,
        "twilio_from": SENDER,
        "twilio_base_url": url,
        "public_base_url": "https://motcua.example",
        "handset_receipts": "twilio",
    }
    return Settings(**(values | changes))
