"""The phone simulator: the outbox rows sent through it are its screen, nothing else is kept."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.notices.gateways.base import Parcel, Sent


class Simulator:
    """Takes every message at once; nothing leaves the house."""

    name = "simulator"
    settle = timedelta(0)
    looks = 1
    found_for = timedelta(days=3650)

    async def send(self, parcel: Parcel) -> Sent:  # noqa: ARG002 - the port's signature
        """Refuses nothing."""
        return Sent(None, "sent")

    async def find(self, parcel: Parcel) -> list[Sent]:  # noqa: ARG002 - the port's signature
        """Nothing: what is not stored as sent never reached the screen."""
        return []

    def found_until(self, tried: datetime) -> datetime:
        """For ever."""
        return tried + self.found_for

    async def close(self) -> None:
        """Nothing to close."""
