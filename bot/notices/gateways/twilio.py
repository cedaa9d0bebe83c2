"""Twilio (SDK 9.13, its asynchronous client): one request a message, and an honest account of how it ended.

Wire and error codes: reference/channels.md §6.1. Twilio offers no idempotency key, so a request without an answer is
uncertain until its message list was looked at.

Each request has a connection of its own. aiohttp repeats a POST on no account, but on a kept connection "the server
had closed it long ago" and "it died with our request" end in the same ``ServerDisconnectedError``: each of the former
would wait twenty minutes in doubt for nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import aiohttp
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from bot.notices.gateways.base import Parcel, Sent, TemporaryError, UncertainError
from bot.notices.gateways.refusals import ACCOUNT, CONTENT, NUMBER, OPTED_OUT, TEMPORARY, Meaning, Refusal, refusal
from bot.notices.gateways.wire import TOO_MANY, retry_after, unreadable
from bot.settings import Settings

CONNECT_SECONDS = 5.0
TIMEOUT_SECONDS = 10.0  # for the answer to begin, and between two parts of it
TOTAL_SECONDS = 30.0
STATUS_PATH = "/webhooks/sms/twilio/status"
NEWEST = 500  # messages of one number looked through
MAX_VALIDITY = 36_000  # seconds; Twilio's own limit
TRIAL = "Sent from your Twilio trial account - "  # a trial account puts it before every text

# Twilio warns not to branch hard on codes (they change); one that is not here is judged by its HTTP status.
# Those from 30001 on come with delivery reports, too.
CODES: Mapping[int, Meaning] = {
    14107: Meaning(TEMPORARY, "gửi quá nhanh"),
    20003: Meaning(ACCOUNT, "TWILIO_ACCOUNT_SID hoặc TWILIO_AUTH_TOKEN sai"),
    20005: Meaning(ACCOUNT, "tài khoản Twilio bị khóa"),
    20404: Meaning(ACCOUNT, "TWILIO_ACCOUNT_SID hoặc TWILIO_BASE_URL sai"),
    20429: Meaning(TEMPORARY, "gọi quá nhanh"),
    21211: Meaning(NUMBER, "số nhận không hợp lệ"),
    21212: Meaning(ACCOUNT, "TWILIO_FROM không hợp lệ", sender=True),
    21408: Meaning(ACCOUNT, "tài khoản chưa được phép gửi đến nước này"),
    21602: Meaning(CONTENT, "thiếu nội dung"),
    21603: Meaning(ACCOUNT, "thiếu người gửi", sender=True),
    21606: Meaning(ACCOUNT, "TWILIO_FROM không gửi được SMS", sender=True),
    21608: Meaning(ACCOUNT, "tài khoản dùng thử, số nhận chưa được xác nhận"),
    21609: Meaning(ACCOUNT, "địa chỉ nhận báo cáo sai, xem PUBLIC_BASE_URL"),
    21610: Meaning(OPTED_OUT, "người nhận đã từ chối nhận tin"),
    21612: Meaning(ACCOUNT, "người gửi này không gửi được đến số nhận", sender=True),
    21614: Meaning(NUMBER, "số nhận không phải số di động"),
    21617: Meaning(CONTENT, "nội dung quá dài"),
    21635: Meaning(NUMBER, "số nhận là số cố định"),
    21703: Meaning(ACCOUNT, "TWILIO_MESSAGING_SERVICE_SID chưa có người gửi nào", sender=True),
    21705: Meaning(ACCOUNT, "TWILIO_MESSAGING_SERVICE_SID sai", sender=True),
    30001: Meaning(TEMPORARY, "hàng chờ của Twilio đã đầy"),
    30002: Meaning(ACCOUNT, "tài khoản Twilio bị tạm ngừng"),
    30003: Meaning(NUMBER, "máy nhận không liên lạc được"),
    30004: Meaning(NUMBER, "máy nhận chặn tin"),
    30005: Meaning(NUMBER, "số nhận không còn dùng"),
    30006: Meaning(NUMBER, "số cố định, hoặc nhà mạng không nhận"),
    30007: Meaning(CONTENT, "nhà mạng lọc nội dung"),
    30008: Meaning(NUMBER, "không đến được, không rõ lý do"),
    30042: Meaning(ACCOUNT, "tên người gửi bị nhà mạng chặn", sender=True),
}
# The request cannot have gone out: no connection (name, port, time, proxy), or no trust in it (TLS).
_NEVER_LEFT = (
    aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError, aiohttp.InvalidURL,
)  # fmt: skip


class Twilio:
    """Sends through one Twilio account; holds no connection, so it works in any event loop."""

    name = "twilio"
    settle = timedelta(minutes=10)
    looks = 2
    found_for = timedelta(days=7)  # Twilio keeps messages longer, but nobody waits so long for a notice

    def __init__(self, settings: Settings) -> None:
        """Takes the account, the sender and the addresses from the settings (``has_twilio`` must hold)."""
        self._settings = settings

    async def send(self, parcel: Parcel) -> Sent:
        """Asks Twilio to send; never asks twice.

        Raises:
            TemporaryError, PermanentError, UncertainError: see the port.
        """
        async with self._connected() as (client, http):
            try:
                message = await client.messages.create_async(**self._fields(parcel))
            except (TwilioRestException, TwilioServiceException) as error:
                raise _refused(error, http) from error
            except _NEVER_LEFT as error:
                raise TemporaryError(f"không kết nối được: {type(error).__name__}") from error
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise UncertainError(f"không có trả lời: {type(error).__name__}") from error
            except (ValueError, TypeError, AttributeError, LookupError) as error:
                # An answer of 2xx that is not the JSON it should be: taken, most likely, but under no id we know.
                raise UncertainError("trả lời không đọc được") from error
        if not message.sid:
            raise UncertainError("trả lời không có mã tin")
        return _sent(message)

    async def find(self, parcel: Parcel) -> list[Sent]:
        """Looks through Twilio's newest messages to this number.

        Not filtered by DateSent: what is still queued there has none.

        Raises:
            TemporaryError: Twilio could not be asked.
        """
        found, seen = [], 0
        try:
            async with asyncio.timeout(TOTAL_SECONDS), self._connected() as (client, _):
                async for message in await client.messages.stream_async(to=parcel.to, page_size=100, limit=NEWEST):
                    seen += 1
                    if message.date_created is not None and message.date_created < parcel.since:
                        break  # the newest come first
                    if (message.body or "") in {parcel.text, TRIAL + parcel.text}:
                        found.append(_sent(message))
        except (TwilioException, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise TemporaryError(f"không hỏi được Twilio: {type(error).__name__}") from error
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise TemporaryError("không hỏi được Twilio: trả lời không đọc được") from error
        if not found and seen >= NEWEST:
            raise TemporaryError(f"số này có hơn {NEWEST} tin mới, không thấy hết")
        return found[::-1]

    def found_until(self, tried: datetime) -> datetime:
        """A week."""
        return tried + self.found_for

    async def close(self) -> None:
        """Nothing is open between two requests."""

    def _fields(self, parcel: Parcel) -> dict[str, Any]:
        settings = self._settings.at(parcel.office)
        fields: dict[str, Any] = {
            "to": parcel.to,
            "body": parcel.text,
            "validity_period": max(1, min(MAX_VALIDITY, int(parcel.valid_for.total_seconds()))),
        }
        if settings.twilio_messaging_service_sid:
            fields["messaging_service_sid"] = settings.twilio_messaging_service_sid
        else:
            fields["from_"] = settings.twilio_from
        if settings.public_base_url:
            fields["status_callback"] = f"{settings.public_base_url}{STATUS_PATH}?notice={parcel.notice_id}"
        return fields

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[Any, _Http]]:
        token = self._settings.twilio_auth_token
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True), trust_env=True) as session:
            http = _Http(session)
            secret = token.get_secret_value() if token else ""
            client = Client(self._settings.twilio_account_sid, secret, http_client=http)
            if self._settings.twilio_base_url:
                client.api.base_url = self._settings.twilio_base_url
            yield client, http


class _Http(AsyncHttpClient):  # type: ignore[misc]  # untyped
    """How Twilio's client reaches the network.

    Not the SDK's own way (9.13): that one never hands its ``timeout`` on, so that there is no limit at all, and logs in
    by a helper that aiohttp is about to drop. What the SDK's exceptions don't hold is kept here.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        super().__init__(logging.getLogger("twilio.async_http_client"), is_async=True)
        self._session = session
        self.status = 0
        self.retry_after: timedelta | None = None

    async def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the SDK's signature
        allow_redirects: bool = False,  # noqa: FBT001, FBT002
    ) -> Response:
        """One request, within limits of time; an answer of any status is returned."""
        limits = aiohttp.ClientTimeout(total=TOTAL_SECONDS, connect=CONNECT_SECONDS, sock_read=TIMEOUT_SECONDS)
        told = dict(headers or {})
        if auth is not None:
            told["Authorization"] = aiohttp.encode_basic_auth(*auth)
        async with self._session.request(
            method, url, params=params, data=data, headers=told, timeout=limits, allow_redirects=allow_redirects
        ) as response:
            self.status = response.status
            self.retry_after = retry_after(response.headers.get("Retry-After"))
            return Response(response.status, await response.text(), response.headers)


def _sent(message: Any) -> Sent:
    return Sent(str(message.sid), str(message.status), _cost(message.price, message.price_unit))


def _cost(price: object, unit: object) -> Decimal | None:
    """Đồng; Twilio tells charges as negative amounts, mostly in dollars, and mostly only once the message is sent."""
    if unit != "VND" or price is None:
        return None
    try:
        amount = abs(Decimal(str(price)))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _refused(error: TwilioRestException | TwilioServiceException, http: _Http) -> Refusal:
    status = http.status
    if status >= 500 or status == 408:
        return unreadable(status)  # whatever the code: that it failed is not said to mean that nothing was sent
    if status == TOO_MANY:
        otherwise = Meaning(TEMPORARY, "gọi quá nhanh")
    elif status in {401, 403, 404} or status < 400:
        otherwise = Meaning(ACCOUNT, "không vào được tài khoản Twilio")
    else:
        otherwise = Meaning(CONTENT, "bị từ chối")
    said = error.msg if isinstance(error, TwilioRestException) else (error.detail or error.title)
    code = error.code if isinstance(error.code, int) else status
    return refusal("Twilio", CODES, code, str(said or ""), otherwise=otherwise, delay=http.retry_after)
