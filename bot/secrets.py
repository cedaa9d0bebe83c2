"""The office's secret key: from the environment, else made once and kept beside the database."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from bot.settings import Settings

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
