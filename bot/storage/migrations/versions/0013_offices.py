"""Several offices in one deployment: whose a conversation, a turn, an account of staff is; empty with one office."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bot.storage.migrations.online import create_index

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_COLUMNS = (
    ("conversation", "office"), ("conversation", "account"), ("turn", "office"), ("handoff", "office"),
    ("desk_message", "office"), ("outbox", "office"), ("staff", "office"), ("audit", "office"),
)  # fmt: skip
_INDEXES = (
    ("ix_turn_office_figures", "turn", ["day", "procedure", "outcome", "intent", "channel", "waited_ms"]),
    ("ix_turn_office_doubt", "turn", ["reviewed", "doubt", "id"]),
    ("ix_turn_office", "turn", ["id"]),
    ("ix_audit_office", "audit", ["id"]),
)


def upgrade() -> None:
    # Building an index commits what was done before: after a cut off one all of this is met again.
    there = sa.inspect(op.get_bind())
    for table, column in _COLUMNS:
        if column not in {known["name"] for known in there.get_columns(table)}:
            op.add_column(table, sa.Column(column, sa.String(60), nullable=True))
    if not there.has_table("office_hall_use"):
        op.create_table(
            "office_hall_use",
            sa.Column("office", sa.String(60), primary_key=True),
            sa.Column("day", sa.Date(), primary_key=True),
            sa.Column("what", sa.String(20), primary_key=True),
            sa.Column("times", sa.Integer(), nullable=False),
        )
    where = sa.text("office IS NOT NULL")
    for name, table, columns in _INDEXES:
        create_index(name, table, ["office", *columns], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name, table, _columns in _INDEXES:
        op.drop_index(name, table)
    op.drop_table("office_hall_use")
    for table, column in _COLUMNS:
        op.drop_column(table, column)
