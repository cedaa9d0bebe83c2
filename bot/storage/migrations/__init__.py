"""Alembic's folder: ``env.py`` and one file a schema change in ``versions/``."""
