"""The web application: pages, web hooks, API, health and metrics, and the background work beside them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, func, select
from starlette.concurrency import run_in_threadpool

from bot import guide
from bot.api import dossiers, metrics, sms_webhooks
from bot.api.background import Background
from bot.api.guard import Guard
from bot.api.later import Later
from bot.channels import web
from bot.channels.port import PushChannel
from bot.clock import Clock, utc_now
from bot.console import audit, entrance, figures, inbox, models, notices, office_settings, review, simulator, team
from bot.console import dossiers as dossier_pages
from bot.console.pages import Console
from bot.console.procedures import importing, office
from bot.console.procedures import routes as procedure_pages
from bot.hall import board, kiosk
from bot.hall import survey as survey_pages
from bot.review.running import Models
from bot.service import Service
from bot.settings import Settings
from bot.storage import nightly
from bot.storage.database import Database
from bot.storage.tables import Inbox
from bot.storage.timekeeping import keep_time

log = logging.getLogger("motcua.app")
PAGES = ("/staff", "/simulator", "/kiosk", "/bang", "/khao-sat")
HERE = Path(__file__).resolve().parent.parent / "console"
MAX_FORM = 512 * 1024  # all papers of a procedure in one form, also while it waits for its author to sign in again
STAFF_BODIES = {
    "/staff/procedures/": MAX_FORM, "/staff/office/": MAX_FORM, "/staff/sign-in": MAX_FORM,
    importing.UPLOAD: importing.MAX_BODY,
}  # fmt: skip


def create_app(
    settings: Settings,
    database: Database,
    service: Service,
    channels: Sequence[PushChannel] = (),
    clock: Clock = utc_now,
) -> FastAPI:
    """Builds the application over an open database, a built service and the channels that are switched on."""
    background = Background(settings, database, service, channels, clock)
    streams = web.Streams(database, clock, lambda: background.news("web"))
    background.beside("web", streams.look)
    background.beside("clock", lambda: keep_time(database, clock))
    background.beside("edits", service.edits.look)
    live = inbox.Live(database, lambda: background.news("desk"))
    background.beside("inbox", live.look)

    every_stream = _Streams((streams, live))
    bank = Models(settings, database, service, clock, background.owner)
    background.beside("models", bank.look_on)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await background.start()
        try:
            yield
        finally:
            every_stream.close()
            await run_in_threadpool(bank.stop)
            await background.stop()

    app = FastAPI(
        title="Một Cửa", version="0.1.0", docs_url="/api/docs", redoc_url=None, openapi_url="/api/openapi.json",
        lifespan=lifespan,
    )  # fmt: skip
    templates = Jinja2Templates(HERE / "templates")
    doors = web.doors(settings.offices)
    photos = dict.fromkeys((f"{door.path}/chat/photo" for door in doors), web.MAX_PHOTO_BODY)
    app.add_middleware(
        Guard, bodies={**photos, **models.BODIES, **STAFF_BODIES},
        frames={door.path: settings.embed_origins for door in doors if door.framed},
    )  # fmt: skip
    app.state.streams = every_stream  # whoever stops the server ends them first
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.include_router(web.router(service, templates, streams))
    app.include_router(
        guide.router(service.talk.desk, lambda: service.talk.engine, templates, clock, settings.public_base_url)
    )
    console = Console(settings, database, service, templates, clock)
    app.state.pages = Later(PAGES, lambda: _pages(console, live))
    app.router.routes.append(app.state.pages)
    app.include_router(dossiers.router(settings, database, clock))
    app.include_router(sms_webhooks.router(settings, database, clock, background.receive))
    for channel in channels:
        app.include_router(channel.router())
    _health(app, database, background, clock)

    app.add_exception_handler(RequestValidationError, _invalid)
    return app


def _pages(console: Console, live: inbox.Live) -> FastAPI:
    """The staff's pages and the screens in the hall."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    console.install(app)
    app.add_exception_handler(RequestValidationError, _invalid)
    for pages in (
        entrance, review, models, dossier_pages, notices, importing, procedure_pages, office, figures, team,
        office_settings, audit, simulator, kiosk, board, survey_pages,
    ):  # fmt: skip
        app.include_router(pages.router(console))
    app.include_router(inbox.router(console, live))
    return app


async def _invalid(_request: Request, error: Exception) -> Response:
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": (), "msg": ""}
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    return dossiers.problem(422, "Dữ liệu sai", f"{where}: {first['msg']}")


class _Streams:
    """All endless answers of the process."""

    def __init__(self, kinds: tuple[web.Streams, inbox.Live]) -> None:
        self._kinds = kinds

    def close(self) -> None:
        """Ends them all."""
        for streams in self._kinds:
            streams.close()


def _reasons(session: Session, background: Background, now: datetime) -> dict[str, str]:
    reasons = {}
    late = session.exec(
        select(func.count()).where(Inbox.state == "waiting", col(Inbox.received_at) < now - timedelta(minutes=2))
    ).one()
    if late:
        reasons["inbox"] = f"{late} tin chờ quá 2 phút"
    backup = nightly.reason(background.settings, nightly.last_backup(session), background.nightly.problem, now)
    if backup:
        reasons["backup"] = backup
    if background.listener is not None and background.listener.problem:
        reasons["listening"] = (
            f"không nghe được PostgreSQL ({background.listener.problem}): tin từ bản khác đến chậm hơn"
        )
    return reasons | background.reasons()


def _health(app: FastAPI, database: Database, background: Background, clock: Clock) -> None:
    @app.get("/health", tags=["trạng thái"], summary="Tiến trình còn sống")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ready", tags=["trạng thái"], summary="Sẵn sàng nhận tin; kèm lý do nếu chưa",
             responses={503: {"description": "Chưa sẵn sàng"}})  # fmt: skip
    async def ready() -> JSONResponse:
        def check() -> dict[str, str]:
            with database.read() as session:
                return _reasons(session, background, clock())

        try:
            reasons = await run_in_threadpool(check)
        except SQLAlchemyError as error:
            reasons = {"database": type(error).__name__}
        # A channel or a backup alone does not make the rest unready; it is told all the same.
        blocking = {"database", "inbox"} & reasons.keys()
        body = {"status": "not ready" if blocking else "ready", "reasons": reasons}
        return JSONResponse(body, status_code=503 if blocking else 200)

    @app.get("/metrics", include_in_schema=False)
    async def shown() -> Response:
        def count() -> None:
            with database.read() as session:
                background.reasons()  # sets what is up
                metrics.measure(session, background.settings, clock(), background.nightly.problem)

        await run_in_threadpool(count)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
