"""Indexes for the pages that read a large table whole (tests/console/test_every_page_by_index.py)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bot.storage.migrations.online import create_index

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index("ix_audit_staff", "audit", ["staff", "id"])
    create_index("ix_dossier_received", "dossier", ["received_at", "created_at"])
    create_index(
        "ix_dossier_demo", "dossier", ["code"], sqlite_where=sa.text("demo = 1"), postgresql_where=sa.text("demo")
    )
    create_index("ix_handoff_kind", "handoff", ["kind", "created_at"])
    create_index("ix_status_change_when", "status_change", ["source_at", "at"])
    create_index(
        "ix_lookup_missed", "lookup", ["at"], sqlite_where=sa.text("found = 0"), postgresql_where=sa.text("NOT found")
    )


def downgrade() -> None:
    op.drop_index("ix_lookup_missed", "lookup")
    op.drop_index("ix_status_change_when", "status_change")
    op.drop_index("ix_handoff_kind", "handoff")
    for index in ("ix_dossier_demo", "ix_dossier_received"):
        op.drop_index(index, "dossier")
    op.drop_index("ix_audit_staff", "audit")
