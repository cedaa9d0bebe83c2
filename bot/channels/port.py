"""What every channel that sends by itself (Zalo, Telegram) offers, and how a send may fail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from fastapi import APIRouter

from bot.channels.rendering import Message
from bot.conversation.model import Incoming

Receive = Callable[[Incoming], object]


class SendError(Exception):
    """A message was not sent, or nobody knows.

    Attributes:
        kind: "retry": surely not sent, later it may be; "account": surely not sent, staff must mend the account
            (it waits, and they are told); "failed": never; "blocked": never, the citizen doesn't want messages or
            can't be reached; "closed": never, the channel's time window has passed; "uncertain": the answer never came.
        delay: how long the channel asks to wait, None where it doesn't say.
    """

    def __init__(self, kind: str, message: str, delay: timedelta | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.delay = delay


class FetchError(Exception):
    """A photo could not be fetched.

    Attributes:
        final: trying again won't help.
        problem: what the citizen is told in the end, a word of ``photo:…`` in ``bot/texts/replies.yml``.
    """

    def __init__(self, message: str, *, final: bool = False, problem: str = "not_fetched") -> None:
        super().__init__(message)
        self.final = final
        self.problem = problem


class PushChannel(Protocol):
    """A channel that takes messages in and sends them out by itself."""

    name: str  # as in ``Incoming.channel``
    account: str | None  # slug of the office whose own account it is, None for the one that all share

    @property
    def problem(self) -> str | None:
        """Why it can't work at the moment, in a few words for staff; None: all is well."""
        ...

    async def start(self, receive: Receive) -> None:
        """Connects, and begins to poll where there is no web hook.

        Args:
            receive: commits one message to the inbox; blocks, so it is called in a thread.

        Raises:
            Exception: it can't connect now; the caller tries again.
        """
        ...

    async def stop(self) -> None:
        """Ends polling and closes connections; nothing taken in is lost."""
        ...

    async def send(self, recipient: str, message: Message) -> str | None:
        """Sends one message once; ``recipient`` as in the outbox (``bot.office_accounts``).

        Returns:
            The channel's id of it, where it gives one.

        Raises:
            SendError: see there.
        """
        ...

    def router(self) -> APIRouter:
        """The routes of its web hook; they answer 503 before ``start``."""
        ...

    def fetch_photo(self, reference: str) -> bytes:
        """The bytes of a photo (``Incoming.photo``); blocks.

        Raises:
            FetchError: not reachable, gone, too large, or not where this channel keeps its photos.
        """
        ...
