"""Alembic's entry: runs on the connection that ``bot.storage.schema`` hands over.

Where that is in a transaction already, all migrations are part of it; else each has its own.
"""

from alembic import context

from bot.storage.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
