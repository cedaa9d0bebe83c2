"""Procedures and the office's own facts on the console: look, change, confirm, import, see who changed what."""
