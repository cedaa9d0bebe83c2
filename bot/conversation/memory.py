"""Memory as JSON for storage, and back; what an older program stored is read as far as it fits. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from bot.conversation.model import Choice, Memory

_KNOWN = frozenset(field.name for field in fields(Memory))


def to_json(memory: Memory) -> dict[str, Any]:
    """A JSON object that ``from_json`` reads back."""
    return asdict(memory) | {"at": memory.at.isoformat() if memory.at else None}


def from_json(stored: Mapping[str, Any]) -> Memory:
    """The memory of a conversation; empty where nothing was stored."""
    known: dict[str, Any] = {key: value for key, value in stored.items() if key in _KNOWN}
    for key in ("aspects", "rejected", "answered", "menu", "offices"):
        known[key] = tuple(known.get(key) or ())
    known["offered"] = tuple(
        Choice(item["procedure"], item["label"], item.get("hint", "")) for item in known.get("offered") or ()
    )
    known["at"] = datetime.fromisoformat(known["at"]) if known.get("at") else None
    return Memory(**known)
