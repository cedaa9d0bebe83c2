"""Web hooks of SMS gateways: delivery reports, and messages of citizens.

Twilio signs both. eSMS signs its reports not at all: each has a key of its own in its address. Messages that come by a
domestic short code take the generic web hook, signed with ``SMS_INBOUND_SECRET``; whoever hands them on is adapted to
it in front of this service (README).
"""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from bot.channels import sms
from bot.clock import Clock
from bot.conversation.model import Incoming
from bot.dossiers.records import phone_number
from bot.errors import BadInputError
from bot.notices import inbound as unanswered
from bot.notices.delivery import HANDSETS, record_status
from bot.notices.gateways import esms_reports
from bot.settings import Settings
from bot.storage.database import Database

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024  # a Twilio form is about 1 kB
MAX_FIELDS = 200
EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response />'
PROVIDERS = frozenset({"twilio"})
TIMESTAMP_HEADER, SIGNATURE_HEADER = "X-Motcua-Timestamp", "X-Motcua-Signature"
REPLAY_WINDOW = timedelta(minutes=5)
_MACHINE, _NO_PHONE = "tin do máy gửi", "người gửi không phải số điện thoại"
_OK = {"status": "ok"}


def router(
    settings: Settings, database: Database, clock: Clock, receive: Callable[[Incoming], object] | None = None
) -> APIRouter:
    """The routes ``/webhooks/sms/{provider}/status`` and ``…/inbound``.

    ``receive`` commits one incoming message (a repeat is its business); without it, inbound answers 404.
    Unknown providers get 404, forged requests 403, and what can't be read 400 or 413.
    """
    routes = APIRouter(prefix="/webhooks/sms", include_in_schema=False)

    async def report(
        provider: str, sid: str, state: str, error: str | None, notice_id: int | None, cost: float | None = None
    ) -> None:
        _printable(sid=sid, state=state, error=error or "")

        def store() -> bool:
            with database.write() as session:
                return record_status(
                    session,
                    provider,
                    sid,
                    state,
                    clock(),
                    error_code=error,
                    notice_id=notice_id,
                    handsets=HANDSETS | settings.receipts_from,
                    cost=cost,
                    settings=settings,
                )

        changed = await run_in_threadpool(store)
        log.info("báo cáo gửi tin %s: %s%s", sid, state, "" if changed else " (bỏ qua)")

    async def take(incoming: Incoming) -> None:
        """Hands a message on, or keeps it unanswered."""

        def hold() -> bool:
            with database.read() as session:
                reason = _unanswerable(session, incoming, clock())
            if reason is not None:
                with database.write() as session:
                    unanswered.keep(session, incoming, reason, clock())
            return reason is not None

        if receive is None:
            raise HTTPException(404)
        try:
            if not await run_in_threadpool(hold):
                await run_in_threadpool(receive, incoming)
        except BadInputError as error:
            raise HTTPException(400, str(error)) from error

    @routes.get("/esms/status")
    async def esms_status(request: Request) -> JSONResponse:
        # Whether eSMS minds the "?" that the address has already is not known.
        pairs = parse_qsl(request.url.query.replace("?", "&"), keep_blank_values=True)
        fields = dict(pairs[:MAX_FIELDS])
        notice_id = esms_reports.notice_of(settings, fields)
        if notice_id is None:
            log.warning("báo cáo của eSMS không có khóa đúng")
            raise HTTPException(403)
        told = esms_reports.report_of(fields)
        if told is None:
            raise HTTPException(400, "SMSID, SendStatus")
        cost = float(told.cost) if told.cost is not None else None
        await report("esms", told.provider_id, told.status, told.error, notice_id, cost)
        return JSONResponse(_OK)

    @routes.post("/{provider}/status")
    async def status(provider: str, request: Request) -> Response:
        form = await _verified(provider, request, settings)
        notice = request.query_params.get("notice", "")
        sid, state = str(form.get("MessageSid") or ""), str(form.get("MessageStatus") or "").lower()
        if not sid or not state:
            raise HTTPException(400, "MessageSid, MessageStatus")
        notice_id = int(notice) if notice.isascii() and notice.isdigit() and len(notice) < 19 else None
        await report(provider, sid, state, str(form.get("ErrorCode") or "") or None, notice_id)
        return Response(status_code=204)

    @routes.post("/generic/inbound")
    async def generic(request: Request) -> JSONResponse:
        if receive is None:
            raise HTTPException(404)
        fields = await _signed_fields(request, settings, clock())
        incoming = _incoming(fields, settings, clock())
        await take(incoming)
        return JSONResponse(_OK)

    @routes.post("/{provider}/inbound")
    async def inbound(provider: str, request: Request) -> Response:
        if receive is None:
            raise HTTPException(404)
        form = await _verified(provider, request, settings)
        sender, sid = str(form.get("From") or ""), str(form.get("MessageSid") or "")
        _printable(From=sender, MessageSid=sid)
        photos = str(form.get("NumMedia") or "0") != "0"
        incoming = Incoming(
            channel="sms",
            sender=sender,
            message_id=sid,
            text=sms.text_of(str(form.get("Body") or ""), str(form.get("OptOutType") or "")),
            at=clock(),
            kind="photo" if photos else "text",
            account=settings.office_of_sms(str(form.get("To") or ""), str(form.get("MessagingServiceSid") or "")),
            # ``phone`` stays empty: the sender's number of an SMS can be forged and proves nothing.
        )
        await take(incoming)
        return Response(EMPTY_TWIML, media_type="text/xml")

    return routes


def _printable(**fields: str) -> None:
    """Refuses names and numbers with characters that no provider writes and not every database holds."""
    for name, value in fields.items():
        if not value.isprintable():
            raise HTTPException(400, f"{name}: có ký tự lạ")


def _unanswerable(session: Session, incoming: Incoming, now: datetime) -> str | None:
    """Why a message is kept without an answer; None where it gets one."""
    if not incoming.sender:
        return None  # it is refused altogether
    if not sms.is_answerable(incoming.sender):
        return _NO_PHONE
    if sms.is_auto_reply(incoming.text):
        return _MACHINE
    if not unanswered.has_enough_answers(session, incoming.sender, now):
        return None
    # A refusal always counts, but only the first one needs an answer.
    first_refusal = incoming.text == sms.STOP and not unanswered.has_refused(session, incoming.sender)
    return None if first_refusal else unanswered.TOO_MANY


async def _verified(provider: str, request: Request, settings: Settings) -> FormData:
    """The form of a request that the provider signed.

    Raises:
        HTTPException: 404, 403, 400 or 413.
    """
    if provider not in PROVIDERS:
        raise HTTPException(404)
    form = _form(await _body(request))
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


async def _signed_fields(request: Request, settings: Settings, now: datetime) -> Mapping[str, Any]:
    """The fields of a generic request, JSON or form, signed within the last minutes.

    Raises:
        HTTPException: 403, 400 or 413.
    """
    body = await _body(request)
    secret, told = settings.sms_inbound_secret, request.headers.get(TIMESTAMP_HEADER, "")
    right = ""
    if secret is not None:
        right = hmac.new(secret.get_secret_value().encode(), told.encode() + b"." + body, "sha256").hexdigest()
    signature = request.headers.get(SIGNATURE_HEADER, "")
    if not right or not hmac.compare_digest(right.encode(), signature.encode()):
        log.warning("yêu cầu đến %s không có chữ ký đúng", request.url.path)
        raise HTTPException(403)
    seconds = int(told) if told.isascii() and told.isdigit() and len(told) <= 12 else None
    if seconds is None or abs(now - datetime.fromtimestamp(0, UTC) - timedelta(seconds=seconds)) > REPLAY_WINDOW:
        log.warning("yêu cầu đến %s quá cũ, hoặc đồng hồ hai bên lệch nhau", request.url.path)
        raise HTTPException(403, f"{TIMESTAMP_HEADER}: cần giây Unix, lệch không quá 5 phút")
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        return dict(_form(body))
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "cần JSON") from error
    if not isinstance(fields, dict):
        raise HTTPException(400, "cần một đối tượng JSON")
    return fields


def _incoming(fields: Mapping[str, Any], settings: Settings, now: datetime) -> Incoming:
    """The message of a generic request: ``id``, ``from``, ``text``; ``to`` and ``at`` may be left out.

    ``to`` tells of several offices which one it was written to.

    Raises:
        HTTPException: 400, a field is missing or of a wrong type.
    """
    told: dict[str, str] = {}
    for name, longest in (("id", 180), ("from", 128), ("text", MAX_BODY), ("to", 128), ("at", 64)):
        value = fields.get(name, "")
        needed = name in {"id", "from"}
        if not isinstance(value, str) or len(value) > longest or (needed and not value.strip()):
            raise HTTPException(400, f"{name}: cần chuỗi ký tự, dài tối đa {longest}")
        if name != "text":
            _printable(**{name: value})
        told[name] = value.strip() if name != "text" else value
    if "text" not in fields:
        raise HTTPException(400, "text: thiếu")
    return Incoming(
        "sms", _number(told["from"]), f"generic:{told['id']}", sms.text_of(told["text"]), _sent(told["at"], now),
        account=settings.office_of_sms(told["to"]),
    )  # fmt: skip


def _number(sender: str) -> str:
    try:
        return phone_number(sender) or sender
    except BadInputError:
        return sender  # a short code, a name, a foreign number


def _sent(told: str, now: datetime) -> datetime:
    """When it was sent, as the sender's clock has it, but never after now."""
    if not told:
        return now
    try:
        moment = datetime.fromisoformat(told)
    except ValueError as error:
        raise HTTPException(400, "at: cần giờ ISO 8601") from error
    if moment.tzinfo is None:
        raise HTTPException(400, "at: cần giờ kèm múi giờ, ví dụ 2026-11-24T09:00:00+07:00")
    return min(moment, now)


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413)
    return body


def _form(body: bytes) -> FormData:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise HTTPException(400) from error
    return FormData([*pairs])
