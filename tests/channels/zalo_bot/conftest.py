"""A stand-in of the platform, and the service connected to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from standins.process import Process
from standins.zalo_bot import TOKEN, ZaloBotStandIn

Serve = Callable[..., Process]


def serve(folder: Path, api: ZaloBotStandIn, **settings: str) -> Process:
    """The service with a bot, and photos from the stand-in."""
    bot = {"ZALO_BOT_TOKEN": TOKEN, "ZALO_BOT_BASE_URL": api.url, "ZALO_PHOTO_HOSTS": api.host}
    return Process(folder, **bot, **settings)


@pytest.fixture
def api() -> Iterator[ZaloBotStandIn]:
    standin = ZaloBotStandIn()
    yield standin
    standin.close()


@pytest.fixture(scope="module")
def shared_api() -> Iterator[ZaloBotStandIn]:
    """One for all tests of a module that share a process."""
    standin = ZaloBotStandIn()
    yield standin
    standin.close()
