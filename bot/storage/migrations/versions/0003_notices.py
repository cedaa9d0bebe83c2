"""Notices: provable consent, pauses, spend, priorities, looks at uncertain sends."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False)


def _at(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.add_column("outbox", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("outbox", sa.Column("looks", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("outbox", _at("looked_at", nullable=True))
    op.add_column("outbox", sa.Column("segments", sa.Integer(), nullable=True))
    op.add_column("outbox", sa.Column("cost", sa.Float(), nullable=True))
    op.add_column("status_change", _at("source_at", nullable=True))
    op.drop_index("ix_outbox_open", "outbox")
    op.create_index("ix_outbox_open", "outbox", ["state", "kind", "priority", "not_before"])
    op.create_table(
        "consent",
        sa.Column("id", _BIG, primary_key=True, autoincrement=True),
        _text("dossier_code", 48),
        _text("channel", 20),
        _text("recipient", 128),
        sa.Column("given", sa.Boolean(), nullable=False),
        _text("wording", 40),
        _text("evidence", 200),
        _at("at"),
    )
    op.create_index("ix_consent_dossier", "consent", ["dossier_code", "channel", "recipient"])
    op.create_table(
        "gateway_pause",
        sa.Column("channel", sa.String(20), primary_key=True),
        _text("by", 64),
        _text("reason", 500),
        _at("at"),
        _at("until", nullable=True),
    )
    op.create_table(
        "spend",
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("channel", sa.String(20), primary_key=True),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("dong", sa.Float(), nullable=False),
    )


def downgrade() -> None:
    for table in ("spend", "gateway_pause", "consent"):
        op.drop_table(table)
    op.drop_index("ix_outbox_open", "outbox")
    op.create_index("ix_outbox_open", "outbox", ["state", "kind", "not_before"])
    op.drop_column("status_change", "source_at")
    for column in ("cost", "segments", "looked_at", "looks", "priority"):
        op.drop_column("outbox", column)
