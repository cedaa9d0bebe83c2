"""Who is at the page: the browser's cookie is the sender, and where the request comes from.

There are two doors to the same chat. The office's own page has a cookie that other sites never get to use. The frame on
a commune's site needs one that a browser keeps for a frame on another site: SameSite=None, Secure, and Partitioned, so
that it is another one on each site and nobody can follow a citizen from site to site.

Each office has two such doors of its own below ``/xa/<slug>``: what is written there is written to that office. Their
cookies live on those paths alone, so one browser at two offices' pages is two visitors whose talks never mix.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import Response

COOKIE_DAYS = 30
EMBED = "/nhung"
OFFICES = "/xa"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,64}")
_IPV6_SITE = 64  # bits: what one household or office has


@dataclass(frozen=True, slots=True)
class Door:
    """One way in.

    Attributes:
        path: stands before the chat's addresses.
        cookie: the name of its cookie.
        framed: for other sites' frames.
        office: slug of the office whose own page it is, None for the one that all share.
    """

    path: str
    cookie: str
    framed: bool = False
    office: str | None = None

    @property
    def page(self) -> str:
        """The address of its page."""
        return self.path or "/"

    def visitor(self, request: Request) -> str | None:
        """The visitor's token, None for a new one."""
        token = request.cookies.get(self.cookie, "")
        return token if _TOKEN.fullmatch(token) else None

    def remember(self, response: Response, token: str, *, secure: bool) -> Response:
        """Sets the cookie. ``secure``: the office's page has https (the frame's cookie is always Secure)."""
        if self.framed:
            # Written by hand: Starlette sets Partitioned only from Python 3.14 on.
            response.headers.append(
                "set-cookie",
                f"{self.cookie}={token}; Max-Age={COOKIE_DAYS * 86400}; Path={self.path}; HttpOnly; Secure; "
                "SameSite=None; Partitioned",
            )
        else:
            response.set_cookie(
                self.cookie, token, max_age=COOKIE_DAYS * 86400, httponly=True, samesite="lax", secure=secure,
                path=self.page,
            )  # fmt: skip
        return response

    def admits(self, request: Request) -> bool:
        """Whether a message comes from our own page."""
        if self.framed and request.headers.get("origin") is None:
            return False  # its cookie goes along with requests from other sites too, and every browser says here
        return same_origin(request)


OWN_PAGE = Door("", "motcua_chat")
FRAME = Door(EMBED, "motcua_chat_nhung", framed=True)


def page_of(office: str) -> Door:
    """An office's own page, where ``OWN_PAGE`` is everybody's."""
    return Door(f"{OFFICES}/{office}", "motcua_chat_xa", office=office)


def frame_of(office: str) -> Door:
    """An office's frame on its own site, where ``FRAME`` is everybody's."""
    return Door(f"{OFFICES}/{office}{EMBED}", FRAME.cookie, framed=True, office=office)


def new_visitor() -> str:
    """A token for a browser that has none."""
    return secrets.token_urlsafe(32)


def same_origin(request: Request) -> bool:
    """Whether a form or fetch comes from our own page (a browser always says for POST)."""
    origin = request.headers.get("origin")
    if origin is None:
        return True  # no browser sent it; the cookie is SameSite=Lax besides
    return urlsplit(origin).netloc == request.headers.get("host")


def network_of(request: Request) -> str | None:
    """The network a request comes from, for limits: an IPv4 address, or the /64 of an IPv6 address.

    A proxy's word counts only where uvicorn was told to trust it.
    """
    if request.client is None:
        return None
    try:
        address = ip_address(request.client.host)
    except ValueError:
        return request.client.host[:64]
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((address, _IPV6_SITE), strict=False))
