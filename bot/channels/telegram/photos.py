"""Fetching a photo that a citizen sent (Bot API: getFile, then ``/file/bot<token>/<path>``)."""

from __future__ import annotations

import time
from urllib.parse import quote

import httpx

from bot.channels.port import FetchError
from bot.channels.telegram.incoming import PHOTO_BYTES

SECONDS = 10.0  # for both calls together


def fetch(base: str, token: str, file_id: str) -> bytes:
    """The bytes of a file; blocks, at most about ``SECONDS``.

    Raises:
        FetchError: its text never holds the address, because that holds the token.
    """
    until = time.monotonic() + SECONDS
    try:
        with httpx.Client(timeout=SECONDS / 2, follow_redirects=False) as client:
            path = _path(client.post(f"{base}/bot{token}/getFile", data={"file_id": file_id}))
            with client.stream("GET", f"{base}/file/bot{token}/{quote(path)}") as answer:
                if answer.status_code != httpx.codes.OK:
                    raise _refused(answer.status_code)
                return _limited(answer, until)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FetchError(f"Telegram: {type(error).__name__}") from None


def _path(answer: httpx.Response) -> str:
    if answer.status_code != httpx.codes.OK:
        raise _refused(answer.status_code)
    try:
        file = answer.json()["result"]
        path, size = file["file_path"], file.get("file_size") or 0
        too_large = size > PHOTO_BYTES
    except (ValueError, LookupError, TypeError, AttributeError):
        raise FetchError("Telegram: getFile trả lời sai dạng") from None
    if too_large:
        raise FetchError(f"Telegram: ảnh lớn {size} byte", final=True)
    if not isinstance(path, str) or path.startswith("/") or ".." in path.split("/"):
        raise FetchError("Telegram: getFile trả lời đường dẫn lạ", final=True)
    return path


def _limited(answer: httpx.Response, until: float) -> bytes:
    taken = bytearray()
    for piece in answer.iter_bytes():
        taken += piece
        if len(taken) > PHOTO_BYTES:
            raise FetchError(f"Telegram: ảnh lớn hơn {PHOTO_BYTES} byte", final=True)
        if time.monotonic() > until:
            raise FetchError(f"Telegram: tải ảnh quá {SECONDS:.0f} giây")
    return bytes(taken)


def _refused(status: int) -> FetchError:
    """A wrong or forgotten file (4xx) stays so; a wrong token, a flood and a broken server may be mended."""
    return FetchError(f"Telegram: HTTP {status}", final=400 <= status < 500 and status not in {401, 403, 429})
