"""``motcua serve``: runs the service and prints its addresses."""

from __future__ import annotations

import argparse
import ctypes
import gc
import secrets
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from bot.application import open_desk, open_engine, open_talk
from bot.clock import utc_now
from bot.errors import BadInputError
from bot.logs import configure_logging
from bot.office_accounts import key
from bot.settings import Settings, SmsGateway, load_settings
from bot.storage.database import Database, open_database
from bot.storage.timekeeping import clock_of

if TYPE_CHECKING:
    import uvicorn

DEMO_STAFF = "canbo"
_M_ARENA_MAX = -8  # malloc.h of glibc; mallopt(3)
REQUESTS_END_SECONDS = 5  # then the loops have bot.api.background.ENDING_SECONDS; 20 s are what managers are promised


def configure(_name: str, parser: argparse.ArgumentParser) -> None:
    """No arguments: everything is a setting."""
    parser.set_defaults(run=_serve)


def _demo(settings: Settings, database: Database) -> str:
    """Seeds the demo dossiers and an account; its password is kept in ``var_dir`` so that a restart prints the same."""
    from bot.console.accounts import add_staff, set_password  # noqa: PLC0415
    from bot.dossiers.demo import seed  # noqa: PLC0415
    from bot.storage.tables import Staff  # noqa: PLC0415

    path = settings.var_dir / "demo-password"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(9) + "\n", "ascii")
    password = path.read_text("ascii").strip()
    with database.write() as session:
        seed(session, settings, utc_now())
        if session.get(Staff, DEMO_STAFF) is None:
            add_staff(session, DEMO_STAFF, "admin", password, utc_now())
        else:
            set_password(session, DEMO_STAFF, password)
    return password


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen()  # whoever reads the address below may connect at once; they wait for the application
    except OSError as error:
        listener.close()
        raise BadInputError(
            f"PORT: không mở được {settings.host}:{settings.port} ({error.strerror}); đặt PORT khác, ví dụ PORT=8080"
        ) from error
    return listener


def _bot(settings: Settings, field: str) -> str:
    """How the bots of a kind ("telegram_token") work: the shared one and those of offices."""
    own = settings.owners(field)
    if getattr(settings, field) is None and not own:
        return f"tắt; đặt {field.upper()} để bật, không cần địa chỉ công khai"
    hook = (settings.public_base_url or "").startswith("https://")
    how = "bật (web hook)" if hook else "bật (tự hỏi tin, không cần địa chỉ công khai)"
    return how + (f"; bot riêng: {', '.join(own)}" if own else "")


def _zalo_oa(settings: Settings) -> str:
    if not settings.has_zalo_oa:
        return "tắt; đặt ZALO_APP_ID, ZALO_APP_SECRET, ZALO_OA_SECRET để bật, cần địa chỉ công khai https"
    own = settings.owners("zalo_oa_id")
    how = "bật (web hook)" if settings.public_base_url else "bật, nhưng chưa đặt PUBLIC_BASE_URL (https) để nhận tin"
    return how + (f"; OA riêng: {', '.join(own)}" if own else "")


def _sms(settings: Settings) -> str:
    through = settings.sms_goes_through
    if through is SmsGateway.TWILIO:
        return "gửi thật qua Twilio (hồ sơ thử thì không)"
    if through is SmsGateway.ESMS:
        return f"gửi {'thử (sandbox)' if settings.esms_sandbox else 'thật'} qua eSMS (hồ sơ thử thì không)"
    return "vào điện thoại giả lập; đặt TWILIO_* hoặc ESMS_* để gửi thật (nhận báo đã đến máy cần PUBLIC_BASE_URL)"


def _announce(settings: Settings, port: int, password: str | None, office: str) -> None:
    base = f"http://{settings.host}:{port}"
    lines = [
        "",
        f"  {office}",
        f"  Trang hỏi đáp      {base}/",
        f"  Trang cán bộ       {base}/staff" + (f"   (tên: {DEMO_STAFF}, mật khẩu: {password})" if password else ""),
    ]
    if settings.demo:
        lines.append(f"  Điện thoại giả lập {base}/simulator")
        lines.append("  Hồ sơ thử          H30.99.01-261116-0001 … 0010")
    lines += [
        f"  API hồ sơ          {base}/api/docs",
        f"  Tình trạng         {base}/ready   {base}/metrics",
        "",
        "  Kênh: web, cửa sổ lệnh (motcua chat) chạy ngay, không cần địa chỉ công khai.",
        f"  Telegram: {_bot(settings, 'telegram_token')}",
        f"  Zalo OA: {_zalo_oa(settings)}",
        f"  Zalo Bot: {_bot(settings, 'zalo_bot_token')}",
        f"  SMS: {_sms(settings)}",
        f"  Sao lưu: {f'mỗi đêm vào {settings.backups}' if settings.backup else 'tắt (MOTCUA_BACKUP=0)'}",
        "",
        "  Dừng: Ctrl+C",
        "",
    ]  # fmt: skip
    print("\n".join(lines), flush=True)


def _server(config: uvicorn.Config, before_stop: Callable[[], None]) -> uvicorn.Server:
    """A server that ends the endless answers (event streams) before it waits for the others."""
    import uvicorn  # noqa: PLC0415

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            before_stop()
            await super().shutdown(sockets)

    return Server(config)


def few_heaps() -> None:
    """Has the threads share two heaps: glibc gives each its own, and what it frees there others cannot use.

    Measured (``tests.bench_turns``): 329 MB after 3,000 turns instead of 380, and no longer growing. Does nothing
    where the C library knows no such option.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def settle_memory() -> None:
    """What was built at the start stays: it is never looked through again, and the holes it left are given back.

    Measured: 29 MB less, where the C library is glibc.
    """
    gc.collect()
    gc.freeze()  # models and catalogue live as long as the process
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _serve(_args: argparse.Namespace) -> int:
    few_heaps()
    settings = load_settings()
    configure_logging(settings.log_level, as_json=settings.log_format == "json")
    desk = open_desk(settings)
    database = open_database(settings)
    from bot.storage.single import only_service  # noqa: PLC0415

    with only_service(database):
        password = _demo(settings, database) if settings.demo else None
        listener = _listen(settings)
        import uvicorn  # noqa: PLC0415

        from bot.api.app import create_app  # noqa: PLC0415
        from bot.channels.opening import open_channels  # noqa: PLC0415
        from bot.edits.live import LiveEdits  # noqa: PLC0415
        from bot.service import Service  # noqa: PLC0415

        clock = clock_of(database)
        channels = open_channels(settings, database, clock)
        photos = {key(channel.name, channel.account): channel.fetch_photo for channel in channels}
        # No name for the engine: it must be free to go when a model of the bank takes its place.
        edits = LiveEdits(database, settings.office)
        talk = open_talk(settings, desk, open_engine(settings, edits.desk(desk), files=desk))
        service = Service(settings, database, talk, clock=clock, photos=photos, edits=edits)
        del talk
        app = create_app(settings, database, service, channels, clock)
        settle_memory()
        config = uvicorn.Config(
            app, log_config=None, access_log=False, proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies or None, server_header=False,
            timeout_graceful_shutdown=REQUESTS_END_SECONDS,
        )  # fmt: skip
        _announce(settings, listener.getsockname()[1], password, desk.office.name)
        _server(config, app.state.streams.close).run(sockets=[listener])
    database.close()
    sys.stdout.flush()
    return 0
