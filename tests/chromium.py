"""The real browser of the tests: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

_PATH = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
# ``pytestmark`` of a module that needs it.
MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(_PATH is None, reason="không có trình duyệt; cài: apt install chromium"),
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of one's own, closed at the end."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=_PATH, args=_FLAGS)
        yield browser
        browser.close()
