"""Fetching a citizen's photo from a channel's picture servers, and from nowhere else.

The address comes from a message, so it is not trusted: only https, only hosts on a list, each redirect checked
again, at most 8 MiB and 10 seconds, nothing unpacked. Nothing is stored.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Collection

import httpx

from bot.channels.port import FetchError

MAX_BYTES = 8 * 1024 * 1024
SECONDS = 10.0
REDIRECTS = 3
# Grade [D]: no vendor page names the servers of citizens' pictures; the first live photo tells. ZALO_PHOTO_HOSTS
# takes their place without a new release.
ZALO_HOSTS = frozenset({"zdn.vn", "zadn.vn", "zaloapp.com", "zalo.me", "zaloplatforms.com"})


def zalo_hosts(setting: str) -> frozenset[str]:
    """The hosts that ZALO_PHOTO_HOSTS names (comma-separated), Zalo's own where it names none."""
    named = frozenset(host.strip().lower() for host in setting.split(",") if host.strip())
    return named or ZALO_HOSTS


def allowed(url: httpx.URL, hosts: Collection[str]) -> bool:
    """Whether a photo may be fetched from there.

    Args:
        url: read by the same parser that will open it, so that no two readings of one address differ.
        hosts: domains (their subdomains count too) and loopback addresses, each with or without a port. A loopback
            address that is listed may speak http: a stand-in for tests.
    """
    host = url.raw_host.decode("ascii").lower().rstrip(".")
    if not host or url.userinfo:
        return False
    if _is_loopback(host):
        return url.scheme in {"http", "https"} and (host in hosts or f"{host}:{url.port}" in hosts)
    # A bare number is no subdomain of anything, so inner networks are out of reach.
    named = any(host == one or host.endswith(f".{one}") for one in hosts)
    return url.scheme == "https" and url.port in {None, 443} and named


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def fetch(address: str, hosts: Collection[str]) -> bytes:
    """The bytes of a photo; blocks for about ``SECONDS`` at most.

    Args:
        address: as it came in.
        hosts: see ``allowed``.

    Raises:
        FetchError: not allowed, gone or too large (final); not reachable now (not final). Its text holds no address.
    """
    until = time.monotonic() + SECONDS
    try:
        url = httpx.URL(address)
        with httpx.Client(timeout=SECONDS, headers={"accept-encoding": "identity"}) as client:
            for _ in range(REDIRECTS + 1):
                if not allowed(url, hosts):
                    raise FetchError("ảnh không nằm ở máy chủ được phép (ZALO_PHOTO_HOSTS)", final=True)
                with client.stream("GET", url) as answer:
                    if not answer.is_redirect:
                        return _body(answer, until)
                    url = url.join(answer.headers["location"])
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        # An unreadable address will not get better; a server may.
        final = not isinstance(error, httpx.TransportError)
        raise FetchError(f"không tải được ảnh: {type(error).__name__}", final=final) from None
    raise FetchError("máy chủ ảnh chuyển hướng quá nhiều lần", final=True)


def _body(answer: httpx.Response, until: float) -> bytes:
    status = answer.status_code
    if status != 200:
        raise FetchError(f"máy chủ ảnh trả lời {status}", final=status < 500 and status not in {408, 425, 429})
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchError("máy chủ ảnh gửi dữ liệu nén", final=True)
    data = bytearray()
    for chunk in answer.iter_raw():
        data += chunk
        if len(data) > MAX_BYTES:
            raise FetchError("ảnh quá lớn", final=True, problem="too_large")
        if time.monotonic() > until:
            raise FetchError("tải ảnh quá lâu")
    return bytes(data)
