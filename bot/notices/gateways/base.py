"""The port every gateway of notices implements, and the ways a send can go wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message to be sent.

    Attributes:
        notice_id: the outbox row, so that a delivery report finds it whatever happened in between.
        reference: our own name of it, the same in every try, at most 48 characters [A-Za-z0-9-]: the idempotency key
            where a gateway has one.
        to: an E.164 number, or the channel's id of the citizen.
        text: what is said; one GSM-7 message for SMS.
        valid_for: after this long the network should give up.
        template: the event's name, for gateways that send registered templates.
        fields: what a registered template is filled with.
        since: no try went out before this moment.
        office: slug of the office from whose own sender it goes, None for the one that all share.
    """

    notice_id: int
    reference: str
    to: str
    text: str
    valid_for: timedelta
    since: datetime
    template: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    office: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """The gateway took the message: its id there, the state it reports, what it costs (đồng) where it says so."""

    provider_id: str | None
    status: str
    cost: Decimal | None = None


class TemporaryError(Exception):
    """Certainly not sent; trying again later can help. ``delay``: how long the gateway asks to wait."""

    def __init__(self, message: str, *, delay: timedelta | None = None) -> None:
        super().__init__(message)
        self.delay = delay


class PermanentError(Exception):
    """Certainly not sent, and another try is no use.

    Attributes:
        kind: "number" (it can't get messages), "opted_out", "closed" (the channel's window has passed), "content"
            (text or template refused), "account" (credentials, balance, sender: staff must mend it; the gateway
            stops and the message waits).
        sender: of "account", whether it is about the sender's name or number alone, so that another sender may do.
    """

    def __init__(self, message: str, *, kind: str, sender: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.sender = sender


class UncertainError(Exception):
    """The request went out and its answer never came: sent or not, nobody here knows."""


class Gateway(Protocol):
    """A way out for notices."""

    name: str
    settle: timedelta  # "not found" counts only so long after the try …
    looks: int  # … and after so many looks, each ``settle`` after the one before
    found_for: timedelta  # so long after the try, at most, the gateway can still tell (see ``found_until``)

    async def send(self, parcel: Parcel) -> Sent:
        """Sends once.

        Raises:
            TemporaryError, PermanentError, UncertainError: see there.
        """
        ...

    async def find(self, parcel: Parcel) -> list[Sent]:
        """What the gateway took of this message in earlier tries, oldest first; [] where it knows of none.

        A gateway with an idempotency key may answer by sending under the same key: it is taken at most once.

        Raises:
            TemporaryError: it could not be asked now.
            PermanentError, UncertainError: as for ``send``, where asking means sending.
        """
        ...

    def found_until(self, tried: datetime) -> datetime:
        """Up to when the gateway can tell of a try at this moment; after it ``find`` must not be called.

        Then a person decides: a gateway that has forgotten its idempotency key would send a second time.
        """
        ...

    async def close(self) -> None:
        """Closes connections."""
        ...
