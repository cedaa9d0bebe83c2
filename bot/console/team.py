"""Accounts of the staff: add, role, office, shut out, a new password; for the administrator.

Of several offices, an administrator of one has the accounts of that one alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session, col, select

from bot.clock import local
from bot.console import accounts
from bot.console.pages import Console, Signed
from bot.console.permissions import ROLES
from bot.errors import BadInputError
from bot.storage.tables import Staff
from bot.texts import phrases


def router(console: Console) -> APIRouter:
    """The page of accounts and its forms."""
    routes = APIRouter(prefix="/staff/team", include_in_schema=False)
    reads = console.needs("staff")
    acts = console.posts("staff")
    offices = console.service.talk.offices

    async def page(request: Request, who: Signed, code: int = 200, **shown: Any) -> Response:
        def read(session: Session) -> list[dict[str, Any]]:
            now = console.clock()
            everybody = select(Staff).order_by(col(Staff.name))
            return [
                {
                    "name": one.name,
                    "role": one.role,
                    "office": one.office or "",
                    "active": one.active,
                    "locked": f"{local(one.locked_until):%H:%M %d/%m}"
                    if one.locked_until and one.locked_until > now
                    else "",
                }
                for one in session.exec(everybody.where(Staff.office == who.office) if who.office else everybody)
            ]

        chosen = {slug: offices.name(slug) for slug in offices.slugs} if offices.several and not who.office else {}
        return console.page(
            request, "team.html", who, code, people=await console.read(read), roles=ROLES, offices=chosen, **shown
        )  # fmt: skip

    def theirs(who: Signed, office: str) -> str | None:
        """The office of an account that somebody adds or moves; "" for all offices.

        Raises:
            BadInputError: there is no such office.
        """
        if who.office is not None or not offices.several:
            return who.office
        if office and offices.known(office) is None:
            raise BadInputError(phrases("console")["no_office"])
        return office or None

    async def changed(request: Request, who: Signed, change: Callable[[Session], None]) -> Response:
        try:
            await console.write(change)
        except BadInputError as refused:
            return await page(request, who, 409, error=str(refused))
        return RedirectResponse("/staff/team?done=1", 303)

    @routes.get("", response_class=HTMLResponse)
    async def team(request: Request, who: Signed = reads, done: str = "") -> Response:
        return await page(request, who, done=phrases("console")["saved"] if done == "1" else "")

    @routes.post("")
    async def add(
        request: Request, who: Signed = acts, name: str = Form(""), role: str = Form(""), password: str = Form(""),
        office: str = Form(""),
    ) -> Response:  # fmt: skip
        def change(session: Session) -> None:
            now, at = console.clock(), theirs(who, office)
            accounts.add_staff(session, name.strip(), role, password, now, at)
            more = {"office": at} if at else {}
            accounts.audit(session, who.name, "staff_add", name.strip(), now, after=role, **more)

        return await changed(request, who, change)

    @routes.post("/{name}/role")
    async def role_of(request: Request, name: str, who: Signed = acts, role: str = Form("")) -> Response:
        def change(session: Session) -> None:
            _not_oneself(who, name)
            _of_ones_office(session, who, name)
            before = accounts.set_role(session, name, role)
            accounts.audit(session, who.name, "staff_role", name, console.clock(), before=before, after=role)

        return await changed(request, who, change)

    @routes.post("/{name}/office")
    async def office_of(request: Request, name: str, who: Signed = acts, office: str = Form("")) -> Response:
        if who.office is not None or not offices.several:
            raise HTTPException(404)

        def change(session: Session) -> None:
            _not_oneself(who, name)
            at = theirs(who, office)
            before = accounts.set_office(session, name, at)
            accounts.audit(
                session, who.name, "staff_office", name, console.clock(), before=before or "", after=at or ""
            )

        return await changed(request, who, change)

    @routes.post("/{name}/active")
    async def active(request: Request, name: str, who: Signed = acts, to: str = Form("")) -> Response:
        def change(session: Session) -> None:
            _not_oneself(who, name)
            _of_ones_office(session, who, name)
            before = accounts.account(session, name).active
            accounts.set_active(session, name, active=to == "1")
            accounts.audit(session, who.name, "staff_active", name, console.clock(), before=before, after=to == "1")

        return await changed(request, who, change)

    @routes.post("/{name}/password")
    async def password_of(request: Request, name: str, who: Signed = acts, password: str = Form("")) -> Response:
        def change(session: Session) -> None:
            _of_ones_office(session, who, name)
            accounts.set_password(session, name, password)
            accounts.audit(session, who.name, "staff_password", name, console.clock())

        return await changed(request, who, change)

    return routes


def _not_oneself(who: Signed, name: str) -> None:
    if who.name == name:
        raise BadInputError(phrases("console")["not_oneself"])


def _of_ones_office(session: Session, who: Signed, name: str) -> None:
    staff = session.get(Staff, name)
    if who.office is not None and staff is not None and staff.office != who.office:
        raise HTTPException(404)
