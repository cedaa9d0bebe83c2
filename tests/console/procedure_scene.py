"""What the tests of procedures and the office share: forms as a browser sends them, a second pair of eyes."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

from tests.console.conftest import Visitor

CODE = "2.000815"  # chứng thực bản sao: one fee of 2.000 đồng a page
RESOLUTION = "Nghị quyết 12/2026/NQ-HĐND"


class Fields(HTMLParser):
    """The fields of the form "facts" as a browser would send them, without any button."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {}
        self._in = False
        self._select: str | None = None
        self._options: list[tuple[str, bool]] = []
        self._area: str | None = None
        self._text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._in = "facts" in (given.get("class") or "")
        name = given.get("name")
        if not self._in:
            return
        if tag == "input" and name:
            kind = given.get("type", "text")
            if kind != "checkbox" or "checked" in given:
                self.found.setdefault(name, []).append(given.get("value") or "")
        elif tag == "select" and name:
            self._select, self._options = name, []
        elif tag == "option" and self._select:
            self._options.append((given.get("value") or "", "selected" in given))
        elif tag == "textarea" and name:
            self._area, self._text = name, ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area:
            self.found.setdefault(self._area, []).append(self._text)
            self._area = None
        elif tag == "select" and self._select:
            chosen = next((value for value, selected in self._options if selected), self._options[0][0])
            self.found.setdefault(self._select, []).append(chosen)
            self._select = None
        elif tag == "form":
            self._in = False


def form_of(page: Any) -> dict[str, list[str]]:
    """The form on an answer's page."""
    found = Fields(page.text).found
    assert found, page.text[:2000]
    return found


def send(visitor: Visitor, path: str, form: dict[str, Any], act: str, **changes: Any) -> Any:
    """Sends a form with a button; the answer is not followed."""
    data = {**form, **changes, "act": act, "csrf": visitor.csrf}
    return visitor.post(path, data=data, follow_redirects=False)


def edit(visitor: Visitor, path: str, /, ask: str = "", **changes: Any) -> Any:
    """Opens a form, changes fields ("__" stands for "."), looks at the preview and saves; the last answer."""
    named = {name.replace("__", "."): value for name, value in changes.items()}
    seen = send(visitor, path, form_of(visitor.get(path + ask)), "preview", **named)
    if seen.status_code != 200:
        return seen
    return send(visitor, path, form_of(seen), "save")


def waiting(visitor: Visitor, path: str) -> list[str]:
    """Numbers of the edits that wait on a page."""
    return re.findall(r'aria-label="Bản (\d+) chờ xác nhận"', visitor.get(path).text)


def confirm(visitor: Visitor, path: str) -> Any:
    """Confirms the first edit that waits on a page."""
    (number, *_) = waiting(visitor, path)
    return visitor.submit(f"/staff/procedures/edits/{number}/decide", follow_redirects=False, act="confirm")


def texts(page: Any) -> str:
    """A page's text without tags, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())
