"""Whole numbers as they come in forms and addresses: anybody may have typed anything."""

from __future__ import annotations


def typed_number(text: str, digits: int = 18) -> int | None:
    """The number, None for anything but up to ``digits`` plain figures; 18 of them fit into every database."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None
