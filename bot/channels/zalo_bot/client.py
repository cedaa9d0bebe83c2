"""The Bot API over HTTP: one call, one JSON envelope, and what each failure means for the message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from bot.channels.port import SendError
from bot.channels.trust import trust

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 20.0
_IDLE = 408  # measured by one source: getUpdates with nothing to tell
# Failures before anything of the request has left.
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)


class ApiError(SendError):
    """A call that did not succeed; ``kind`` as in ``SendError``.

    Attributes:
        status: the error code of the answer, None where there was none.
    """

    def __init__(self, kind: str, message: str, status: int | None = None) -> None:
        super().__init__(kind, message)
        self.status = status


class Client:
    """One connection pool to the API. The token is part of every address, so no text of an error may hold one."""

    def __init__(self, base: str, token: str) -> None:
        """Opens no connection yet.

        Args:
            base: address of the API, without a final slash.
            token: ``id:secret``.
        """
        self._token = token
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        address = f"{base}/bot{quote(token, safe=':')}/"
        self._http = httpx.AsyncClient(base_url=address, timeout=timeout, verify=trust())

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def call(self, method: str, body: Mapping[str, Any], wait: float = 0.0) -> Any:
        """Calls a method once and returns its ``result``.

        Args:
            method: of the API.
            body: its arguments.
            wait: how long the server may take beyond the usual, in seconds (long polling).

        Raises:
            ApiError: "retry" (surely not done), "account" (token or address refused), "failed" (refused for good),
                "uncertain" (nobody knows).
        """
        timeout = httpx.Timeout(ANSWER_SECONDS + wait, connect=CONNECT_SECONDS)
        try:
            answer = await self._http.post(method, json=dict(body), timeout=timeout)
        except _NEVER_LEFT as error:
            raise ApiError("retry", self._told(f"không nối được: {type(error).__name__}")) from None
        except httpx.HTTPError as error:
            raise ApiError("uncertain", self._told(f"đứt giữa chừng: {type(error).__name__}")) from None
        return self._result(answer)

    async def updates(self, seconds: int) -> list[Any]:
        """Waits for what citizens say: one update, nothing where nobody says anything for ``seconds``.

        Raises:
            ApiError: see ``call``.
        """
        try:
            found = await self.call("getUpdates", {"timeout": seconds}, wait=seconds)
        except ApiError as error:
            if error.status == _IDLE:
                return []
            raise
        # The reference says one object; a list costs nobody a message.
        return found if isinstance(found, list) else [found] if found else []

    def _result(self, answer: httpx.Response) -> Any:
        """The ``result`` of an answer.

        Raises:
            ApiError: it is a refusal, or no answer of this API.
        """
        try:
            envelope = answer.json()
        except (ValueError, RecursionError):
            envelope = None
        told = envelope if isinstance(envelope, dict) else {}
        if answer.status_code == 200 and told.get("ok") is True:
            return told.get("result")
        status = answer.status_code
        if status == 200 and isinstance(code := told.get("error_code"), int):
            status = code
        why = self._told(f"{status} {told.get('description') or 'câu trả lời lạ'}")
        raise ApiError(_kind(status, refused=told.get("ok") is False), why, status)

    def _told(self, text: str) -> str:
        """A text without the token, in whichever way it is written."""
        for secret in (self._token, quote(self._token, safe=":"), quote(self._token, safe="")):
            text = text.replace(secret, "***")
        return text[:200]


def _kind(status: int, *, refused: bool) -> str:
    """What a code means for a message: see ``ApiError``."""
    if status in {401, 403} or 300 <= status < 400:
        return "account"
    if status == 429:
        return "retry"
    if status >= 500 or status == _IDLE:
        return "uncertain"
    # 200 without a clear yes or no says nothing; a plain refusal says it was not done.
    return "failed" if refused or status >= 400 else "uncertain"
