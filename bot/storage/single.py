"""One ``serve`` on one SQLite file: a lock of the operating system, gone with the process that held it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.errors import BadInputError
from bot.storage.database import Database


@contextmanager
def only_service(database: Database) -> Iterator[None]:
    """Holds ``<db>.serve.lock`` while the service runs; does nothing on PostgreSQL, where replicas are welcome.

    Raises:
        BadInputError: another process serves this file.
    """
    if database.path is None:
        yield
        return
    real = database.path.resolve()  # the same file under another name is the same file
    lock = Path(f"{real}.serve.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadInputError(f"{lock}: không mở được tệp khóa ({error.strerror})") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInputError(
                f"{real}: đang có một dịch vụ khác chạy trên tệp này; hãy dừng dịch vụ đó trước, "
                "hoặc dùng PostgreSQL để chạy nhiều bản"
            ) from None
        yield
    finally:
        os.close(descriptor)  # the file stays: removing it would let two processes lock two files of one name
