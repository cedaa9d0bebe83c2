from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest
from gateway_scene import NOW
from hypothesis import given
from hypothesis import strategies as st

from bot.notices.gateways.wire import LONGEST_DELAY, retry_after


@pytest.mark.parametrize(
    ("header", "delay"),
    [
        ("0", 0), ("7", 7), (" 120 ", 120), ("99999999999999999999", 3600),
        (format_datetime(NOW + timedelta(seconds=90)), 90), (format_datetime(NOW - timedelta(days=1)), 0),
        ("Tue, 24 Nov 2026 02:00:30", 30), ("Tue, 24 Nov 2030 02:00:30 GMT", 3600),
        (None, None), ("", None), ("soon", None), ("-5", None), ("1.5", None), ("٣", None),
    ],
)  # fmt: skip
def test_seconds_and_dates_are_read(header: str | None, delay: int | None) -> None:
    assert retry_after(header, NOW) == (None if delay is None else timedelta(seconds=delay))


@given(st.text())
def test_nothing_breaks_it(header: str) -> None:
    delay = retry_after(header, NOW)
    assert delay is None or timedelta(0) <= delay <= LONGEST_DELAY
