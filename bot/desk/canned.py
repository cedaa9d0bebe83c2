"""Replies that advisors send often, each with a shortcut to type ("/gio")."""

from __future__ import annotations

import re
from datetime import datetime

from sqlmodel import Session, col, select

from bot.desk.messages import T, clean
from bot.errors import BadInputError
from bot.storage.tables import CannedReply

MOST = 2000  # characters of a text
_SHORTCUT = re.compile(r"[a-z0-9_-]{1,20}")
_ERRORS = T["errors"]


def all_of(session: Session) -> list[CannedReply]:
    """All replies by shortcut."""
    return list(session.exec(select(CannedReply).order_by(col(CannedReply.shortcut))))


def add(session: Session, shortcut: str, text: str, by: str, now: datetime) -> CannedReply:
    """Adds a reply.

    Raises:
        BadInputError: the shortcut is odd or there already, the text is empty or too long.
    """
    row = CannedReply(shortcut=_free(session, shortcut, None), text=_text(text), by=by, at=now)
    session.add(row)
    session.flush()
    return row


def change(
    session: Session, reply_id: int, shortcut: str, text: str, version: str, by: str, now: datetime
) -> tuple[str, str]:
    """Changes a reply, unless somebody has changed it since this version was shown.

    Returns:
        Its text before and after.

    Raises:
        BadInputError: as for ``add``; or it was changed or removed meanwhile.
    """
    row = _row(session, reply_id)
    if str(row.version) != version:
        raise BadInputError(_ERRORS["canned_changed"].format(by=row.by))
    before = row.text
    row.shortcut, row.text = _free(session, shortcut, reply_id), _text(text)
    row.version, row.by, row.at = row.version + 1, by, now
    session.add(row)
    return before, row.text


def remove(session: Session, reply_id: int) -> str:
    """Removes a reply; its shortcut.

    Raises:
        BadInputError: somebody removed it before.
    """
    row = _row(session, reply_id)
    session.delete(row)
    return row.shortcut


def _row(session: Session, reply_id: int) -> CannedReply:
    row = session.get(CannedReply, reply_id, with_for_update=True)
    if row is None:
        raise BadInputError(_ERRORS["canned_gone"])
    return row


def _free(session: Session, shortcut: str, own: int | None) -> str:
    name = shortcut.strip().removeprefix("/").lower()
    if not _SHORTCUT.fullmatch(name):
        raise BadInputError(_ERRORS["shortcut"])
    known = session.exec(select(CannedReply.id).where(CannedReply.shortcut == name)).first()
    if known is not None and known != own:
        raise BadInputError(_ERRORS["shortcut_taken"].format(shortcut=name))
    return name


def _text(text: str) -> str:
    told = clean(text)
    if len(told) > MOST:
        raise BadInputError(_ERRORS["too_long"].format(most=MOST))
    return told
