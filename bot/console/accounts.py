"""Staff accounts and signed-in browsers: argon2 passwords, opaque session tokens, a CSRF token for every form."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from contextlib import suppress
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlmodel import Session, col, delete

from bot.errors import BadInputError
from bot.storage.tables import Audit, Staff, StaffSession

ROLES = ("advisor", "lead", "admin")
MIN_PASSWORD = 10
MAX_PASSWORD = 200
LOCK_AFTER = 5  # wrong passwords in a row
LOCK_FOR = timedelta(minutes=10)
_NAME = re.compile(r"[\w.-]{2,40}")
# OWASP's argon2id setting for servers with little memory: 19 MiB, two passes.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_NOBODY = _HASHER.hash(secrets.token_hex(16))


def add_staff(session: Session, name: str, role: str, password: str, now: datetime) -> None:
    """Adds an account.

    Raises:
        BadInputError: the name is taken or odd, the role unknown, the password too short.
    """
    if not _NAME.fullmatch(name):
        raise BadInputError(f"tên đăng nhập {name!r}: cần 2–40 chữ, số, dấu chấm hoặc gạch, không có dấu cách")
    if role not in ROLES:
        raise BadInputError(f"vai trò {role!r}: cần một trong {', '.join(ROLES)}")
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise BadInputError(f"mật khẩu: cần từ {MIN_PASSWORD} đến {MAX_PASSWORD} ký tự")
    if session.get(Staff, name) is not None:
        raise BadInputError(f"tên đăng nhập {name!r} đã có")
    session.add(Staff(name=name, role=role, password_hash=_HASHER.hash(password), created_at=now))


def set_password(session: Session, name: str, password: str) -> None:
    """Gives an existing account a new password and ends its sessions."""
    staff = session.get(Staff, name)
    if staff is None:
        raise BadInputError(f"không có tài khoản {name!r}")
    staff.password_hash, staff.failed, staff.locked_until = _HASHER.hash(password), 0, None
    session.add(staff)
    session.exec(delete(StaffSession).where(col(StaffSession.staff) == name))


def sign_in(session: Session, name: str, password: str, now: datetime, lasts: timedelta) -> str | None:
    """Checks a password and opens a session.

    Returns:
        The session token for the cookie; None for a wrong name or password or a locked
        account, after the same work in each case, so that names cannot be probed.
    """
    staff = session.get(Staff, name[:64])
    known = staff is not None and staff.active
    right = False
    with suppress(VerificationError, InvalidHashError):
        right = bool(_HASHER.verify(staff.password_hash if staff and known else _NOBODY, password[:MAX_PASSWORD]))
    if staff is None or not known:
        return None
    if staff.locked_until is not None and staff.locked_until > now:
        return None
    if not right:
        staff.failed += 1
        if staff.failed >= LOCK_AFTER:
            staff.failed, staff.locked_until = 0, now + LOCK_FOR
            audit(session, name, "locked", name, now)
        session.add(staff)
        return None
    staff.failed, staff.locked_until = 0, None
    session.add(staff)
    session.exec(delete(StaffSession).where(col(StaffSession.expires_at) < now))
    token = secrets.token_urlsafe(32)
    session.add(
        StaffSession(
            digest=_digest(token), staff=name, csrf=secrets.token_urlsafe(24), created_at=now, expires_at=now + lasts
        )
    )
    audit(session, name, "sign_in", name, now)
    return token


def signed_in(session: Session, token: str, now: datetime) -> StaffSession | None:
    """The live session of a cookie, or None."""
    found = session.get(StaffSession, _digest(token)) if token else None
    if found is None or found.expires_at < now:
        return None
    staff = session.get(Staff, found.staff)
    return found if staff is not None and staff.active else None


def sign_out(session: Session, token: str) -> None:
    """Ends a session."""
    session.exec(delete(StaffSession).where(col(StaffSession.digest) == _digest(token)))


def may_post(expected: str, csrf: str) -> bool:
    """Whether a form carries the session's CSRF token (constant time)."""
    return hmac.compare_digest(expected.encode(), csrf.encode())


def audit(session: Session, staff: str, action: str, subject: str, now: datetime, **detail: object) -> None:
    """Writes who did what."""
    session.add(Audit(staff=staff[:64], action=action, subject=subject[:100], detail=detail, at=now))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
