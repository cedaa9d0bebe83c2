"""What the office has: database, backups, catalogue, holidays, accounts, tokens."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlmodel import func, select, text

from bot.application import open_desk
from bot.catalog.calendar import DECREED_UNTIL
from bot.clock import local
from bot.doctor.finding import Deployment, Finding, State
from bot.errors import BadInputError
from bot.settings import Settings
from bot.storage import pg_tools, schema
from bot.storage.listening import APPLICATION
from bot.storage.nightly import LATE, last_backup
from bot.storage.tables import Staff

_NO_TOKEN = "chưa có token"  # noqa: S105 - words about it
_MOST_APART = 30.0  # seconds between two clocks; signatures of web hooks allow minutes, one-time codes five
_FROM_MONTH = 11  # from when on appointments reach into the next year

_BESIDE = 4  # the nightly backup's lock and its pg_dump, and an operator's command
_SMALLEST_POOL = 3
_LIMITS = text(
    "SELECT current_setting('max_connections')::int AS server, "
    "current_setting('superuser_reserved_connections')::int "
    "+ coalesce(current_setting('reserved_connections', true), '0')::int AS reserved, "
    "(SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS database, "
    "(SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS role, "
    "(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = :listening) "
    "AS running"
)


def database(deployment: Deployment) -> Iterator[Finding]:
    """Reachable, and at this program's revision."""
    name = "Cơ sở dữ liệu"
    kind = "SQLite" if deployment.database.is_sqlite else "PostgreSQL"
    try:
        schema.check(deployment.database)
    except BadInputError as error:
        yield Finding(
            name, State.BAD, str(error), "" if "motcua db upgrade" in str(error) else "xem MOTCUA_DATABASE_URL"
        )
        return
    deployment.has_tables = True
    yield Finding(name, State.OK, f"{kind}, bản {schema.head()}")
    if not deployment.database.is_sqlite:
        with deployment.database.read() as session:
            told = session.execute(text("SELECT clock_timestamp()")).scalar_one()
        deployment.dates["cơ sở dữ liệu"] = (told, deployment.now)


def connections(deployment: Deployment) -> Iterator[Finding]:
    """Whether PostgreSQL takes the connections of all replicas at once."""
    if deployment.database.is_sqlite or not deployment.has_tables:
        return
    name, settings = "Số kết nối PostgreSQL", deployment.settings
    with deployment.database.read() as session:
        row = session.execute(_LIMITS, {"listening": APPLICATION}).one()
    most = min(limit for limit in (row.server - row.reserved, row.database, row.role) if limit >= 0)
    replicas = max(settings.replicas, row.running)
    needed = replicas * (settings.database_pool + 1) + _BESIDE
    told = (
        f"{replicas} bản × ({settings.database_pool} + 1 để nghe) + {_BESIDE} cho sao lưu và lệnh = {needed}, "
        f"máy chủ cho {most}"
    )
    if needed > most:
        fit = (most - _BESIDE) // replicas - 1
        lower = f"đặt MOTCUA_DATABASE_POOL={fit}, hoặc " if fit >= _SMALLEST_POOL else ""
        yield Finding(name, State.BAD, told, f"{lower}tăng max_connections lên {row.reserved + needed}")
    else:
        yield Finding(name, State.OK, told)


def clocks(deployment: Deployment) -> Iterator[Finding]:
    """This machine's clock against every other that was seen; comes after the checks that ask outside."""
    name = "Đồng hồ"
    here = f"máy này {local(deployment.now):%H:%M:%S %d/%m/%Y} (giờ Việt Nam)"
    if not deployment.dates:
        yield Finding(name, State.NOTE, f"{here}; không có đồng hồ nào để so", "so với điện thoại")
        return
    apart = {who: (ours - theirs).total_seconds() for who, (theirs, ours) in deployment.dates.items()}
    who = max(apart, key=lambda one: abs(apart[one]))
    if abs(apart[who]) > _MOST_APART:
        told = f"{here}, {'nhanh' if apart[who] > 0 else 'chậm'} {abs(apart[who]):.0f} giây so với {who}"
        yield Finding(
            name, State.BAD, told, "bật đồng bộ giờ: timedatectl set-ntp true (WSL2: wsl --shutdown rồi mở lại)"
        )
    else:
        yield Finding(name, State.OK, f"{here}, khớp với {', '.join(apart)}")


def backups(deployment: Deployment) -> Iterator[Finding]:
    """Made each night; can be made at all."""
    name, settings = "Sao lưu", deployment.settings
    if not settings.backup:
        yield Finding(name, State.NOTE, "MOTCUA_BACKUP=0", "bảo đảm nơi khác sao lưu mỗi đêm, và đã thử phục hồi")
        return
    if not deployment.database.is_sqlite and (why := pg_tools.missing()):
        yield Finding(name, State.BAD, why.partition(";")[0], why.partition("; ")[2])
        return
    if not deployment.has_tables:
        return
    with deployment.database.read() as session:
        last = last_backup(session)
    if last is None:
        yield Finding(name, State.OK, "chưa có bản nào; dịch vụ tự làm bản đầu tiên sau khi chạy nửa phút")
    elif deployment.now - last > LATE:
        told = f"bản mới nhất từ {local(last):%H:%M %d/%m/%Y}"
        yield Finding(name, State.BAD, told, f"xem /ready, mục backup, và thư mục {settings.backups}")
    else:
        yield Finding(name, State.OK, f"bản mới nhất từ {local(last):%H:%M %d/%m/%Y}, trong {settings.backups}")


def catalogue(deployment: Deployment) -> Iterator[Finding]:
    """Procedures and office profile can be read."""
    try:
        desk = open_desk(deployment.settings)
    except BadInputError as error:
        yield Finding("Thủ tục", State.BAD, str(error), "motcua catalog check")
        return
    yield Finding("Thủ tục", State.OK, f"{len(desk.catalog.entries())} thủ tục, {desk.office.name}")
    missing = [
        what for what, given in (("điện thoại", desk.office.phone), ("giờ làm việc", desk.office.hours)) if not given
    ]
    if missing:
        path = deployment.settings.catalog / "local" / f"{deployment.settings.office}.yml"
        yield Finding("Cơ quan", State.NOTE, f"chưa có {', '.join(missing)}", f"điền vào {path}")


def holidays(deployment: Deployment) -> Iterator[Finding]:
    """The days off of this year and, from November on, of the next are decreed and known."""
    today = local(deployment.now).date()
    wanted = today.year + (today.month >= _FROM_MONTH)
    if wanted <= DECREED_UNTIL:
        yield Finding("Ngày nghỉ", State.OK, f"biết đến hết năm {DECREED_UNTIL}")
        return
    told = f"chưa có lịch nghỉ và hoán đổi ngày làm việc chính thức của năm {wanted}; ngày hẹn được nói là dự kiến"
    todo = "cập nhật chương trình sau khi có thông báo, hoặc ghi days_off, working_days vào hồ sơ cơ quan"
    yield Finding("Ngày nghỉ", State.BAD if today.year > DECREED_UNTIL else State.NOTE, told, todo)


def staff(deployment: Deployment) -> Iterator[Finding]:
    """Somebody can sign in, and no demo stands open to the world."""
    if deployment.settings.demo and deployment.settings.public_base_url:
        yield Finding("Bản thử", State.BAD, "MOTCUA_DEMO=1 cùng với PUBLIC_BASE_URL", "bỏ MOTCUA_DEMO khi phục vụ thật")
    if not deployment.has_tables:
        return
    with deployment.database.read() as session:
        active = session.exec(select(func.count()).where(Staff.active == True)).one()  # noqa: E712  SQL
    if active:
        yield Finding("Cán bộ", State.OK, f"{active} tài khoản")
    else:
        yield Finding("Cán bộ", State.BAD, "chưa có tài khoản nào", "motcua staff add TÊN --role admin")


def zalo_tokens(deployment: Deployment) -> Iterator[Finding]:
    """The tokens of each Official Account: there, readable with this key, in time."""
    if not (deployment.settings.has_zalo_oa and deployment.has_tables):
        return
    own = deployment.settings.owners("zalo_oa_id")
    for account in (None, *own):
        found = _zalo(deployment.settings.at(account), deployment, account)
        if found.told != _NO_TOKEN or account or not own:  # where offices have their own, none need be shared
            yield found


def _zalo(settings: Settings, deployment: Deployment, account: str | None) -> Finding:
    from bot.channels.zalo_oa.errors import ZaloError  # noqa: PLC0415  only where the channel is on
    from bot.channels.zalo_oa.tokens import stored  # noqa: PLC0415

    name = f"Zalo OA {account}" if account else "Zalo OA"
    login = f"motcua zalo login --office {account}" if account else "motcua zalo login"
    try:
        token = stored(settings, deployment.database)
    except ZaloError as error:
        return Finding(name, State.BAD, str(error), f"đặt lại khóa bí mật cũ, hoặc chạy {login}")
    if token is None:
        return Finding(name, State.BAD, _NO_TOKEN, login)
    until: datetime = token.expires_at.astimezone(UTC)
    if token.problem or until < deployment.now:
        return Finding(name, State.BAD, token.problem or "token đã hết hạn", f"motcua zalo status, rồi {login}")
    return Finding(name, State.OK, f"token đến {local(until):%H:%M %d/%m/%Y}, tự đổi trước đó")
