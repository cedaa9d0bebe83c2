"""The machine: Python, disk, folders, the secret key, the port."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx

from bot.doctor.finding import Deployment, Finding, State

_MEGABYTE = 1024 * 1024
_LITTLE, _TOO_LITTLE = 2048, 500  # MB free


def python(_: Deployment) -> Iterator[Finding]:
    """Which one runs; the installation refuses what is too old."""
    told = f"{platform.python_implementation()} {platform.python_version()}"
    yield Finding("Python", State.OK, told)


def folders(deployment: Deployment) -> Iterator[Finding]:
    """The folders that are written to: there, ours, private, with space left."""
    settings = deployment.settings
    folders = {"MOTCUA_VAR_DIR": settings.var_dir}
    if settings.backup:
        folders["MOTCUA_BACKUP_DIR"] = settings.backups
    for name, folder in folders.items():
        there = _nearest(folder)
        if not os.access(there, os.W_OK | os.X_OK):
            yield Finding(
                name, State.BAD, f"{there}: không ghi được", "cho người dùng chạy dịch vụ quyền ghi thư mục này"
            )
            continue
        free = shutil.disk_usage(there).free // _MEGABYTE
        told = f"{folder}, còn trống {free} MB"
        if free < _TOO_LITTLE:
            yield Finding(name, State.BAD, told, "dọn đĩa; đĩa đầy thì không nhận thêm được tin nào")
        elif free < _LITTLE:
            yield Finding(name, State.NOTE, told, "sắp đầy, nên dọn đĩa")
        elif folder.exists() and stat.S_IMODE(folder.stat().st_mode) & 0o007:
            yield Finding(name, State.NOTE, f"{told}; mọi người dùng của máy vào được", f"chmod o-rwx {folder}")
        else:
            yield Finding(name, State.OK, told)


def key(deployment: Deployment) -> Iterator[Finding]:
    """The secret key: for its owner only, and the same for all replicas."""
    settings, name = deployment.settings, "Khóa bí mật"
    if settings.secret_key is not None:
        yield Finding(name, State.OK, "đặt bằng MOTCUA_SECRET_KEY")
        return
    if not deployment.database.is_sqlite:
        yield Finding(
            name, State.NOTE, "chưa đặt MOTCUA_SECRET_KEY",
            "chạy từ hai bản trở lên thì mọi bản phải đặt MOTCUA_SECRET_KEY giống nhau",
        )  # fmt: skip
    path = settings.var_dir / "secret.key"
    if not path.exists():
        yield Finding(name, State.OK, "sẽ được tạo khi chạy lần đầu")
    elif stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield Finding(name, State.BAD, f"{path}: người khác đọc được", f"chmod 600 {path}")
    else:
        yield Finding(name, State.OK, f"{path}; hãy cất một bản sao ở nơi khác với bản sao lưu")


def port(deployment: Deployment) -> Iterator[Finding]:
    """Our own service answers there, or nobody does; what the service itself complains of."""
    settings, name = deployment.settings, "Dịch vụ"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104  compared, not bound
    base = f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
    try:
        answer = deployment.http.get(f"{base}/health")
    except httpx.HTTPError:
        yield _free(settings.host, settings.port, name)
        return
    if not is_ours(answer):
        yield Finding(name, State.BAD, f"{base}: chương trình khác đang dùng cổng này", "đặt PORT khác")
        return
    told = deployment.http.get(f"{base}/ready").json()
    reasons = "; ".join(f"{what}: {why}" for what, why in told["reasons"].items())
    if told["status"] != "ready":
        yield Finding(name, State.BAD, f"{base}: chưa sẵn sàng ({reasons})", "xem nhật ký của dịch vụ")
    elif reasons:
        yield Finding(name, State.NOTE, f"{base}: đang chạy; {reasons}", "xem mục tương ứng")
    else:
        yield Finding(name, State.OK, f"{base}: đang chạy, sẵn sàng")


def is_ours(answer: httpx.Response) -> bool:
    """Whether ``/health`` was answered by this program."""
    try:
        return answer.status_code == 200 and answer.json() == {"status": "ok"}
    except ValueError:
        return False


def _free(host: str, number: int, name: str) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, number))
        except OSError as error:
            return Finding(name, State.BAD, f"{host}:{number}: {error.strerror}", "đặt PORT hoặc HOST khác")
    return Finding(name, State.OK, f"chưa chạy; cổng {number} còn trống")


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above that is there."""
    for one in (folder.absolute(), *folder.absolute().parents):
        if one.is_dir():
            return one
    return Path("/")
