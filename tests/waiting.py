"""Waiting for what no event tells: a state in the database of another process."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Looks again and again until a condition holds.

    Raises:
        AssertionError: it did not within ``seconds``.
    """
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "never came"
        time.sleep(0.02)
