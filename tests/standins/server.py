"""What the stand-ins of SMS and Zalo gateways share: a real HTTP server whose next answers can be told to go wrong."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

_TAKEN = frozenset({"drop", "reset taken", "hang", "slow", "500 taken", "garbled", "list", "empty"})
_ANSWERS: Mapping[str, tuple[int, bytes, Mapping[str, str]]] = {
    "500": (500, b"<html>upstream</html>", {}),
    "502": (502, b"<html>upstream</html>", {}),
    "503": (503, b"<html>upstream</html>", {"Retry-After": "7"}),
    "408": (408, b"", {}),
    "500 taken": (500, b"<html>upstream</html>", {}),
    "busy": (429, b"slow down", {"Retry-After": "7"}),
    "garbled": (200, b"<html>\xff", {}),
    "list": (200, b'["100"]', {}),
    "empty": (200, b"", {}),
    "moved": (302, b"", {"Location": "https://example.org/"}),
    "forbidden": (403, b"<html>no</html>", {}),
}
# How a send may go wrong, whatever the provider. "lose", "drop": the connection is closed, nothing was taken, or all
# the same; "reset", "reset taken": it is reset; "hang": taken, no answer before ``release``; "slow": taken, the answer
# comes a byte every tenth of a second.
TROUBLES = frozenset({"lose", "reset", *_TAKEN, *_ANSWERS})


class StandIn:
    """A server on 127.0.0.1; ``with`` runs it.

    Attributes:
        plan: how the next sends go, first first; empty: normally.
        posts: how many sends were asked for, refused ones too.
        connections: how many connections were opened.
        taken: set with each message taken.
        release: ends what hangs.
    """

    own: frozenset[str] = frozenset()  # behaviours of one provider only

    def __init__(self) -> None:
        self.plan: deque[str | int] = deque()
        self.posts = 0
        self.connections = 0
        self.taken = threading.Event()
        self.release = threading.Event()
        self.lock = threading.RLock()
        self._posted = threading.Condition(self.lock)
        outer = self

        class Handler(_Handler):
            stand_in = outer

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.stand_in = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def next_is(self, *behaviours: str) -> None:
        """Plans the next sends: each one of ``TROUBLES``, the provider's own, or "ok"."""
        for behaviour in behaviours:
            if behaviour not in {"ok", *TROUBLES, *self.own}:
                raise ValueError(behaviour)
            self.plan.append(behaviour)

    def refuse(self, *codes: int) -> None:
        """Plans refusals with these codes of the provider."""
        self.plan.extend(codes)

    def counted(self) -> None:
        """One more send was asked for."""
        with self._posted:
            self.posts += 1
            self._posted.notify_all()

    def wait_for_posts(self, count: int, senders: Sequence[subprocess.Popen[bytes]] = ()) -> bool:
        """Waits until so many sends were asked for; False where ``senders`` have all ended before, or after 30 s."""
        with self._posted:
            for _ in range(600):
                if self._posted.wait_for(lambda: self.posts >= count, 0.05):
                    return True
                if senders and all(sender.poll() is not None for sender in senders):
                    return False
            return False

    def next_step(self) -> str | int:
        """How this send goes."""
        with self.lock:
            return self.plan.popleft() if self.plan else "ok"

    # A provider fills these in.
    def get(self, handler: _Handler) -> None:
        """Answers a GET."""
        handler.answer(404, b"")

    def post(self, handler: _Handler, body: bytes) -> None:
        """Answers a POST."""
        raise NotImplementedError


class _Server(ThreadingHTTPServer):
    stand_in: StandIn
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.to_reset: set[Any] = set()

    def shutdown_request(self, request: Any) -> None:
        if request in self.to_reset:  # without the FIN that would go first
            self.to_reset.discard(request)
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def get_request(self) -> tuple[socket.socket, Any]:
        taken = super().get_request()
        self.stand_in.connections += 1
        return taken

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Silent: clients that give up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Silent."""

    def do_GET(self) -> None:
        self.stand_in.get(self)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.stand_in.counted()
        self.stand_in.post(self, body)

    @property
    def where(self) -> str:
        """The path without its query."""
        return urlsplit(self.path).path

    def trouble(self, step: str | int, take: Callable[[], Any]) -> bool:
        """Acts a planned trouble; False where there is none of this name, and the provider must answer."""
        if step not in TROUBLES:
            return False
        taken = take() if step in _TAKEN else None
        if step in _ANSWERS:
            status, body, headers = _ANSWERS[str(step)]
            self.answer(status, body, "text/html", headers)
            return True
        if step == "slow":
            self._trickle(json.dumps(taken).encode())
        elif step == "hang":
            self.stand_in.release.wait(timeout=30)
        elif step in {"reset", "reset taken"}:
            # SO_LINGER of no time: the kernel sends RST instead of FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.server.to_reset.add(self.connection)
        self.close_connection = True
        return True

    def _trickle(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for number in range(len(body)):
            if self.stand_in.release.wait(timeout=0.1):
                break
            self.wfile.write(body[number : number + 1])
            self.wfile.flush()

    def answer(
        self, status: int, body: bytes, kind: str = "application/json", headers: Mapping[str, str] | None = None
    ) -> None:
        """Answers whole."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def answer_json(self, status: int, body: Any) -> None:
        """Answers JSON."""
        self.answer(status, json.dumps(body).encode())


Handler = _Handler
