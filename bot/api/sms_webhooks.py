"""Web hooks of SMS gateways: delivery reports, and messages of citizens."""

from __future__ import annotations

import logging
from collections.abc import Callable
from urllib.parse import parse_qsl

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from bot.clock import Clock
from bot.conversation.model import Incoming
from bot.errors import BadInputError
from bot.notices.delivery import record_status
from bot.settings import Settings
from bot.storage.database import Database

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024  # a Twilio form is about 1 kB
MAX_FIELDS = 200
EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response />'
PROVIDERS = frozenset({"twilio"})


def router(
    settings: Settings, database: Database, clock: Clock, receive: Callable[[Incoming], object] | None = None
) -> APIRouter:
    """The routes ``/webhooks/sms/{provider}/status`` and ``…/inbound``.

    ``receive`` commits one incoming message (a repeat is its business); without it, inbound answers 404.
    Unknown providers get 404, forged requests 403, and what is no form 400 or 413.
    """
    routes = APIRouter(prefix="/webhooks/sms", include_in_schema=False)

    @routes.post("/{provider}/status")
    async def status(provider: str, request: Request) -> Response:
        form = await _verified(provider, request, settings)
        notice = request.query_params.get("notice", "")
        sid, state = str(form.get("MessageSid") or ""), str(form.get("MessageStatus") or "").lower()
        if not sid or not state:
            raise HTTPException(400, "MessageSid, MessageStatus")

        def store() -> bool:
            with database.write() as session:
                return record_status(
                    session,
                    provider,
                    sid,
                    state,
                    clock(),
                    error_code=str(form.get("ErrorCode") or "") or None,
                    notice_id=int(notice) if notice.isascii() and notice.isdigit() and len(notice) < 19 else None,
                )

        changed = await run_in_threadpool(store)
        log.info("báo cáo gửi tin %s: %s%s", sid, state, "" if changed else " (bỏ qua)")
        return Response(status_code=204)

    @routes.post("/{provider}/inbound")
    async def inbound(provider: str, request: Request) -> Response:
        if receive is None:
            raise HTTPException(404)
        form = await _verified(provider, request, settings)
        photos = str(form.get("NumMedia") or "0") != "0"
        incoming = Incoming(
            channel="sms",
            sender=str(form.get("From") or ""),
            message_id=str(form.get("MessageSid") or ""),
            text=str(form.get("Body") or ""),
            at=clock(),
            kind="photo" if photos else "text",
            # ``phone`` stays empty: the sender's number of an SMS can be forged and proves nothing.
        )
        try:
            await run_in_threadpool(receive, incoming)
        except BadInputError as error:
            raise HTTPException(400, str(error)) from error
        return Response(EMPTY_TWIML, media_type="text/xml")

    return routes


async def _verified(provider: str, request: Request, settings: Settings) -> FormData:
    """The form of a request that the provider signed.

    Raises:
        HTTPException: 404, 403, 400 or 413.
    """
    if provider not in PROVIDERS:
        raise HTTPException(404)
    form = await _form(request)
    if not _signed(request, form, settings):
        log.warning("yêu cầu đến %s không có chữ ký đúng", request.url.path)
        raise HTTPException(403)
    return form


def _signed(request: Request, form: FormData, settings: Settings) -> bool:
    from twilio.request_validator import (  # noqa: PLC0415 - loaded only where it is used
        SIGNATURE_HEADER,
        SIGNATURE_SETTINGS_HEADER,
        RequestValidator,
        get_signature_algorithm,
    )

    token, signature = settings.twilio_auth_token, request.headers.get(SIGNATURE_HEADER)
    if token is None or not signature:
        return False
    # Behind a proxy the request shows http and an inner name; Twilio signed the public address.
    base = settings.public_base_url or str(request.base_url).rstrip("/")
    query = f"?{request.url.query}" if request.url.query else ""
    algorithm = get_signature_algorithm(request.headers.get(SIGNATURE_SETTINGS_HEADER))
    validator = RequestValidator(token.get_secret_value())
    return bool(validator.validate(f"{base}{request.url.path}{query}", form, signature, algorithm))


async def _form(request: Request) -> FormData:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise HTTPException(400) from error
    return FormData([*pairs])
