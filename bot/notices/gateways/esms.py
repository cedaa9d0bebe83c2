"""eSMS.vn: brand-name SMS inside Vietnam, with an idempotency key.

Wire: reference/channels.md §6.4 and the vendor's pages (developers.esms.vn: "Tin nhắn SMS OTP/CSKH", "Bảng mã lỗi",
"Callback Url"), read in November 2026. A ``RequestId`` is taken once; a repeat gets 124.

How long it is remembered, the vendor's pages tell in two ways: "24 h", and "the day", with the example that one of
17:00 goes through again from 00:00 on. So it counts until the end of the Vietnamese day, and no longer than 23 hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any

from bot.clock import local
from bot.notices.gateways.base import Parcel, Sent, UncertainError
from bot.notices.gateways.esms_reports import STATUS_PATH, callback_key
from bot.notices.gateways.refusals import ACCOUNT, CONTENT, NUMBER, TEMPORARY, Meaning, refusal
from bot.notices.gateways.wire import Limits, post_json
from bot.notices.gsm7 import segments
from bot.settings import Settings

LIMITS = Limits()
SEND_PATH = "/MainService.svc/json/SendMultipleMessage_V4_post_json/"
CUSTOMER_CARE = "2"  # SmsType of notices under a brand name
TAKEN, TAKEN_BEFORE, INVALID = 100, 124, 99
MIDNIGHT_MARGIN = timedelta(minutes=5)  # eSMS's clock against ours

CODES: Mapping[int, Meaning] = {
    # The pages disagree: "số điện thoại bị chặn trên hệ thống" in the table, a faulty connection where a send is
    # described. A few more tries do no harm under one RequestId, and then it fails.
    99: Meaning(TEMPORARY, "eSMS không nhận yêu cầu, hoặc số nhận bị chặn trên eSMS"),
    101: Meaning(ACCOUNT, "ESMS_API_KEY hoặc ESMS_SECRET_KEY sai"),
    102: Meaning(ACCOUNT, "tài khoản eSMS chưa có bảng giá"),
    103: Meaning(ACCOUNT, "tài khoản eSMS không đủ tiền"),
    104: Meaning(ACCOUNT, "ESMS_BRANDNAME chưa đăng ký", sender=True),
    108: Meaning(NUMBER, "số nhận không đúng dạng"),
    118: Meaning(ACCOUNT, "tài khoản eSMS không gửi được loại tin này"),
    140: Meaning(ACCOUNT, "eSMS chưa cho địa chỉ máy chủ này gửi"),
    146: Meaning(CONTENT, "mẫu tin chưa đăng ký với eSMS"),
    177: Meaning(NUMBER, "ESMS_BRANDNAME chưa đăng ký với nhà mạng của số nhận"),
    300: Meaning(CONTENT, "thiếu loại tin"),
}


class Esms:
    """Sends through one eSMS account; holds no connection, so it works in any event loop."""

    name = "esms"
    settle = timedelta(0)
    looks = 1
    found_for = timedelta(hours=23)

    def __init__(self, settings: Settings) -> None:
        """Takes the account and the addresses from the settings (``has_esms`` must hold)."""
        self._settings = settings

    async def send(self, parcel: Parcel) -> Sent:
        """Sends once, however often it is called within the day under one reference.

        Raises:
            TemporaryError, PermanentError, UncertainError: see the port.
        """
        answer = await post_json(self._settings.esms_base_url + SEND_PATH, self._body(parcel), limits=LIMITS)
        code = _code(answer)
        sid = answer.get("SMSID")
        if code == TAKEN:
            if not isinstance(sid, str) or not sid:
                raise UncertainError("trả lời không có mã tin")
            return Sent(sid, "accepted")
        if code == TAKEN_BEFORE:
            return Sent(None, "accepted")  # under an id that only its callback tells
        raise refusal("eSMS", CODES, code, str(answer.get("ErrorMessage") or answer.get("error") or ""))

    async def find(self, parcel: Parcel) -> list[Sent]:
        """Sends again under the same key: taken now or before, exactly once either way.

        Raises:
            TemporaryError, PermanentError, UncertainError: nothing is known yet; a refusal now says nothing of the try
                before.
        """
        return [await self.send(parcel)]

    def found_until(self, tried: datetime) -> datetime:
        """The end of the Vietnamese day of the try (when eSMS may forget it), at most 23 hours later."""
        day = local(tried)
        midnight = datetime.combine(day.date() + timedelta(days=1), time(), day.tzinfo)
        return min(tried + self.found_for, midnight - MIDNIGHT_MARGIN)

    async def close(self) -> None:
        """Nothing is open between two requests."""

    def _body(self, parcel: Parcel) -> dict[str, Any]:
        settings = self._settings.at(parcel.office)
        body = {
            "ApiKey": _revealed(settings.esms_api_key),
            "SecretKey": _revealed(settings.esms_secret_key),
            "Phone": parcel.to.removeprefix("+"),
            "Content": parcel.text,
            "Brandname": settings.esms_brandname or "",
            "SmsType": CUSTOMER_CARE,
            "IsUnicode": "0" if segments(parcel.text).encoding == "gsm7" else "1",
            "Sandbox": "1" if settings.esms_sandbox else "0",
            "RequestId": parcel.reference,
        }
        if settings.public_base_url:
            key = callback_key(settings, parcel.notice_id)
            body["CallbackUrl"] = f"{settings.public_base_url}{STATUS_PATH}?notice={parcel.notice_id}&key={key}"
        return body


def _code(answer: Mapping[str, Any]) -> int:
    told = str(answer.get("CodeResult", ""))
    if told.isascii() and told.isdigit():
        return int(told[:9])
    if "error" in answer:
        return INVALID  # the vendor's example of 99 is {"error": "Invalid request"}
    raise UncertainError("trả lời không có CodeResult")


def _revealed(secret: Any) -> str:
    return str(secret.get_secret_value()) if secret else ""
