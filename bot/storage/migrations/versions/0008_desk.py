"""The desk: indexes of the lists, words of notices that staff changed, the day a message was counted under."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_OPEN = sa.text("status IN (1, 2, 4, 5, 6)")
_NOTICES = sa.text("kind = 'notice'")


def upgrade() -> None:
    op.create_index(
        "ix_dossier_open_due", "dossier", ["due_at", "code", "procedure"], sqlite_where=_OPEN, postgresql_where=_OPEN
    )
    op.create_index("ix_dossier_updated", "dossier", ["updated_at", "code"])
    op.create_index("ix_dossier_status", "dossier", ["status", "updated_at", "code", "return_mode", "procedure"])
    op.create_index("ix_dossier_procedure", "dossier", ["procedure", "updated_at", "code", "status", "return_mode"])
    op.create_index("ix_outbox_log", "outbox", ["kind", "created_at", "id"])
    op.create_index(
        "ix_outbox_state_log",
        "outbox",
        ["state", "created_at", "id", "channel"],
        sqlite_where=_NOTICES,
        postgresql_where=_NOTICES,
    )
    op.create_index("ix_preference_dossier", "preference", ["dossier_code"])
    op.create_index("ix_audit_subject", "audit", ["subject", "id"])
    op.add_column("outbox", sa.Column("spent_on", sa.Date(), nullable=True))
    sqlite = op.get_bind().dialect.name == "sqlite"
    day = "date(sent_at, '+7 hours')" if sqlite else "(sent_at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date"
    # What has segments was counted when it was sent: a report that comes after this must not count it again.
    op.execute(f"UPDATE outbox SET spent_on = {day} WHERE segments IS NOT NULL AND NOT demo")  # noqa: S608  our own
    op.create_table(
        "notice_template",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("sms", sa.String(1000), nullable=True),
        sa.Column("chat", sa.String(2000), nullable=True),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("notice_template")
    op.drop_column("outbox", "spent_on")
    op.drop_index("ix_audit_subject", "audit")
    op.drop_index("ix_preference_dossier", "preference")
    for index in ("ix_outbox_state_log", "ix_outbox_log"):
        op.drop_index(index, "outbox")
    for index in ("ix_dossier_procedure", "ix_dossier_status", "ix_dossier_updated", "ix_dossier_open_due"):
        op.drop_index(index, "dossier")
