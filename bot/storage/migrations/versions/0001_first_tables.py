"""The first tables.

Types are written out, not taken from ``bot.storage.tables``: a migration must stay what it was when it ran.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _id() -> sa.Column[int]:
    return sa.Column("id", _BIG, primary_key=True, autoincrement=True)


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(), nullable=False)


def _at(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    _queues()
    _talk()
    _dossiers()
    _people()


def _queues() -> None:
    op.create_table(
        "inbox",
        _id(),
        _text("channel", 20),
        _text("sender", 128),
        _text("message_id", 200),
        _json("payload"),
        _text("state", 12),
        _number("attempts"),
        _at("next_try_at"),
        _text("lease_owner", 64, nullable=True),
        _at("lease_until", nullable=True),
        _text("error", 500, nullable=True),
        _at("received_at"),
        _at("done_at", nullable=True),
        sa.UniqueConstraint("channel", "message_id", name="uq_inbox_message"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_inbox_open", "inbox", ["state", "next_try_at"])
    op.create_index("ix_inbox_sender", "inbox", ["channel", "sender", "state", "id"])
    op.create_table(
        "outbox",
        _id(),
        _text("kind", 12),
        _text("channel", 20),
        _text("gateway", 20, nullable=True),
        _text("recipient", 128),
        _text("dedupe_key", 200),
        _json("body"),
        sa.Column("inbox_id", _BIG, nullable=True),
        _text("dossier_code", 48, nullable=True),
        _text("event", 32, nullable=True),
        _text("occurrence", 100, nullable=True),
        _flag("demo"),
        _text("state", 12),
        _at("not_before"),
        _at("expires_at", nullable=True),
        _number("attempts"),
        _text("lease_owner", 64, nullable=True),
        _at("lease_until", nullable=True),
        _text("provider_id", 100, nullable=True),
        _text("provider_status", 32, nullable=True),
        _text("error", 500, nullable=True),
        _at("created_at"),
        _at("sent_at", nullable=True),
        _at("delivered_at", nullable=True),
        sa.UniqueConstraint("dedupe_key", name="uq_outbox_dedupe"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_open", "outbox", ["state", "kind", "not_before"])
    op.create_index("ix_outbox_recipient", "outbox", ["channel", "recipient", "state", "id"])
    op.create_index("ix_outbox_provider", "outbox", ["gateway", "provider_id"])
    op.create_index("ix_outbox_inbox_id", "outbox", ["inbox_id"])
    op.create_index("ix_outbox_dossier_code", "outbox", ["dossier_code"])


def _talk() -> None:
    op.create_table(
        "conversation",
        _id(),
        _text("channel", 20),
        _text("sender", 128),
        _json("memory"),
        _text("taken_by", 64, nullable=True),
        _at("created_at"),
        _at("last_at"),
        sa.UniqueConstraint("channel", "sender", name="uq_conversation_sender"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "turn",
        _id(),
        sa.Column("conversation_id", _BIG, nullable=False),
        sa.Column("inbox_id", _BIG, nullable=True),
        _text("text", 4000),
        _text("intent", 24),
        _text("outcome", 16),
        _json("understanding"),
        _json("replies"),
        _at("at"),
        sa.UniqueConstraint("inbox_id", name="uq_turn_inbox_id"),
    )
    op.create_index("ix_turn_conversation_id", "turn", ["conversation_id"])
    op.create_index("ix_turn_at", "turn", ["at"])
    op.create_table(
        "handoff",
        _id(),
        sa.Column("conversation_id", _BIG, nullable=False),
        _text("kind", 16),
        _text("text", 4000),
        _text("state", 12),
        _text("taken_by", 64, nullable=True),
        _at("created_at"),
        _at("closed_at", nullable=True),
    )
    op.create_index("ix_handoff_conversation_id", "handoff", ["conversation_id"])


def _dossiers() -> None:
    op.create_table(
        "dossier",
        sa.Column("code", sa.String(48), primary_key=True),
        _text("procedure", 12, nullable=True),
        _number("status"),
        _at("received_at", nullable=True),
        _at("due_at", nullable=True),
        _text("office", 200, nullable=True),
        _text("phone", 20, nullable=True),
        _flag("consent_sms"),
        _text("return_mode", 12),
        _text("lookup_digest", 64, nullable=True),
        _text("note", 500, nullable=True),
        _flag("demo"),
        _at("created_at"),
        _at("updated_at"),
    )
    op.create_table(
        "status_change",
        _id(),
        _text("dossier_code", 48),
        _number("before", nullable=True),
        _number("after"),
        _text("source", 16),
        _text("source_change_id", 100, nullable=True),
        _text("by", 64, nullable=True),
        _text("note", 500, nullable=True),
        _at("at"),
    )
    op.create_index("ix_status_change_code", "status_change", ["dossier_code", "id"])
    op.create_table(
        "lookup",
        _id(),
        _text("channel", 20),
        _text("sender", 128),
        _text("network", 64, nullable=True),
        _text("code", 48),
        _flag("found"),
        _at("at"),
    )
    op.create_index("ix_lookup_who", "lookup", ["channel", "sender", "at"])
    op.create_index("ix_lookup_network", "lookup", ["network", "at"])
    op.create_table(
        "preference",
        _id(),
        _text("channel", 20),
        _text("recipient", 128),
        _text("dossier_code", 48),
        _flag("wants"),
        _text("wording", 40),
        _text("evidence", 200),
        _at("at"),
    )
    op.create_index("ix_preference_who", "preference", ["channel", "recipient", "dossier_code"])


def _people() -> None:
    op.create_table(
        "staff",
        sa.Column("name", sa.String(64), primary_key=True),
        _text("role", 16),
        _text("password_hash", 200),
        _flag("active"),
        _number("failed"),
        _at("locked_until", nullable=True),
        _at("created_at"),
    )
    op.create_table(
        "staff_session",
        sa.Column("digest", sa.String(64), primary_key=True),
        _text("staff", 64),
        _text("csrf", 64),
        _at("created_at"),
        _at("expires_at"),
    )
    op.create_index("ix_staff_session_staff", "staff_session", ["staff"])
    op.create_table(
        "audit",
        _id(),
        _text("staff", 64),
        _text("action", 40),
        _text("subject", 100),
        _json("detail"),
        _at("at"),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_table(
        "heartbeat",
        sa.Column("name", sa.String(40), primary_key=True),
        _text("owner", 64),
        _at("at"),
    )
