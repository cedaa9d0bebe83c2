"""Whether the database is whole: what only a damaged disk, a hand in the tables or a fault of ours could cause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import ColumnElement, and_, exists, or_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func, select, text

from bot.storage.database import Database
from bot.storage.tables import (
    METADATA,
    Consent,
    Conversation,
    Dossier,
    Handoff,
    Inbox,
    Outbox,
    Staff,
    StaffSession,
    StatusChange,
    Turn,
)

_EXAMPLES = 3
_AHEAD = timedelta(days=1)  # clocks differ, but not by that much
_INBOX = ("waiting", "claimed", "done", "dead")
_OUTBOX = ("waiting", "sending", "sent", "delivered", "failed", "expired", "cancelled", "uncertain")


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault.

    Attributes:
        what: in Vietnamese, for staff.
        rows: how many rows have it; 0 where it is not a matter of rows.
        examples: keys of a few of them.
    """

    what: str
    rows: int = 0
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.rows:
            return self.what
        return f"{self.what}: {self.rows} dòng, ví dụ {', '.join(self.examples)}"


def faults(database: Database, now: datetime) -> list[Fault]:
    """All faults found, in one consistent view; [] where all is well.

    Raises:
        SQLAlchemyError: the database can't be read.
    """
    with database.read() as session:
        if not database.is_sqlite:
            session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            session.execute(text("SET LOCAL statement_timeout = 0"))
        found = list(_file(session)) if database.is_sqlite else []
        found += _schema(session)
        for what, key, which in _rules(now):
            rows = session.exec(select(func.count()).select_from(key.class_).where(which)).one()
            if rows:
                examples = session.exec(select(key).where(which).order_by(key).limit(_EXAMPLES)).all()
                found.append(Fault(what, rows, tuple(str(one) for one in examples)))
        return found


def _file(session: Session) -> Iterator[Fault]:
    told = [str(row[0]) for row in session.execute(text("PRAGMA integrity_check(20)"))]
    if told != ["ok"]:
        yield Fault(f"tệp SQLite hỏng ({told[0]}); hãy phục hồi từ bản sao lưu")


def _schema(session: Session) -> Iterator[Fault]:
    context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
    for difference in compare_metadata(context, METADATA):
        yield Fault(f"bảng khác với bản nâng cấp: {_named(difference)}")


def _named(difference: Any) -> str:
    first = difference[0]
    kind, about = (first[0], first[1:]) if isinstance(first, tuple) else (first, difference[1:])
    return " ".join([str(kind), *(str(getattr(one, "name", one)) for one in about[:3] if one is not None)])[:200]


def _rules(now: datetime) -> Iterator[tuple[str, Any, ColumnElement[bool]]]:
    """What is wrong, the key to name rows by, which rows have it."""
    yield from _orphans()
    late = now + _AHEAD
    yield "tin đến có trạng thái lạ", col(Inbox.id), col(Inbox.state).not_in(_INBOX)
    yield (
        "tin đến đang xử lý mà không có hạn",
        col(Inbox.id),
        and_(col(Inbox.state) == "claimed", or_(col(Inbox.lease_owner).is_(None), col(Inbox.lease_until).is_(None))),
    )
    yield (
        "tin đến đã xong mà không có giờ xong",
        col(Inbox.id),
        and_(col(Inbox.state).in_(("done", "dead")), col(Inbox.done_at).is_(None)),
    )
    other = aliased(Inbox)
    yield "hai tin của một người cùng đang xử lý", col(Inbox.id), and_(
        col(Inbox.state) == "claimed",
        exists().where(
            col(other.channel) == Inbox.channel, col(other.sender) == Inbox.sender,
            col(other.state) == "claimed", col(other.id) < Inbox.id,
        ),
    )  # fmt: skip
    yield "tin đến từ tương lai (đồng hồ sai)", col(Inbox.id), col(Inbox.received_at) > late
    yield "tin đi có trạng thái lạ", col(Outbox.id), col(Outbox.state).not_in(_OUTBOX)
    yield (
        "tin đi đang gửi mà không có hạn",
        col(Outbox.id),
        and_(col(Outbox.state) == "sending", or_(col(Outbox.lease_owner).is_(None), col(Outbox.lease_until).is_(None))),
    )
    yield (
        "tin đi đã gửi mà không có giờ gửi",
        col(Outbox.id),
        and_(col(Outbox.state) == "sent", col(Outbox.sent_at).is_(None)),
    )
    yield "tin đi lập ở tương lai (đồng hồ sai)", col(Outbox.id), col(Outbox.created_at) > late
    yield "hồ sơ có trạng thái ngoài 1–10", col(Dossier.code), or_(col(Dossier.status) < 1, col(Dossier.status) > 10)
    newest = (select(func.max(StatusChange.id)).where(StatusChange.dossier_code == Dossier.code)).scalar_subquery()
    last = aliased(StatusChange)
    yield (
        "hồ sơ có trạng thái khác lần chuyển cuối",
        col(Dossier.code),
        exists().where(col(last.id) == newest, col(last.after) != Dossier.status),
    )


def _orphans() -> Iterator[tuple[str, Any, ColumnElement[bool]]]:
    for what, key, column, parent in (
        ("lượt trả lời không có cuộc trò chuyện", Turn.id, Turn.conversation_id, Conversation.id),
        ("lượt trả lời không có tin đến", Turn.id, Turn.inbox_id, Inbox.id),
        ("yêu cầu gặp cán bộ không có cuộc trò chuyện", Handoff.id, Handoff.conversation_id, Conversation.id),
        ("tin đi không có tin đến", Outbox.id, Outbox.inbox_id, Inbox.id),
        ("tin báo không có hồ sơ", Outbox.id, Outbox.dossier_code, Dossier.code),
        ("lần chuyển trạng thái không có hồ sơ", StatusChange.id, StatusChange.dossier_code, Dossier.code),
        ("sự đồng ý không có hồ sơ", Consent.id, Consent.dossier_code, Dossier.code),
        ("phiên đăng nhập không có tài khoản", StaffSession.digest, StaffSession.staff, Staff.name),
    ):
        child: Any = column
        yield what, col(key), and_(child.is_not(None), ~exists().where(col(parent) == child))
