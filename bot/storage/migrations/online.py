"""Indexes on tables that are in use: built beside the work on PostgreSQL, where an ordinary one would stop writing."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op


def create_index(name: str, table: str, columns: list[str], **options: Any) -> None:
    """Builds an index; may be called again where it was cut off.

    Not for unique ones: until such an index is whole, the rows are not yet unique.
    """
    context = op.get_context()
    if op.get_bind().dialect.name == "sqlite":
        op.create_index(name, table, columns, **options)
        return
    with context.autocommit_block():
        broken = sa.text(
            "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid"
        )  # what a build that was cut off leaves behind
        if op.get_bind().scalar(broken, {"name": name}):
            op.drop_index(name, table, postgresql_concurrently=True)
        op.create_index(name, table, columns, postgresql_concurrently=True, if_not_exists=True, **options)
