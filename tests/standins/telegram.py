"""A stand-in for the Bot API over real HTTP, as strict about lengths and tokens as the real one."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "123456789:AAstandin-standin-standin-standin-st"
BOT = {"id": 123456789, "is_bot": True, "first_name": "Một Cửa", "username": "motcua_bot"}


class TelegramStandIn:
    """Serves getMe, getUpdates, setWebhook, sendMessage, answerCallbackQuery; keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.hooks: list[dict[str, str]] = []
        self.answered: list[str] = []
        self.blocked: set[str] = set()
        self.retry_after = 0
        self.arrived = threading.Condition()
        self._updates: list[dict[str, Any]] = []
        self._number = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                form = {key: values[0] for key, values in parse_qs(self.rfile.read(length).decode()).items()}
                status, body = outer.answer(urlsplit(self.path).path, form)
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()

    def write(self, text: str, sender: int = 77) -> None:
        """A citizen writes to the bot."""
        with self.arrived:
            self._number += 1
            person = {"id": sender, "is_bot": False, "first_name": "Ba"}
            message = {
                "message_id": self._number, "date": 1764000000 + self._number, "text": text, "from": person,
                "chat": {"id": sender, "type": "private", "first_name": "Ba"},
            }  # fmt: skip
            self._updates.append({"update_id": self._number, "message": message})
            self.arrived.notify_all()

    def wait_for(self, count: int, seconds: float = 60) -> bool:
        """Waits until so many messages were sent by the bot."""
        with self.arrived:
            return self.arrived.wait_for(lambda: len(self.sent) >= count, seconds)

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """One call of the API."""
        start, _, method = path.rpartition("/")
        if start != f"/bot{TOKEN}":
            return 401, {"ok": False, "error_code": 401, "description": "Unauthorized"}
        handler = getattr(self, f"_{method}", None)
        if handler is None:
            return 404, {"ok": False, "error_code": 404, "description": "Not Found: method not found"}
        answer: tuple[int, dict[str, Any]] = handler(form)
        return answer

    def _getMe(self, _form: dict[str, str]) -> tuple[int, dict[str, Any]]:  # noqa: N802
        return 200, {"ok": True, "result": BOT}

    def _deleteWebhook(self, _form: dict[str, str]) -> tuple[int, dict[str, Any]]:  # noqa: N802
        return 200, {"ok": True, "result": True}

    def _setWebhook(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:  # noqa: N802
        if not form.get("url", "").startswith("https://"):
            return 400, {"ok": False, "error_code": 400, "description": "Bad Request: bad webhook: HTTPS url required"}
        self.hooks.append(form)
        return 200, {"ok": True, "result": True}

    def _getUpdates(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:  # noqa: N802
        offset = int(form.get("offset", 0))
        with self.arrived:
            self._updates = [update for update in self._updates if update["update_id"] >= offset]
            if not self._updates:
                self.arrived.wait(min(float(form.get("timeout", 0)), 1.0))
            return 200, {"ok": True, "result": list(self._updates)}

    def _answerCallbackQuery(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:  # noqa: N802
        self.answered.append(form["callback_query_id"])
        return 200, {"ok": True, "result": True}

    def _sendMessage(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:  # noqa: N802
        if form["chat_id"] in self.blocked:
            return 403, {"ok": False, "error_code": 403, "description": "Forbidden: bot was blocked by the user"}
        if self.retry_after:
            body = {"ok": False, "error_code": 429, "description": f"Too Many Requests: retry after {self.retry_after}"}
            return 429, {**body, "parameters": {"retry_after": self.retry_after}}
        markup = json.loads(form.get("reply_markup", "{}"))
        data = [b.get("callback_data", "") for row in markup.get("inline_keyboard", []) for b in row]
        if not 1 <= len(form.get("text", "")) <= 4096 or any(not 1 <= len(d.encode()) <= 64 for d in data):
            return 400, {"ok": False, "error_code": 400, "description": "Bad Request: BUTTON_DATA_INVALID"}
        with self.arrived:
            self.sent.append({"chat_id": form["chat_id"], "text": form["text"], "data": data})
            self.arrived.notify_all()
        chat = {"id": int(form["chat_id"]), "type": "private"}
        message = {"message_id": 1000 + len(self.sent), "date": 1764000000, "chat": chat, "text": form["text"]}
        return 200, {"ok": True, "result": message}
