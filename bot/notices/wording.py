"""The words of notices as staff changed them on the console, laid over those of ``bot/texts/notices.yml``.

They are read in the transaction that makes a notice, so a change reaches every process at once, and a notice that
exists already keeps its words.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, select

from bot.clock import local
from bot.errors import BadInputError
from bot.notices import templates
from bot.storage.tables import NoticeTemplate
from bot.texts import phrases

log = logging.getLogger(__name__)
MOST_SEGMENTS = 3  # SMS that one notice may cost
LONGEST_SMS, LONGEST_CHAT = 600, 1000  # characters as typed


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one notice.

    Attributes:
        name: of the template.
        fields: that both texts must hold.
        sms: short, sent without marks.
        chat: whole.
        segments: how many SMS it may need.
        version: of staff's changes; 0: never changed.
        changed: whether these are staff's words, not the file's.
        by: who changed it last, "" where nobody did.
        at: when.
    """

    name: str
    fields: tuple[str, ...]
    sms: str
    chat: str
    segments: int
    version: int = 0
    changed: bool = False
    by: str = ""
    at: datetime | None = None

    @property
    def template(self) -> Mapping[str, object]:
        """In the shape of the file."""
        return {"fields": self.fields, "sms": self.sms, "chat": self.chat, "segments": self.segments}

    @property
    def told(self) -> dict[str, object]:
        """For the audit log."""
        return {"sms": self.sms, "chat": self.chat, "segments": self.segments}


class ChangedMeanwhileError(BadInputError):
    """Somebody else saved this template after it was opened: nothing was overwritten."""


def words(session: Session, name: str) -> Words:
    """The words of a notice as they are now.

    Raises:
        KeyError: there is no such template.
    """
    return _over(name, session.get(NoticeTemplate, name, populate_existing=True))


def all_words(session: Session) -> list[Words]:
    """The words of all notices, in the order of the file."""
    rows = {row.name: row for row in session.exec(select(NoticeTemplate))}
    return [_over(name, rows.get(name)) for name in templates.templates()]


def render(session: Session, name: str, fields: Mapping[str, str], channel: str = "sms") -> str:
    """The text of a notice in the words of this moment.

    Raises:
        KeyError: there is no such template, or a field is missing.
    """
    return templates.render(name, fields, channel, words(session, name).template)


def save(
    session: Session, name: str, *, sms: str, chat: str, segments: int, version: int, by: str, now: datetime
) -> tuple[Words, Words]:
    """Stores other words for a notice.

    Args:
        session: the transaction.
        name: of the template.
        sms: the short text; marks are welcome, they are left out when it is sent.
        chat: the whole text.
        segments: how many SMS it may need, 1–3.
        version: of the words that were opened for editing.
        by: who.
        now: the moment (aware).

    Returns:
        The words before and after.

    Raises:
        KeyError: there is no such template.
        BadInputError: what is wrong with the words, all of it.
        ChangedMeanwhileError: another version is stored.
    """
    before, row = _opened(session, name, version)
    typed = typed_words(before, sms, chat, segments)
    wrong = faults(typed)
    if wrong:
        raise BadInputError("; ".join(wrong))
    row.sms, row.chat, row.segments = typed.sms, typed.chat, typed.segments
    return before, _stored(session, row, by, now)


def back_to_file(session: Session, name: str, *, version: int, by: str, now: datetime) -> tuple[Words, Words]:
    """Gives a notice the words of the file again; arguments, answer and errors as for ``save``."""
    before, row = _opened(session, name, version)
    row.sms = row.chat = None
    return before, _stored(session, row, by, now)


def typed_words(like: Words, sms: str, chat: str, segments: int) -> Words:
    """Words as they would be stored: the short text on one line, Unicode composed."""
    short = " ".join(unicodedata.normalize("NFC", sms).split())
    whole = unicodedata.normalize("NFC", chat).replace("\r\n", "\n").replace("\0", "").strip()
    return Words(like.name, like.fields, short.replace("\0", ""), whole, segments)


def faults(typed: Words) -> list[str]:
    """What is wrong with words, a line each as staff read it; empty where they can be stored."""
    found = list(templates.faults_of(typed.name, typed.template))
    if not 1 <= typed.segments <= MOST_SEGMENTS:
        found.append(templates.Fault("segments", {"most": MOST_SEGMENTS}))
    for channel, text, most in (("sms", typed.sms, LONGEST_SMS), ("chat", typed.chat, LONGEST_CHAT)):
        if len(text) > most:
            found.append(templates.Fault("characters", {"channel": channel, "count": len(text), "most": most}))
    said = phrases("desk")
    return [
        templates.Fault(one.kind, {**one.values, "where": said["texts"].get(one.values.get("channel"))}).told(said)
        for one in found
    ]


def _over(name: str, row: NoticeTemplate | None) -> Words:
    file = templates.templates()[name]
    base = Words(
        name, tuple(str(field) for field in file["fields"]),  # type: ignore[attr-defined]
        str(file["sms"]), str(file["chat"]), int(str(file.get("segments", 1))),
    )  # fmt: skip
    if row is None:
        return base
    stamp: dict[str, Any] = {"version": row.version, "by": row.by, "at": row.at}
    if row.sms is None or row.chat is None:
        return Words(name, base.fields, base.sms, base.chat, base.segments, **stamp)
    own = Words(name, base.fields, row.sms, row.chat, row.segments, changed=True, **stamp)
    if any(templates.faults_of(name, own.template)):
        # A newer program may ask for other fields: a notice in the file's words is better than none.
        log.error("mẫu tin %s do cán bộ sửa không còn dùng được, dùng mẫu gốc", name)
        return Words(name, base.fields, base.sms, base.chat, base.segments, **stamp)
    return own


def _opened(session: Session, name: str, version: int) -> tuple[Words, NoticeTemplate]:
    """The row of a template, locked, if it still has this version."""
    base = templates.templates()[name]
    insert: Any = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    empty = {"name": name, "segments": int(str(base.get("segments", 1))), "version": 0, "by": "", "at": _NEVER}
    session.connection().execute(insert(NoticeTemplate).values(**empty).on_conflict_do_nothing())
    row = session.get_one(NoticeTemplate, name, with_for_update=True, populate_existing=True)
    if row.version != version:
        said = phrases("desk")["changed_meanwhile"]
        raise ChangedMeanwhileError(said.format(by=row.by, at=f"{local(row.at):%H:%M %d/%m/%Y}"))
    return _over(name, row), row


def _stored(session: Session, row: NoticeTemplate, by: str, now: datetime) -> Words:
    row.version, row.by, row.at = row.version + 1, by, now
    session.add(row)
    session.flush()
    return _over(row.name, row)


_NEVER = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
