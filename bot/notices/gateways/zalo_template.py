"""Zalo ZBS templates (once "ZNS"), by user id of the Official Account or by phone: registered words, filled in.

Wire and codes: reference/channels.md §3, most of it from third parties: nobody has called the live API yet. Errors come
with HTTP 200. There is no idempotency key and no list of what was sent (``GET /message/status`` wants the message id
that an answer lost never told), so a send without an answer stays uncertain and a person decides.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from bot.clock import Clock, local, utc_now
from bot.notices.gateways.base import Parcel, PermanentError, Sent, UncertainError
from bot.notices.gateways.refusals import (
    ACCOUNT,
    CLOSED,
    CONTENT,
    NUMBER,
    OPTED_OUT,
    TEMPORARY,
    UNCERTAIN,
    Meaning,
    refusal,
)
from bot.notices.gateways.wire import Limits, post_json
from bot.settings import Settings
from bot.texts import phrases

LIMITS = Limits()
PHONE_PATH = "/message/template"
USER_PATH = "/v3.0/oa/message/template"
TRACKING_LENGTH = 48
OPENS_AT = 6  # o'clock in Vietnam: from 22:00 until then Zalo sends no templates (-133)
NIGHT = frozenset({-133, -234})
BAD_TOKEN = frozenset({-124, -216, -220})
# Longest value of a parameter, by our field; what is not here: as a name or a code.
LONGEST: Mapping[str, int] = {"office": 30, "code": 30, "due": 20, "date": 20, "status": 30, "address": 200}
_LONGEST = 30
_MINUTE = timedelta(minutes=1)  # after -32: 4,000 requests a minute

CODES: Mapping[int, Meaning] = {
    -32: Meaning(TEMPORARY, "gọi quá nhanh", _MINUTE),
    # What only says "unknown error" is no definite refusal.
    -100: Meaning(UNCERTAIN, "Zalo báo lỗi không xác định"),
    -101: Meaning(ACCOUNT, "ứng dụng Zalo không hợp lệ"),
    -102: Meaning(ACCOUNT, "không có ứng dụng Zalo này"),
    -103: Meaning(ACCOUNT, "ứng dụng Zalo chưa được kích hoạt"),
    -104: Meaning(ACCOUNT, "ZALO_APP_SECRET sai"),
    -105: Meaning(ACCOUNT, "ứng dụng Zalo chưa gắn với OA nào"),
    -108: Meaning(NUMBER, "số nhận không hợp lệ"),
    -109: Meaning(CONTENT, "mã mẫu tin sai, xem ZALO_TEMPLATES"),
    -110: Meaning(NUMBER, "ứng dụng Zalo của người nhận quá cũ"),
    -111: Meaning(CONTENT, "mẫu tin thiếu dữ liệu"),
    -112: Meaning(CONTENT, "dữ liệu của mẫu tin không hợp lệ"),
    -114: Meaning(NUMBER, "người nhận không nhận được tin Zalo"),
    -115: Meaning(ACCOUNT, "tài khoản ZBS hết tiền"),
    -118: Meaning(NUMBER, "số nhận không có Zalo"),
    -119: Meaning(NUMBER, "tài khoản Zalo của người nhận không nhận được tin"),
    -124: Meaning(ACCOUNT, "access token không hợp lệ"),
    -126: Meaning(ACCOUNT, "ví thử nghiệm không đủ"),
    -127: Meaning(ACCOUNT, "mẫu tin thử chỉ gửi được cho quản trị viên"),
    -131: Meaning(CONTENT, "mẫu tin chưa được duyệt"),
    -133: Meaning(TEMPORARY, "Zalo không gửi ban đêm"),
    -135: Meaning(ACCOUNT, "OA chưa được xác thực, hoặc gói dịch vụ không gửi được"),
    -137: Meaning(ACCOUNT, "không trừ được tiền"),
    -139: Meaning(OPTED_OUT, "người nhận từ chối loại tin này"),
    -140: Meaning(OPTED_OUT, "người nhận không thuộc diện nhận tin này"),
    -141: Meaning(OPTED_OUT, "người nhận từ chối tin của OA"),
    -144: Meaning(ACCOUNT, "OA đã hết hạn mức trong ngày"),
    -147: Meaning(ACCOUNT, "mẫu tin đã hết hạn mức trong ngày"),
    -1121: Meaning(CONTENT, "dữ liệu của mẫu tin không hợp lệ"),
    -1122: Meaning(CONTENT, "dữ liệu của mẫu tin không hợp lệ"),
    -1124: Meaning(CONTENT, "dữ liệu của mẫu tin không hợp lệ"),
    # Of the OA's own API, which takes templates by user id (§1.2).
    -200: Meaning(TEMPORARY, "Zalo chưa gửi được"),
    -201: Meaning(CONTENT, "tham số không hợp lệ"),
    -204: Meaning(ACCOUNT, "OA đã bị xóa"),
    -205: Meaning(ACCOUNT, "không có OA này"),
    -209: Meaning(ACCOUNT, "ứng dụng Zalo chưa được kích hoạt"),
    -210: Meaning(CONTENT, "vượt giới hạn của Zalo"),
    -211: Meaning(ACCOUNT, "OA đã hết hạn mức"),
    -212: Meaning(ACCOUNT, "OA chưa đăng ký API này"),
    -213: Meaning(NUMBER, "người nhận không quan tâm OA"),
    -216: Meaning(ACCOUNT, "access token không hợp lệ"),
    -217: Meaning(OPTED_OUT, "người nhận chặn lời mời"),
    -218: Meaning(CLOSED, "người nhận đã đủ hạn mức tin"),
    -219: Meaning(ACCOUNT, "ứng dụng Zalo đã bị khóa"),
    -220: Meaning(ACCOUNT, "access token đã hết hạn"),
    -221: Meaning(ACCOUNT, "OA chưa được xác thực"),
    -223: Meaning(ACCOUNT, "OA chưa cấp quyền cho ứng dụng"),
    -224: Meaning(ACCOUNT, "gói dịch vụ của OA không có quyền này"),
    -227: Meaning(NUMBER, "tài khoản người nhận bị khóa, hoặc quá 45 ngày không dùng"),
    -230: Meaning(CLOSED, "người nhận không nhắn gì trong 7 ngày"),
    -232: Meaning(CLOSED, "người nhận chưa nhắn, hoặc đã quá hạn trả lời"),
    -233: Meaning(CONTENT, "loại tin không được hỗ trợ"),
    -234: Meaning(TEMPORARY, "Zalo không gửi tin này ban đêm"),
    -235: Meaning(ACCOUNT, "loại OA này không gửi được"),
    -240: Meaning(CONTENT, "API đã ngừng"),
    -242: Meaning(ACCOUNT, "appsecret_proof sai"),
    -244: Meaning(OPTED_OUT, "người nhận không nhận loại tin này"),
    -248: Meaning(CONTENT, "tin vi phạm chính sách của Zalo"),
    -249: Meaning(CONTENT, "mẫu tin không gửi được theo mã người dùng"),
    -320: Meaning(ACCOUNT, "chưa có tài khoản thanh toán"),
    -321: Meaning(ACCOUNT, "tài khoản thanh toán hết tiền"),
}


class TokenSource(Protocol):
    """Where the OA's access token comes from."""

    async def __call__(self, *, force: bool = False, office: str | None = None) -> str:
        """The token; ``force``: another one than it gave last, which Zalo has just refused.

        ``office``: of its own account, where it has one.

        Raises:
            TemporaryError: there is none at the moment.
            PermanentError: "account": staff must log in to Zalo again.
        """
        ...


async def _nobody(*, force: bool = False, office: str | None = None) -> str:  # noqa: ARG001 - as TokenSource has it
    raise PermanentError("chưa đăng nhập Zalo", kind=ACCOUNT)


class ZaloTemplate:
    """Sends templates through an office's own Official Account, or the one that all share.

    It holds no connection, so it works in any event loop.
    """

    settle = timedelta(0)
    looks = 1_000_000  # no number of looks proves anything: Zalo can't be asked
    found_for = timedelta(0)

    def __init__(self, settings: Settings, name: str, token: TokenSource | None = None, clock: Clock = utc_now) -> None:
        """Takes the addresses and the templates from the settings.

        Args:
            settings: see there.
            name: "zbs_uid" (recipients are user ids of the OA) or "zbs_phone" (E.164 numbers).
            token: None: nobody is logged in to Zalo, every message is refused for it.
            clock: for the hours of the night.
        """
        if name not in {"zbs_uid", "zbs_phone"}:
            raise ValueError(name)
        self.name = name
        self._settings = settings
        self._token = token or _nobody
        self._clock = clock

    async def send(self, parcel: Parcel) -> Sent:
        """Sends once; asks for another token at most once, where Zalo has refused the one there was.

        Raises:
            TemporaryError, PermanentError, UncertainError: see the port. "content", too, where the event has no
                template, or a field is empty or can't be made to fit.
        """
        url, body = self._request(parcel)
        answer = await self._post(url, body, await self._token(office=parcel.office))
        if _code(answer) in BAD_TOKEN:
            answer = await self._post(url, body, await self._token(force=True, office=parcel.office))
        code = _code(answer)
        if code != 0:
            delay = self._until_morning() if code in NIGHT else None
            raise refusal("Zalo", CODES, code, str(answer.get("message") or ""), delay=delay)
        data = answer.get("data")
        data = data if isinstance(data, dict) else {}
        given = data.get("msg_id") or data.get("message_id")
        return Sent(str(given) if given else None, "accepted")

    async def find(self, parcel: Parcel) -> list[Sent]:  # noqa: ARG002 - the port's signature
        """Nothing: Zalo tells only of messages whose id one knows."""
        return []

    def found_until(self, tried: datetime) -> datetime:
        """Not at all."""
        return tried

    async def close(self) -> None:
        """Nothing is open between two requests."""

    def _request(self, parcel: Parcel) -> tuple[str, dict[str, Any]]:
        template = self._settings.at(parcel.office).zalo_template_ids.get(parcel.template)
        if template is None:
            raise PermanentError(f"chưa có mẫu Zalo cho {parcel.template or 'tin này'}", kind=CONTENT)
        # An approved template has its own link, if any: an address of ours is no parameter of it.
        data = {name: _fitting(name, value) for name, value in parcel.fields.items() if name != "link"}
        body: dict[str, Any] = {"template_id": template, "template_data": data}
        if self.name == "zbs_uid":
            return self._settings.zalo_base_url + USER_PATH, {"user_id": parcel.to, **body}
        body = {"phone": parcel.to.removeprefix("+"), **body, "tracking_id": parcel.reference[:TRACKING_LENGTH]}
        return self._settings.zalo_business_base_url + PHONE_PATH, body

    async def _post(self, url: str, body: Mapping[str, Any], token: str) -> dict[str, Any]:
        return await post_json(url, body, limits=LIMITS, headers={"access_token": token})

    def _until_morning(self) -> timedelta:
        now = local(self._clock())
        opens = now.replace(hour=OPENS_AT, minute=0, second=0, microsecond=0)
        return (opens if now < opens else opens + timedelta(days=1)) - now


def _fitting(name: str, value: str) -> str:
    """A field cut at a word to what Zalo takes; a code or a date is never cut."""
    longest = LONGEST.get(name, _LONGEST)
    text = " ".join(unicodedata.normalize("NFC", value).split())
    if name == "office":
        text = _abbreviated(text)
    if not text:
        raise PermanentError(f"trường {name} của mẫu Zalo đang trống", kind=CONTENT)
    if len(text) <= longest:
        return text
    cut = text[: longest + 1].rpartition(" ")[0].rstrip(" -,;:./(")
    if not cut:
        raise PermanentError(f"trường {name} dài hơn {longest} ký tự mà mẫu Zalo nhận", kind=CONTENT)
    return cut


def _abbreviated(office: str) -> str:
    for long, brief in phrases("notices")["abbreviations"].items():
        office = re.sub(rf"\b{re.escape(unicodedata.normalize('NFC', long))}\b", brief, office, flags=re.IGNORECASE)
    return office


def _code(answer: Mapping[str, Any]) -> int:
    try:
        return int(answer["error"])
    except (KeyError, TypeError, ValueError) as error:
        raise UncertainError("trả lời không có mã lỗi") from error
