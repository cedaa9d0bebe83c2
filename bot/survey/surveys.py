"""Opening a survey, finding it by its link, answering it once; reviewing what was written.

The link's token is an HMAC of the dossier code with the office's key: nobody can guess it, and it can be made again for
the kiosk without being stored. The table holds its SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from bot.dossiers.status import RETURNED
from bot.errors import BadInputError
from bot.masking import mask
from bot.secrets import digest
from bot.settings import Settings
from bot.storage.switches import setting
from bot.storage.tables import Dossier, Outbox, StatusChange, Survey
from bot.survey.questions import LONGEST_COMMENT, NEEDED
from bot.texts import phrases

OPEN_FOR = timedelta(days=30)  # after the return
TOKEN_LENGTH = 16  # letters of 5 bits: short enough for an SMS
EVENT = "survey"
SETTING = "survey"
REVIEWED = ("seen", "hidden")
# A chat's own message and the template by which the same account is reached.
_ASKED_ON: Mapping[str, tuple[str, ...]] = {"zalo_oa": ("zalo_oa", "zbs_uid")}


def switched_on(session: Session) -> bool:
    """Whether the office asks at all (a setting of the console)."""
    return bool(setting(session, SETTING))


def token_of(settings: Settings, code: str) -> str:
    """What stands in the link of a dossier's survey."""
    return base64.b32encode(bytes.fromhex(digest(settings, "survey", code)))[:TOKEN_LENGTH].decode("ascii").lower()


def link(settings: Settings, code: str) -> str | None:
    """The address of a dossier's survey; None where the office has no public address."""
    base = settings.public_base_url
    return f"{base}/khao-sat/{token_of(settings, code)}" if base else None


def open_one(session: Session, settings: Settings, code: str, now: datetime) -> Survey:
    """The survey of a dossier, made where there is none yet; safe from many processes at once."""
    insert: Any = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    row = insert(Survey).values(
        dossier_code=code, token_digest=_digest(token_of(settings, code)), state="sent", answers={}, comment="",
        comment_state="none", asked_at=now, expires_at=now + OPEN_FOR,
    )  # fmt: skip
    session.execute(row.on_conflict_do_nothing(index_elements=["dossier_code"]))
    return session.exec(select(Survey).where(Survey.dossier_code == code)).one()


def by_token(session: Session, token: str) -> Survey | None:
    """The survey that a link leads to."""
    return session.exec(select(Survey).where(Survey.token_digest == _digest(token))).first()


def is_open(session: Session, survey: Survey, now: datetime) -> bool:
    """Whether it can be answered: asked, not answered, not too late, and the result is still returned."""
    dossier = session.get(Dossier, survey.dossier_code)
    returned = dossier is not None and dossier.status == RETURNED
    return survey.state == "sent" and survey.expires_at > now and returned


def at_the_kiosk(session: Session, settings: Settings, code: str, now: datetime) -> Survey | None:
    """The open survey of a dossier whose receipt was scanned; None where there is nothing to ask."""
    if not switched_on(session):
        return None
    dossier = session.get(Dossier, code)
    if dossier is None or dossier.status != RETURNED:
        return None
    known = session.exec(select(Survey).where(Survey.dossier_code == code)).first()
    if known is None:
        lately = select(StatusChange.id).where(
            StatusChange.dossier_code == code, StatusChange.after == RETURNED, col(StatusChange.at) > now - OPEN_FOR
        )
        if session.exec(lately.limit(1)).first() is None:
            return None
        known = open_one(session, settings, code, now)
    return known if is_open(session, known, now) else None


def answer(
    session: Session, survey_id: int, answers: Mapping[str, int | bool], comment: str, channel: str, now: datetime
) -> bool:
    """Stores the one answer of a dossier.

    Args:
        session: the transaction.
        survey_id: of an open survey.
        answers: as ``read_answers`` gives them.
        comment: free words, "" for none; numbers are hidden before they are stored.
        channel: on which it was answered: "link", "kiosk", or a chat.
        now: the moment (aware).

    Returns:
        False where it was answered before.
    """
    said = mask(" ".join(comment.replace("\0", "").split())[:LONGEST_COMMENT]).text[:LONGEST_COMMENT]
    stored = session.connection().execute(
        update(Survey)
        .where(col(Survey.id) == survey_id, col(Survey.state) == "sent")
        .values(
            state="answered", channel=channel, answers=dict(answers), comment=said,
            comment_state="new" if said else "none", answered_at=now,
        )
    )  # fmt: skip
    session.expire_all()
    return bool(stored.rowcount)


# --- in the chat ---------------------------------------------------------------------------------------------------


def asked_in_chat(session: Session, channel: str, sender: str, now: datetime) -> str | None:
    """The dossier whose survey this citizen was last asked for here and has not answered; None for none."""
    return session.exec(
        select(Survey.dossier_code)
        .join(Outbox, col(Outbox.dossier_code) == Survey.dossier_code)
        .where(*_asked_here(channel, sender), Survey.state == "sent", col(Survey.expires_at) > now)
        .order_by(col(Outbox.id).desc())
        .limit(1)
    ).first()


def rate_in_chat(session: Session, channel: str, sender: str, code: str, score: int, now: datetime) -> str:
    """Stores a score given in a chat as the dossier's answer.

    Returns:
        "stored"; "answered" where there was an answer before; "closed" where this citizen was not asked here, or it is
        too late.
    """
    asked = select(Outbox.id).where(*_asked_here(channel, sender), Outbox.dossier_code == code).limit(1)
    survey = session.exec(select(Survey).where(Survey.dossier_code == code)).first()
    if survey is None or session.exec(asked).first() is None:
        return "closed"
    if survey.state == "answered":
        return "answered"
    if not is_open(session, survey, now) or survey.id is None:
        return "closed"
    return "stored" if answer(session, survey.id, {NEEDED: score}, "", channel, now) else "answered"


def comment_in_chat(session: Session, channel: str, sender: str, code: str, text: str) -> bool:
    """Adds words to the score this citizen gave here; False where there is none, or words are there already."""
    asked = select(Outbox.id).where(*_asked_here(channel, sender), Outbox.dossier_code == code).limit(1)
    said = mask(" ".join(text.replace("\0", "").split())[:LONGEST_COMMENT]).text[:LONGEST_COMMENT]
    if not said or session.exec(asked).first() is None:
        return False
    stored = session.connection().execute(
        update(Survey)
        .where(col(Survey.dossier_code) == code, col(Survey.channel) == channel, col(Survey.comment_state) == "none")
        .values(comment=said, comment_state="new")
    )
    session.expire_all()
    return bool(stored.rowcount)


def _asked_here(channel: str, sender: str) -> tuple[Any, ...]:
    return (
        Outbox.kind == "notice", Outbox.event == EVENT, col(Outbox.channel).in_(_ASKED_ON.get(channel, (channel,))),
        Outbox.recipient == sender, col(Outbox.state).in_(("sending", "sent", "delivered", "uncertain")),
    )  # fmt: skip


# --- review ----------------------------------------------------------------------------------------------------------


def comments(session: Session, state: str, limit: int = 200, before: int = 0) -> list[Survey]:
    """What was written, the newest first.

    Args:
        session: for reading.
        state: "new", "seen" (may stand in a report) or "hidden".
        limit: at most so many.
        before: only surveys with a smaller id, 0 for all.
    """
    query = select(Survey).where(Survey.comment_state == state, Survey.comment != "")
    if before:
        query = query.where(col(Survey.id) < before)
    return list(session.exec(query.order_by(col(Survey.id).desc()).limit(limit)).all())


def review(session: Session, survey_id: int, was: str, to: str) -> str:
    """Lets a comment into reports, or hides it.

    Args:
        session: the transaction.
        survey_id: whose comment.
        was: the state that whoever decides has seen.
        to: "seen" or "hidden".

    Returns:
        The comment.

    Raises:
        BadInputError: there is no such comment, it can't become that, or somebody else decided meanwhile.
    """
    texts = phrases("figures")["comments"]
    if to not in REVIEWED:
        raise BadInputError(texts["no_such_state"])
    survey = session.get(Survey, survey_id, with_for_update=True)
    if survey is None or survey.comment_state == "none":
        raise BadInputError(texts["no_such"])
    if survey.comment_state != was:
        raise BadInputError(texts["decided"].format(state=texts["states"][survey.comment_state]))
    survey.comment_state = to
    session.add(survey)
    return survey.comment


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
