"""A strict stand-in for eSMS's ``SendMultipleMessage_V4_post_json``, on 127.0.0.1.

Facts: reference/channels.md §6.4 and the vendor's pages (see ``bot/notices/gateways/esms.py``). All parameters are
strings; errors come with HTTP 200; a ``RequestId`` is remembered until the end of the Vietnamese day, at most 24 hours:
the stricter of the two things the vendor tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from standins.server import Handler, StandIn

from bot.clock import local, utc_now
from bot.notices.gsm7 import segments

API_KEY = "stand-in-api-key"
SECRET_KEY = "stand-in-secret-key"
BRANDNAME = "MotCua"
PATH = "/MainService.svc/json/SendMultipleMessage_V4_post_json/"
PRICE = 520  # đồng a segment

_NEEDED = {"ApiKey", "SecretKey", "Phone", "Content", "Brandname", "SmsType"}
_KNOWN = _NEEDED | {"IsUnicode", "Sandbox", "RequestId", "CallbackUrl", "SendDate", "campaignid"}
_PHONE = re.compile(r"(?:84|0)[35789]\d{8}")
_SAID = {
    101: "Authorize Failed",
    104: "Brand name code is not exist",
    124: "Request exist 1",
    146: "Sai template Brandname CSKH",
}


class EsmsStandIn(StandIn):
    """The server; ``with EsmsStandIn() as esms`` runs it.

    Attributes:
        messages: every SMS that goes out, in order; those of the sandbox do not.
        sandboxed: requests that were only checked.
        templates: regular expressions of the registered texts; none: everything is registered.
        blocked: numbers that eSMS blocks.
        brandnames: those that are registered.
    """

    own = frozenset({"invalid"})  # the vendor's example of 99: {"error": "Invalid request"}

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__()
        self.clock = clock
        self.messages: list[dict[str, str]] = []
        self.sandboxed: list[dict[str, str]] = []
        self.templates: list[str] = []
        self.blocked: set[str] = set()
        self.brandnames = {BRANDNAME}
        self._remembered: dict[str, datetime] = {}

    def post(self, handler: Handler, body: bytes) -> None:
        """One send."""
        fields = self._fields(handler, body)
        if fields is None:
            return
        step = self._fault(fields) or self.next_step()
        repeated = self._taken_before(fields.get("RequestId"))
        if step == "ok" and repeated:
            step = 124
        if step == "invalid":
            handler.answer_json(200, {"error": "Invalid request"})
        elif isinstance(step, int):
            answer: dict[str, Any] = {"CodeResult": str(step), "CountRegenerate": 0}
            answer["ErrorMessage"] = f"{_SAID.get(step, 'refused')} 84951234567"
            if step == 124:
                answer["SendStatus"] = "5"
            if step == 146:
                answer["SMSID"] = "refused-but-numbered"
            handler.answer_json(200, answer)
        elif not handler.trouble(step, lambda: None if repeated else self.take(fields)):
            handler.answer_json(200, self.take(fields))

    def take(self, fields: dict[str, str]) -> dict[str, Any]:
        """Accepts one SMS."""
        with self.lock:
            kept = self.sandboxed if fields.get("Sandbox") == "1" else self.messages
            sid = f"{len(self.messages) + len(self.sandboxed) + 1:032x}"
            kept.append({**fields, "SMSID": sid})
            if kept is self.messages and fields.get("RequestId"):
                self._remembered[fields["RequestId"]] = self.clock()
        self.taken.set()
        return {"CodeResult": "100", "CountRegenerate": 0, "SMSID": sid}

    def callback_url(self, sid: str, status: str = "5", joiner: str = "&", **changes: str) -> str:
        """Where a callback about a message goes; what is not known is told as the vendor's example does.

        Args:
            sid: the message.
            status: ``SendStatus``.
            joiner: between the address that was given and the parameters: it isn't known whether eSMS minds a "?".
            changes: other parameters than those of a success.
        """
        message = next(m for m in self.messages if m["SMSID"] == sid)
        fields = {
            "SMSID": sid,
            "SendFailed": "0",
            "SendStatus": status,
            "SendSuccess": "1" if status == "5" else "0",
            "TotalPrice": f"{PRICE * segments(message['Content']).count}.0000",
            "TotalReceiver": "1",
            "TotalSent": "1",
            "RequestId": message.get("RequestId", ""),
            "TypeId": "2",
            "telcoid": "1",
            "phonenumber": "0" + message["Phone"].removeprefix("84"),
            "switchsmsid": "",
        }
        return f"{message['CallbackUrl']}{joiner}{urlencode(fields | changes)}"

    def call_back(self, url: str, seconds: float = 5) -> tuple[int, int]:
        """Calls back, five times more where no answer comes.

        Returns:
            The HTTP status (0: never an answer), and how many calls it took.
        """
        for call in range(1, 7):
            try:
                with urlopen(url, timeout=seconds) as answer:  # noqa: S310 - our own address
                    return int(answer.status), call
            except URLError as error:
                if (status := getattr(error, "code", None)) is not None:
                    return int(status), call
            except TimeoutError:
                pass
        return 0, 6

    def _fields(self, handler: Handler, body: bytes) -> dict[str, str] | None:
        if handler.where != PATH:
            handler.answer(404, b"<html>Endpoint not found.</html>", "text/html")
            return None
        try:
            fields = json.loads(body)
        except ValueError:
            fields = None
        json_sent = handler.headers.get("Content-Type", "").split(";")[0] == "application/json"
        if not json_sent or not isinstance(fields, dict) or not all(isinstance(v, str) for v in fields.values()):
            handler.answer(400, b"<html>Request Error</html>", "text/html")
            return None
        return fields

    def _fault(self, fields: dict[str, str]) -> int | None:
        unicode = segments(fields.get("Content", "")).encoding != "gsm7"
        checks = [
            (fields.get("ApiKey") == API_KEY and fields.get("SecretKey") == SECRET_KEY, 101),
            (fields.keys() <= _KNOWN and all(fields.get(name) for name in _NEEDED), 110),
            (fields.get("SmsType") == "2", 118),
            (fields.get("Brandname") in self.brandnames, 104),
            (_PHONE.fullmatch(fields.get("Phone", "")) is not None, 108),
            (fields.get("Phone") not in self.blocked, 99),
            (fields.get("IsUnicode", "0") == ("1" if unicode else "0"), 146),
            (not self.templates or any(re.fullmatch(one, fields.get("Content", "")) for one in self.templates), 146),
            (len(fields.get("RequestId", "")) <= 50, 110),
            (fields.get("Sandbox", "0") in {"0", "1"}, 110),
            (fields.get("CallbackUrl", "https://").startswith(("http://", "https://")), 110),
        ]
        return next((code for passed, code in checks if not passed), None)

    def _taken_before(self, request_id: str | None) -> bool:
        taken = self._remembered.get(request_id or "")
        now = self.clock()
        return taken is not None and local(taken).date() == local(now).date() and now - taken < timedelta(hours=24)
