"""Settings that staff switch on the console, each with its default; read by whatever they rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import bindparam, select
from sqlmodel import Session

from bot.storage.tables import METADATA


@dataclass(frozen=True, slots=True)
class Kind:
    """A setting: a switch where ``default`` is a bool, else a whole number between ``least`` and ``most``."""

    default: bool | int
    least: int = 0
    most: int = 0


SETTINGS: Mapping[str, Kind] = MappingProxyType(
    {
        # Inbox. See the texts "settings" in bot/texts/console.yml for what each says to staff.
        "approve_unsure": Kind(default=False),
        "approve_below_percent": Kind(90, 50, 100),
        "approve_minutes": Kind(10, 1, 120),
        "return_after_minutes": Kind(15, 2, 240),
        "alert_after_minutes": Kind(5, 1, 120),
        # Procedures.
        "four_eyes": Kind(default=True),
        # Models: how many points of accuracy a kind may lose at most for a candidate to be promoted.
        "worse_at_most_points": Kind(1, 0, 20),
        # Survey after a result is returned.
        "survey": Kind(default=True),
        # How long the code of a result that nobody fetched stays on the board in the hall.
        "board_days": Kind(7, 1, 90),
    }
)


_TABLE = METADATA.tables["office_setting"]
_VALUE = select(_TABLE.c.value).where(_TABLE.c.key == bindparam("wanted"))


def setting(session: Session, key: str) -> Any:
    """The value of a setting: a bool or a whole number.

    Raises:
        KeyError: there is no such setting.
    """
    kind = SETTINGS[key]
    value = session.connection().execute(_VALUE, {"wanted": key}).scalar()
    return value.get("value", kind.default) if value else kind.default
