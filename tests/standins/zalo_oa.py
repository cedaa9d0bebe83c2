"""A strict stand-in for Zalo's OAuth and Official Account API over real HTTP (reference/channels.md §1, §1.4).

Like Zalo it answers errors with HTTP 200, kills the old access token when a new one is minted, takes a refresh token
once, and has no idempotence: each message taken is one message in the citizen's phone. ``plan`` and ``oauth_plan`` say
how the next calls go, first first.
"""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from email import message_from_bytes
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from bot.clock import utc_now

APP_ID = "1234567890"
APP_SECRET = "standin-app-secret"
OA_SECRET = "standin-oa-secret"
OA_ID = "388613280878808645"
VERIFIER_LENGTH = 43
RATE = 4000
_WINDOW = timedelta(days=7)
Answer = tuple[str, dict[str, Any], dict[str, str]]  # how it goes, what it says, headers
_PAYLOADS = {"oa.query.hide", "oa.query.show"}


class RefusalError(Exception):
    """An error code for the answer."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class ZaloStandIn:
    """The server; ``with ZaloStandIn() as zalo`` runs it.

    Attributes:
        sent: messages taken, in order: {"user", "text", "buttons", "image", "contact", "file", "raw"}.
        calls: paths called, in order; refused ones too.
        refreshes: how often the OAuth server was asked for a pair.
        plan: how the next message sends go: an error code, "drop" (taken, never answered), "hold" (taken, answered
            after ``release``), "500", "garbage".
        oauth_plan: the same for the OAuth server; "drop" mints the pair and never answers, "lost": not even minted,
            "no_refresh": the answer has no refresh token.
        last_interaction: user → when they last wrote; only they can be sent to.
        stopped: user → error code for each send.
        photos: path → bytes served at it; a path in ``held`` waits for ``release``.
        remain: requests left in the minute, None: not counted.
        account_error: error code of getoa, 0: well.
        quotas: what quota/message tells.
        oa_id: the account's.
        beside: other accounts under the same application, behind the same address; tokens tell them apart.
    """

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        self.clock = clock
        self.oa_id = OA_ID
        self.beside: list[ZaloStandIn] = []
        self.sent: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.refreshes = 0
        self.plan: deque[str | int] = deque()
        self.oauth_plan: deque[str | int] = deque()
        self.last_interaction: dict[str, datetime] = {}
        self.stopped: dict[str, int] = {}
        self.photos: dict[str, bytes] = {}
        self.held: set[str] = set()
        self.remain: int | None = None
        self.account_error = 0
        self.images: dict[str, datetime] = {}
        self.files: dict[str, datetime] = {}
        self.codes: dict[str, str] = {}  # code of a consent → its challenge's verifier
        self.lifetime = timedelta(hours=25)
        self.changed = threading.Condition()
        self.release = threading.Event()
        self._access = ""
        self._access_until = clock()
        self._refresh = ""
        self._minted = 0
        stand_in = self

        class Handler(_Handler):
            zalo = stand_in

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.place = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.place}"

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

    def mint(self) -> tuple[str, str]:
        """A pair as the API Explorer shows it; whatever was before is dead."""
        with self.changed:
            self._minted += 1
            self._access, self._refresh = (
                f"{kind}-{self._minted:04d}-{self.oa_id}-{'x' * 200}" for kind in ("access", "refresh")
            )
            self._access_until = self.clock() + self.lifetime
            return self._access, self._refresh

    def expire(self) -> None:
        """The access token's time is over."""
        with self.changed:
            self._access_until = self.clock()

    def wait_for(self, count: int, seconds: float = 60) -> bool:
        """Waits until so many messages were taken."""
        with self.changed:
            return self.changed.wait_for(lambda: len(self.sent) >= count, seconds)

    def to(self, user: str) -> list[dict[str, Any]]:
        """What one citizen got."""
        with self.changed:
            return [one for one in self.sent if one["user"] == user]

    def wait_until(self, condition: Callable[[], bool], seconds: float = 60) -> bool:
        """Waits until a condition on what is kept here holds; looked at after each call."""
        with self.changed:
            return self.changed.wait_for(condition, seconds)

    def account_of(self, token: str) -> ZaloStandIn:
        """The account that a token or a code is of; this one where it is nobody's."""
        known = (one for one in self.beside if token and token in {one._access, one._refresh, *one.codes})
        return next(known, self)

    # --- OAuth ---

    def token(self, headers: Mapping[str, str], form: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
        """(how the answer goes, the answer)."""
        with self.changed:
            self.refreshes += 1
            plan = self.oauth_plan.popleft() if self.oauth_plan else ""
            self.changed.notify_all()
            try:
                if isinstance(plan, int):
                    raise RefusalError(plan, "planned")
                if plan in {"lost", "500", "garbage"}:
                    return plan, {}
                self._check_grant(headers, form)
            except RefusalError as refusal:
                names = {"error_name": "Invalid.", "error_description": "stand-in", "error_reason": "", "ref_doc": ""}
                return "", {"error": refusal.code, **names}
            kept = self._refresh
            access, refresh = self.mint()
            answer = {"access_token": access, "expires_in": str(int(self.lifetime.total_seconds()))}
            if plan == "no_refresh":
                self._refresh = kept
            else:
                answer["refresh_token"] = refresh
            return plan, answer

    def _check_grant(self, headers: Mapping[str, str], form: Mapping[str, str]) -> None:
        if headers.get("secret_key") != APP_SECRET:
            raise RefusalError(-14004, "secret")
        if form.get("app_id") != APP_ID:
            raise RefusalError(-14002, "app")
        match form.get("grant_type"):
            case "refresh_token":
                if not self._refresh or form.get("refresh_token") != self._refresh:
                    raise RefusalError(-14014, "refresh token")
            case "authorization_code":
                verifier = self.codes.pop(form.get("code", ""), None)
                if verifier is None or form.get("code_verifier") != verifier or len(verifier) != VERIFIER_LENGTH:
                    raise RefusalError(-14005, "code")
            case _:
                raise RefusalError(-14018, "grant type")

    # --- the API ---

    def call(self, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Answer:
        """``path`` begins with the method: "GET /v2.0/oa/getoa"."""
        rate: dict[str, str] = {}
        handlers: dict[str, Callable[[], dict[str, Any]]] = {
            "POST /v3.0/oa/message/cs": lambda: self._message(_object(body, headers)),
            "POST /v2.0/oa/upload/image": lambda: {"attachment_id": self._upload(headers, body, "image")},
            "POST /v2.0/oa/upload/file": lambda: {"token": self._upload(headers, body, "file")},
            "GET /v2.0/oa/getoa": self._account,
            "GET /v3.0/oa/user/detail": lambda: self._user(json.loads(query["data"])["user_id"]),
            "POST /v3.0/oa/quota/message": lambda: self._quota(_object(body, headers)["user_id"]),
        }
        with self.changed:
            self.calls.append(path.partition(" ")[2])
            self.changed.notify_all()
            if path not in handlers:
                return "404", {}, rate
            try:
                rate = self._counted()
                self._check_token(headers)
                plan = self.plan.popleft() if self.plan and path.endswith("/message/cs") else ""
                if isinstance(plan, int):
                    raise RefusalError(plan, "planned")
                if plan in {"500", "garbage"}:
                    return plan, {}, rate
                return plan, {"error": 0, "message": "Success", "data": handlers[path]()}, rate
            except RefusalError as refusal:
                if refusal.code == -32:
                    rate = {"X-RateLimit-Limit": str(RATE), "X-RateLimit-Remain": "0"}
                return "", {"error": refusal.code, "message": str(refusal)}, rate

    def _counted(self) -> dict[str, str]:
        if self.remain is None:
            return {}
        self.remain -= 1
        if self.remain < 0:
            raise RefusalError(-32, "Your application reached limit call api")
        return {"X-RateLimit-Limit": str(RATE), "X-RateLimit-Remain": str(self.remain)}

    def _account(self) -> dict[str, Any]:
        if self.account_error:
            raise RefusalError(self.account_error, "planned")
        return {"oa_id": self.oa_id, "name": "Một Cửa thử nghiệm", "is_verified": True}

    def _user(self, user: str) -> dict[str, Any]:
        if user not in self.last_interaction:
            raise RefusalError(-213, "User has not followed this OA.")
        return {"user_id": user, "display_name": "Người thử", "user_is_follower": True}

    def _check_token(self, headers: Mapping[str, str]) -> None:
        token = headers.get("access_token")
        if not token or token != self._access:
            raise RefusalError(-216, "Access token is invalid")
        if self.clock() >= self._access_until:
            raise RefusalError(-220, "Access token has expired")

    def _message(self, request: dict[str, Any]) -> dict[str, Any]:
        if set(request) != {"recipient", "message"} or set(request["recipient"]) != {"user_id"}:
            raise RefusalError(-201, "recipient is invalid!")
        user, message = request["recipient"]["user_id"], request["message"]
        if not isinstance(user, str) or not user:
            raise RefusalError(-201, "user_id is invalid!")
        taken = _checked(message, self._picture)
        if user in self.stopped:
            raise RefusalError(self.stopped[user], "user stopped")
        last = self.last_interaction.get(user)
        if last is None:
            raise RefusalError(-232, "no interaction")
        if self.clock() - last > _WINDOW:
            raise RefusalError(-230, "no interaction in 7 days")
        if "file" in taken and taken["file"] not in self.files:
            raise RefusalError(-201, "token is invalid!")
        self.sent.append({"user": user, "raw": message, "id": f"zm{len(self.sent) + 1}", **taken})
        self.changed.notify_all()
        return {"message_id": self.sent[-1]["id"], "user_id": user, "sent_time": str(int(self.clock().timestamp()))}

    def _picture(self, attachment_id: str) -> None:
        if attachment_id not in self.images:
            raise RefusalError(-201, "attachment_id is invalid!")
        if self.clock() >= self.images[attachment_id]:
            raise RefusalError(-100, "attachment expired")

    def _upload(self, headers: Mapping[str, str], body: bytes, kind: str) -> str:
        form = message_from_bytes(
            b"content-type: " + headers["content-type"].encode() + b"\r\n\r\n" + body, policy=HTTP
        )
        parts = [part for part in form.iter_parts() if part.get_param("name", header="content-disposition") == "file"]
        data = parts[0].get_payload(decode=True) if len(parts) == 1 else b""
        name = parts[0].get_filename("") if parts else ""
        good = re.search(r"\.(png|jpe?g)$" if kind == "image" else r"\.(pdf|docx?|csv)$", name)
        if not isinstance(data, bytes) or not data or not good:
            raise RefusalError(-201, "file is invalid!")
        if len(data) > (1 if kind == "image" else 5) * 1024 * 1024:
            raise RefusalError(-210, "file is too large")
        kept = self.images if kind == "image" else self.files
        token = f"{kind}-{len(kept) + 1}"
        kept[token] = self.clock() + timedelta(days=7)
        return token

    def _quota(self, user: str) -> dict[str, Any]:
        last = self.last_interaction.get(user)
        if last is None:
            raise RefusalError(-232, "no interaction")
        return {"last_interaction": str(int(last.timestamp() * 1000)), "cs_reply": {"remain": 8, "total": 8}}


def _checked(message: dict[str, Any], picture: Callable[[str], None]) -> dict[str, Any]:
    """What a message shows, if Zalo takes it."""
    if not message or set(message) - {"text", "attachment", "quote_message_id"}:
        raise RefusalError(-201, "message is invalid!")
    text = message.get("text", "")
    if not isinstance(text, str) or ("text" in message and not text):
        raise RefusalError(-201, "text is invalid!")
    if len(text) > 2000:
        raise RefusalError(-210, "text is too long")
    if "attachment" not in message:
        return {"text": text}
    attachment = message["attachment"]
    payload = attachment.get("payload", {})
    if attachment.get("type") == "file" and set(payload) == {"token"}:
        return {"text": text, "file": payload["token"]}
    if attachment.get("type") != "template":
        raise RefusalError(-201, "attachment is invalid!")
    if "template_type" not in payload:
        return {"text": text, "buttons": _buttons(payload, text)}
    return _template(payload, text, picture)


def _template(payload: dict[str, Any], text: str, picture: Callable[[str], None]) -> dict[str, Any]:
    template, elements = payload["template_type"], payload.get("elements")
    if template not in {"media", "request_user_info"}:
        raise RefusalError(-233, "type is not supported")
    if set(payload) != {"template_type", "elements"} or not isinstance(elements, list) or len(elements) != 1:
        raise RefusalError(-201, "elements is invalid!")
    element = elements[0]
    if template == "media":
        if set(element) != {"media_type", "attachment_id"} or element["media_type"] != "image":
            raise RefusalError(-201, "element is invalid!")
        picture(element["attachment_id"])
        return {"text": text, "image": element["attachment_id"]}
    title, subtitle, image = element.get("title", ""), element.get("subtitle", ""), element.get("image_url")
    wrong = not 1 <= len(title) <= 100 or not 1 <= len(subtitle) <= 500 or text
    if wrong or (image is not None and not image.startswith("https://")):
        raise RefusalError(-201, "element is invalid!")
    return {"text": subtitle, "contact": title, "image_url": image}


def _buttons(payload: dict[str, Any], text: str) -> list[dict[str, Any]]:
    buttons = payload.get("buttons")
    if set(payload) != {"buttons"} or not isinstance(buttons, list) or not 1 <= len(buttons) <= 5 or not text:
        raise RefusalError(-201, "buttons is invalid!")
    for button in buttons:
        value, kind = button.get("payload"), button.get("type")
        if set(button) != {"title", "type", "payload"} or not 1 <= len(button["title"]) <= 100:
            raise RefusalError(-201, "title is invalid!")
        query = kind in _PAYLOADS and isinstance(value, str) and 1 <= len(value) <= 1000
        link = kind == "oa.open.url" and isinstance(value, dict) and str(value.get("url", "")).startswith("http")
        if not query and not link:
            raise RefusalError(-201, "payload is invalid!")
    return buttons


def _object(body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    if not headers.get("content-type", "").startswith("application/json"):
        raise RefusalError(-201, "content type is invalid!")
    found = json.loads(body)
    if not isinstance(found, dict):
        raise RefusalError(-201, "body is invalid!")
    return found


class _Handler(BaseHTTPRequestHandler):
    zalo: ZaloStandIn

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        photo = self.zalo.photos.get(urlsplit(self.path).path)
        if photo is not None:
            self._photo(photo)
        else:
            self._answer("GET", b"")

    def do_POST(self) -> None:
        self._answer("POST", self.rfile.read(int(self.headers.get("content-length", 0))))

    def _photo(self, photo: bytes) -> None:
        zalo, path = self.zalo, urlsplit(self.path).path
        with zalo.changed:
            zalo.calls.append(path)
            zalo.changed.notify_all()
        if path in zalo.held:
            zalo.release.wait(60)
        self._write(200, photo, {"content-type": "image/jpeg"})

    def _answer(self, method: str, body: bytes) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        rate: dict[str, str] = {}
        if parts.path == "/v4/oa/access_token" and method == "POST":
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            zalo = self.zalo.account_of(form.get("refresh_token") or form.get("code", ""))
            plan, answer = zalo.token(headers, form)
        else:
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            zalo = self.zalo.account_of(headers.get("access_token", ""))
            plan, answer, rate = zalo.call(f"{method} {parts.path}", query, headers, body)
        if plan == "hold":
            self.zalo.release.wait(60)
        if plan in {"drop", "lost"}:
            self.close_connection = True
        elif plan in {"404", "500", "garbage"}:
            self._write({"404": 404, "500": 500}.get(str(plan), 200), b"<html>proxy</html>", {})
        else:
            self._write(200, json.dumps(answer).encode(), {"content-type": "application/json", **rate})

    def _write(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        try:
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            pass  # whoever asked was killed meanwhile
