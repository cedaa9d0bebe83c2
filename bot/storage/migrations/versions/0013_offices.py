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
    ("desk_message", "office"), ("outbox", "office"), ("staff", "office"),
)  # fmt: skip


def upgrade() -> None:
    bind = op.get_bind()
    for table, column in _COLUMNS:
        # What was added before the building of the index was cut off stays.
        if column not in {known["name"] for known in sa.inspect(bind).get_columns(table)}:
            op.add_column(table, sa.Column(column, sa.String(60), nullable=True))
    where = sa.text("office IS NOT NULL")
    create_index(
        "ix_turn_office_figures",
        "turn",
        ["office", "day", "procedure", "outcome", "intent", "channel", "waited_ms"],
        sqlite_where=where,
        postgresql_where=where,
    )


def downgrade() -> None:
    op.drop_index("ix_turn_office_figures", "turn")
    for table, column in _COLUMNS:
        op.drop_column(table, column)
