"""Dossiers (hồ sơ): code grammar, statuses, due dates, import, look-up rules."""
