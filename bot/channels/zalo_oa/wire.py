"""One HTTP request to Zalo, and an honest account of how it ended.

Zalo answers errors with HTTP 200 and a non-zero ``error`` [B]. Every request has a connection of its own: one kept
open may have died meanwhile, and then nobody could tell whether the request was taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from bot.channels.trust import trust
from bot.channels.zalo_oa.errors import RATE_PAUSE, ZaloError

STEP_SECONDS = 10.0  # to connect, to write, and between two pieces of the answer
WHOLE_SECONDS = 20.0  # well under the outbox lease of two minutes, twice
_NO_ANSWER = "Zalo không trả lời"


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON answer of Zalo's.

    Attributes:
        error: 0 where it was done.
        remaining: requests left in this minute (X-RateLimit-Remain), None where not told.
    """

    error: int
    body: Mapping[str, Any]
    remaining: int | None = None

    @property
    def words(self) -> str:
        """What Zalo says about the error; "" for nothing."""
        return next((str(self.body[name]) for name in ("message", "error_name") if self.body.get(name)), "")


def http_client(base_url: str, transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """A client as this channel wants it; ``transport`` only for tests."""
    return httpx.AsyncClient(
        base_url=base_url,
        transport=transport,
        verify=trust(),
        timeout=STEP_SECONDS,
        limits=httpx.Limits(max_keepalive_connections=0),
        follow_redirects=False,
    )


async def ask(client: httpx.AsyncClient, method: str, path: str, **parts: Any) -> Answer:
    """Makes one request once; ``parts`` as for ``httpx.AsyncClient.request``.

    Raises:
        ZaloError: "retry": it surely never reached Zalo; "account": the address is no API of Zalo's;
            "uncertain": it may have been taken, the answer is missing or makes no sense.
    """
    try:
        async with asyncio.timeout(WHOLE_SECONDS):
            response = await client.request(method, path, **parts)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
        raise ZaloError("retry", f"không kết nối được Zalo ({type(error).__name__})") from error
    except (httpx.HTTPError, TimeoutError) as error:
        raise ZaloError("uncertain", f"{_NO_ANSWER} ({type(error).__name__})") from error
    return _read(response)


def _read(response: httpx.Response) -> Answer:
    status = response.status_code
    body = _json(response)
    error = _number(body.get("error")) if body is not None else None
    # A token answer has no ``error`` when all is well.
    if error is None and body is not None and "access_token" in body:
        error = 0
    if body is not None and error is not None and (status == 200 or error != 0):
        return Answer(error, body, _number(response.headers.get("x-ratelimit-remain")))
    told = f"HTTP {status}, trả lời không đọc được"
    if status in {408, 429}:
        raise ZaloError("retry", told, RATE_PAUSE if status == 429 else None)
    if 300 <= status < 500:
        raise ZaloError("account", told)
    raise ZaloError("uncertain", told)


def _json(response: httpx.Response) -> Mapping[str, Any] | None:
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _number(value: object) -> int | None:
    """An integer, also where it stands as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    text = value.strip() if isinstance(value, str) else ""
    return int(text) if text.removeprefix("-").isdecimal() and text.isascii() and len(text) < 19 else None
