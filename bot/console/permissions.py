"""Who may do what on the console: a role has permissions, every page and form asks for one.

Of several offices what all of them share is changed by those alone who see all of them (``SHARED``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ROLES: Mapping[str, str] = MappingProxyType(
    {"advisor": "cán bộ tư vấn", "reception": "một cửa", "admin": "quản trị", "leader": "lãnh đạo"}
)
PERMISSIONS: Mapping[str, str] = MappingProxyType(
    {
        "inbox": "trả lời người dân",
        "canned": "soạn câu trả lời mẫu",
        "review": "xem và chấm câu trả lời của trợ lý",
        "models": "dựng và đổi bản hiểu câu hỏi",
        "procedures": "xem thủ tục",
        "procedures.edit": "sửa thủ tục, phí của tỉnh, xác nhận bản sửa của người khác",
        "office.edit": "sửa giờ, quầy, địa chỉ của cơ quan",
        "dossiers": "xem hồ sơ",
        "dossiers.move": "chuyển trạng thái hồ sơ",
        "notices": "xem tin báo",
        "notices.manage": "quyết định tin chưa rõ, gửi tin thử",
        "notices.words": "tạm dừng tin báo, sửa mẫu",
        "figures": "xem số liệu",
        "staff": "quản lý tài khoản",
        "settings": "đổi cài đặt",
        "audit": "xem nhật ký",
        "self": "việc của chính mình",
    }
)
SHARED = frozenset({"canned", "models", "procedures.edit", "notices.words", "settings"})
_GRANTED: Mapping[str, frozenset[str]] = {
    "advisor": frozenset(
        {
            "inbox",
            "canned",
            "review",
            "models",
            "procedures",
            "procedures.edit",
            "office.edit",
            "dossiers",
            "notices",
            "figures",
            "self",
        }
    ),
    "reception": frozenset({"procedures", "dossiers", "dossiers.move", "notices", "self"}),
    "admin": frozenset(PERMISSIONS),
    "leader": frozenset({"figures", "procedures", "audit", "self"}),
}


def may(role: str, permission: str, *, sees_all: bool = True) -> bool:
    """Whether a role has a permission; an unknown role has none.

    Args:
        role: of the account.
        permission: one of ``PERMISSIONS``.
        sees_all: False for who belongs to one of several offices.

    Raises:
        KeyError: there is no such permission.
    """
    if permission not in PERMISSIONS:
        raise KeyError(permission)
    return (sees_all or permission not in SHARED) and permission in _GRANTED.get(role, frozenset())
