"""Bringing in official records: reading them, drafting files, showing what changed."""
