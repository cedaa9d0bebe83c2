"""The phone simulator: the outbox rows sent through it are its screen, nothing else is kept."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.notices.gateways.base import Sent, Sms


class Simulator:
    """Takes every message at once; nothing leaves the house."""

    name = "simulator"
    settle = timedelta(0)

    def send(self, sms: Sms) -> Sent:  # noqa: ARG002 - the port's signature
        """Refuses nothing."""
        return Sent(None, "sent")

    def find(self, to: str, text: str, since: datetime) -> list[Sent]:  # noqa: ARG002 - the port's signature
        """Nothing: what is not stored as sent never reached the screen."""
        return []
