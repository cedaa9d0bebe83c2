"""What the replicas may log while they are hit; everything else from ERROR on is a fault of the service."""

from __future__ import annotations

import json
import re
from collections import Counter

# (logger, what the message begins with, what stands in it): an error with a cause that the soak has made.
_NO_DATABASE = (
    r"OperationalError|DisconnectionError|InterfaceError|AdminShutdown|CrashShutdown|CannotConnectNow|"
    r"PendingRollbackError|DiskFull"
)
EXPECTED: tuple[tuple[str, str, str], ...] = (
    ("motcua.background", r"vòng lặp .* gặp lỗi", _NO_DATABASE),
    ("motcua.background", r".*: không ghi được kết quả gửi", _NO_DATABASE),
    ("motcua.service", r"lỗi khi trả lời tin", _NO_DATABASE),
    ("motcua.telegram", r"web hook Telegram: chưa nhận được tin", _NO_DATABASE),
    ("uvicorn.error", r"Exception in ASGI application", _NO_DATABASE),
)


def unexpected(log: str) -> list[str]:
    """Lines from ERROR on, and what stands outside of the log, that nothing explains: each kind once, with a count."""
    found: Counter[str] = Counter()
    for line in log.splitlines():
        if line.startswith("{"):
            told = json.loads(line)
            if told["level"] in {"ERROR", "CRITICAL"} and not _is_expected(told["logger"], told["message"]):
                lines = told["message"].splitlines()
                found[f"{told['logger']}: {lines[0]} … {lines[-1]}"[:400]] += 1
        elif re.search(r"Traceback|Error\b|Warning\b|Exception\b", line):
            found[line[:300]] += 1
    return [f"log: {count} × {what}" for what, count in found.items()]


def _is_expected(logger: str, message: str) -> bool:
    return any(
        logger == of and re.match(begins, message) and re.search(holds, message) for of, begins, holds in EXPECTED
    )
