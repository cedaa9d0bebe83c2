"""Staff accounts and signed-in browsers: argon2 passwords, opaque session tokens, a CSRF token for every form."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlmodel import Session, col, delete

from bot.console.permissions import ROLES
from bot.errors import BadInputError
from bot.storage.sight import office_of
from bot.storage.tables import Audit, Staff, StaffSession

MIN_PASSWORD = 10
MAX_PASSWORD = 200
LOCK_AFTER = 5  # wrong passwords in a row
LOCK_FOR = timedelta(minutes=10)  # the first time; twice as long each further time, up to a day
LOCK_MOST = timedelta(days=1)
ROTATE_AFTER = timedelta(hours=1)  # a session's token is changed for a new one
OLD_TOKEN_LASTS = timedelta(minutes=1)  # for requests under way
_NAME = re.compile(r"[\w.-]{2,40}")
# OWASP's argon2id setting for servers with little memory: 19 MiB, two passes.
PASSES, KIB = 2, 19 * 1024
_HASHER = PasswordHasher(time_cost=PASSES, memory_cost=KIB, parallelism=1)
_NOBODY = _HASHER.hash(secrets.token_hex(16))


def add_staff(session: Session, name: str, role: str, password: str, now: datetime, office: str | None = None) -> None:
    """Adds an account; ``office``: slug of theirs, None for who sees all offices.

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
    session.add(Staff(name=name, role=role, password_hash=_HASHER.hash(password), created_at=now, office=office))


def set_password(session: Session, name: str, password: str) -> None:
    """Gives an existing account a new password and ends its sessions."""
    staff = session.get(Staff, name)
    if staff is None:
        raise BadInputError(f"không có tài khoản {name!r}")
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise BadInputError(f"mật khẩu: cần từ {MIN_PASSWORD} đến {MAX_PASSWORD} ký tự")
    staff.password_hash, staff.failed, staff.locked_until, staff.locks = _HASHER.hash(password), 0, None, 0
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
            lasts = min(LOCK_FOR * 2 ** min(staff.locks, 10), LOCK_MOST)
            staff.failed, staff.locked_until, staff.locks = 0, now + lasts, staff.locks + 1
            _audit(session, staff.office, name, "locked", name, now, {"minutes": int(lasts.total_seconds() // 60)})
        session.add(staff)
        return None
    staff.failed, staff.locked_until, staff.locks = 0, None, 0
    session.add(staff)
    session.exec(delete(StaffSession).where(col(StaffSession.expires_at) < now))
    token = secrets.token_urlsafe(32)
    session.add(
        StaffSession(
            digest=_digest(token), staff=name, csrf=secrets.token_urlsafe(24), created_at=now, expires_at=now + lasts
        )
    )
    _audit(session, staff.office, name, "sign_in", name, now, {})
    return token


def is_password(session: Session, name: str, password: str) -> bool:
    """Whether this is the password of an account."""
    with suppress(VerificationError, InvalidHashError):
        return bool(_HASHER.verify(account(session, name).password_hash, password[:MAX_PASSWORD]))
    return False


def signed_in(session: Session, token: str, now: datetime) -> StaffSession | None:
    """The live session of a cookie, or None."""
    found = session.get(StaffSession, _digest(token)) if token else None
    if found is None or found.expires_at < now:
        return None
    staff = session.get(Staff, found.staff)
    return found if staff is not None and staff.active else None


def account(session: Session, name: str) -> Staff:
    """The account of a name.

    Raises:
        BadInputError: there is none.
    """
    staff = session.get(Staff, name)
    if staff is None:
        raise BadInputError(f"không có tài khoản {name!r}")
    return staff


def rotate(session: Session, token: str, now: datetime) -> str | None:
    """A new token for a live session; the old one lasts a minute more. None where another request did it already."""
    old = session.get(StaffSession, _digest(token), with_for_update=True)
    if old is None or old.expires_at <= now + OLD_TOKEN_LASTS:
        return None
    fresh = secrets.token_urlsafe(32)
    session.add(
        StaffSession(digest=_digest(fresh), staff=old.staff, csrf=old.csrf, created_at=now, expires_at=old.expires_at)
    )
    old.expires_at = now + OLD_TOKEN_LASTS
    session.add(old)
    return fresh


def set_role(session: Session, name: str, role: str) -> str:
    """Gives an account another role; returns the role before.

    Raises:
        BadInputError: no such account or role.
    """
    staff = account(session, name)
    if role not in ROLES:
        raise BadInputError(f"vai trò {role!r}: cần một trong {', '.join(ROLES)}")
    before, staff.role = staff.role, role
    session.add(staff)
    return before


def set_office(session: Session, name: str, office: str | None) -> str | None:
    """Gives an account to another office, None for all of them; returns the office before.

    Raises:
        BadInputError: no such account.
    """
    staff = account(session, name)
    before, staff.office = staff.office, office
    session.add(staff)
    return before


def set_active(session: Session, name: str, *, active: bool) -> None:
    """Lets an account in, or shuts it out at once.

    Raises:
        BadInputError: no such account.
    """
    staff = account(session, name)
    staff.active = active
    session.add(staff)
    if not active:
        session.exec(delete(StaffSession).where(col(StaffSession.staff) == name))


def sign_out(session: Session, token: str) -> None:
    """Ends a session."""
    session.exec(delete(StaffSession).where(col(StaffSession.digest) == _digest(token)))


def may_post(expected: str, csrf: str) -> bool:
    """Whether a form carries the session's CSRF token (constant time)."""
    return hmac.compare_digest(expected.encode(), csrf.encode())


def audit(session: Session, staff: str, action: str, subject: str, now: datetime, **detail: object) -> None:
    """Writes who did what; their office is the one that the session is limited to."""
    _audit(session, office_of(session), staff, action, subject, now, detail)


def _audit(
    session: Session, office: str | None, staff: str, action: str, subject: str, now: datetime, detail: dict[str, Any]
) -> None:
    session.add(
        Audit(staff=staff[:64], action=action, subject=subject[:100], detail=detail, at=now, office=office)
    )  # fmt: skip


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
