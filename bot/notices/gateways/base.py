"""The port every SMS gateway implements, and the three ways a send can go wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sms:
    """One SMS to be sent.

    Attributes:
        notice_id: the outbox row, so that a delivery report finds it whatever happened in between.
        to: E.164 number.
        text: one GSM-7 message.
        valid_for: after this long the network should give up.
    """

    notice_id: int
    to: str
    text: str
    valid_for: timedelta


@dataclass(frozen=True, slots=True)
class Sent:
    """The gateway took the message: its id there, and the state it reports."""

    provider_id: str | None
    status: str


class TemporaryError(Exception):
    """Certainly not sent; trying again later can help."""


class PermanentError(Exception):
    """Certainly not sent. ``admin``: not the recipient's but the account's fault, for staff to mend; else final."""

    def __init__(self, message: str, *, admin: bool = False) -> None:
        super().__init__(message)
        self.admin = admin


class UncertainError(Exception):
    """The request went out and its answer never came: sent or not, nobody here knows."""


class Gateway(Protocol):
    """A way out for SMS."""

    name: str
    settle: timedelta  # a message not found this long after the try was never taken

    def send(self, sms: Sms) -> Sent:
        """Sends once.

        Raises:
            TemporaryError, PermanentError, UncertainError: see there.
        """
        ...

    def find(self, to: str, text: str, since: datetime) -> list[Sent]:
        """All messages of this text to this number taken since then, oldest first.

        Raises:
            TemporaryError: it could not be asked.
        """
        ...
