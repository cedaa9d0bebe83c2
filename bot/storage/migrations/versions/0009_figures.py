"""Figures and the hall: what turns are counted by, how the hall is used, the survey of a returned dossier."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# The turns that are there already get their day (Vietnam time), channel and procedure; how long they took is unknown.
_FILL = {
    "sqlite": "UPDATE turn SET day = date(at, '+7 hours'), procedure = coalesce(procedure, "
    "substr(json_extract(understanding, '$.procedures[0]'), 1, 12)), "
    "channel = (SELECT channel FROM conversation WHERE conversation.id = turn.conversation_id)",
    "postgresql": "UPDATE turn SET day = (at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date, procedure = coalesce(procedure, "
    "left(understanding->'procedures'->>0, 12)), "
    "channel = (SELECT channel FROM conversation WHERE conversation.id = turn.conversation_id)",
}


def upgrade() -> None:
    bind = op.get_bind()
    there = {column["name"] for column in sa.inspect(bind).get_columns("turn")}
    for column in (
        sa.Column("channel", sa.String(20)),
        sa.Column("procedure", sa.String(12)),
        sa.Column("day", sa.Date()),
        sa.Column("waited_ms", sa.Integer()),
    ):
        if column.name not in there:
            op.add_column("turn", column)
    op.execute(_FILL[bind.dialect.name])
    op.create_index(
        "ix_turn_figures", "turn", ["day", "procedure", "outcome", "intent", "channel", "waited_ms"], unique=False
    )
    op.create_table(
        "hall_use",
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("what", sa.String(20), primary_key=True),
        sa.Column("times", sa.Integer(), nullable=False),
    )
    op.create_table(
        "survey",
        sa.Column("id", _BIG, primary_key=True, autoincrement=True),
        sa.Column("dossier_code", sa.String(48), nullable=False),
        sa.Column("token_digest", sa.String(64), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("channel", sa.String(20), nullable=True),
        sa.Column("answers", sa.JSON(), nullable=False),
        sa.Column("comment", sa.String(1000), nullable=False),
        sa.Column("comment_state", sa.String(12), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.UniqueConstraint("dossier_code", name="uq_survey_dossier"),
        sa.UniqueConstraint("token_digest"),
    )
    op.create_index("ix_survey_answered_at", "survey", ["answered_at"])
