"""Proof of ownership, one-time codes, rotating tokens of channels, citizens who can't be reached."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _at(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.add_column("conversation", _at("unreachable_at", nullable=True))
    op.add_column("lookup", sa.Column("kind", sa.String(8), nullable=False, server_default="code"))
    op.create_table(
        "access",
        sa.Column("id", _BIG, primary_key=True, autoincrement=True),
        _text("channel", 20),
        _text("sender", 128),
        _text("dossier_code", 48),
        _text("how", 12),
        _at("at"),
        _at("until"),
    )
    op.create_index("ix_access_who", "access", ["channel", "sender", "dossier_code"])
    op.create_table(
        "one_time_code",
        sa.Column("id", _BIG, primary_key=True, autoincrement=True),
        _text("channel", 20),
        _text("sender", 128),
        _text("dossier_code", 48),
        _text("digest", 64, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        _at("at"),
        _at("expires_at"),
    )
    op.create_index("ix_one_time_code_who", "one_time_code", ["channel", "sender", "at"])
    op.create_index("ix_one_time_code_dossier", "one_time_code", ["dossier_code", "at"])
    op.create_table(
        "channel_token",
        sa.Column("channel", sa.String(20), primary_key=True),
        sa.Column("account", sa.String(64), primary_key=True),
        _text("access_sealed", 4000),
        _text("refresh_sealed", 4000),
        sa.Column("generation", sa.Integer(), nullable=False),
        _at("expires_at"),
        _at("refreshed_at"),
        _text("lease_owner", 64, nullable=True),
        _at("lease_until", nullable=True),
        _text("problem", 500, nullable=True),
    )


def downgrade() -> None:
    for table in ("channel_token", "one_time_code", "access"):
        op.drop_table(table)
    op.drop_column("lookup", "kind")
    op.drop_column("conversation", "unreachable_at")
