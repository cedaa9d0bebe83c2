"""Fetching a photo that a citizen sent: only from Zalo's own servers, only so much, only so long.

The address comes in a signed web hook, yet it is somebody else's: what it names is checked again at every step.
"""

from __future__ import annotations

import ipaddress
import re
import time

import httpx

from bot.channels.port import FetchError
from bot.channels.zalo_oa.wire import trust
from bot.settings import Settings

# Where Zalo keeps pictures: a guess from addresses seen in public posts [D]. ZALO_PHOTO_HOSTS replaces it.
PHOTO_HOSTS = "zdn.vn,zadn.vn,zaloapp.com,zalo.me"
MAX_BYTES = 8 * 1024 * 1024
SECONDS = 10.0
MAX_REDIRECTS = 3
_HOST = re.compile(r"[a-z0-9.-]{1,253}")  # a name or an IPv4 address
_MAY_COME_BACK = frozenset({408, 425, 429})


def allowed(address: str, hosts: str) -> httpx.URL | None:
    """The address, parsed, if a photo may be fetched from it; else None.

    Args:
        address: as the web hook or a redirect gave it.
        hosts: comma-separated; a name allows https on it and on everything below it; ``host:port`` with a loopback
            host (a stand-in) allows exactly that, with http too.
    """
    try:
        url = httpx.URL(address)
        host, port = url.host.lower().rstrip("."), url.port
    except (httpx.InvalidURL, ValueError):
        return None
    if url.userinfo or not _HOST.fullmatch(host):
        return None
    for entry in (part.strip().lower() for part in hosts.split(",") if part.strip()):
        name, _, its_port = entry.rpartition(":") if entry.rsplit(":", 1)[-1].isdecimal() else (entry, "", "")
        if its_port:
            if _loopback(name) and (host, str(port)) == (name, its_port) and url.scheme in {"http", "https"}:
                return url
        elif url.scheme == "https" and port in {None, 443} and (host == name or host.endswith(f".{name}")):
            return url
    return None


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def fetch(settings: Settings, address: str, transport: httpx.BaseTransport | None = None) -> bytes:
    """The bytes of a photo; blocks.

    Raises:
        FetchError: final where the address is not Zalo's, the photo is gone or larger than ``MAX_BYTES``.
    """
    hosts = settings.zalo_photo_hosts or PHOTO_HOSTS
    until = time.monotonic() + SECONDS
    try:
        with httpx.Client(transport=transport, verify=trust(), timeout=SECONDS, follow_redirects=False) as client:
            for _ in range(MAX_REDIRECTS + 1):
                url = allowed(address, hosts)
                if url is None:
                    raise FetchError("ảnh không nằm ở máy chủ của Zalo (xem ZALO_PHOTO_HOSTS)", final=True)
                with client.stream("GET", url, headers={"accept-encoding": "identity"}) as response:
                    if not response.has_redirect_location:
                        return _read(response, until)
                    address = str(url.join(response.headers["location"]))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FetchError(f"không tải được ảnh ({type(error).__name__})") from error
    raise FetchError("ảnh chuyển hướng quá nhiều lần", final=True)


def _read(response: httpx.Response, until: float) -> bytes:
    status = response.status_code
    if status != 200:
        final = 300 <= status < 500 and status not in _MAY_COME_BACK
        raise FetchError(f"máy chủ ảnh trả HTTP {status}", final=final)
    data = bytearray()
    # Raw: a compressed answer is never unpacked, so it cannot swell.
    for chunk in response.iter_raw():
        data += chunk
        if len(data) > MAX_BYTES:
            raise FetchError(f"ảnh lớn hơn {MAX_BYTES} byte", final=True)
        if time.monotonic() > until:
            raise FetchError("tải ảnh quá lâu")
    return bytes(data)
