"""Figures for the office's leaders: questions, dossiers, notices, the hall, satisfaction; no web in here."""
