"""What holds for every request and answer: how large a body may be, and the security headers (plain ASGI)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastapi import HTTPException
from fastapi.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.texts import phrases

MAX_BODY = 64 * 1024
# A Telegram message that answers a message, both full of marked addresses, is larger; refused it would come for ever.
MAX_HOOK_BODY = 1024 * 1024
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors {frames}"
)
_CSP = b"content-security-policy"
_HEADERS = {
    _CSP: _POLICY.format(frames="'none'").encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"cache-control": b"no-store",
}
_STATIC = _HEADERS | {b"cache-control": b"public, max-age=3600"}


class Guard:
    """Limits the size of requests and puts security headers on every answer (plain ASGI: no extra tasks)."""

    def __init__(
        self, app: ASGIApp, bodies: Mapping[str, int] | None = None, frames: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """The application behind, and the paths for which something else holds.

        Args:
            app: what is guarded.
            bodies: path, or what all paths of a part begin with ("/staff/office/") → the most bytes of a body;
                ``MAX_HOOK_BODY`` for web hooks, ``MAX_BODY`` for all others.
            frames: what paths begin with, one part or three ("/nhung", "/xa/dong-phuoc/nhung") → the origins that may
                show them in a frame; nobody may for others.
        """
        self.app = app
        self._bodies = bodies or {}
        self._framed = {
            first: _HEADERS | {_CSP: _POLICY.format(frames=" ".join(sites)).encode()}
            for first, sites in (frames or {}).items()
            if sites
        }

    def _most(self, path: str) -> int:
        if path in self._bodies:
            return self._bodies[path]
        begin = "/".join(path.split("/")[:3]) + "/"
        return self._bodies.get(begin, MAX_HOOK_BODY if path.startswith("/webhooks/") else MAX_BODY)

    def _headers(self, path: str) -> Mapping[bytes, bytes]:
        if path.startswith("/api/docs"):
            # The API's own documentation page brings its script along.
            return {name: value for name, value in _HEADERS.items() if name != _CSP}
        if path.startswith("/static/"):
            return _STATIC
        parts = path.split("/")
        found = (self._framed.get("/".join(parts[: many + 1])) for many in (1, 3))
        return next((headers for headers in found if headers), _HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        taken = 0
        most = self._most(scope["path"])
        headers = self._headers(scope["path"])

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise HTTPException(413)
            return message

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                have = {name for name, _ in message["headers"]}
                message["headers"].extend((name, value) for name, value in headers.items() if name not in have)
            await send(message)

        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > most:
            key = "too_large" if scope["path"] in self._bodies else "too_long"
            told = phrases("channels")["web"]["file_too_large" if scope["path"].startswith("/staff/") else key]
            await PlainTextResponse(told, 413)(scope, receive, with_headers)
            return
        await self.app(scope, limited, with_headers)
