"""Telegram's web hook: verified by a secret header, answered with 200 once the message is in the inbox."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Awaitable, Callable

from fastapi import APIRouter, HTTPException, Request, Response

from bot.errors import BadInputError
from bot.office_accounts import key
from bot.secrets import secret_key
from bot.settings import Settings

log = logging.getLogger("motcua.telegram")
PATH = "/webhooks/telegram"


def path_of(account: str | None) -> str:
    """Where the bot of an office, or the one that all share, is called."""
    return key(PATH, account)


def webhook_secret(settings: Settings, account: str | None = None) -> str:
    """The secret Telegram sends back with each call: from the environment, else derived from the office's key.

    Args:
        settings: of this account (``Settings.at``).
        account: of an office, so that one bot's secret opens no other's web hook.
    """
    if settings.telegram_webhook_secret is not None:
        return settings.telegram_webhook_secret.get_secret_value()
    return hmac.new(secret_key(settings), key("telegram-webhook", account).encode(), hashlib.sha256).hexdigest()


def verified(settings: Settings, header: str | None, account: str | None = None) -> bool:
    """Whether a call carries the secret (constant time)."""
    return hmac.compare_digest((header or "").encode(), webhook_secret(settings, account).encode())


def router(
    settings: Settings,
    account: str | None,
    started: Callable[[], bool],
    take: Callable[[object], Awaitable[object]],
) -> APIRouter:
    """The route.

    Args:
        settings: hold the secret.
        account: whose bot it is.
        started: whether messages can be taken in.
        take: commits a parsed update; ``BadInputError`` where it is none.
    """
    routes = APIRouter(include_in_schema=False)

    @routes.post(path_of(account))
    async def hook(request: Request) -> Response:
        if not verified(settings, request.headers.get("x-telegram-bot-api-secret-token"), account):
            log.warning("web hook Telegram: từ chối, sai mã bí mật")
            raise HTTPException(403)
        if not started():
            raise HTTPException(503)
        body = await request.body()
        try:
            await take(json.loads(body))
        except (ValueError, RecursionError) as error:  # BadInputError is a ValueError
            reason = str(error) if isinstance(error, BadInputError) else type(error).__name__
            log.warning("web hook Telegram: bỏ tin sai dạng: %s", reason)
            raise HTTPException(400) from None
        except Exception as error:  # noqa: BLE001 - whatever the database had: Telegram brings it again
            # Without the trace, which may hold what was written.
            log.error("web hook Telegram: chưa nhận được tin, Telegram sẽ gửi lại: %s", type(error).__name__)  # noqa: TRY400
            raise HTTPException(503) from None
        return Response(status_code=200)

    return routes
