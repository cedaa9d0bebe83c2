"""``motcua zalo login [--import]`` and ``motcua zalo status``: the first tokens of an Official Account, and how it is.

Of several offices each may have an account of its own under the one application (``ZALO_OA_ID_<SLUG>``): ``--office``.

Codes and tokens come from stdin, never from the command line, where other users of the machine could read them.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import re
import sys
from urllib.parse import parse_qs, urlsplit

from bot.channels.zalo_oa import wire
from bot.channels.zalo_oa.client import Client
from bot.channels.zalo_oa.errors import ZaloError, refusal
from bot.channels.zalo_oa.oauth import OAuth, Pair, consent_link, pkce_challenge, pkce_verifier
from bot.channels.zalo_oa.tokens import NO_LOGIN, Tokens, store, stored
from bot.channels.zalo_oa.web_hook import PATH
from bot.clock import local, utc_now
from bot.errors import BadInputError
from bot.settings import Settings, load_settings
from bot.storage.database import Database, open_database

_CODE = re.compile(r"[!-~]{8,2000}")
_TOKEN = re.compile(r"[!-~]{20,2500}")


def configure(_name: str, parser: argparse.ArgumentParser) -> None:
    """Adds the actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="VIỆC")
    login = actions.add_parser("login", help="cấp quyền cho ứng dụng, lấy token đầu tiên", allow_abbrev=False)
    login.add_argument(
        "--import", dest="pasted", action="store_true",
        help="đọc cặp token từ stdin (dòng 1: access token, dòng 2: refresh token), chép từ API Explorer",
    )  # fmt: skip
    login.add_argument("--office", default=None, help="OA riêng của cơ quan này (ZALO_OA_ID_…), không phải OA chung")
    login.set_defaults(run=_login)
    status = actions.add_parser("status", help="tuổi và hạn của token, tình trạng OA", allow_abbrev=False)
    status.set_defaults(run=_status)


def _opened() -> tuple[Settings, Database]:
    settings = load_settings()
    if not settings.has_zalo_oa:
        raise BadInputError("ZALO_APP_ID: chưa đặt; cần cả ZALO_APP_SECRET và ZALO_OA_SECRET")
    return settings, open_database(settings)


def _line(question: str) -> str:
    """One secret line: unseen where a person types it."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{question}: ").strip()
    return sys.stdin.readline().strip()


def _of(settings: Settings, office: str | None) -> Settings:
    """The settings of an office with an account of its own, or of the shared one.

    Raises:
        BadInputError: it has none.
    """
    if office is not None and office not in settings.owners("zalo_oa_id"):
        name = f"ZALO_OA_ID_{office.upper().replace('-', '_')}"
        raise BadInputError(f"--office: {office} chưa có OA riêng; đặt {name} là mã OA của cơ quan đó")
    return settings.at(office)


def _login(args: argparse.Namespace) -> int:
    settings, database = _opened()
    try:
        settings = _of(settings, args.office)
        pair = _pasted(settings) if args.pasted else _granted(settings)
        _same_account(settings, asyncio.run(_whose(settings, pair)))
        with database.write() as session:
            token = store(settings, session, pair, utc_now())
    except ZaloError as error:
        if error.code is not None:
            raise BadInputError(f"Zalo từ chối: {error}; chưa lưu gì") from error
        print(f"motcua: {error}; chưa lưu gì, hãy thử lại", file=sys.stderr)
        return 1
    finally:
        database.close()
    of = f"OA {settings.zalo_oa_id}, " if settings.zalo_oa_id else ""
    print(f"Đã lưu token của {of}ứng dụng {settings.zalo_app_id}, hạn {local(token.expires_at):%H:%M %d/%m/%Y}.")
    return 0


async def _whose(settings: Settings, pair: Pair) -> str:
    """The id of the account that a pair is of, asked only where it matters; "" where Zalo doesn't tell."""
    if settings.zalo_oa_id is None:
        return ""
    async with wire.http_client(settings.zalo_base_url) as client:
        answer = await wire.ask(client, "GET", "/v2.0/oa/getoa", headers={"access_token": pair.access})
    if answer.error:
        raise refusal(answer.error, answer.words)
    data = answer.body.get("data")
    return str(data.get("oa_id") or "") if isinstance(data, dict) else ""


def _same_account(settings: Settings, oa_id: str) -> None:
    if settings.zalo_oa_id and oa_id != settings.zalo_oa_id:
        raise BadInputError(
            f"token là của OA {oa_id or '(không rõ)'}, không phải {settings.zalo_oa_id}; chưa lưu gì. "
            "Quản trị viên của đúng OA đó phải bấm đồng ý"
        )


def _granted(settings: Settings) -> Pair:
    """Asks the account's owner for consent; the code comes back by hand."""
    if settings.public_base_url is None:
        raise BadInputError("PUBLIC_BASE_URL: cần đặt; địa chỉ callback của Zalo nằm dưới địa chỉ đó")
    callback = settings.public_base_url + PATH
    print(
        "1. Trong trang quản lý ứng dụng Zalo, mục Official Account, lưu hai giá trị này (một lần):",
        f"     Callback URL    {callback}",
        f"     Code challenge  {pkce_challenge(pkce_verifier(settings))}",
        "2. Quản trị viên của OA mở địa chỉ này và bấm đồng ý:",
        f"     {consent_link(settings, callback)}",
        "3. Dán vào đây cả địa chỉ mà trình duyệt chuyển đến (hoặc riêng mã code), rồi Enter.",
        sep="\n",
        flush=True,
    )
    return asyncio.run(OAuth(settings).exchange(_code(_line("Địa chỉ hoặc mã"))))


def _code(given: str) -> str:
    """The code of a callback address, or the code itself.

    Raises:
        BadInputError: it is neither.
    """
    if given.startswith(("http://", "https://")):
        try:
            query = parse_qs(urlsplit(given).query)
        except ValueError:
            query = {}
        given = query.get("code", [""])[0]
    if not _CODE.fullmatch(given):
        raise BadInputError("stdin: cần địa chỉ có «?code=…» mà trình duyệt chuyển đến, hoặc riêng mã code")
    return given


def _pasted(settings: Settings) -> Pair:
    """A pair by hand, checked by using both: the refresh token is changed for a fresh pair at once."""
    access, refresh = _line("Access token"), _line("Refresh token")
    for number, token in enumerate((access, refresh), 1):
        if not _TOKEN.fullmatch(token):
            raise BadInputError(f"stdin dòng {number}: cần một token (dòng 1: access token, dòng 2: refresh token)")

    async def renewed() -> Pair:
        async with wire.http_client(settings.zalo_base_url) as client:
            answer = await wire.ask(client, "GET", "/v2.0/oa/getoa", headers={"access_token": access})
        if answer.error:
            raise BadInputError(f"stdin dòng 1: {refusal(answer.error, answer.words)}; chép lại cả cặp còn mới")
        pair = await OAuth(settings).refresh(refresh)
        return Pair(pair.access, pair.refresh or refresh, pair.lifetime)

    return asyncio.run(renewed())


def _status(_args: argparse.Namespace) -> int:
    settings, database = _opened()
    try:
        accounts = [settings.at(office) for office in (None, *settings.owners("zalo_oa_id"))]
        told = ["\n".join(_lines(one, database)) for one in accounts]
    except ZaloError as error:
        raise BadInputError(str(error)) from error
    finally:
        database.close()
    print("\n\n".join(told))
    return 0


def _lines(settings: Settings, database: Database) -> list[str]:
    """How one account is."""
    token = stored(settings, database)
    lines = [f"Ứng dụng     {settings.zalo_app_id}"]
    if settings.zalo_oa_id:
        lines.append(f"OA riêng     {settings.office_of_oa(settings.zalo_oa_id)}, {settings.zalo_oa_id}")
    if token is None:
        return [*lines, f"Token        {NO_LOGIN}"]
    return [
        *lines,
        f"Token        lần đổi thứ {token.generation}, lúc {local(token.refreshed_at):%H:%M %d/%m/%Y}",
        f"Hạn          {local(token.expires_at):%H:%M %d/%m/%Y}, đổi từ {local(token.due_at):%H:%M %d/%m/%Y}",
        f"Vướng mắc    {token.problem or 'không'}",
        f"OA           {asyncio.run(_account(settings, database))}",
    ]


async def _account(settings: Settings, database: Database) -> str:
    """The account's name, or why it can't be asked."""
    tokens = Tokens(settings, database, OAuth(settings))
    client = Client(settings.zalo_base_url, tokens)
    try:
        account = await client.account()
    except ZaloError as error:
        return str(error)
    else:
        return f"{account.get('name') or '(không tên)'}, gọi được"
    finally:
        await tokens.close()
        await client.close()
