"""Zalo's side of the web hook: events of every kind, signed as the reference says, sent until answered in time."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from standins.zalo_oa import APP_ID, OA_ID, OA_SECRET, ZaloStandIn

USER = "246845883529197922"
IN_TIME = 2.0  # seconds
RETRIES = 5  # 30 s, 5 m, 15 m, 30 m, 1 h: the pauses are left out here
_NUMBERS = count(1)


def mac(raw: bytes, timestamp: str, app_id: str = APP_ID, secret: str = OA_SECRET) -> str:
    """The signature, written out from the reference, not from our own code."""
    return hashlib.sha256(app_id.encode() + raw + timestamp.encode() + secret.encode()).hexdigest()


def event(name: str, at: datetime, user: str = USER, **more: Any) -> dict[str, Any]:
    """An event as Zalo builds it; ``more`` replaces or adds fields."""
    base: dict[str, Any] = {
        "app_id": APP_ID, "sender": {"id": user}, "user_id_by_app": "552177279717587730",
        "recipient": {"id": OA_ID}, "event_name": name, "timestamp": str(int(at.timestamp() * 1000)),
    }  # fmt: skip
    if name in {"follow", "unfollow"}:
        base = {key: value for key, value in base.items() if key not in {"sender", "recipient"}}
        base |= {"oa_id": OA_ID, "follower": {"id": user}, "source": "oa_profile"}
    return base | more


def text_event(text: str, at: datetime, user: str = USER, msg_id: str = "") -> dict[str, Any]:
    """A citizen writes, or taps a button whose payload is the text."""
    return event("user_send_text", at, user, message={"text": text, "msg_id": msg_id or f"m{next(_NUMBERS)}"})


def sent_event(kind: str, payload: dict[str, Any], at: datetime, user: str = USER, text: str = "") -> dict[str, Any]:
    """A citizen sends a picture, a place and so on."""
    message = {"msg_id": f"m{next(_NUMBERS)}", "text": text, "attachments": [{"type": kind, "payload": payload}]}
    return event(f"user_send_{kind}", at, user, message=message)


class Hooks:
    """Sends web hooks to one address.

    Attributes:
        timer: measures how long an answer takes.
        answers: (HTTP status or None for no answer, in time) of each try.
    """

    def __init__(self, url: str, zalo: ZaloStandIn, timer: Callable[[], float] = time.monotonic) -> None:
        self.url = f"{url}/webhooks/zalo-oa"
        self.zalo = zalo
        self.timer = timer
        self.answers: list[tuple[int | None, bool]] = []

    def once(self, body: dict[str, Any] | bytes, signature: str | None = None, retry: int = 0) -> int | None:
        """One try; its HTTP status, None where there was no answer. ``signature`` replaces the right one."""
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        headers = {"content-type": "application/json"}
        if signature is None and isinstance(body, dict):
            signature = f"mac={mac(raw, str(body['timestamp']))}"
        if signature:
            headers["x-zevent-signature"] = signature
        if retry:
            headers["num_retry"] = str(retry)
        begun = self.timer()
        try:
            with urlopen(Request(self.url, raw, headers, method="POST"), timeout=30) as answer:  # noqa: S310
                status: int | None = answer.status
        except HTTPError as error:
            status = error.code
            error.close()
        except (URLError, ConnectionError):
            status = None
        self.answers.append((status, self.timer() - begun <= IN_TIME))
        return status

    def deliver(self, body: dict[str, Any], copies: int = 1) -> None:
        """Delivers as Zalo does: the citizen's window opens, and again until 200 came in time."""
        user = body.get("sender", body.get("follower", {})).get("id")
        if user and body["event_name"].startswith(("user_send", "follow")):
            self.zalo.last_interaction[user] = self.zalo.clock()
        for _ in range(copies):
            for retry in range(RETRIES + 1):
                self.once(body, retry=retry)
                if self.answers[-1] == (200, True):
                    break
            else:
                raise AssertionError(f"never taken: {self.answers[-RETRIES - 1 :]}")
