"""The Official Accounts' access tokens as the gateways of Zalo templates ask for it."""

from __future__ import annotations

from bot.channels.zalo_oa.errors import ZaloError
from bot.channels.zalo_oa.oauth import OAuth
from bot.channels.zalo_oa.tokens import Token, Tokens
from bot.clock import Clock
from bot.notices.gateways.base import PermanentError, TemporaryError
from bot.settings import Settings
from bot.storage.database import Database


class TemplateToken:
    """``bot.notices.gateways.zalo_template.TokenSource`` over the stored pairs; refreshed under the same lease."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._tokens: dict[str | None, Tokens] = {}
        self._last: dict[str | None, Token] = {}

    async def __call__(self, *, force: bool = False, office: str | None = None) -> str:
        """The token of an office's own account, else of the one that all share.

        ``force``: another one than it gave last, which Zalo has just refused.

        Raises:
            TemporaryError: there is none at the moment.
            PermanentError: "account": staff must log in to Zalo again.
        """
        settings = self._settings.at(office)
        of = office if settings.zalo_oa_id else None
        if of not in self._tokens:
            self._tokens[of] = Tokens(settings, self._database, OAuth(settings), self._clock)
        last, tokens = self._last.get(of), self._tokens[of]
        try:
            self._last[of] = await (tokens.replacement(last) if force and last is not None else tokens.current())
        except ZaloError as error:
            if error.kind == "account":
                raise PermanentError(str(error), kind="account") from error
            raise TemporaryError(str(error), delay=error.delay) from error
        return self._last[of].access
