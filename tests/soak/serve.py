"""``motcua serve`` with a clock that can be put wrong, and with shorter leases, so that a run need not wait long.

The service itself has no such switch: this program patches it before it is imported. It is told by the environment:

- SOAK_CLOCK: a file that holds by how many seconds the clock is wrong; it is read each time somebody asks for the time.
- SOAK_HASTE: by how much leases and the pauses of SMS are shortened (1: not at all).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import bot.clock

CLOCK, HASTE = "SOAK_CLOCK", "SOAK_HASTE"


def wrong_clock(path: Path, right: Callable[[], datetime]) -> Callable[[], datetime]:
    """The time, wrong by as many seconds as the file says."""
    return lambda: right() + timedelta(seconds=float(path.read_text("ascii")))


def hasten(factor: float) -> None:
    """Shortens what a run would else wait for."""
    import bot.api.background  # noqa: PLC0415
    import bot.notices.sending  # noqa: PLC0415
    import bot.service  # noqa: PLC0415
    from bot.notices.gateways.twilio import Twilio  # noqa: PLC0415

    for module in (bot.api.background, bot.notices.sending, bot.service):
        module.LEASE = module.LEASE / factor
    bot.notices.sending._DELAYS = tuple(delay / factor / 4 for delay in bot.notices.sending._DELAYS)
    Twilio.settle = Twilio.settle / factor / 10


def main() -> int:
    """Serves until it is told to stop."""
    bot.clock.utc_now = wrong_clock(Path(os.environ[CLOCK]), bot.clock.utc_now)  # before others import it
    hasten(float(os.environ[HASTE]))
    from bot.cli import main as motcua  # noqa: PLC0415

    return motcua(["serve"])


if __name__ == "__main__":
    sys.exit(main())
