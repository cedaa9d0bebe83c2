"""A strict stand-in for Zalo's ZBS templates, by phone and by user id, on 127.0.0.1 (reference/channels.md §3).

Errors come with HTTP 200. Nothing is told twice: each accepted POST is one message. Both hosts are this one server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from standins.server import Handler, StandIn

from bot.clock import local, utc_now

BY_PHONE, BY_USER = "/message/template", "/v3.0/oa/message/template"
TOKEN = "stand-in-access-token"
TEMPLATE = "7895417a7d3f9461cd2e"
USER = "2512523625412515"
_PHONE = re.compile(r"84\d{9}")


class ZaloTemplateStandIn(StandIn):
    """The server; ``with ZaloTemplateStandIn() as zalo`` runs it.

    Attributes:
        token: the access token that is good now.
        templates: id → parameter → longest value.
        strangers: phones without Zalo.
        messages: every message taken, in order.
        night: whether the ban from 22:00 to 6:00 is in force.
    """

    own = frozenset({"numberless"})  # taken, but the answer tells no id

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__()
        self.clock = clock
        self.token = TOKEN
        self.templates: dict[str, dict[str, int]] = {TEMPLATE: {"office": 30, "code": 30}}
        self.strangers: set[str] = set()
        self.messages: list[dict[str, Any]] = []
        self.night = True

    def post(self, handler: Handler, body: bytes) -> None:
        """One send."""
        if handler.where not in {BY_PHONE, BY_USER}:
            handler.answer(404, b"<html>", "text/html")
            return
        by_phone = handler.where == BY_PHONE
        code = self._fault(handler.headers, body, by_phone=by_phone)
        step = self.next_step() if code is None else code
        if isinstance(step, int):
            handler.answer_json(200, {"error": step, "message": "refused for 84951234567"})
            return
        fields = json.loads(body)
        if step == "numberless":
            self.take(fields, by_phone=by_phone)
            handler.answer_json(200, {"error": 0, "message": "Success"})
        elif not handler.trouble(step, lambda: self.take(fields, by_phone=by_phone)):
            handler.answer_json(200, self.take(fields, by_phone=by_phone))

    def take(self, fields: dict[str, Any], *, by_phone: bool) -> dict[str, Any]:
        """Accepts one message."""
        with self.lock:
            self.messages.append(fields)
            number = f"a4d0{len(self.messages):028x}"
        self.taken.set()
        data = {"msg_id": number} if by_phone else {"message_id": number, "user_id": fields["user_id"]}
        quota = {"dailyQuota": "500", "remainingQuota": "499"}
        return {"error": 0, "message": "Success", "data": {**data, "sent_time": "1626926349402", "quota": quota}}

    def _fault(self, headers: Mapping[str, str], body: bytes, *, by_phone: bool) -> int | None:
        if headers.get("access_token") != self.token or headers.get("Authorization"):
            return -124 if by_phone else -216
        try:
            fields = json.loads(body)
        except ValueError:
            return -111
        fault = self._fault_of_data(fields)
        return fault or (self._fault_of_phone(fields) if by_phone else self._fault_of_user(fields))

    def _fault_of_data(self, fields: dict[str, Any]) -> int | None:
        template, data = self.templates.get(fields.get("template_id")), fields.get("template_data")
        if template is None:
            return -109
        if not isinstance(data, dict) or not data:
            return -111
        if data.keys() != template.keys() or not all(isinstance(v, str) and v for v in data.values()):
            return -112
        return -1124 if any(len(value) > template[name] for name, value in data.items()) else None

    def _fault_of_phone(self, fields: dict[str, Any]) -> int | None:
        if fields.keys() - {"phone", "template_id", "template_data", "tracking_id", "mode"}:
            return -112
        if not isinstance(fields.get("phone"), str) or not _PHONE.fullmatch(fields["phone"]):
            return -108
        if not isinstance(fields.get("tracking_id", ""), str) or len(fields.get("tracking_id", "")) > 48:
            return -112
        if fields["phone"] in self.strangers:
            return -118
        return -133 if self.night and not 6 <= local(self.clock()).hour < 22 else None

    def _fault_of_user(self, fields: dict[str, Any]) -> int | None:
        if fields.keys() - {"user_id", "template_id", "template_data"}:
            return -201  # one source: tracking_id is not taken here
        return None if re.fullmatch(r"\d{10,25}", str(fields.get("user_id"))) else -201
