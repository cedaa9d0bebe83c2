"""One office, and Twilio's stand-in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from notice_scene import Office, with_twilio
from standins.twilio import TwilioStandIn

from bot.settings import Settings
from bot.storage.database import Database


@pytest.fixture
def office(sqlite_database: Database, settings: Settings) -> Office:
    """Without Twilio: everything goes to the phone simulator."""
    return Office(sqlite_database, settings)


@pytest.fixture
def twilio(office: Office) -> Iterator[TwilioStandIn]:
    """The stand-in, with the office connected to it."""
    with TwilioStandIn(clock=lambda: office.now) as stand_in:
        office.settings = with_twilio(office.settings, stand_in.url)
        yield stand_in


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hanging gateway is given up after a fifth of a second."""
    monkeypatch.setattr("bot.notices.gateways.twilio.TIMEOUT_SECONDS", 0.2)
