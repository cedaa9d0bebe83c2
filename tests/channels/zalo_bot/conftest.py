"""A stand-in of the platform."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from standins.zalo_bot import ZaloBotStandIn


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
