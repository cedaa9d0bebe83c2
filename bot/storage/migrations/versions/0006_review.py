"""Review of turns, sentences and names that advisors add, the bank of models."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _at(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _id() -> sa.Column[int]:
    return sa.Column("id", _BIG, primary_key=True, autoincrement=True)


def upgrade() -> None:
    op.add_column("turn", sa.Column("confidence", sa.Float(), nullable=True))
    op.add_column("turn", _text("engine", 20, nullable=True))
    op.add_column("turn", _text("procedure", 12, nullable=True))
    op.add_column("turn", sa.Column("doubt", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("turn", sa.Column("doubt_why", sa.String(80), nullable=False, server_default=""))
    op.add_column("turn", sa.Column("reviewed", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE turn SET doubt = -1 WHERE text = ''")
    op.create_index("ix_turn_doubt", "turn", ["reviewed", "doubt", "id"])
    op.create_table(
        "review",
        _id(),
        sa.Column("turn_id", _BIG, nullable=False),
        _text("verdict", 8),
        sa.Column("label", sa.JSON(), nullable=False),
        _text("by", 64),
        _at("at"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.UniqueConstraint("turn_id", name="uq_review_turn"),
    )
    for table, own in (
        ("added_example", [_text("text", 1000), sa.Column("label", sa.JSON(), nullable=False)]),
        ("everyday_name", [_text("name", 200), _text("procedure", 12)]),
    ):
        op.create_table(
            table,
            _id(),
            *own,
            sa.Column("turn_id", _BIG, nullable=True),
            _text("by", 64),
            _at("at"),
            _text("withdrawn_by", 64, nullable=True),
            _at("withdrawn_at", nullable=True),
        )
        op.create_index(f"ix_{table}_turn", table, ["turn_id"])
    op.create_table(
        "candidate_model",
        _id(),
        _text("state", 12),
        sa.Column("examples", sa.JSON(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        _text("progress", 80),
        _text("error", 500, nullable=True),
        _text("owner", 64, nullable=True),
        _at("alive_at"),
        _text("by", 64),
        _at("at"),
        _at("ended_at", nullable=True),
    )
    training = sa.text("state = 'training'")
    op.create_index(
        "uq_candidate_training", "candidate_model", ["state"], unique=True, sqlite_where=training,
        postgresql_where=training,
    )  # fmt: skip
    op.create_table(
        "model_change",
        _id(),
        sa.Column("after", _BIG, nullable=False),
        sa.Column("model_id", _BIG, nullable=True),
        _text("kind", 12),
        _text("by", 64),
        _at("at"),
        sa.UniqueConstraint("after", name="uq_model_change_after"),
    )
