"""Visitors of the chat page: what its script does over HTTP, and what they see in the end."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

_FORM = "application/x-www-form-urlencoded"
_COOKIE = re.compile(r"motcua_chat=([\w-]+)")


class Browsers:
    """All visitors, each with a cookie from the page.

    Attributes:
        visitors: number of a visitor → the cookie's value, which is the sender in the inbox.
        written: visitor's number → own ids of their messages, in the order the service took them.
        seen: visitor's number → ids of the answers shown in reply to their messages.
    """

    def __init__(self) -> None:
        self.visitors: dict[int, str] = {}
        self.written: dict[int, list[str]] = {}
        self.seen: dict[int, set[int]] = {}

    def say(self, base: str, sender: int, number: int, said: str | bytes) -> bool:
        """Opens the page where it is not open, and sends a text or a photo; whether it was taken.

        Raises:
            OSError, HTTPException: nobody answered.
        """
        cookie = self.visitors.get(sender) or self._open(base, sender)
        if cookie is None:
            return False
        own = f"web-{number:08d}"
        headers = {"cookie": f"motcua_chat={cookie}", "accept": "application/json", "origin": base}
        if isinstance(said, bytes):
            path, body, kind = f"/chat/photo?id={own}", said, "image/png"
        else:
            path, body, kind = "/chat", urlencode({"text": said, "id": own}).encode(), _FORM
        with _asked(base, "POST", path, body, headers | {"content-type": kind}) as answer:
            body = answer.read()
            if answer.status not in {200, 202}:
                return refused(answer.status)
        mine = self.written.setdefault(sender, [])
        if own not in mine:
            mine.append(own)
        self.seen.setdefault(sender, set()).update(int(one["id"]) for one in json.loads(body)["replies"])
        return True

    def watch(self, base: str, sender: int, seconds: float) -> bool:
        """Opens the stream as the page does and waits for the answers to everything written; whether they came.

        Raises:
            OSError, HTTPException: nobody answered.
        """
        mine = set(self.written[sender])
        told = self.stream(base, sender, lambda told: mine <= {one["to"] for one in told}, seconds)
        self.seen[sender].update(int(one["id"]) for one in told)
        return mine <= {one["to"] for one in told}

    def _open(self, base: str, sender: int) -> str | None:
        with _asked(base, "GET", "/", None, {}) as answer:
            answer.read()
            found = _COOKIE.search(answer.getheader("set-cookie") or "")
            if answer.status != 200 or found is None:
                refused(answer.status)
                return None
        return self.visitors.setdefault(sender, found[1])

    def stream(self, base: str, sender: int, enough: Callable[[list[dict[str, Any]]], bool], seconds: float) -> Any:
        """What a page that is opened anew gets on its event stream, until it is enough or time is up."""
        headers = {"cookie": f"motcua_chat={self.visitors[sender]}", "accept": "text/event-stream"}
        told: list[dict[str, Any]] = []
        until = time.monotonic() + seconds
        with _asked(base, "GET", "/chat/events?after=0", None, headers, seconds) as answer:
            if answer.status != 200:
                refused(answer.status)
                return told
            while not enough(told) and time.monotonic() < until:
                try:
                    line = answer.readline()
                except TimeoutError:
                    break
                if not line:
                    break
                if line.startswith(b"data: "):
                    told.append(json.loads(line[6:]))
        return told


class RefusedError(Exception):
    """An answer that no repeat makes better: the HTTP status."""


def refused(status: int) -> bool:
    """False, for another try, where the service has a trouble of its own.

    Raises:
        RefusedError: it is ours.
    """
    if status < 500 and status != 429:
        raise RefusedError(status)
    return False


@contextmanager
def _asked(
    base: str, method: str, path: str, body: bytes | None, headers: dict[str, str], seconds: float = 30
) -> Iterator[http.client.HTTPResponse]:
    with closing(http.client.HTTPConnection(urlsplit(base).netloc, timeout=seconds)) as connection:
        connection.request(method, path, body, headers)
        yield connection.getresponse()
