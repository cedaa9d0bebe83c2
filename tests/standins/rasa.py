"""A stand-in for a Rasa server's ``POST /model/parse``, on 127.0.0.1, that can be told to fail in every way.

It answers as Rasa 3.6 does: the text, ``intent`` with name and confidence, ``intent_ranking``, ``entities``, and what
our components add (``aspects``, ``catalogue``).
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

ANSWER: dict[str, Any] = {
    "intent": {"name": "ask_procedure", "confidence": 0.97},
    "entities": [],
    "intent_ranking": [
        {"name": "ask_procedure", "confidence": 0.97},
        {"name": "out_of_scope", "confidence": 0.02},
        {"name": "human", "confidence": 0.01},
    ],
    "aspects": ["fee"],
    "catalogue": "abc",
}


class _Server(ThreadingHTTPServer):
    """Knows its connections, so that they can be broken."""

    def __init__(self, *args: Any) -> None:
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def break_connections(self) -> None:
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class RasaStandIn:
    """The server; ``with RasaStandIn() as rasa`` runs it.

    Attributes:
        answer: what it says of any text.
        fault: how it fails: "" not at all, "hang" (until ``release``), "drip" (a byte now and then), "drop", "garbage",
            "endless", or an HTTP status.
        texts: every text it was asked about.
        asked: set with each.
    """

    def __init__(self) -> None:
        self.answer = ANSWER
        self.fault: str | int = ""
        self.texts: list[str] = []
        self.asked = threading.Event()
        self.release = threading.Event()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stand_in.texts.append(body["text"])
                stand_in.asked.set()
                stand_in._reply(self, body["text"])

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _reply(self, handler: BaseHTTPRequestHandler, text: str) -> None:
        status = self.fault if isinstance(self.fault, int) else 200
        if self.fault == "hang":
            self.release.wait(30)
        if self.fault == "drop":
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        data = json.dumps({"text": text, **self.answer}).encode()
        if self.fault == "garbage":
            data = b"<html>404</html>"
        endless = self.fault in {"drip", "endless"}
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(10**9 if endless else len(data)))
        handler.end_headers()
        try:
            while endless and not self.release.wait(0.01 if self.fault == "drip" else 0):
                handler.wfile.write(b" " if self.fault == "drip" else b" " * 65536)
            handler.wfile.write(data)
        except OSError:
            handler.close_connection = True

    def stop(self) -> None:
        """Stops listening and breaks every connection, as a killed server does."""
        self.release.set()
        self._server.shutdown()
        self._server.break_connections()
        self._server.server_close()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
