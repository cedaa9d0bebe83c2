"""An office whose console tests use: the real application over SQLite, one account for each role."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from bot.api.app import create_app
from bot.clock import utc_now
from bot.console.accounts import add_staff
from bot.console.permissions import ROLES
from bot.conversation.talk import Talk
from bot.dossiers.demo import seed
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database

PASSWORD = "mat-khau-dai-lam"  # of all accounts; each has the name of its role


class Clock:
    """A clock that tests move; the real time until it is set."""

    def __init__(self) -> None:
        self.at: datetime | None = None

    def __call__(self) -> datetime:
        return self.at or utc_now()


class Visitor(TestClient):
    """A browser of one person: ``post`` sends the CSRF token of whoever is signed in."""

    csrf = ""

    def sign_in(self, name: str, password: str = PASSWORD) -> Visitor:
        """Signs in and reads the CSRF token off the page of one's own account."""
        assert self.get("/staff/sign-in").status_code == 200
        entered = super().post("/staff/sign-in", data={"name": name, "password": password}, follow_redirects=False)
        assert entered.status_code == 303, entered.text
        found = re.search(r'name="csrf" value="([^"]+)"', self.get("/staff/me").text)
        assert found
        self.csrf = found[1]
        return self

    def submit(self, path: str, /, follow_redirects: bool = True, **fields: str) -> Any:
        """Posts a form with the CSRF token."""
        return self.post(path, data={"csrf": self.csrf, **fields}, follow_redirects=follow_redirects)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def office_settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"demo": True, "notice_from_hour": 0, "notice_to_hour": 24})


@pytest.fixture
def service(sqlite_database: Database, office_settings: Settings, talk: Talk, clock: Clock) -> Service:
    return Service(office_settings, sqlite_database, talk, clock=clock)


@pytest.fixture
def app(sqlite_database: Database, office_settings: Settings, service: Service, clock: Clock) -> Iterator[FastAPI]:
    """The application, started, with its background work."""
    with sqlite_database.write() as session:
        seed(session, office_settings, utc_now())
        for role in ROLES:
            add_staff(session, role, role, PASSWORD, utc_now())
    app = create_app(office_settings, sqlite_database, service, clock=clock)
    with TestClient(app):
        yield app


@pytest.fixture
def visit(app: FastAPI) -> Callable[..., Visitor]:
    """Opens a browser; with a name, signed in."""

    def open_one(name: str = "") -> Visitor:
        visitor = Visitor(app, base_url="http://127.0.0.1")
        return visitor.sign_in(name) if name else visitor

    return open_one
