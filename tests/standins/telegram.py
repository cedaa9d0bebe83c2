"""A stand-in for Telegram's Bot API over real HTTP, as strict about shapes, lengths and tokens as the real one.

Like Telegram it offers no idempotence: each accepted sendMessage is one message in the chat. Updates wait until a
getUpdates with a later offset confirms them; ``deliver`` brings one to a web hook as Telegram does, again and again
until it is answered with 2xx.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, unquote, urlsplit
from urllib.request import Request, urlopen

from standins.telegram_limits import RefusedError, bad, keyboard, shown
from standins.telegram_updates import BOT, CITIZEN, Updates

TOKEN = "123456789:AAstandin-standin-standin-standin-st"
_ALLOWED_PORTS = {None, 443, 80, 88, 8443}
_OLD_QUERY = "query is too old and response timeout expired or query ID is invalid"


class TelegramStandIn(Updates):
    """The server; ``with TelegramStandIn() as api`` runs it.

    Attributes:
        sent: every message the bot sent, as it stands now (edited ones in their new words), in order.
        calls: names of the methods called, in order.
        edits: how many edits changed something.
        answered: ids of the queries answered, in order.
        plan: how the next sends and edits go, first first: an error to answer with; "drop": taken, but the connection
            breaks before the answer; "hold": taken at once, answered once ``release`` is set.
        blocked: chats that have blocked the bot.
        unknown: chats that don't exist.
        bursts: how many messages one chat may get within a second; more are answered with 429.
        broken: methods → the error they are answered with from now on.
        token: what is accepted.
        beside: other bots behind the same address, by their tokens.
        paths: file id → path told for it, where not the usual.
        confirmed: the highest offset asked for with getUpdates.
        handed: the highest update number handed out by getUpdates.
        pollers: how many calls of getUpdates wait for updates now.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.edits = 0
        self.answered: list[str] = []
        self.hooks: list[dict[str, str]] = []
        self.hook: dict[str, str] | None = None
        self.commands: list[dict[str, str]] = []
        self.plan: deque[RefusedError | str] = deque()
        self.blocked: set[str] = set()
        self.unknown: set[str] = set()
        self.bursts: int | None = None
        self.broken: dict[str, RefusedError] = {}
        self.token = TOKEN
        self.beside: dict[str, TelegramStandIn] = {}
        self.paths: dict[str, str] = {}
        self.uploads: list[bytes] = []
        self.last_error = ""  # why the web hook could not be called, told by getWebhookInfo
        self.confirmed = 0
        self.handed = 0
        self.pollers = 0
        self.arrived = threading.Condition()
        self.release = threading.Event()
        self._updates: list[dict[str, Any]] = []
        self._poller = 0
        self._allowed: list[str] = []
        self._times: dict[str, list[float]] = {}
        self._closing = False
        outer = self

        class Handler(_Handler):
            api = outer

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the server."""
        with self.arrived:
            self._closing = True
            self.arrived.notify_all()
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def queue(self, update: dict[str, Any]) -> dict[str, Any]:
        """Lets an update wait for getUpdates."""
        with self.arrived:
            self._updates.append(update)
            self.arrived.notify_all()
        return update

    def write(self, text: str, sender: int = CITIZEN) -> dict[str, Any]:
        """A citizen writes to a bot that polls."""
        return self.queue(self.text(text, sender))

    def post(self, base: str, update: Any, *, secret: str | None = None, raw: bytes | None = None) -> int:
        """Calls the web hook of the service at ``base`` once; its status."""
        assert self.hook is not None, "no web hook was set"
        told = self.hook["secret_token"] if secret is None else secret
        headers = {"content-type": "application/json", "x-telegram-bot-api-secret-token": told}
        path = urlsplit(self.hook["url"]).path
        call = Request(base + path, raw if raw is not None else json.dumps(update).encode(), headers)  # noqa: S310
        try:
            with urlopen(call, timeout=30) as answer:  # noqa: S310 - our own address
                return int(answer.status)
        except HTTPError as error:
            error.close()
            return error.code

    def deliver(self, base: str, *updates: dict[str, Any], seconds: float = 60) -> None:
        """Brings updates to the web hook one after the other, each until it is answered with 2xx."""
        until = time.monotonic() + seconds
        for update in updates:
            while time.monotonic() < until:
                with suppress(URLError, ConnectionError):  # not there (yet, or any more): again
                    if 200 <= self.post(base, update) < 300:
                        break
                threading.Event().wait(0.05)
            else:
                raise TimeoutError(f"update {update['update_id']} was never taken")

    # What tests wait for.
    def wait_until(self, true: Any, seconds: float = 60) -> bool:
        """Waits until the condition holds; it is looked at after each call."""
        with self.arrived:
            return self.arrived.wait_for(true, seconds)

    def wait_for(self, count: int, seconds: float = 60) -> bool:
        """Waits until so many messages were sent by the bot."""
        return self.wait_until(lambda: len(self.sent) >= count, seconds)

    def told(self, sender: int = CITIZEN) -> list[dict[str, Any]]:
        """What stands in one citizen's chat."""
        return [message for message in self.sent if message["chat"]["id"] == sender]

    # The API.
    def call(self, token: str, method: str, form: dict[str, str], files: dict[str, bytes]) -> dict[str, Any]:
        """One call.

        Raises:
            RefusedError: the answer is an error.
        """
        if token != self.token:
            raise RefusedError(401, "Unauthorized")
        handler = getattr(self, f"_{method}", None)
        if handler is None:
            raise RefusedError(404, "Not Found: method not found")
        try:
            if method in self.broken:
                raise self.broken[method]
            result = handler(form, files) if method == "sendPhoto" else handler(form)
        finally:
            with self.arrived:
                self.calls.append(method)
                self.arrived.notify_all()
        return {"ok": True, "result": result}

    def _getMe(self, _form: dict[str, str]) -> Any:  # noqa: N802
        return BOT

    def _setMyCommands(self, form: dict[str, str]) -> Any:  # noqa: N802
        commands = json.loads(form["commands"])
        if len(commands) > 100:
            raise bad("BOT_COMMANDS_TOO_MUCH")
        for command in commands:
            if not re.fullmatch("[a-z0-9_]{1,32}", command["command"]):
                raise bad("BOT_COMMAND_INVALID")
            if not 1 <= len(command["description"]) <= 256:
                raise bad("BOT_COMMAND_DESCRIPTION_INVALID")
        self.commands = commands
        return True

    def _setWebhook(self, form: dict[str, str]) -> Any:  # noqa: N802
        url = urlsplit(form.get("url", ""))
        if url.scheme != "https":
            raise bad("bad webhook: HTTPS url must be provided for webhook")
        if url.port not in _ALLOWED_PORTS:
            raise bad("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
        if not re.fullmatch("[A-Za-z0-9_-]{1,256}", form.get("secret_token", "")):
            raise bad("secret token contains unallowed characters")
        if not 1 <= int(form.get("max_connections", 40)) <= 100:
            raise bad("max_connections must be between 1 and 100")
        self.hook = form
        self.hooks.append(form)
        return True

    def _deleteWebhook(self, _form: dict[str, str]) -> Any:  # noqa: N802
        self.hook = None
        return True

    def _getWebhookInfo(self, _form: dict[str, str]) -> Any:  # noqa: N802
        told = {"url": self.hook["url"] if self.hook else "", "has_custom_certificate": False}
        error = {"last_error_date": 1764000000, "last_error_message": self.last_error} if self.last_error else {}
        return {**told, "pending_update_count": len(self._updates) + bool(error), **error}

    def _getUpdates(self, form: dict[str, str]) -> Any:  # noqa: N802
        if self.hook is not None:
            raise RefusedError(409, "Conflict: can't use getUpdates method while webhook is active")
        offset, limit = int(form.get("offset", 0)), int(form.get("limit", 100))
        if not 1 <= limit <= 100:
            raise bad("limit must be between 1 and 100")
        until = time.monotonic() + float(form.get("timeout", 0))
        with self.arrived:
            if "allowed_updates" in form:
                self._allowed = json.loads(form["allowed_updates"])
            self._poller += 1
            mine = self._poller
            self.pollers += 1
            self.confirmed = max(self.confirmed, offset)
            self._updates = [update for update in self._updates if update["update_id"] >= offset]
            self.arrived.notify_all()  # ends an older call

            def ready() -> bool:
                return bool(self._waiting()) or self._poller != mine or self._closing

            self.arrived.wait_for(ready, max(until - time.monotonic(), 0))
            self.pollers -= 1
            if self._poller != mine:
                raise RefusedError(
                    409,
                    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
                )
            found = self._waiting()[:limit]
            if found:
                self.handed = max(self.handed, found[-1]["update_id"])
            return found

    def _waiting(self) -> list[dict[str, Any]]:
        allowed = self._allowed
        return [u for u in self._updates if not allowed or any(kind in allowed for kind in u)]

    def _answerCallbackQuery(self, form: dict[str, str]) -> Any:  # noqa: N802
        if len(form.get("text", "")) > 200:
            raise bad("MESSAGE_TOO_LONG")
        query = form["callback_query_id"]
        if query not in self._queries:
            raise bad(_OLD_QUERY)
        self._queries.discard(query)
        self.answered.append(query)
        return True

    def _sendMessage(self, form: dict[str, str]) -> Any:  # noqa: N802
        text = shown(form.get("text", ""), form.get("parse_mode"), 1, 4096)
        return self._put(form, {"text": text, "html": form["text"]})

    def _sendPhoto(self, form: dict[str, str], files: dict[str, bytes]) -> Any:  # noqa: N802
        caption = shown(form.get("caption", ""), form.get("parse_mode"), 0, 1024)
        photo = form.get("photo", "")
        if photo.startswith("attach://"):
            content = files[photo.removeprefix("attach://")]
            self.uploads.append(content)
        elif "photo" in files:
            content = files["photo"]
            self.uploads.append(content)
        elif photo not in self.files:
            raise bad("wrong file identifier/HTTP URL specified")
        else:
            content = self.files[photo]
        file_id = photo if photo in self.files else f"uploaded-{len(self.uploads)}"
        self.files[file_id] = content
        size = {"file_id": file_id, "file_unique_id": f"u{file_id}", "width": 640, "height": 480}
        return self._put(form, {"text": caption, "html": form.get("caption", ""), "photo": [size]})

    def _put(self, form: dict[str, str], content: dict[str, Any]) -> Any:
        """A message that reached the chat."""
        chat_id, below = self._chat(form), keyboard(form)
        behaviour = self.plan.popleft() if self.plan else None
        if isinstance(behaviour, RefusedError):
            raise behaviour
        with self.arrived:
            self._flood(chat_id)
            chat = {"id": int(chat_id), "type": "private", "first_name": "Ba"}
            told = {"message_id": next(self._numbers), "date": 1764000000, "chat": chat, **content}
            self.sent.append({**told, **below})
            self.arrived.notify_all()
        self._then(behaviour)
        if "photo" in told:
            told["caption"] = told.pop("text")
        return {**told, "from": BOT}

    def _then(self, behaviour: RefusedError | str | None) -> None:
        if behaviour == "hold":
            self.release.wait(60)
        elif behaviour == "drop":
            raise ConnectionAbortedError

    def _editMessageText(self, form: dict[str, str]) -> Any:  # noqa: N802
        text = shown(form.get("text", ""), form.get("parse_mode"), 1, 4096)
        chat_id, below = self._chat(form), keyboard(form)
        if "remove" in below or "reply" in below:
            raise bad("inline keyboard expected")
        with self.arrived:
            known = {(str(m["chat"]["id"]), str(m["message_id"])): m for m in self.sent}
            found = known.get((chat_id, form["message_id"]))
            if found is None:
                raise bad("message to edit not found")
            if "photo" in found:
                raise bad("there is no text in the message to edit")
            if "reply" in found or "remove" in found:
                raise bad("message can't be edited")
            if found["html"] == form["text"] and found.get("inline") == below.get("inline"):
                raise bad(
                    "message is not modified: specified new message content and reply markup are exactly the same "
                    "as a current content and reply markup of the message"
                )
            behaviour = self.plan.popleft() if self.plan else None
            if isinstance(behaviour, RefusedError):
                raise behaviour
            found.pop("inline", None)
            found.update(text=text, html=form["text"], **below)
            self.edits += 1
            told = {k: found[k] for k in ("message_id", "date", "chat", "text")}
            self.arrived.notify_all()
        self._then(behaviour)
        return {**told, "from": BOT}

    def _chat(self, form: dict[str, str]) -> str:
        chat_id = form["chat_id"]
        if chat_id in self.blocked:
            raise RefusedError(403, "Forbidden: bot was blocked by the user")
        if not re.fullmatch(r"\d{1,16}", chat_id) or chat_id in self.unknown:
            raise bad("chat not found")
        return chat_id

    def _flood(self, chat_id: str) -> None:
        now = time.monotonic()
        recent = [at for at in self._times.get(chat_id, ()) if at > now - 1]
        if self.bursts is not None and len(recent) >= self.bursts:
            raise RefusedError(429, "Too Many Requests: retry after 1", retry_after=1)
        self._times[chat_id] = [*recent, now]

    def _getFile(self, form: dict[str, str]) -> Any:  # noqa: N802
        file_id = form["file_id"]
        if file_id not in self.files:
            raise bad("wrong file_id or the file is temporarily unavailable")
        size = len(self.files[file_id])
        if size > 20 * 1024 * 1024:
            raise bad("file is too big")
        path = self.paths.get(file_id, f"photos/{file_id}.jpg")
        return {"file_id": file_id, "file_unique_id": f"u{file_id}", "file_size": size, "file_path": path}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away (a killed process) is no fault of ours."""


class _Handler(BaseHTTPRequestHandler):
    api: TelegramStandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path)
        match = re.fullmatch(r"/bot([^/]+)/(\w+)", path)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        form, files = self._fields(body)
        try:
            if match is None:
                raise RefusedError(404, "Not Found")
            api = self.api.beside.get(match[1], self.api)
            status, told = 200, api.call(match[1], match[2], form, files)
        except RefusedError as error:
            status, told = error.code, error.body()
        except ConnectionAbortedError:
            self._hang_up()
            return
        self._tell(status, json.dumps(told).encode(), "application/json")

    def do_GET(self) -> None:
        match = re.fullmatch(r"/file/bot([^/]+)/(.+)", unquote(urlsplit(self.path).path))
        api = self.api.beside.get(match[1], self.api) if match else self.api
        known = {api.paths.get(i, f"photos/{i}.jpg"): content for i, content in api.files.items()}
        if match is None or match[1] != api.token or match[2] not in known:
            self._tell(404, b'{"ok":false,"error_code":404,"description":"Not Found"}', "application/json")
            return
        self._tell(200, known[match[2]], "application/octet-stream")

    def _fields(self, body: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
        kind = self.headers.get("content-type", "")
        if not kind.startswith("multipart/form-data"):
            return {key: values[0] for key, values in parse_qs(body.decode(), keep_blank_values=True).items()}, {}
        parsed = BytesParser(policy=HTTP).parsebytes(f"content-type: {kind}\r\n\r\n".encode() + body)
        form: dict[str, str] = {}
        files: dict[str, bytes] = {}
        for part in parsed.iter_parts():  # type: ignore[attr-defined]
            name = part.get_param("name", header="content-disposition")
            if part.get_filename():
                files[name] = part.get_payload(decode=True)
            else:
                form[name] = part.get_payload(decode=True).decode()
        return form, files

    def _tell(self, status: int, raw: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
