"""The office's secret key: from the environment, else made once and kept beside the database."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bot.errors import BadInputError
from bot.settings import Settings

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

_FILE = "secret.key"


def secret_key(settings: Settings) -> bytes:
    """MOTCUA_SECRET_KEY, or the key in ``var_dir`` (created with mode 0600 on first use)."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    path = settings.var_dir / _FILE
    if not path.exists():
        _make(path)
    return path.read_text("ascii").strip().encode()


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp makes it 0600. Linked only when it is whole: of two processes starting at once, both read the first one's.
    descriptor, name = tempfile.mkstemp(prefix=f".{_FILE}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()


def digest(settings: Settings, purpose: str, value: str) -> str:
    """HMAC-SHA256 of a value for one purpose, in hex: what is stored in place of look-up codes."""
    return hmac.new(secret_key(settings), f"{purpose}:{value}".encode(), hashlib.sha256).hexdigest()


def seal(settings: Settings, purpose: str, text: str) -> str:
    """Encrypts what must be stored and read again (tokens that rotate), for one purpose; printable ASCII."""
    return _box(settings, purpose).encrypt(text.encode()).decode("ascii")


def unseal(settings: Settings, purpose: str, sealed: str) -> str:
    """What ``seal`` was given.

    Raises:
        BadInputError: sealed with another key (a restored database without its key).
    """
    from cryptography.fernet import InvalidToken  # noqa: PLC0415

    try:
        return _box(settings, purpose).decrypt(sealed.encode("ascii")).decode()
    except InvalidToken:
        raise BadInputError(
            f"{purpose}: không giải mã được bằng khóa hiện tại; cần đúng MOTCUA_SECRET_KEY (hoặc secret.key) cũ"
        ) from None


def _box(settings: Settings, purpose: str) -> Fernet:
    from cryptography.fernet import Fernet  # noqa: PLC0415 - only where tokens are kept

    key = hmac.new(secret_key(settings), f"seal:{purpose}".encode(), hashlib.sha256).digest()
    return Fernet(base64.urlsafe_b64encode(key))
