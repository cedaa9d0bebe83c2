"""A strict stand-in for Twilio's Messages API, on 127.0.0.1.

Refuses what Twilio refuses (account, fields, numbers, lengths) and can be told how the
next sends go: a code, or a trouble of ``standins.server``. Like Twilio it offers no
idempotence: each accepted POST is one SMS.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit
from urllib.request import Request, urlopen

from standins.server import Handler, StandIn

from bot.clock import utc_now

ACCOUNT = "AC" + "0" * 31 + "1"
TOKEN = "stand-in-token"
SENDER = "MotCua"

_KNOWN = {"To", "From", "MessagingServiceSid", "Body", "StatusCallback", "ValidityPeriod", "SmartEncoded"}
_E164 = re.compile(r"\+[1-9]\d{7,14}")
_STATUS_OF_CODE = {20003: 401, 20429: 429}


def sign(token: str, url: str, fields: dict[str, str], algorithm: str = "sha1") -> str:
    """Twilio's signature, written out from its documentation, not from its SDK."""
    text = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), algorithm).digest()).decode()


class TwilioStandIn(StandIn):
    """The server; ``with TwilioStandIn() as twilio`` runs it.

    Attributes:
        messages: every SMS taken, in order.
        listing: "ok", or an HTTP status with which lists are refused, or a trouble of ``standins.server``.
        listed_after: so long after it was taken, by ``clock``, a message shows up in lists.
        lists: how many lists were asked for.
        price: what answers and lists tell that a message costs, and in which unit.
    """

    own = frozenset({"problem"})  # refused, in the form of RFC 9457

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__()
        self.clock = clock
        self.messages: list[dict[str, Any]] = []
        self.listing: str | int = "ok"
        self.listed_after = timedelta(0)
        self.lists = 0
        self.price: tuple[str | None, str] = (None, "USD")

    def take(self, fields: dict[str, str]) -> dict[str, Any]:
        """Accepts one SMS."""
        with self.lock:
            message = {
                "sid": f"SM{len(self.messages) + 1:032x}",
                "to": fields["To"],
                "from": fields.get("From"),
                "messaging_service_sid": fields.get("MessagingServiceSid"),
                "body": fields["Body"],
                "status": "queued",
                "date_created": format_datetime(self.clock()),
                "date_sent": None,
                "price": self.price[0],
                "price_unit": self.price[1],
                "error_code": None,
                "num_segments": "0",
                "direction": "outbound-api",
                "account_sid": ACCOUNT,
            }
            self.messages.append(
                {**message, "callback": fields.get("StatusCallback"), "fields": fields, "taken_at": self.clock()}
            )
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

    def post(self, handler: Handler, body: bytes) -> None:
        """``POST …/Messages.json``."""
        fault = self._fault_of_request(handler) or _fault_of_form(handler, body.decode("ascii"))
        if fault:
            self._error(handler, *fault)
            return
        fields = dict(parse_qsl(body.decode("ascii"), keep_blank_values=True))
        step = self.next_step()
        if step == "problem":
            problem = {"type": "about:blank", "title": "Invalid", "status": 400, "code": 21211, "detail": "To"}
            handler.answer(400, json.dumps(problem).encode(), "application/problem+json")
        elif isinstance(step, int):
            self._error(handler, _STATUS_OF_CODE.get(step, 400), step)
        elif not handler.trouble(step, lambda: self.take(fields)):
            handler.answer_json(201, self.take(fields))

    def get(self, handler: Handler) -> None:
        """``GET …/Messages.json``: the newest first, in pages."""
        self.lists += 1
        fault = self._fault_of_request(handler)
        if fault:
            self._error(handler, *fault)
        elif isinstance(self.listing, int):
            handler.answer(self.listing, b"<html>", "text/html")
        elif not handler.trouble(self.listing, lambda: {"messages": [], "uri": handler.path * 10}):
            query = parse_qs(urlsplit(handler.path).query)
            size, page = (int(query.get(name, [other])[0]) for name, other in (("PageSize", "50"), ("Page", "0")))
            to = query.get("To", [None])[0]
            shown = [
                {name: value for name, value in message.items() if name not in {"callback", "fields", "taken_at"}}
                for message in reversed(self.messages)
                if to in {None, message["to"]} and message["taken_at"] + self.listed_after <= self.clock()
            ]
            more = urlencode({"To": to or "", "PageSize": size, "Page": page + 1})
            after = f"{handler.where}?{more}" if len(shown) > (page + 1) * size else None
            part = shown[page * size : (page + 1) * size]
            handler.answer_json(
                200,
                {"messages": part, "page": page, "page_size": size, "next_page_uri": after, "uri": handler.path},
            )

    def _fault_of_request(self, handler: Handler) -> tuple[int, int] | None:
        if handler.where != f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json":
            return 404, 20404
        expected = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        if not hmac.compare_digest(handler.headers.get("Authorization") or "", expected):
            return 401, 20003
        return None

    def _error(self, handler: Handler, status: int, code: int) -> None:
        said = "refused for +84951234567"
        handler.answer_json(
            status, {"code": code, "message": said, "more_info": "https://example.org", "status": status}
        )


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


def _fault_of_form(handler: Handler, body: str) -> tuple[int, int] | None:
    pairs = parse_qsl(body, keep_blank_values=True)
    fields = dict(pairs)
    sender = [name for name in ("From", "MessagingServiceSid") if name in fields]
    checks = [
        (handler.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"), 20001),
        (len(pairs) == len(fields) and fields.keys() <= _KNOWN, 20001),
        (_E164.fullmatch(fields.get("To", "")) is not None, 21211),
        (len(sender) == 1, 21603),
        (fields.get("Body", "") != "", 21602),
        (len(fields.get("Body", "")) <= 1600, 21617),
        (1 <= int(fields.get("ValidityPeriod", "1")) <= 36_000, 21624),
        (fields.get("StatusCallback", "http://").startswith(("http://", "https://")), 21609),
    ]
    return next(((400, code) for passed, code in checks if not passed), None)
