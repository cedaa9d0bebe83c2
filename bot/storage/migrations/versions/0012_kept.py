"""What retention has still to empty is found by indexes of just that: it had read all old rows each hour."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bot.storage.migrations.online import create_index

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_KEPT = (
    ("turn", "at", "text <> '' OR CAST(replies AS VARCHAR) <> '{}'"),
    ("inbox", "done_at", "state IN ('done', 'dead') AND CAST(payload AS VARCHAR) <> '{}'"),
    ("outbox", "created_at", "kind <> 'notice' AND CAST(body AS VARCHAR) <> '{}'"),
)


def upgrade() -> None:
    for table, column, where in _KEPT:
        create_index(f"ix_{table}_kept", table, [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def downgrade() -> None:
    for table, _column, _where in _KEPT:
        op.drop_index(f"ix_{table}_kept", table)
