"""A test message that a member of staff sends to a phone of their own, on the very road that notices take."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session, col, func, select

from bot.clock import local
from bot.dossiers.records import phone_number
from bot.errors import BadInputError
from bot.notices import wording
from bot.notices.gsm7 import segments
from bot.notices.templates import EXAMPLE, short_office
from bot.settings import Settings
from bot.storage import queue
from bot.storage.sight import office_of
from bot.storage.tables import Outbox
from bot.texts import phrases

KIND = "test"
PER_DAY = 5  # of one person; each costs an SMS
VALID_FOR = timedelta(hours=1)
# No dossier has this code: a message that goes astray calls nobody to the counter.
EXAMPLE_CODE = "H30.00.00-000000-0000"


def left_today(session: Session, staff: str, now: datetime) -> int:
    """How many tests this person may still send today (Vietnam time)."""
    midnight = local(now).replace(hour=0, minute=0, second=0, microsecond=0)
    sent = select(func.count()).where(
        Outbox.kind == KIND, Outbox.occurrence == staff, col(Outbox.created_at) >= midnight
    )
    return max(PER_DAY - int(session.exec(sent).one()), 0)


def send(
    session: Session, phone: str, template: str, office: str, *, staff: str, settings: Settings, now: datetime
) -> Outbox:
    """Puts a test message into the outbox; where demonstrations run, for the phone simulator.

    Args:
        session: the transaction.
        phone: as typed.
        template: whose words are tried; "" for a plain test.
        office: the office's name.
        staff: who.
        settings: whether this is a demonstration.
        now: the moment (aware).

    Raises:
        BadInputError: too many today, an unknown template, or no Vietnamese mobile number.
    """
    said = phrases("desk")
    try:
        number = phone_number(phone)
    except BadInputError:
        number = None
    if number is None:
        raise BadInputError(said["test_phone"])
    left = left_today(session, staff, now)
    if not left:
        raise BadInputError(said["test_too_many"].format(most=PER_DAY))
    fields = {**EXAMPLE, "office": office, "code": EXAMPLE_CODE, "due": f"{local(now) + timedelta(days=3):%d/%m/%Y}"}
    if template:
        try:
            words = wording.render(session, template, fields)
        except KeyError:
            raise BadInputError(said["no_template"].format(name=template[:40])) from None
        text = f"{said['test_mark']} {words}"
    else:
        text = said["test_text"].format(office=short_office(office, 40), at=f"{local(now):%H:%M %d/%m}")
    row = Outbox(
        kind=KIND, channel="sms", recipient=number, dedupe_key=f"test:{staff}:{now:%Y%m%d%H%M%S%f}",
        body={"text": text, "buttons": []}, event=KIND, occurrence=staff[:100], demo=settings.demo, priority=-1,
        not_before=now, expires_at=now + VALID_FOR, created_at=now, office=office_of(session),
    )  # fmt: skip
    row.segments = segments(text).count
    if queue.put_outbox(session, row) is None:
        raise BadInputError(said["test_too_many"].format(most=PER_DAY))
    return row


def sent_by(session: Session, staff: str, now: datetime, limit: int = PER_DAY) -> list[Outbox]:
    """This person's tests of the last day, the newest first."""
    query = select(Outbox).where(
        Outbox.kind == KIND, Outbox.occurrence == staff, col(Outbox.created_at) > now - timedelta(days=1)
    )
    return list(session.exec(query.order_by(col(Outbox.created_at).desc(), col(Outbox.id).desc()).limit(limit)))
