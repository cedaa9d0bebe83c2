"""Structured logs with phone numbers, ID numbers and secrets masked.

Masking happens in the formatter, so that no call can forget it. So does the turn: every line that is written while a
message is taken in, answered or its reply sent holds ``turn``, the message's inbox id.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_PHONE = re.compile(r"(?<![\w.])(\+?84|0)(\d{2})\d{4}(\d{3})(?!\w)")
_ID = re.compile(r"(?<![\w.-])(\d{3})\d{6}(\d{3})(?![\w.-])")
_BOT_TOKEN = re.compile(r"(?<!\d)\d{6,24}:[A-Za-z0-9_-]{20,}")  # Telegram's and Zalo's
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}


_TURN: ContextVar[int | None] = ContextVar("turn", default=None)


@contextmanager
def in_turn(inbox_id: int | None) -> Iterator[None]:
    """What is logged inside, in this thread or task, belongs to the turn of this message; None: to no turn."""
    token = _TURN.set(inbox_id)
    try:
        yield
    finally:
        _TURN.reset(token)


def mask(text: str) -> str:
    """Hides phone numbers (``+8495****123``), 12-digit ID numbers and bot tokens."""
    text = _BOT_TOKEN.sub("***", text)
    text = _PHONE.sub(r"\1\2****\3", text)
    return _ID.sub(r"\1******\2", text)


class Masked(logging.Formatter):
    """Formats a record as a line of text or JSON; extra fields are kept, all masked."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self.as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Returns one line (text) or one JSON object, without personal numbers."""
        extra = {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        turn = _TURN.get()
        if turn is not None:
            extra = {"turn": turn, **extra}
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + self.formatException(record.exc_info)
        if self.as_json:
            fields = {"at": at, "level": record.levelname, "logger": record.name, "message": message, **extra}
            return mask(json.dumps(fields, ensure_ascii=False, default=str))
        details = "".join(f" {key}={value}" for key, value in extra.items())
        return mask(f"{at} {record.levelname:<7} {record.name}: {message}{details}")


def configure_logging(level: str, *, as_json: bool) -> None:
    """Sends all logs to stderr through ``Masked``; noisy libraries only from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Masked(as_json=as_json))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("httpx", "httpcore", "twilio", "alembic", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Its warnings hold whole messages; our channel tells what went wrong itself.
    logging.getLogger("telegram").setLevel(logging.CRITICAL + 1)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers[:] = []
        logging.getLogger(name).propagate = True
