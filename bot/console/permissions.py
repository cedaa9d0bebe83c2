"""Who may do what on the console: a role has permissions, every page and form asks for one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ROLES: Mapping[str, str] = MappingProxyType(
    {"advisor": "cán bộ tư vấn", "reception": "một cửa", "admin": "quản trị", "leader": "lãnh đạo"}
)
PERMISSIONS: Mapping[str, str] = MappingProxyType(
    {
        "inbox": "trả lời người dân",
        "review": "xem và chấm câu trả lời của trợ lý",
        "models": "dựng và đổi bản hiểu câu hỏi",
        "procedures": "xem thủ tục",
        "procedures.edit": "sửa thủ tục, xác nhận bản sửa của người khác",
        "dossiers": "xem hồ sơ",
        "dossiers.move": "chuyển trạng thái hồ sơ",
        "notices": "xem tin báo",
        "notices.manage": "tạm dừng tin báo, sửa mẫu, quyết định tin chưa rõ",
        "figures": "xem số liệu",
        "staff": "quản lý tài khoản và cài đặt",
        "audit": "xem nhật ký",
        "self": "việc của chính mình",
    }
)
_GRANTED: Mapping[str, frozenset[str]] = {
    "advisor": frozenset(
        {"inbox", "review", "models", "procedures", "procedures.edit", "dossiers", "notices", "figures", "self"}
    ),
    "reception": frozenset({"procedures", "dossiers", "dossiers.move", "notices", "self"}),
    "admin": frozenset(PERMISSIONS),
    "leader": frozenset({"figures", "procedures", "audit", "self"}),
}


def may(role: str, permission: str) -> bool:
    """Whether a role has a permission; an unknown role has none.

    Raises:
        KeyError: there is no such permission.
    """
    if permission not in PERMISSIONS:
        raise KeyError(permission)
    return permission in _GRANTED.get(role, frozenset())
