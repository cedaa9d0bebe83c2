"""A strict stand-in for Twilio's Messages API, on 127.0.0.1.

Refuses what Twilio refuses (account, fields, numbers, lengths) and can be told how the
next sends go: a code, an HTTP status, no answer, a dropped connection. Like Twilio it
offers no idempotence: each accepted POST is one SMS.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit
from urllib.request import Request, urlopen

from bot.clock import utc_now

ACCOUNT = "AC" + "0" * 31 + "1"
TOKEN = "stand-in-token"
SENDER = "MotCua"

_KNOWN = {"To", "From", "MessagingServiceSid", "Body", "StatusCallback", "ValidityPeriod", "SmartEncoded"}
_E164 = re.compile(r"\+[1-9]\d{7,14}")


def sign(token: str, url: str, fields: dict[str, str], algorithm: str = "sha1") -> str:
    """Twilio's signature, written out from its documentation, not from its SDK."""
    text = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), algorithm).digest()).decode()


class TwilioStandIn:
    """The server; ``with TwilioStandIn() as twilio`` runs it.

    Attributes:
        messages: every SMS taken, in order.
        posts: how many sends were asked for, refused ones too.
        plan: how the next sends go, first first; empty: normally.
        listing: "ok", or an HTTP status with which lists are refused.
    """

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        self.clock = clock
        self.messages: list[dict[str, Any]] = []
        self.posts = 0
        self.plan: deque[str | int] = deque()
        self.listing: str | int = "ok"
        self.taken = threading.Event()  # set with each SMS taken
        self.release = threading.Event()  # ends a hang
        self._lock = threading.Lock()
        stand_in = self

        class Handler(_Handler):
            twilio = stand_in

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
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

    # How the next send goes; each call plans one.
    def refuse(self, code: int) -> None:
        """400 (401 for 20003, 429 for 20429) with this code."""
        self.plan.append(code)

    def next_is(self, behaviour: str) -> None:
        """One of ``_BEHAVIOURS``."""
        if behaviour not in _BEHAVIOURS:
            raise ValueError(behaviour)
        self.plan.append(behaviour)

    def take(self, fields: dict[str, str]) -> dict[str, Any]:
        """Accepts one SMS."""
        with self._lock:
            message = {
                "sid": f"SM{len(self.messages) + 1:032x}",
                "to": fields["To"],
                "from": fields.get("From"),
                "messaging_service_sid": fields.get("MessagingServiceSid"),
                "body": fields["Body"],
                "status": "queued",
                "date_created": format_datetime(self.clock()),
                "date_sent": None,
                "error_code": None,
                "num_segments": "0",
                "direction": "outbound-api",
                "account_sid": ACCOUNT,
            }
            self.messages.append({**message, "callback": fields.get("StatusCallback"), "fields": fields})
        self.taken.set()
        return message

    def callback(
        self, sid: str, status: str, *, error_code: str | None = None, algorithm: str = "sha1", token: str = TOKEN
    ) -> tuple[str, bytes, dict[str, str]]:
        """A signed delivery report: its address, body and headers."""
        message = next(m for m in self.messages if m["sid"] == sid)
        fields = {
            "MessageSid": sid,
            "SmsSid": sid,
            "MessageStatus": status,
            "SmsStatus": status,
            "To": message["to"],
            "From": message["from"] or "",
            "AccountSid": ACCOUNT,
            "ApiVersion": "2010-04-01",
            **({"ErrorCode": error_code} if error_code else {}),
        }
        return message["callback"], *signed_form(message["callback"], fields, algorithm=algorithm, token=token)

    def send_callback(self, sid: str, status: str, *, error_code: str | None = None) -> int:
        """Posts a report to where the message wanted it; returns the HTTP status."""
        url, body, headers = self.callback(sid, status, error_code=error_code)
        with urlopen(Request(url, body, headers), timeout=5) as answer:  # noqa: S310 - our own address
            return int(answer.status)


def signed_form(
    url: str, fields: dict[str, str], *, algorithm: str = "sha1", token: str = TOKEN
) -> tuple[bytes, dict[str, str]]:
    """A form as Twilio posts it: body and headers."""
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "X-Twilio-Signature": sign(token, url, fields, algorithm),
    }
    if algorithm != "sha1":
        headers["X-Twilio-Webhooks-Signature-Settings"] = f"key=k1,algorithm=HMAC_{algorithm.upper()}"
    return urlencode(fields).encode(), headers


# hang: taken, no answer. drop: taken, connection closed. lose: not taken, connection closed.
# 500, 503: not taken. 500 taken: taken and yet 500. problem: RFC 9457 body. garbled: taken, no JSON.
_BEHAVIOURS = frozenset({"hang", "drop", "lose", "500", "503", "500 taken", "problem", "garbled"})
_STATUS_OF_CODE = {20003: 401, 20429: 429}


class _Handler(BaseHTTPRequestHandler):
    twilio: TwilioStandIn
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Silent."""

    def do_POST(self) -> None:
        self.twilio.posts += 1
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("ascii")
        fault = self._fault_of_request() or self._fault_of_form(body)
        if fault:
            self._error(*fault)
            return
        fields = dict(parse_qsl(body, keep_blank_values=True))
        step = self.twilio.plan.popleft() if self.twilio.plan else "ok"
        match step:
            case int(code):
                self._error(_STATUS_OF_CODE.get(code, 400), code)
            case "500" | "503":
                self._answer(int(step), b"<html>upstream</html>", "text/html")
            case "500 taken":
                self.twilio.take(fields)
                self._answer(500, b"<html>upstream</html>", "text/html")
            case "problem":
                problem = {"type": "about:blank", "title": "Invalid", "status": 400, "code": 21211, "detail": "To"}
                self._answer(400, json.dumps(problem).encode(), "application/problem+json")
            case "lose":
                self.close_connection = True
            case "drop":
                self.twilio.take(fields)
                self.close_connection = True
            case "garbled":
                self.twilio.take(fields)
                self._answer(201, b"<html>", "text/html")
            case "hang":
                self.twilio.take(fields)
                self.twilio.release.wait(timeout=30)
                self.close_connection = True
            case _:
                self._answer(201, json.dumps(self.twilio.take(fields)).encode())

    def do_GET(self) -> None:
        fault = self._fault_of_request()
        if fault:
            self._error(*fault)
        elif isinstance(self.twilio.listing, int):
            self._answer(self.twilio.listing, b"<html>", "text/html")
        else:
            query = parse_qs(urlsplit(self.path).query)
            size = int(query.get("PageSize", ["50"])[0])
            page = int(query.get("Page", ["0"])[0])
            to = query.get("To", [None])[0]
            wanted = [m for m in reversed(self.twilio.messages) if to in {None, m["to"]}]
            shown = [{k: v for k, v in m.items() if k not in {"callback", "fields"}} for m in wanted]
            more = urlencode({"To": to or "", "PageSize": size, "Page": page + 1})
            after = f"{urlsplit(self.path).path}?{more}" if len(shown) > (page + 1) * size else None
            part = shown[page * size : (page + 1) * size]
            answer = {"messages": part, "page": page, "page_size": size, "next_page_uri": after, "uri": self.path}
            self._answer(200, json.dumps(answer).encode())

    def _fault_of_request(self) -> tuple[int, int] | None:
        if urlsplit(self.path).path != f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json":
            return 404, 20404
        expected = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        if not hmac.compare_digest(self.headers.get("Authorization") or "", expected):
            return 401, 20003
        return None

    def _fault_of_form(self, body: str) -> tuple[int, int] | None:
        pairs = parse_qsl(body, keep_blank_values=True)
        fields = dict(pairs)
        sender = [name for name in ("From", "MessagingServiceSid") if name in fields]
        checks = [
            (self.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"), 20001),
            (len(pairs) == len(fields) and fields.keys() <= _KNOWN, 20001),
            (_E164.fullmatch(fields.get("To", "")) is not None, 21211),
            (len(sender) == 1, 21603),
            (fields.get("Body", "") != "", 21602),
            (len(fields.get("Body", "")) <= 1600, 21617),
            (1 <= int(fields.get("ValidityPeriod", "1")) <= 36_000, 21624),
            (fields.get("StatusCallback", "http://").startswith(("http://", "https://")), 21609),
        ]
        return next(((400, code) for passed, code in checks if not passed), None)

    def _error(self, status: int, code: int) -> None:
        number = "+84951234567"
        body = {"code": code, "message": f"refused for {number}", "more_info": "https://example.org", "status": status}
        self._answer(status, json.dumps(body).encode())

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
