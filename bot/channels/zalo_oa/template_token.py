"""The Official Account's access token as the gateways of Zalo templates ask for it."""

from __future__ import annotations

from bot.channels.zalo_oa.errors import ZaloError
from bot.channels.zalo_oa.oauth import OAuth
from bot.channels.zalo_oa.tokens import Token, Tokens
from bot.clock import Clock
from bot.notices.gateways.base import PermanentError, TemporaryError
from bot.settings import Settings
from bot.storage.database import Database


class TemplateToken:
    """``bot.notices.gateways.zalo_template.TokenSource`` over the stored pair; refreshed under the same lease."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self._tokens = Tokens(settings, database, OAuth(settings), clock)
        self._last: Token | None = None

    async def __call__(self, *, force: bool = False) -> str:
        """The token; ``force``: another one than it gave last, which Zalo has just refused.

        Raises:
            TemporaryError: there is none at the moment.
            PermanentError: "account": staff must log in to Zalo again.
        """
        try:
            if force and self._last is not None:
                self._last = await self._tokens.replacement(self._last)
            else:
                self._last = await self._tokens.current()
        except ZaloError as error:
            if error.kind == "account":
                raise PermanentError(str(error), kind="account") from error
            raise TemporaryError(str(error), delay=error.delay) from error
        return self._last.access
