"""The gateways of one process: each opened when first used, paced, closed together."""

from __future__ import annotations

from aiolimiter import AsyncLimiter

from bot.notices.gateways import ZALO_TEMPLATES, gateway_for, gateway_name
from bot.notices.gateways.base import Gateway
from bot.notices.gateways.simulator import Simulator
from bot.notices.gateways.zalo_template import TokenSource
from bot.settings import Settings
from bot.storage.tables import Outbox


class Gateways:
    """Hands out the gateway of a channel; lives within one event loop."""

    def __init__(self, settings: Settings, token: TokenSource | None = None) -> None:
        """``token`` gives the Official Account's access token; without it Zalo's templates are refused."""
        self._settings = settings
        self._token = token
        self._open: dict[tuple[str, bool], Gateway] = {}
        self._pace: dict[str, AsyncLimiter] = {}

    @staticmethod
    def name_of(settings: Settings, row: Outbox) -> str:
        """The name of the gateway a row would go through, without opening it."""
        return gateway_name(settings, row.channel, demo=row.demo)

    def of(self, channel: str, *, demo: bool) -> Gateway:
        """The gateway of a channel; demo messages never get a real one."""
        key = (channel, demo)
        if key not in self._open:
            self._open[key] = gateway_for(self._settings, channel, demo=demo, token=self._token)
        return self._open[key]

    async def turn(self, gateway: str) -> None:
        """Waits until one more message may go out through a gateway, each at the pace of its own account.

        This process's pace: of several replicas each has the whole of it, so divide the settings by their number.
        """
        if gateway == Simulator.name:
            return  # nobody is behind it
        account, rate = gateway, self._settings.sms_per_second
        if gateway in ZALO_TEMPLATES:  # both kinds count for one application
            account, rate = "zalo", self._settings.zalo_templates_per_second
        limiter = self._pace.setdefault(account, AsyncLimiter(max(rate, 1), max(1 / rate, 1)))
        await limiter.acquire()

    async def close(self) -> None:
        """Closes all that were opened."""
        opened, self._open = list(self._open.values()), {}
        for gateway in opened:
            await gateway.close()
