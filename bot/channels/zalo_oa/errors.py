"""What Zalo's error codes mean: the one place for claims about them. Pure.

Nobody has called the live API yet: each code carries the grade of its source (reference/channels.md §1.1 and §1.2;
B: two sources agree, C: one source). A code that is not listed is logged once and treated as final.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import timedelta

from bot.channels.port import SendError
from bot.logs import mask

log = logging.getLogger("motcua.zalo")

REFRESH = "refresh"  # the token pair is not good any more
STALE = "stale"  # an uploaded picture is gone: once more with a new one
RATE_PAUSE = timedelta(minutes=1)  # 4,000 requests a minute [B]: after -32 the rest of that minute is waited


@dataclass(frozen=True, slots=True)
class Meaning:
    """One code.

    Attributes:
        kind: of ``SendError``, or REFRESH or STALE.
        told: what staff read, Vietnamese.
        grade: of the source.
        delay: how long to wait before the next try, None for the queue's own pace.
    """

    kind: str
    told: str
    grade: str = "B"
    delay: timedelta | None = None


CODES: dict[int, Meaning] = {
    -32: Meaning("retry", "gọi quá nhanh", delay=RATE_PAUSE),
    -100: Meaning(STALE, "ảnh đã tải lên hết hạn"),
    -124: Meaning(REFRESH, "access token không hợp lệ"),
    -200: Meaning("retry", "Zalo chưa gửi được"),
    -201: Meaning("failed", "tham số không hợp lệ"),
    -204: Meaning("account", "OA đã bị xóa"),
    -205: Meaning("account", "không có OA này"),
    -209: Meaning("account", "ứng dụng chưa được kích hoạt"),
    -210: Meaning("failed", "vượt giới hạn của Zalo"),
    -211: Meaning("account", "OA đã hết hạn mức"),
    -212: Meaning("account", "OA chưa đăng ký API này"),
    -213: Meaning("blocked", "người nhận không quan tâm OA"),
    -216: Meaning(REFRESH, "access token không hợp lệ"),
    -217: Meaning("failed", "người nhận chặn lời mời"),
    -218: Meaning("failed", "người nhận đã đủ hạn mức tin"),
    -219: Meaning("account", "ứng dụng đã bị khóa"),
    -220: Meaning(REFRESH, "access token đã hết hạn"),
    -221: Meaning("account", "OA chưa được xác thực"),
    -223: Meaning("account", "OA chưa cấp quyền cho ứng dụng"),
    -224: Meaning("account", "gói dịch vụ của OA không có quyền này"),
    -227: Meaning("blocked", "tài khoản người nhận bị khóa hoặc quá 45 ngày không dùng"),
    -230: Meaning("closed", "người nhận không nhắn gì trong 7 ngày"),
    -232: Meaning("closed", "người nhận chưa nhắn, hoặc đã quá hạn trả lời"),
    -233: Meaning("failed", "loại tin không được hỗ trợ", "C"),
    -234: Meaning("failed", "tin này không được gửi ban đêm"),
    -235: Meaning("failed", "loại OA không được gửi tin này"),
    -240: Meaning("failed", "API đã ngừng"),
    -242: Meaning("failed", "appsecret_proof sai"),
    -244: Meaning("blocked", "người nhận không nhận loại tin này"),
    -248: Meaning("failed", "tin vi phạm chính sách của Zalo"),
    -249: Meaning("failed", "mẫu tin không gửi được theo mã người dùng"),
    -320: Meaning("account", "chưa có tài khoản thanh toán"),
    -321: Meaning("account", "tài khoản thanh toán hết tiền"),
    # Of oauth.zaloapp.com; only what staff read differs.
    -14002: Meaning("account", "ZALO_APP_ID sai", "C"),
    -14003: Meaning("account", "địa chỉ callback không khớp địa chỉ đã đăng ký", "C"),
    -14004: Meaning("account", "ZALO_APP_SECRET sai", "C"),
    -14005: Meaning("account", "mã cấp quyền sai, hết hạn hoặc đã dùng", "C"),
    -14014: Meaning("account", "refresh token đã dùng hoặc hết hạn", "C"),
    -14018: Meaning("account", "grant_type sai", "C"),
}
REUSED_REFRESH_TOKEN = -14014
_seen_unknown: set[int] = set()
_lock = threading.Lock()


class ZaloError(SendError):
    """A call that Zalo refused, or whose answer never came.

    Attributes:
        code: Zalo's error code; None where there was no answer of Zalo's.
    """

    def __init__(self, kind: str, message: str, delay: timedelta | None = None, code: int | None = None) -> None:
        super().__init__(kind, message, delay)
        self.code = code


def refusal(code: int, said: str = "") -> ZaloError:
    """The error for a code other than 0; ``kind`` may be REFRESH or STALE, which the caller must settle.

    Args:
        code: as Zalo gave it.
        said: Zalo's own words, for staff; cut and masked.
    """
    words = f": {mask(said)[:80]}" if said.isprintable() and said else ""
    meaning = CODES.get(code)
    if meaning is None:
        with _lock:
            new = code not in _seen_unknown
            _seen_unknown.add(code)
        if new:
            log.error("Zalo trả mã lỗi chưa biết %d; coi là không gửi được%s", code, words)
        return ZaloError("failed", f"Zalo từ chối (mã {code}{words})", code=code)
    return ZaloError(meaning.kind, f"{meaning.told} (mã {code}{words})", meaning.delay, code)
