"""What eSMS tells of a message afterwards: a GET to the address that went along with it, tried five times, unsigned.

Wire: the vendor's page "Callback Url", read in November 2026.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from bot.secrets import digest
from bot.settings import Settings

STATUS_PATH = "/webhooks/sms/esms/status"
# SendStatus of a callback; 5 tells only that it is over, how it went stands in SendSuccess and SendFailed.
_STATUSES = {"1": "queued", "2": "queued", "4": "failed", "7": "sent"}
_OVER = "5"
_MOST_DONG = 1_000_000  # no message costs more: what tells so is broken, and would eat up the day's budget


class Report(NamedTuple):
    """What a callback tells.

    Attributes:
        provider_id: eSMS's id of the message.
        status: as ``record_status`` knows them.
        error: why it failed, None where it did not.
        cost: đồng, None where it isn't told.
    """

    provider_id: str
    status: str
    error: str | None
    cost: Decimal | None


def callback_key(settings: Settings, notice_id: int) -> str:
    """What the callback of one message must bring along, eSMS signing none; a leaked address forges no other's."""
    return digest(settings, "esms-callback", str(notice_id))


def notice_of(settings: Settings, fields: Mapping[str, str]) -> int | None:
    """The outbox id of a callback whose key is right, else None."""
    notice, key = fields.get("notice", ""), fields.get("key", "")
    if not (notice.isascii() and notice.isdigit() and len(notice) < 19):
        return None
    right = hmac.compare_digest(callback_key(settings, int(notice)).encode(), key.encode())
    return int(notice) if right else None


def report_of(fields: Mapping[str, str]) -> Report | None:
    """Reads a callback's parameters; None where it tells no message or no status.

    An unknown status is passed on as it is.
    """
    sid, told = fields.get("SMSID", ""), fields.get("SendStatus", "")
    if not sid or not told:
        return None
    status, error = _STATUSES.get(told, f"SendStatus {told}"), None
    if told == _OVER:
        failed, succeeded = (_count(fields.get(name)) for name in ("SendFailed", "SendSuccess"))
        status = "delivered" if succeeded else "undelivered" if failed else "sent"
    if status in {"failed", "undelivered"}:
        error = f"SendStatus {told}"
    return Report(sid, status, error, _dong(fields.get("TotalPrice")))


def _count(text: str | None) -> int:
    return int(text[:9]) if text and text.isascii() and text.isdigit() else 0


def _dong(text: str | None) -> Decimal | None:
    try:
        amount = Decimal(text or "")
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 < amount <= _MOST_DONG else None
