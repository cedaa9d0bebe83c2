"""Every staff page and form asks for a permission, and every role gets just what it may."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from fastapi import FastAPI
from fastapi.routing import APIRoute

from bot.console.permissions import PERMISSIONS, ROLES, may
from tests.console.conftest import Visitor

OPEN = {("GET", "/staff"), ("GET", "/staff/sign-in"), ("POST", "/staff/sign-in"), ("POST", "/staff/sign-out")}


def permissions_of(route: APIRoute) -> set[str]:
    asked = (getattr(one.call, "permission", None) for one in route.dependant.dependencies)
    return {permission for permission in asked if permission}


def staff_routes(app: FastAPI) -> Iterator[tuple[str, str, APIRoute]]:
    routers = (getattr(one, "original_router", None) for one in app.state.pages.app.routes)
    for route in (route for router in routers if router for route in router.routes):
        if isinstance(route, APIRoute) and route.path.startswith("/staff"):
            for method in route.methods:
                if (method, route.path) not in OPEN:
                    yield method, route.path, route


def test_every_route_asks_for_one_permission(app: FastAPI) -> None:
    routes = list(staff_routes(app))
    assert len(routes) >= 12
    assert {path for _, path, route in routes if len(permissions_of(route)) != 1} == set()
    assert {name for _, _, route in routes for name in permissions_of(route)} <= set(PERMISSIONS)


def test_each_role_gets_what_it_may(app: FastAPI, visit: Callable[..., Visitor]) -> None:
    for role in ROLES:
        visitor = visit(role)
        for method, path, route in staff_routes(app):
            (permission,) = permissions_of(route)
            address = re.sub(r"\{\w+(?::\w+)?\}", "0", path)
            if path == "/staff/me/password" or "stream" in path:
                continue  # signs out; never ends
            answer = visitor.request(method, address, headers={"x-csrf-token": visitor.csrf}, follow_redirects=False)
            assert (answer.status_code != 403) is may(role, permission), (role, method, path, answer.status_code)
            assert answer.status_code < 500, (role, method, path)


def test_nobody_gets_nothing(app: FastAPI, visit: Callable[..., Visitor]) -> None:
    visitor = visit()
    for method, path, _route in staff_routes(app):
        answer = visitor.request(method, re.sub(r"\{\w+(?::\w+)?\}", "0", path), follow_redirects=False)
        assert answer.status_code in {303, 401}, (method, path)
        if answer.status_code == 303:
            assert answer.headers["location"].startswith("/staff/sign-in")


def test_a_forged_form_changes_nothing(app: FastAPI, visit: Callable[..., Visitor]) -> None:
    visitor = visit("admin")
    for method, path, _route in staff_routes(app):
        if method != "GET":
            address = re.sub(r"\{\w+(?::\w+)?\}", "0", path)
            assert visitor.request(method, address).status_code == 403, path
            assert visitor.request(method, address, data={"csrf": "x" * 32}).status_code == 403, path
            foreign = {"x-csrf-token": visitor.csrf, "origin": "https://xau.example"}
            assert visitor.request(method, address, headers=foreign).status_code == 403, path
