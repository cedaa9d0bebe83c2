"""Photos come from the listed servers only, in bounds of size and time, and an address never shows in an error."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from types import SimpleNamespace

import httpx
import pytest

from bot.channels import photo_fetch
from bot.channels.photo_fetch import MAX_BYTES, ZALO_HOSTS, allowed, fetch, zalo_hosts
from bot.channels.port import FetchError

PICTURE = b"\xff\xd8" + b"x" * 5000


# Path → status, body, headers; a path of digits is answered with that status.
ANSWERS: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "/ok": (200, PICTURE, {}),
    "/away": (302, b"", {"location": "https://evil.example/ok"}),
    "/near": (302, b"", {"location": "/ok"}),
    "/round": (302, b"", {"location": "/round"}),
    "/nowhere": (302, b"", {"location": "http://["}),
    "/huge": (200, b"x" * (MAX_BYTES + 1), {}),
    "/packed": (200, b"x", {"content-encoding": "gzip"}),
    "/broken": (200, b"x", {"content-length": "100"}),
}


class Handler(BaseHTTPRequestHandler):
    """A picture server that misbehaves as its paths say."""

    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path == "/drop":
            return
        status = int(self.path.strip("/") or 0) if self.path.strip("/").isdigit() else 404
        status, body, headers = ANSWERS.get(self.path, (status, b"no", {}))
        self.send_response(status)
        for name, value in ({"content-length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, args=[0.02], daemon=True).start()

    def handle_error(self, *_: object) -> None:
        pass  # the client hung up, as it should


class Pictures:
    def __init__(self) -> None:
        self._server = Server()
        self.asked = self._server.asked
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def pictures() -> Iterator[Pictures]:
    server = Pictures()
    yield server
    server.close()


def refused(address: str, hosts: frozenset[str]) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetch(address, hosts)
    assert address.partition("://")[2] not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize(
    "url",
    [
        "https://photo-stal-20.zdn.vn/a/b.jpg?x=1", "https://zalo.me/a", "HTTPS://F9.Photo.ZAdn.vn:443/x",
        "https://bot.zaloplatforms.com./p",
    ],
)  # fmt: skip
def test_zalos_own_servers_are_allowed(url: str) -> None:
    assert allowed(httpx.URL(url), ZALO_HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        "http://photo.zdn.vn/a", "https://evil.example/a", "https://xzdn.vn/a", "https://zdn.vn.evil.example/a",
        "https://zdn.vn@evil.example/a", "https://evil.example#@zdn.vn", "https://evil.example\\@zdn.vn/",
        "https://user:pass@zdn.vn/a", "https://zdn.vn:8443/a", "https://127.0.0.1/a", "https://[::1]/a",
        "http://169.254.169.254/latest", "https://2130706433/", "https://localhost/a", "ftp://zdn.vn/a",
        "file:///etc/passwd", "//zdn.vn/a", "zdn.vn/a", "https:///a", "",
    ],
)  # fmt: skip
def test_everything_else_is_not(url: str) -> None:
    assert not allowed(httpx.URL(url), ZALO_HOSTS)


def test_a_loopback_address_only_where_it_is_listed() -> None:
    assert allowed(httpx.URL("http://127.0.0.1:81/a"), {"127.0.0.1"})
    assert allowed(httpx.URL("http://127.0.0.1:81/a"), {"127.0.0.1:81"})
    assert not allowed(httpx.URL("http://127.0.0.1:82/a"), {"127.0.0.1:81"})
    assert not allowed(httpx.URL("http://10.0.0.1/a"), {"10.0.0.1"})


def test_the_setting_takes_the_place_of_zalos_own() -> None:
    assert zalo_hosts("") == ZALO_HOSTS
    assert zalo_hosts(" Anh.example , 127.0.0.1:9 ") == {"anh.example", "127.0.0.1:9"}


def test_a_photo_is_fetched_also_behind_a_redirect_on_the_same_list(pictures: Pictures) -> None:
    hosts = frozenset({pictures.host})
    assert fetch(f"{pictures.url}/ok", hosts) == PICTURE
    assert fetch(f"{pictures.url}/near", hosts) == PICTURE


@pytest.mark.parametrize(
    ("path", "final"),
    [
        ("404", True), ("403", True), ("503", False), ("429", False), ("away", True),
        ("round", True), ("nowhere", True), ("packed", True), ("broken", False), ("drop", False),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_tried_again_where_that_may_help(pictures: Pictures, path: str, final: bool) -> None:
    error = refused(f"{pictures.url}/{path}", frozenset({pictures.host}))
    assert (error.final, error.problem) == (final, "not_fetched")
    assert len(pictures.asked) <= photo_fetch.REDIRECTS + 1


def test_what_is_not_allowed_is_not_even_asked_for(pictures: Pictures) -> None:
    assert refused(f"{pictures.url}/ok", ZALO_HOSTS).final
    assert pictures.asked == []


def test_what_is_no_address_is_final() -> None:
    assert refused("http://[::1", ZALO_HOSTS).final
    assert refused("https://zdn.vn:99999999/", ZALO_HOSTS).final


def test_too_large_is_told_as_that(pictures: Pictures) -> None:
    error = refused(f"{pictures.url}/huge", frozenset({pictures.host}))
    assert (error.final, error.problem) == (True, "too_large")


def test_too_slow_is_given_up(pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count(0, 6)  # each look at the clock is six seconds later
    monkeypatch.setattr(photo_fetch, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setitem(ANSWERS, "/ok", (200, b"x" * 300_000, {}))
    assert not refused(f"{pictures.url}/ok", frozenset({pictures.host})).final


def test_nobody_listening_is_no_final_answer(pictures: Pictures) -> None:
    pictures.close()
    assert not refused(f"{pictures.url}/ok", frozenset({pictures.host})).final
