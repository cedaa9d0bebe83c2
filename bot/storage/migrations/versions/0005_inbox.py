"""Inbox: queues of conversations, held answers, advisors' messages, canned replies, advisors' own chats."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _id() -> sa.Column[int]:
    return sa.Column("id", _BIG, primary_key=True, autoincrement=True)


def _big(name: str, *, nullable: bool = False, unique: bool = False) -> sa.Column[int]:
    return sa.Column(name, _BIG, nullable=nullable, unique=unique)


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _at(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.add_column("conversation", sa.Column("queue", sa.String(8), nullable=False, server_default="bot"))
    op.add_column("conversation", sa.Column("version", sa.Integer(), nullable=False, server_default="0"))
    for name in ("queued_at", "advisor_at", "answered_at"):
        op.add_column("conversation", _at(name, nullable=True))
    op.add_column("conversation", _text("counter", 120, nullable=True))
    op.add_column("handoff", _at("alerted_at", nullable=True))
    op.add_column("staff", _text("display_name", 40, nullable=True))
    # Whoever waits already stands in the queue, and nobody is alarmed about what is old.
    op.execute(
        "UPDATE conversation SET queue = 'waiting', queued_at = (SELECT min(created_at) FROM handoff "
        "WHERE handoff.conversation_id = conversation.id AND state = 'open' AND kind IN ('handoff', 'complaint')) "
        "WHERE id IN (SELECT conversation_id FROM handoff WHERE state = 'open' AND kind IN ('handoff', 'complaint'))"
    )
    op.execute("UPDATE handoff SET state = 'done' WHERE kind = 'miss'")
    op.execute("UPDATE handoff SET alerted_at = created_at")
    op.create_index("ix_conversation_queue", "conversation", ["queue", "queued_at", "id"])
    op.create_index("ix_conversation_last", "conversation", ["last_at", "id"])
    op.create_index("ix_turn_thread", "turn", ["conversation_id", "id"])
    op.create_index("ix_handoff_open", "handoff", ["state", "created_at"])
    op.create_table(
        "held",
        _id(),
        _big("conversation_id"),
        _big("inbox_id", unique=True),
        sa.Column("replies", sa.JSON(), nullable=False),
        _text("state", 12),
        _at("deadline_at"),
        _text("by", 64, nullable=True),
        _at("created_at"),
        _at("decided_at", nullable=True),
    )
    op.create_index("ix_held_due", "held", ["state", "deadline_at"])
    op.create_index("ix_held_conversation", "held", ["conversation_id", "state"])
    op.create_table(
        "desk_message",
        _id(),
        _big("conversation_id"),
        _text("key", 64),
        _text("kind", 8),
        _text("by", 64, nullable=True),
        _text("name", 80),
        _text("text", 4000),
        _big("outbox_id", nullable=True),
        _at("at"),
        sa.UniqueConstraint("conversation_id", "key", name="uq_desk_message_key"),
    )
    op.create_index("ix_desk_message_thread", "desk_message", ["conversation_id", "at"])
    op.create_table(
        "canned_reply",
        _id(),
        sa.Column("shortcut", sa.String(20), nullable=False, unique=True),
        _text("text", 2000),
        sa.Column("version", sa.Integer(), nullable=False),
        _text("by", 64),
        _at("at"),
    )
    op.create_table(
        "staff_chat",
        _id(),
        _text("staff", 64),
        _text("channel", 20),
        _text("sender", 128),
        _at("created_at"),
        sa.UniqueConstraint("channel", "sender", name="uq_staff_chat"),
    )
    op.create_index("ix_staff_chat_staff", "staff_chat", ["staff"])
    op.create_table(
        "staff_code",
        sa.Column("staff", sa.String(64), primary_key=True),
        _text("digest", 64),
        _at("expires_at"),
    )


def downgrade() -> None:
    for table in ("staff_code", "staff_chat", "canned_reply", "desk_message", "held"):
        op.drop_table(table)
    op.drop_index("ix_handoff_open", "handoff")
    op.drop_index("ix_turn_thread", "turn")
    op.drop_index("ix_conversation_last", "conversation")
    op.drop_index("ix_conversation_queue", "conversation")
    op.drop_column("staff", "display_name")
    op.drop_column("handoff", "alerted_at")
    for column in ("counter", "answered_at", "advisor_at", "queued_at", "version", "queue"):
        op.drop_column("conversation", column)
