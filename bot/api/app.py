"""The web application: pages, web hooks, API, health and metrics, and the background work beside them."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, func, select
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot import guide
from bot.api import dossiers, sms_webhooks
from bot.channels import telegram, web
from bot.clock import Clock, utc_now
from bot.console import staff
from bot.conversation.model import Incoming
from bot.service import Service
from bot.settings import Settings
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.retention import prune
from bot.storage.tables import Inbox, Outbox

log = logging.getLogger("motcua.app")
HERE = Path(__file__).resolve().parent.parent / "console"
MAX_BODY = 64 * 1024
SWEEP_SECONDS = 2.0
PRUNE_SECONDS = 3600.0
LEASE = timedelta(minutes=2)
_HEADERS = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"cache-control": b"no-store",
}
_WAITING = Gauge("motcua_queue_rows", "Rows that are not finished", ["queue", "state"])


class Guard:
    """Limits the size of requests and puts security headers on every answer (plain ASGI: no extra tasks)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        taken = 0
        docs = scope["path"].startswith("/api/docs")
        static = scope["path"].startswith("/static/")

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY:
                raise HTTPException(413)
            return message

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                have = {name for name, _ in message["headers"]}
                for name, value in _HEADERS.items():
                    if docs and name == b"content-security-policy":
                        continue  # the API's own documentation page brings its script along
                    told = b"public, max-age=3600" if static and name == b"cache-control" else value
                    if name not in have:
                        message["headers"].append((name, told))
            await send(message)

        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MAX_BODY:
            await PlainTextResponse("Yêu cầu quá lớn.", 413)(scope, receive, with_headers)
            return
        await self.app(scope, limited, with_headers)


class Background:
    """What runs beside the requests: the inbox sweep, replies of push channels, notices, Telegram."""

    def __init__(self, settings: Settings, database: Database, service: Service, clock: Clock) -> None:
        self.settings = settings
        self.database = database
        self.service = service
        self.clock = clock
        self.owner = f"{socket.gethostname()[:24]}/{os.getpid()}"
        self.telegram: telegram.Telegram | None = None
        self.telegram_problem: str | None = None
        self.wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Starts all loops; a channel that cannot connect does not stop the others."""
        self._spawn("inbox", self._inbox)
        self._spawn("notices", self._notices)
        self._spawn("retention", self._retention)
        if self.settings.telegram_token is not None:
            self._spawn("telegram", self._telegram)

    async def stop(self) -> None:
        """Ends the loops and closes channels."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        if self.telegram is not None:
            await self.telegram.stop()

    def receive(self, incoming: Incoming) -> None:
        """Commits a message of a push channel and wakes the loop that works it off (called in a thread)."""
        self.service.receive(incoming)
        self._loop.call_soon_threadsafe(self.wake.set)

    def _spawn(self, name: str, work: Callable[[], Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks.append(asyncio.create_task(self._forever(name, work), name=name))

    async def _forever(self, name: str, work: Callable[[], Any]) -> None:
        pause = 1.0
        while True:
            try:
                await work()
                pause = 1.0
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("vòng lặp %s gặp lỗi, thử lại sau %.0f giây", name, pause)
                pause = min(pause * 2, 60)
            await asyncio.sleep(pause if pause > 1 else 0.05)

    async def _inbox(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.wake.wait(), SWEEP_SECONDS)
        self.wake.clear()
        await run_in_threadpool(self.service.sweep)
        while await run_in_threadpool(self.service.work_off):
            await self._send_replies()
        await self._send_replies()

    async def _send_replies(self) -> None:
        if self.telegram is None:
            return
        while True:
            row = await run_in_threadpool(self._claim_reply)
            if row is None:
                return
            await self._send_reply(self.telegram, row)

    def _claim_reply(self) -> Outbox | None:
        with self.database.write() as session:
            return queue.claim_outbox(
                session, owner=self.owner, now=self.clock(), lease=LEASE, channels=[telegram.CHANNEL]
            )

    async def _send_reply(self, channel: telegram.Telegram, row: Outbox) -> None:
        from telegram.error import TelegramError  # noqa: PLC0415

        assert row.id is not None  # noqa: S101 - it comes from the database
        outbox_id, now = row.id, self.clock()
        try:
            sent = await channel.send(row.recipient, row.body)
        except TelegramError as error:
            kind, delay = telegram.how_it_failed(error)
            log.warning("Telegram không gửi được (%s): %s", kind, error)
            told = f"{type(error).__name__}: {error}"

            def store() -> None:
                with self.database.write() as session:
                    if kind == "retry":
                        queue.retry_later(session, outbox_id, self.owner, now, told, delay)
                    elif kind == "failed":
                        queue.mark_failed(session, outbox_id, self.owner, now, told)
                    else:
                        queue.mark_uncertain(session, outbox_id, self.owner, now, told)

            await run_in_threadpool(store)
            return

        def stored() -> None:
            with self.database.write() as session:
                queue.mark_sent(session, outbox_id, self.owner, self.clock(), sent)

        await run_in_threadpool(stored)

    async def _notices(self) -> None:
        from bot.notices.sending import run_pass  # noqa: PLC0415

        await run_in_threadpool(run_pass, self.database, self.settings, owner=self.owner, now=self.clock())
        await asyncio.sleep(SWEEP_SECONDS)

    async def _retention(self) -> None:
        def forget() -> bool:
            with self.database.write() as session:
                return prune(session, self.settings, self.clock()).more

        more = await run_in_threadpool(forget)
        await asyncio.sleep(0.1 if more else PRUNE_SECONDS)

    async def _telegram(self) -> None:
        if self.telegram is not None:
            await asyncio.sleep(3600)
            return
        started = telegram.Telegram(self.settings, self.receive)
        try:
            await started.start()
        except Exception as error:
            self.telegram_problem = f"{type(error).__name__}"
            with suppress(Exception):  # what had started is closed before the next try
                await started.stop()
            raise
        self.telegram, self.telegram_problem = started, None
        log.info("Telegram đã kết nối")


def create_app(settings: Settings, database: Database, service: Service, clock: Clock = utc_now) -> FastAPI:
    """Builds the application over an open database and a built service."""
    background = Background(settings, database, service, clock)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await background.start()
        try:
            yield
        finally:
            await background.stop()

    app = FastAPI(
        title="Một Cửa", version="0.1.0", docs_url="/api/docs", redoc_url=None, openapi_url="/api/openapi.json",
        lifespan=lifespan,
    )  # fmt: skip
    templates = Jinja2Templates(HERE / "templates")
    catalog = service.talk.desk(clock()).catalog
    app.add_middleware(Guard)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.include_router(web.router(service, templates))
    app.include_router(guide.router(service.talk.desk, service.talk.engine, templates, clock, settings.public_base_url))
    app.include_router(staff.router(settings, database, catalog, templates, clock))
    app.include_router(dossiers.router(settings, database, clock))
    app.include_router(sms_webhooks.router(settings, database, clock, background.receive))
    _simulator(app, settings, database, templates)
    _telegram_hook(app, settings, background)
    _health(app, settings, database, background, clock)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        return dossiers.problem(422, "Dữ liệu sai", f"{where}: {first['msg']}")

    return app


def _simulator(app: FastAPI, settings: Settings, database: Database, templates: Jinja2Templates) -> None:
    @app.get("/simulator", response_class=HTMLResponse, include_in_schema=False)
    async def simulator(request: Request) -> Response:
        if not settings.demo:
            raise HTTPException(404)

        def read() -> Any:
            with database.read() as session:
                return staff.sms_shown(session)

        return templates.TemplateResponse(request, "simulator.html", {"phones": await run_in_threadpool(read)})


def _telegram_hook(app: FastAPI, settings: Settings, background: Background) -> None:
    @app.post(telegram.WEBHOOK_PATH, include_in_schema=False)
    async def hook(request: Request) -> Response:
        if settings.telegram_token is None:
            raise HTTPException(404)
        if not telegram.verified(settings, request.headers.get("x-telegram-bot-api-secret-token")):
            raise HTTPException(403)
        if background.telegram is None:
            raise HTTPException(503)  # Telegram repeats the call
        try:
            data = await request.json()
        except ValueError as error:
            raise HTTPException(400) from error
        if not isinstance(data, dict) or "update_id" not in data:
            raise HTTPException(400)
        await background.telegram.take_json(data, run_in_threadpool)
        return Response(status_code=200)


def _reasons(session: Session, settings: Settings, background: Background, now: datetime) -> dict[str, str]:
    reasons = {}
    late = session.exec(
        select(func.count()).where(Inbox.state == "waiting", col(Inbox.received_at) < now - timedelta(minutes=2))
    ).one()
    if late:
        reasons["inbox"] = f"{late} tin chờ quá 2 phút"
    if settings.telegram_token is not None and background.telegram is None:
        reasons["telegram"] = background.telegram_problem or "đang kết nối"
    return reasons


def _health(app: FastAPI, settings: Settings, database: Database, background: Background, clock: Clock) -> None:
    @app.get("/health", tags=["trạng thái"], summary="Tiến trình còn sống")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ready", tags=["trạng thái"], summary="Sẵn sàng nhận tin; kèm lý do nếu chưa")
    async def ready() -> JSONResponse:
        def check() -> dict[str, str]:
            with database.read() as session:
                return _reasons(session, settings, background, clock())

        try:
            reasons = await run_in_threadpool(check)
        except SQLAlchemyError as error:
            reasons = {"database": type(error).__name__}
        # Telegram alone does not make the rest unready; it is told all the same.
        blocking = {"database", "inbox"} & reasons.keys()
        body = {"status": "not ready" if blocking else "ready", "reasons": reasons}
        return JSONResponse(body, status_code=503 if blocking else 200)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        def count() -> None:
            with database.read() as session:
                for name, table, states in (
                    ("inbox", Inbox, ("waiting", "claimed", "dead")),
                    ("outbox", Outbox, ("waiting", "sending", "uncertain", "failed")),
                ):
                    found = dict(session.exec(select(table.state, func.count()).group_by(table.state)).all())
                    for state in states:
                        _WAITING.labels(name, state).set(found.get(state, 0))

        await run_in_threadpool(count)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
