"""A stand-in for the Zalo Bot Platform over real HTTP, as strict as reference/channels.md §2 says the real one is."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "1234567890123456789:standInSecret-standInSecret-0123456789"
IDLE_SECONDS = 0.3
Answer = tuple[int, Any]
_KEYS = {
    "getMe": set(), "getUpdates": {"timeout"}, "setWebhook": {"url", "secret_token"}, "deleteWebhook": set(),
    "sendMessage": {"chat_id", "text"},
}  # fmt: skip


def refusal(code: int, description: str) -> Answer:
    return code, {"ok": False, "error_code": code, "description": description}


def update(text: str | None, sender: str = "u77", message_id: str = "1", **more: Any) -> dict[str, Any]:
    """One update as the platform writes it; ``more`` replaces or adds fields of the message, None takes one away."""
    message = {
        "message_id": message_id, "date": 1764000000000, "chat": {"id": sender, "chat_type": "PRIVATE"}, "text": text,
        "from": {"id": sender, "display_name": "Bà Ba", "is_bot": False}, **more,
    }  # fmt: skip
    event = str(message.pop("event", "message.text.received"))
    return {"event_name": event, "message": {key: value for key, value in message.items() if value is not None}}


class ZaloBotStandIn:
    """One bot: citizens write to it (``write``, ``deliver``), it keeps what was sent to them (``sent``).

    Attributes:
        sent: what citizens have on their screens: (chat, text), in order.
        calls: names of the methods called, in order.
        faults: method → what happens to its next calls: an answer's code; "drop" (taken, then the line breaks);
            "garbage" (taken, and a page that is no JSON comes back); "hold" (taken, and nothing comes back).
        secret: of the web hook, None where none is set.
        polling: how many getUpdates calls wait at this moment; ``pollers``: the most that ever did at once.
        idle_seconds: how long an idle one waits.
        pictures: path → bytes of a photo.
        token: what is accepted; ``beside``: other bots behind the same address, by their tokens.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.calls: list[str] = []
        self.faults: dict[str, deque[int | str]] = {}
        self.token = TOKEN
        self.beside: dict[str, ZaloBotStandIn] = {}
        self.secret: str | None = None
        self.hook: str | None = None
        self.pollers = 0
        self.polling = 0
        self.idle_seconds = IDLE_SECONDS
        self.pictures: dict[str, bytes] = {}
        self.arrived = threading.Condition()
        self._closed = threading.Event()
        self._updates: deque[Any] = deque()
        self._numbers = count(1)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                picture = outer.pictures.get(urlsplit(self.path).path)
                self._say(200 if picture else 404, picture or b"", "image/jpeg")

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length", 0)))
                found = outer.of(self.path).answer(self.path, self.headers.get("content-type", ""), raw)
                if found is not None:
                    status, body = found
                    told = body if isinstance(body, bytes) else json.dumps(body).encode()
                    self._say(status, told, "application/json")

            def _say(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass  # the other side was killed: that is the test

        self._server = Server(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()

    def close(self) -> None:
        """Ends the server and lets go of what is held."""
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    # --- the citizens' side -------------------------------------------------------------------------------------

    def write(self, *updates: Any) -> None:
        """Citizens write; a string is a text of one citizen."""
        with self.arrived:
            self._updates.extend(one if isinstance(one, dict) else self.said(one) for one in updates)
            self.arrived.notify_all()

    def said(self, text: str | None, sender: str = "u77", **more: Any) -> dict[str, Any]:
        """A fresh update."""
        return update(text, sender, **{"message_id": f"z{next(self._numbers)}", **more})

    def deliver(self, base: str, body: Any, *, secret: str | None = None, tries: int = 5) -> list[int]:
        """Calls the web hook as the platform does, again and again until it is answered with 200.

        Args:
            base: where the service really listens, behind its public address.
            body: an update (wrapped as the platform does it), or raw bytes.
            secret: another than the one the hook was set with.
            tries: at most so many.

        Returns:
            The codes of the answers, 0 for none.
        """
        raw = body if isinstance(body, bytes) else json.dumps({"ok": True, "result": body}).encode()
        headers = {"content-type": "application/json", "x-bot-api-secret-token": secret or self.secret or ""}
        path = urlsplit(self.hook or "").path
        codes: list[int] = []
        while len(codes) < tries and 200 not in codes:
            request = urllib.request.Request(base + path, raw, headers)  # noqa: S310 - our own service
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                    codes.append(answer.status)
            except urllib.error.HTTPError as error:
                codes.append(error.code)
                error.close()
            except (urllib.error.URLError, ConnectionError):
                codes.append(0)
        return codes

    def wait_for(self, sent: int, seconds: float = 60) -> list[tuple[str, str]]:
        """Waits until so many messages have arrived on screens; those there are."""
        self.until(lambda: len(self.sent) >= sent, seconds)
        return list(self.sent)

    def until(self, condition: Any, seconds: float = 60) -> bool:
        """Waits until a condition holds; it is looked at after every call."""
        with self.arrived:
            return bool(self.arrived.wait_for(condition, seconds))

    # --- the API ------------------------------------------------------------------------------------------------

    def of(self, path: str) -> ZaloBotStandIn:
        """The bot whose token an address holds; this one where it is nobody's."""
        return self.beside.get(unquote(path).rpartition("/")[0].removeprefix("/bot"), self)

    def answer(self, path: str, kind: str, raw: bytes) -> Answer | None:
        """One call; None: the line breaks."""
        start, _, method = unquote(path).rpartition("/")
        if start != f"/bot{self.token}":
            return refusal(401, "Unauthorized")
        handler = getattr(self, f"_{method}", None) if method in _KEYS else None
        if handler is None:
            return refusal(404, f"Not Found: {path}")
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        if kind.partition(";")[0] != "application/json" or not isinstance(body, dict) or set(body) - _KEYS[method]:
            return refusal(400, "Bad Request: body")
        with self.arrived:
            self.calls.append(method)
            fault = self.faults[method].popleft() if self.faults.get(method) else None
            self.arrived.notify_all()
        if isinstance(fault, int):
            return refusal(fault, f"fault {fault} of {path}")
        found: Answer = handler(body)
        with self.arrived:
            self.arrived.notify_all()
        if fault == "hold":
            self._closed.wait()
        if fault in {"drop", "hold"}:
            return None
        return (200, b"<html>Bad gateway</html>") if fault == "garbage" else found

    def _getMe(self, _body: dict[str, Any]) -> Answer:  # noqa: N802
        return 200, {"ok": True, "result": {"id": "1", "account_name": "bot.mc", "account_type": "BASIC"}}

    def _setWebhook(self, body: dict[str, Any]) -> Answer:  # noqa: N802
        url, secret = body.get("url"), body.get("secret_token")
        if not isinstance(url, str) or not url.startswith("https://"):
            return refusal(400, "Bad Request: url must be HTTPS")
        if not isinstance(secret, str) or not 8 <= len(secret) <= 256:
            return refusal(400, "Bad Request: secret_token must have 8 to 256 characters")
        with self.arrived:
            self.hook, self.secret = url, secret
        return 200, {"ok": True, "result": {"url": url, "updated_at": 1764000000000}}

    def _deleteWebhook(self, _body: dict[str, Any]) -> Answer:  # noqa: N802
        if self.hook is None:
            return refusal(404, "Not Found: no webhook")
        with self.arrived:
            self.hook = self.secret = None
        return 200, {"ok": True, "result": {"url": "", "updated_at": 1764000000000}}

    def _getUpdates(self, body: dict[str, Any]) -> Answer:  # noqa: N802
        if self.hook is not None:
            return refusal(409, "Conflict: webhook is set")
        timeout = body.get("timeout", 30)
        if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 0:
            return refusal(400, "Bad Request: timeout")
        with self.arrived:
            self.polling += 1
            self.pollers = max(self.pollers, self.polling)
            self.arrived.notify_all()
            self.arrived.wait_for(lambda: self._updates or self._closed.is_set(), min(timeout, self.idle_seconds))
            self.polling -= 1
            # Handed out is gone: there is no offset to ask again.
            found = self._updates.popleft() if self._updates else None
        return (200, {"ok": True, "result": found}) if found is not None else refusal(408, "Request timeout")

    def _sendMessage(self, body: dict[str, Any]) -> Answer:  # noqa: N802
        chat, text = body.get("chat_id"), body.get("text")
        if not isinstance(chat, str) or not chat or not isinstance(text, str) or not 1 <= len(text) <= 2000:
            return refusal(400, "Bad Request: chat_id, text of 1 to 2000 characters")
        with self.arrived:
            self.sent.append((chat, text))
            number = len(self.sent)
        return 200, {"ok": True, "result": {"message_id": f"b{number}", "date": 1764000000000}}
