"""OAuth v4 of Zalo: a code or a refresh token for a new pair (reference/channels.md §1.1 [B])."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

import httpx

from bot.channels.zalo_oa import wire
from bot.channels.zalo_oa.errors import ZaloError, refusal
from bot.secrets import digest
from bot.settings import Settings

TOKEN_PATH = "/v4/oa/access_token"  # noqa: S105
CONSENT_PATH = "/v4/oa/permission"
_LIFETIME = timedelta(hours=25)  # where the answer doesn't say
_LONGEST = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Pair:
    """A token pair. ``refresh`` is None where the answer had none: the old one stays good [C]."""

    access: str
    refresh: str | None
    lifetime: timedelta

    def __repr__(self) -> str:
        """Without the tokens."""
        return f"Pair(lifetime={self.lifetime})"


def pkce_verifier(settings: Settings) -> str:
    """43 characters derived from the office's key, so that the challenge saved in Zalo's console stays right.

    Zalo keeps one fixed challenge for an account; a pair for each request fails [C].
    """
    return _base64url(bytes.fromhex(digest(settings, "zalo-pkce", settings.zalo_app_id or "")))


def pkce_challenge(verifier: str) -> str:
    """base64url without padding of the verifier's SHA-256."""
    return _base64url(hashlib.sha256(verifier.encode("ascii")).digest())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def consent_link(settings: Settings, callback: str) -> str:
    """Where the account's owner grants the application its rights."""
    query = {
        "app_id": settings.zalo_app_id or "",
        "redirect_uri": callback,
        "code_challenge": pkce_challenge(pkce_verifier(settings)),
    }
    return f"{settings.zalo_oauth_base_url}{CONSENT_PATH}?{urlencode(query)}"


class OAuth:
    """Asks for pairs; keeps nothing."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._transport = transport

    async def refresh(self, token: str) -> Pair:
        """A new pair for a refresh token, which is used up with it.

        Raises:
            ZaloError: with a code: refused; without: no answer, the token may or may not be used up.
        """
        return await self._pair({"grant_type": "refresh_token", "refresh_token": token})

    async def exchange(self, code: str) -> Pair:
        """The first pair, for the code of a consent (10 minutes, once).

        Raises:
            ZaloError: see ``refresh``; also where the answer holds no refresh token.
        """
        verifier = pkce_verifier(self._settings)
        pair = await self._pair({"grant_type": "authorization_code", "code": code, "code_verifier": verifier})
        if pair.refresh is None:
            raise ZaloError("account", "Zalo không đưa refresh token")
        return pair

    async def _pair(self, fields: Mapping[str, str]) -> Pair:
        secret = self._settings.zalo_app_secret
        async with wire.http_client(self._settings.zalo_oauth_base_url, self._transport) as client:
            answer = await wire.ask(
                client,
                "POST",
                TOKEN_PATH,
                data={**fields, "app_id": self._settings.zalo_app_id or ""},
                headers={"secret_key": secret.get_secret_value() if secret else ""},
            )
        if answer.error:
            raise refusal(answer.error, answer.words)
        access, refresh = answer.body.get("access_token"), answer.body.get("refresh_token")
        if not isinstance(access, str) or not access:
            raise ZaloError("uncertain", "trả lời của Zalo không có access token")
        return Pair(
            access, refresh if isinstance(refresh, str) and refresh else None, _lifetime(answer.body.get("expires_in"))
        )


def _lifetime(seconds: object) -> timedelta:
    """``expires_in``: a string of seconds [B], perhaps a number."""
    text = str(seconds)
    told = timedelta(seconds=int(text)) if text.isdecimal() and text.isascii() and len(text) < 9 else _LIFETIME
    return min(told, _LONGEST) or _LIFETIME
