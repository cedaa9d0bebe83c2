"""What every staff page shares: who is signed in and what they may do, forms that can't be forged, the frame around.

A form sent after the session ended is kept: the sign-in page carries what was typed, and shows it again afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool

from bot.catalog.answers import Desk
from bot.channels.web import same_origin
from bot.clock import Clock
from bot.console import accounts
from bot.console.permissions import ROLES, may
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.sight import Sight, limit
from bot.texts import phrases

T = TypeVar("T")
COOKIE = "motcua_staff"
SIGN_IN = "/staff/sign-in"
CSRF_HEADER = "x-csrf-token"  # of a script's request; a form has the field "csrf"
NAV = (
    ("/staff/inbox", "Hộp thư", "inbox"),
    ("/staff/review", "Chấm câu trả lời", "review"),
    ("/staff/models", "Bản hiểu", "models"),
    ("/staff/dossiers", "Hồ sơ", "dossiers"),
    ("/staff/notices", "Tin báo", "notices"),
    ("/staff/procedures", "Thủ tục", "procedures"),
    ("/staff/office", "Cơ quan", "procedures"),
    ("/staff/figures", "Số liệu", "figures"),
    ("/staff/team", "Tài khoản", "staff"),
    ("/staff/settings", "Cài đặt", "settings"),
    ("/staff/audit", "Nhật ký", "audit"),
)
# What this request's person may see: set where it is found out who they are, and nowhere else.
_SIGHT: ContextVar[Sight | None] = ContextVar("sight", default=None)


@dataclass(frozen=True, slots=True)
class Signed:
    """Who is signed in on this request; ``office``: slug of theirs where there are several, None for who sees all."""

    name: str
    role: str
    csrf: str
    token: str
    office: str | None = None

    @property
    def role_name(self) -> str:
        """The role as staff call it."""
        return ROLES.get(self.role, self.role)

    def may(self, permission: str) -> bool:
        """Whether they have a permission."""
        return may(self.role, permission, sees_all=self.office is None)


class SignInFirstError(Exception):
    """Nobody is signed in, or the session has ended."""


class ForbiddenError(Exception):
    """Whoever is signed in may not do this, or the form is forged."""

    def __init__(self, who: Signed | None, reason: str) -> None:
        super().__init__(reason)
        self.who = who
        self.reason = reason


@dataclass(frozen=True)
class Console:
    """What the pages are made of."""

    settings: Settings
    database: Database
    service: Service
    templates: Jinja2Templates
    clock: Clock

    @property
    def secure(self) -> bool:
        """Whether the cookie is for https only."""
        return (self.settings.public_base_url or "").startswith("https://")

    # --- who -------------------------------------------------------------------------------------------------------

    async def signed(self, request: Request) -> Signed | None:
        """Who is signed in; their token is changed for a new one every hour (``page`` sets the cookie)."""
        token = request.cookies.get(COOKIE, "")
        if not token:
            return None
        rotate = request.method == "GET" and request.headers.get("accept", "").startswith("text/html")

        def find() -> tuple[Signed | None, str | None]:
            now = self.clock()
            with self.database.read() as session:
                found = accounts.signed_in(session, token, now)
                if found is None:
                    return None, None
                staff = accounts.account(session, found.staff)
                who = Signed(found.staff, staff.role, found.csrf, token, self._sees_only(staff.office))
                old = rotate and found.created_at < now - accounts.ROTATE_AFTER
            if not old:
                return who, None
            with self.database.write() as session:
                return who, accounts.rotate(session, token, now)

        who, fresh = await run_in_threadpool(find)
        if fresh:
            request.state.fresh_token = fresh
        return who

    def _sees_only(self, office: str | None) -> str | None:
        """The office that an account is limited to; None where it may see all there is."""
        alone = not self.service.talk.offices.several and office == self.settings.office
        return None if alone else office

    def sight(self, office: str | None) -> Sight | None:
        """What an office may see; of None all."""
        return Sight(office, self.service.talk.offices.agencies(office)) if office is not None else None

    def desk(self, office: str | None = None) -> Desk:
        """The desk of an office as of now; of None that of the default one."""
        talk, now = self.service.talk, self.clock()
        return talk.desk(now) if office is None else talk.at(office, now)

    def needs(self, permission: str) -> Any:
        """The default of a page's parameter ``who``: who is signed in, with this permission.

        Whoever is not signed in, or may not, gets a page that says so (``install``).
        """
        return Depends(self._allowed(permission))

    def posts(self, permission: str) -> Any:
        """As ``needs``, for forms and scripts' requests: with the CSRF token of the session."""
        needed = self._allowed(permission)

        async def dependency(request: Request) -> Signed:
            if not same_origin(request):
                raise ForbiddenError(None, phrases("console")["forged"])
            who = await needed(request)
            given = request.headers.get(CSRF_HEADER)
            if given is None:
                given = str((await request.form()).get("csrf", ""))
            if not accounts.may_post(who.csrf, given):
                await request.close()  # an upload that nobody takes
                raise ForbiddenError(who, phrases("console")["forged"])
            return who

        dependency.permission = permission  # type: ignore[attr-defined]
        return Depends(dependency)

    def _allowed(self, permission: str) -> Callable[[Request], Awaitable[Signed]]:
        async def dependency(request: Request) -> Signed:
            who = await self.signed(request)
            if who is None:
                raise SignInFirstError
            _SIGHT.set(self.sight(who.office))
            if not who.may(permission):
                raise ForbiddenError(who, phrases("console")["not_allowed"].format(role=who.role_name))
            return who

        dependency.permission = permission  # type: ignore[attr-defined]
        return dependency

    # --- pages -----------------------------------------------------------------------------------------------------

    def page(
        self, request: Request, template: str, who: Signed | None = None, code: int = 200, **shown: Any
    ) -> Response:
        """A page in the console's frame: ``who`` is signed in, ``shown`` goes to the template."""
        nav = [(path, label) for path, label, permission in NAV if who and who.may(permission)]
        mine = self.service.talk.offices.name(who.office) if who and who.office else ""
        response = self.templates.TemplateResponse(
            request,
            template,
            {"who": who, "nav": nav, "demo": self.settings.demo, "my_office": mine, **shown},
            status_code=code,
        )
        self.keep_cookie(request, response)
        return response

    def keep_cookie(self, request: Request, response: Response) -> None:
        """Gives the browser its new token, where it was changed on this request."""
        fresh = getattr(request.state, "fresh_token", None)
        if fresh:
            self.set_cookie(response, fresh)

    def set_cookie(self, response: Response, token: str) -> None:
        """The session's cookie: no script reads it, no other site sends it."""
        response.set_cookie(
            COOKIE, token, max_age=self.settings.session_hours * 3600, httponly=True, samesite="strict",
            secure=self.secure, path="/",
        )  # fmt: skip

    # --- work ------------------------------------------------------------------------------------------------------

    async def read(self, work: Callable[[Session], T], *, office: str | None = None) -> T:
        """Runs a function in a reading transaction, off the event loop.

        Args:
            work: what to do; it sees what the person of this request may see.
            office: where that is all, only what this office may see.
        """
        sight = _SIGHT.get() or self.sight(office)

        def run() -> T:
            with self.database.read() as session:
                limit(session, sight)
                return work(session)

        return await run_in_threadpool(run)

    async def write(self, work: Callable[[Session], T]) -> T:
        """Runs a function in a writing transaction, off the event loop; an exception undoes it."""
        sight = _SIGHT.get()

        def run() -> T:
            with self.database.write() as session:
                limit(session, sight)
                return work(session)

        return await run_in_threadpool(run)

    # --- sign in ---------------------------------------------------------------------------------------------------

    async def sign_in(self, name: str, password: str, old: str) -> str | None:
        """A new token where name and password fit; the browser's former session ends."""

        def enter(session: Session) -> str | None:
            lasts = timedelta(hours=self.settings.session_hours)
            token = accounts.sign_in(session, name.strip(), password, self.clock(), lasts)
            if token and old:
                accounts.sign_out(session, old)
            return token

        return await self.write(enter)

    def install(self, app: FastAPI) -> None:
        """Answers for those who are not signed in or may not."""

        @app.exception_handler(SignInFirstError)
        async def sign_in_first(request: Request, _error: SignInFirstError) -> Response:
            if _is_script(request):
                return JSONResponse({"error": phrases("console")["expired"]}, 401)
            if request.method == "GET":
                path = request.url.path + ("?" + request.url.query if request.url.query else "")
                target = request.url_for("sign_in_page")
                if path != "/staff":
                    target = target.include_query_params(next=path)
                return RedirectResponse(f"{target.path}?{target.query}".rstrip("?"), 303)
            # A file can't be kept for afterwards, so it isn't even read from somebody who has not signed in.
            sent = () if _is_upload(request) else (await request.form()).multi_items()
            form = [(key, value) for key, value in sent if isinstance(value, str) and key != "csrf"]
            kept = json.dumps({"to": request.url.path, "fields": form}, ensure_ascii=False)
            said = phrases("console")["expired_kept" if form else "expired"]
            return self.page(request, "sign_in.html", code=401, error=said, kept=kept if form else "")

        @app.exception_handler(ForbiddenError)
        async def forbidden(request: Request, error: ForbiddenError) -> Response:
            if _is_script(request):
                return JSONResponse({"error": error.reason}, 403)
            return self.page(request, "forbidden.html", error.who, 403, reason=error.reason)


def _is_upload(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("multipart/")


def _is_script(request: Request) -> bool:
    return CSRF_HEADER in request.headers or request.headers.get("accept", "").startswith("application/json")


def kept_form(kept: str) -> tuple[str, list[tuple[str, str]]] | None:
    """Where a form was going and what stood in it, as the sign-in page carried it; None for anything else."""
    try:
        data = json.loads(kept)
        to, fields = data["to"], [(str(key)[:64], str(value)) for key, value in data["fields"]]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(to, str) or not to.startswith("/staff/"):
        return None
    return to, fields


def local_path(path: str) -> str:
    """A path on the console to go to after signing in; "/staff" for any other address."""
    return path if path.startswith("/staff/") and "\\" not in path and "//" not in path else "/staff"
