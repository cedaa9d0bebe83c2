"""The calls of Zalo's Official Account API that the office needs (reference/channels.md §1.2).

The token goes along as a bare header. A refused token is replaced once and the call made once more; every failure is a
``SendError`` that says what is known of it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy.exc import SQLAlchemyError

from bot.channels.zalo_oa import wire
from bot.channels.zalo_oa.errors import RATE_PAUSE, REFRESH, ZaloError, refusal
from bot.channels.zalo_oa.tokens import Token, Tokens

SEND_PATH = "/v3.0/oa/message/cs"
PER_SECOND = 20  # 1,200 a minute of the 4,000 that Zalo allows an application [B]; one source says 20 a second [C]
MAX_IMAGE = 1024 * 1024  # bytes [B]
MAX_FILE = 5 * 1024 * 1024  # bytes; PDF, DOC, DOCX, CSV [B]


class Pace:
    """At most ``PER_SECOND`` calls a second, none while Zalo asks for a pause."""

    def __init__(self) -> None:
        self._next = 0.0
        self._paused_until = 0.0

    async def turn(self) -> None:
        """Waits for this call's turn.

        Raises:
            ZaloError: "retry": Zalo asked for a pause, and how long it still lasts.
        """
        now = time.monotonic()
        if now < self._paused_until:
            raise ZaloError("retry", "đang chờ vì đã gọi quá nhanh", timedelta(seconds=self._paused_until - now))
        start = max(now, self._next)
        self._next = start + 1 / PER_SECOND
        await asyncio.sleep(start - now)

    def pause(self, length: timedelta) -> None:
        """No calls for so long."""
        self._paused_until = time.monotonic() + length.total_seconds()


class Client:
    """Calls the API; safe for many tasks of one event loop."""

    def __init__(self, base_url: str, tokens: Tokens, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._http = wire.http_client(base_url, transport)
        self._tokens = tokens
        self._pace = Pace()

    async def close(self) -> None:
        """Closes connections."""
        await self._http.aclose()

    async def send(self, user_id: str, message: Mapping[str, Any]) -> str | None:
        """Sends one consultation message, once; Zalo's id of it.

        Args:
            user_id: the citizen, as web hooks name them.
            message: the ``message`` object as Zalo wants it.

        Raises:
            ZaloError: of any kind.
        """
        data = await self._call("POST", SEND_PATH, json={"recipient": {"user_id": user_id}, "message": message})
        message_id = data.get("message_id")  # the only part of the answer that is always there [B]
        return str(message_id)[:100] if message_id else None

    async def request_user_info(self, user_id: str, title: str, subtitle: str, image_url: str | None) -> str | None:
        """Asks a citizen to share name, number and address; what they fill in comes by web hook."""
        element = {"title": title, "subtitle": subtitle} | ({"image_url": image_url} if image_url else {})
        return await self.send(user_id, attachment("request_user_info", elements=[element]))

    async def upload_image(self, name: str, data: bytes) -> str:
        """Uploads a picture (≤ ``MAX_IMAGE``); its attachment id, good for 7 days."""
        return await self._upload("image", "attachment_id", name, data)

    async def upload_file(self, name: str, data: bytes) -> str:
        """Uploads a document (≤ ``MAX_FILE``); its token, good for 7 days."""
        return await self._upload("file", "token", name, data)

    async def send_file(self, user_id: str, token: str) -> str | None:
        """Sends an uploaded document."""
        return await self.send(user_id, {"attachment": {"type": "file", "payload": {"token": token}}})

    async def account(self) -> Mapping[str, Any]:
        """The Official Account itself; also the health check."""
        return await self._call("GET", "/v2.0/oa/getoa", repeatable=True)

    async def quota(self, user_id: str) -> Mapping[str, Any]:
        """When a citizen last wrote, and what may still be sent to them: ``last_interaction``, ``cs_reply``."""
        return await self._call("POST", "/v3.0/oa/quota/message", repeatable=True, json={"user_id": user_id})

    async def user(self, user_id: str) -> Mapping[str, Any]:
        """What Zalo tells about a citizen who follows the account."""
        data = json.dumps({"user_id": user_id}, separators=(",", ":"))
        return await self._call("GET", "/v3.0/oa/user/detail", repeatable=True, params={"data": data})

    async def _upload(self, kind: str, answer: str, name: str, data: bytes) -> str:
        most = MAX_IMAGE if kind == "image" else MAX_FILE
        if not 0 < len(data) <= most:
            raise ZaloError("failed", f"{name}: {len(data)} byte, Zalo nhận từ 1 đến {most}")
        found = await self._call("POST", f"/v2.0/oa/upload/{kind}", repeatable=True, files={"file": (name, data)})
        if not isinstance(found.get(answer), str) or not found[answer]:
            raise ZaloError("retry", f"{name}: Zalo không trả {answer}")
        return str(found[answer])

    async def _call(self, method: str, path: str, *, repeatable: bool = False, **parts: Any) -> Mapping[str, Any]:
        """One call with a good token; ``repeatable``: doing it twice does no harm, so nothing is uncertain."""
        try:
            token = await self._tokens.current()
            try:
                return await self._with(token, method, path, parts)
            except ZaloError as error:
                if error.kind != REFRESH:
                    raise
                token = await self._tokens.replacement(token)
            try:
                return await self._with(token, method, path, parts)
            except ZaloError as error:
                if error.kind != REFRESH:
                    raise
                await self._tokens.refused_again(token, error)
                raise ZaloError("account", f"Zalo không nhận token: {error}", code=error.code) from error
        except SQLAlchemyError as error:
            raise ZaloError("retry", f"chưa đọc được token ({type(error).__name__})") from error
        except ZaloError as error:
            if repeatable and error.kind == "uncertain":
                raise ZaloError("retry", str(error)) from error
            raise

    async def _with(self, token: Token, method: str, path: str, parts: Mapping[str, Any]) -> Mapping[str, Any]:
        await self._pace.turn()
        answer = await wire.ask(self._http, method, path, headers={"access_token": token.access}, **parts)
        if answer.remaining is not None and answer.remaining <= 0:
            self._pace.pause(RATE_PAUSE)
        if answer.error:
            error = refusal(answer.error, answer.words)
            if error.delay is not None:
                self._pace.pause(error.delay)
            raise error
        data = answer.body.get("data")
        return data if isinstance(data, dict) else {}


def attachment(template: str, **payload: Any) -> dict[str, Any]:
    """A ``message`` with a template; "" for the one with buttons, which has no name."""
    named = {"template_type": template} if template else {}
    return {"attachment": {"type": "template", "payload": {**named, **payload}}}
