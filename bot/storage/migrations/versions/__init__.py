"""Schema changes in order; each must run on SQLite and on PostgreSQL."""
