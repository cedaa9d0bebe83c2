"""A photo of the receipt on its way in: read into memory, never onto a disk, and no more of them at once than fit."""

from __future__ import annotations

import asyncio
from collections import Counter

from anyio import CapacityLimiter, to_thread
from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from bot.receipts import Reading, read_receipt

MAX_PHOTO = 8 * 1024 * 1024
MAX_PHOTO_BODY = MAX_PHOTO + 64 * 1024  # with what a form puts around it
AT_ONCE = 8  # uploads of one process; each is held in memory
OF_ONE_NETWORK = 4  # of these: slow uploads from one place must not keep everyone else out
READ_AT_ONCE = 2
SECONDS = 90  # for one upload


class BusyError(Exception):
    """Too many uploads at the moment."""


class UnreadableRequestError(Exception):
    """No photo came with the request; ``status`` is the HTTP status that says why."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class _InMemory(MultiPartParser):
    # The library writes larger files to the disk; ours never may be.
    spool_max_size = MAX_PHOTO_BODY


class Photos:
    """Takes uploads and reads the codes off them."""

    def __init__(self) -> None:
        self._uploads: Counter[str | None] = Counter()
        self._readers = CapacityLimiter(READ_AT_ONCE)

    async def read(self, request: Request, network: str | None) -> Reading:
        """The codes on the photo in a request: its whole body (image/*), or the field "photo" of a form.

        Args:
            request: whose body was not read yet.
            network: where it comes from.

        Raises:
            BusyError: too many uploads at the moment.
            UnreadableRequestError: no photo in it, it is too large, or it did not come in time.
            HTTPException: 413, the body is larger than the server takes at all.
        """
        if self._uploads.total() >= AT_ONCE or self._uploads[network] >= OF_ONE_NETWORK:
            raise BusyError
        self._uploads[network] += 1
        try:
            async with asyncio.timeout(SECONDS):
                data = await _photo_of(request)
            return await to_thread.run_sync(read_receipt, data, limiter=self._readers)
        except TimeoutError:
            raise UnreadableRequestError(408) from None
        except ClientDisconnect:
            raise UnreadableRequestError(400) from None  # nobody reads the answer
        finally:
            self._uploads[network] -= 1
            self._uploads += Counter()  # forgets who has none left


async def _photo_of(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        data = await _from_form(request)
    elif kind.startswith("image/"):
        data = await request.body()
    else:
        raise UnreadableRequestError(415)
    if not data:
        raise UnreadableRequestError(422)
    if len(data) > MAX_PHOTO:
        raise UnreadableRequestError(413)
    return data


async def _from_form(request: Request) -> bytes:
    try:
        form = await _InMemory(request.headers, request.stream(), max_files=1, max_fields=4).parse()
    except MultiPartException:
        raise UnreadableRequestError(400) from None
    photo = form.get("photo")
    try:
        return await photo.read() if isinstance(photo, UploadFile) else b""
    finally:
        await form.close()
