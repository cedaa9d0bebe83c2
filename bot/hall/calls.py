"""Calling an advisor from the kiosk: a hand-over like any other, with nothing of who called."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import func
from sqlmodel import Session, col, select

from bot.desk import queues
from bot.desk.messages import KIOSK
from bot.figures.hall import used
from bot.storage.tables import Conversation, Handoff
from bot.texts import phrases

AGAIN_AFTER = timedelta(minutes=3)  # one call rings; a second one would ring no louder
MOST_AN_HOUR = 12


def call(
    session: Session, now: datetime, office: str | None = None
) -> Literal["called", "called_already", "call_limited"]:
    """Calls an advisor to the kiosk (uncommitted).

    Args:
        session: the transaction.
        now: the moment (aware).
        office: slug of the one of several offices whose kiosk it is, None for the one that all share.

    Returns:
        "called_already" where a call is open and new, "call_limited" where there were too many in the last hour.
    """
    sender = f"{KIOSK}:{office}" if office else KIOSK
    kiosk = session.exec(
        select(Conversation).where(Conversation.channel == KIOSK, Conversation.sender == sender).with_for_update()
    ).first()
    if kiosk is None:
        kiosk = Conversation(channel=KIOSK, sender=sender, office=office, created_at=now, last_at=now)
        session.add(kiosk)
        session.flush()
    mine = (Handoff.conversation_id == kiosk.id, Handoff.kind == "handoff")
    ringing = select(Handoff.id).where(*mine, Handoff.state == "open", col(Handoff.created_at) > now - AGAIN_AFTER)
    if session.exec(ringing.limit(1)).first() is not None:
        return "called_already"
    lately = select(func.count()).select_from(Handoff).where(*mine, col(Handoff.created_at) > now - timedelta(hours=1))
    if session.exec(lately).one() >= MOST_AN_HOUR:
        return "call_limited"
    kiosk.last_at = now
    session.add(kiosk)
    queues.ask(session, kiosk, "handoff", phrases("hall")["kiosk"]["call_text"], now)
    queues.place(session, kiosk, now)
    used(session, "call", now, office)
    return "called"
