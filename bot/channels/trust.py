"""Which certificates are trusted: read once a process, because reading them takes longer than a request."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def trust() -> ssl.SSLContext:
    """The one context for all clients of channels; of a hundred bots each would read its own else (40 ms, 1 MB)."""
    return httpx.create_ssl_context()
