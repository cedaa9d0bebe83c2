"""One POST to a provider, and an honest account of how it ended: never left, refused, answered, or nobody knows.

Each request has a connection of its own. On one kept open, a server that has just closed it and one that died with the
request look the same, so every such send would be in doubt for nothing; a new handshake costs a tenth of a second.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpx

from bot.clock import utc_now
from bot.notices.gateways.base import PermanentError, TemporaryError, UncertainError
from bot.notices.gateways.refusals import ACCOUNT

TOO_MANY = 429
LONGEST_DELAY = timedelta(hours=1)  # a gateway that asks for more is tried again all the same
# The request cannot have gone out: no connection was made (name, port, time), or TLS did not trust it.
_NEVER_LEFT = (
    httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL,
    httpx.ProxyError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a request may take, in seconds: to connect, between two bytes of the answer, altogether."""

    connect: float = 5.0
    read: float = 15.0
    total: float = 30.0


async def post_json(
    url: str, body: Mapping[str, Any], *, limits: Limits, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Posts JSON once and returns the JSON object of the answer (2xx).

    Raises:
        TemporaryError: it certainly never left, or the server wants fewer requests.
        PermanentError: "account": the server knows no such address, or doesn't let us in.
        UncertainError: it left, and no answer that can be read came back; a 5xx says nothing about what was done.
    """
    timeout = httpx.Timeout(limits.read, connect=limits.connect)
    try:
        async with asyncio.timeout(limits.total), httpx.AsyncClient(timeout=timeout, verify=_trust()) as client:
            response = await client.post(url, json=dict(body), headers=dict(headers or {}))
    except _NEVER_LEFT as error:
        raise TemporaryError(f"không kết nối được: {type(error).__name__}") from error
    except (httpx.HTTPError, TimeoutError) as error:
        raise UncertainError(f"không có trả lời: {type(error).__name__}") from error
    status = response.status_code
    if status == TOO_MANY:
        raise TemporaryError(f"HTTP {status}: gọi quá nhanh", delay=retry_after(response.headers.get("Retry-After")))
    if not 200 <= status < 300:
        raise unreadable(status)
    try:
        answer = response.json()
    except ValueError as error:
        raise UncertainError("trả lời không đọc được") from error
    if not isinstance(answer, dict):
        raise UncertainError("trả lời không đọc được")
    return answer


def unreadable(status: int) -> PermanentError | UncertainError:
    """What an HTTP status other than 2xx and 429 means where the provider gives no code of its own."""
    if status >= 500 or status == 408:
        return UncertainError(f"HTTP {status}")
    return PermanentError(f"HTTP {status}", kind=ACCOUNT)


def retry_after(header: str | None, now: datetime | None = None) -> timedelta | None:
    """How long a ``Retry-After`` header asks to wait (seconds or a date, RFC 9110 §10.2.3), at most an hour.

    None where there is none, or it can't be read.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), LONGEST_DELAY)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment - (now or utc_now()), timedelta(0)), LONGEST_DELAY)


@cache
def _trust() -> ssl.SSLContext:
    # Reading the certificates takes 20 ms, too long for each message.
    return httpx.create_ssl_context()
