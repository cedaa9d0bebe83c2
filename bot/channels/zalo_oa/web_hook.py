"""The web hook of the Official Account: verified, committed to the inbox, answered. Zalo waits two seconds [B]."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Protocol

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import Counter
from starlette.concurrency import run_in_threadpool

from bot.channels.port import Receive
from bot.channels.zalo_oa.events import (
    Delivered,
    Hook,
    Ignored,
    event_of,
    in_time,
    oa_of,
    other_signature,
    read_hook,
    signed,
)
from bot.clock import Clock
from bot.conversation.model import Incoming
from bot.errors import BadInputError
from bot.office_accounts import at_account
from bot.settings import Settings
from bot.texts import phrases

log = logging.getLogger("motcua.zalo")
PATH = "/webhooks/zalo-oa"
MAX_BODY = 64 * 1024  # events are about 1 kB; the text of a message has at most 2,000 characters
SIGNATURE = "x-zevent-signature"
_T = phrases("channels")["zalo"]
_NAME = re.compile(r"[a-z_]{1,40}")
_MOST_NAMES = 50  # of unknown events, each logged once
_EVENTS = Counter("motcua_zalo_events_total", "Web hooks of Zalo by event and what was done", ["event", "result"])


class Receiver(Protocol):
    """What the web hook needs of the channel."""

    settings: Settings
    clock: Clock
    receive: Receive | None

    def mark_delivered(self, message_ids: tuple[str, ...]) -> int:
        """See ``ZaloOa``."""
        ...


def router(channel: Receiver) -> APIRouter:
    """GET (the console looks whether it is there; also the callback of a login) and POST."""
    routes = APIRouter(include_in_schema=False)
    once = _Once()

    @routes.get(PATH)
    async def there(request: Request) -> Response:
        return PlainTextResponse(_T["callback_page" if "code" in request.query_params else "hook_page"])

    @routes.post(PATH)
    async def take(request: Request) -> Response:
        raw = await request.body()
        if len(raw) > MAX_BODY:
            _EVENTS.labels("other", "refused").inc()
            log.warning("web hook Zalo: %d byte, quá lớn", len(raw))
            raise HTTPException(413)
        if raw.strip() in {b"", b"{}"}:
            return Response(status_code=200)  # the console's test
        try:
            hook = read_hook(raw)
            office = channel.settings.office_of_oa(oa_of(hook))
            _verify(hook, request.headers.get(SIGNATURE, ""), channel, office, once)
            event = event_of(hook, trust_phone=channel.settings.zalo_trust_shared_phone)
            if isinstance(event, Incoming):
                event = at_account(event, office)
            await _done(event, hook.event, channel, once)
        except BadInputError as error:
            _EVENTS.labels("other", "refused").inc()
            log.warning("web hook Zalo sai dạng: %s", error)
            raise HTTPException(400) from error
        return Response(status_code=200)

    return routes


class _Once:
    """Which kinds of news this process has logged already."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, news: str) -> bool:
        new = news not in self._seen and len(self._seen) < _MOST_NAMES
        self._seen.add(news) if new else None
        return new


def _verify(hook: Hook, header: str, channel: Receiver, office: str | None, once: Callable[[str], bool]) -> None:
    """Raises HTTPException 403 where the signature is not right or the time is not now.

    ``office``: whose account the event says that it came to; its own secret, if any, proves that.
    """
    settings = channel.settings.at(office)
    oa_secret = settings.zalo_oa_secret.get_secret_value() if settings.zalo_oa_secret else ""
    if not signed(header, hook, settings.zalo_app_id or "", oa_secret):
        _EVENTS.labels("other", "forged").inc()
        log.warning("web hook Zalo: %s", "thiếu chữ ký" if not header else "chữ ký hoặc app_id sai")
        app_secret = settings.zalo_app_secret.get_secret_value() if settings.zalo_app_secret else ""
        rule = other_signature(header, hook, {"ZALO_OA_SECRET": oa_secret, "ZALO_APP_SECRET": app_secret})
        if rule is not None and once("signature"):
            log.error(
                "chữ ký web hook Zalo khớp quy tắc khác (%s) với tài liệu đã có; tin vẫn bị từ chối. "
                "Kiểm tra ZALO_APP_ID, ZALO_OA_SECRET rồi báo nhóm phát triển",
                rule,
            )
        raise HTTPException(403)
    if not in_time(hook, channel.clock()):
        _EVENTS.labels("other", "stale").inc()
        log.warning("web hook Zalo: thời điểm %s quá cũ hoặc ở tương lai", hook.at.isoformat(timespec="seconds"))
        raise HTTPException(403)


async def _done(
    event: Incoming | Delivered | Ignored, name: str, channel: Receiver, once: Callable[[str], bool]
) -> None:
    receive = channel.receive
    if receive is None:
        raise HTTPException(503)  # Zalo calls again
    if isinstance(event, Incoming):
        new = await run_in_threadpool(receive, event) is not None
        _EVENTS.labels(name, "taken" if new else "repeated").inc()
    elif isinstance(event, Delivered):
        marked = await run_in_threadpool(channel.mark_delivered, event.message_ids) if event.message_ids else 0
        _EVENTS.labels(name, "taken" if marked else "ignored").inc()
    elif event.known:
        _EVENTS.labels(name if _NAME.fullmatch(name) else "other", "ignored").inc()
    else:
        _EVENTS.labels("other", "unknown").inc()
        told = name if _NAME.fullmatch(name) else "(tên lạ)"
        if once(told):
            log.warning("web hook Zalo: sự kiện chưa biết %s, bỏ qua", told)
