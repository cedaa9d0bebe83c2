"""Pages that are built when the first of them is asked for: the console has a hundred, and a start need not wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import ASGIApp, Receive, Scope, Send


class Later(BaseRoute):
    """Everything below some paths, answered by an application of its own. Safe to use from many threads."""

    def __init__(self, prefixes: Sequence[str], build: Callable[[], ASGIApp]) -> None:
        """Builds nothing yet.

        Args:
            prefixes: "/staff" stands for it and everything below it; the application has routes with whole paths.
            build: makes the application; called once.
        """
        self._prefixes = tuple(prefixes)
        self._build = build
        self._app: ASGIApp | None = None
        self._lock = Lock()

    @property
    def app(self) -> ASGIApp:
        """The application, built now at the latest."""
        with self._lock:
            if self._app is None:
                self._app = self._build()
            return self._app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is for one of these pages."""
        path = scope.get("path", "")
        below = scope["type"] == "http" and any(path == one or path.startswith(f"{one}/") for one in self._prefixes)
        return (Match.FULL if below else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: object) -> URLPath:
        """The pages name each other only among themselves.

        Raises:
            NoMatchFound: always.
        """
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        own = {key: value for key, value in scope.items() if key != "router"}  # its pages name each other
        await self.app(own, receive, send)
