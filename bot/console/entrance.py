"""The door: signing in and out, one's own password, and the form that was under way when a session ended."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session

from bot.channels.web import same_origin
from bot.console import accounts
from bot.console.inbox.own import own_page
from bot.console.pages import COOKIE, NAV, Console, Signed, kept_form, local_path
from bot.errors import BadInputError
from bot.texts import phrases


def router(console: Console) -> APIRouter:
    """Sign in, sign out, one's own password."""
    routes = APIRouter(prefix="/staff", include_in_schema=False)
    reads = console.needs("self")
    acts = console.posts("self")

    @routes.get("", response_class=HTMLResponse)
    async def start(request: Request) -> Response:
        who = await console.signed(request)
        first = next((path for path, _, permission in NAV if who and who.may(permission)), "/staff/sign-in")
        response = RedirectResponse(first, 303)
        console.keep_cookie(request, response)
        return response

    @routes.get("/sign-in", response_class=HTMLResponse, name="sign_in_page")
    async def sign_in_page(request: Request, next: str = "") -> Response:  # noqa: A002  the name in the address
        return console.page(request, "sign_in.html", next=local_path(next) if next else "")

    @routes.post("/sign-in", response_class=HTMLResponse)
    async def sign_in(
        request: Request,
        name: str = Form(""),
        password: str = Form(""),
        next: str = Form(""),  # noqa: A002
        kept: str = Form(""),
    ) -> Response:
        carried: dict[str, Any] = {"next": local_path(next) if next else "", "kept": kept, "name": name[:64]}
        if not same_origin(request):
            return console.page(request, "sign_in.html", code=403, error=phrases("console")["expired"], **carried)
        token = await console.sign_in(name, password, request.cookies.get(COOKIE, ""))
        if token is None:
            wrong = phrases("console")["wrong_password"]
            return console.page(request, "sign_in.html", code=401, error=wrong, **carried)
        response: Response = RedirectResponse(local_path(next), 303)
        form = kept_form(kept) if kept else None
        if form is not None:
            fresh = await console.read(lambda session: accounts.signed_in(session, token, console.clock()))
            csrf = fresh.csrf if fresh else ""
            response = console.page(request, "resume.html", to=form[0], fields=form[1], csrf=csrf)
        console.set_cookie(response, token)
        return response

    @routes.post("/sign-out")
    async def sign_out(request: Request, csrf: str = Form("")) -> Response:
        who = await console.signed(request)
        if who is not None and accounts.may_post(who.csrf, csrf):
            await console.write(lambda session: accounts.sign_out(session, who.token))
        response = RedirectResponse("/staff/sign-in", 303)
        response.delete_cookie(COOKIE, path="/")
        return response

    @routes.get("/me", response_class=HTMLResponse)
    async def me(request: Request, who: Signed = reads) -> Response:
        return await own_page(console, request, who)

    @routes.post("/me/password", response_class=HTMLResponse)
    async def change_password(
        request: Request,
        who: Signed = acts,
        old: str = Form(""),
        new: str = Form(""),
        again: str = Form(""),
    ) -> Response:
        said = phrases("console")

        def change(session: Session) -> None:
            now = console.clock()
            if new != again:
                raise BadInputError(said["passwords_differ"])
            if not accounts.is_password(session, who.name, old):
                raise BadInputError(said["old_password_wrong"])
            accounts.set_password(session, who.name, new)
            accounts.audit(session, who.name, "password", who.name, now)

        try:
            await console.write(change)
        except BadInputError as refused:
            return await own_page(console, request, who, 409, error=str(refused))
        return console.page(request, "sign_in.html", done=said["password_changed"])

    return routes
