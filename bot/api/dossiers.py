"""``PUT /api/dossiers/{code}``: the one-stop software tells where a dossier stands. Idempotent; bearer key."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from bot.clock import Clock
from bot.dossiers import registry
from bot.dossiers.records import DossierRecord, moment, record_of
from bot.errors import BadInputError
from bot.settings import Settings
from bot.storage.database import Database


class DossierBody(BaseModel):
    """The same fields as the columns of the import; times ISO 8601 or dd/mm/yyyy, Vietnam time without a zone."""

    model_config = ConfigDict(extra="forbid")

    status: int = Field(ge=1, le=10, description="Trạng thái 1–10 của trục liên thông quốc gia")
    procedure: str | None = Field(None, description="Mã thủ tục, ví dụ 1.001193")
    received_at: str | None = None
    due_at: str | None = None
    office: str | None = Field(None, max_length=200)
    phone: str | None = Field(None, description="Số di động nhận tin")
    consent_sms: bool = False
    return_mode: str = Field("counter", description="counter, post hoặc electronic")
    lookup_code: str | None = Field(None, max_length=64)
    note: str | None = Field(None, max_length=500)
    change_id: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        pattern=r"^[ -~]+$",
        description="Mã lần thay đổi của phần mềm nguồn; gửi lại cùng mã không gây tin báo lần hai",
    )

    changed_at: str | None = Field(
        None, description="Lúc vào trạng thái này theo phần mềm nguồn; tin cũ đến muộn không kéo hồ sơ lùi lại"
    )


class DossierAnswer(BaseModel):
    """What was done."""

    code: str
    result: str = Field(description="created, changed hoặc unchanged")
    notice: bool = Field(description="Có tin báo được xếp hàng hay không")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    title: str
    status: int
    detail: str


_PROBLEM = Problem.model_json_schema()


def problem(status: int, title: str, detail: str) -> JSONResponse:
    """An error as ``application/problem+json``."""
    body = {"title": title, "status": status, "detail": detail}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")


# pydantic's kind of fault → what is told; all others by the last.
_FAULTS = {
    "missing": "thiếu",
    "extra_forbidden": "không có trường này",
    "json_invalid": "không phải JSON",
    "greater_than_equal": "cần số từ 1 đến 10",
    "less_than_equal": "cần số từ 1 đến 10",
    "string_too_long": "quá dài",
}


def _invalid(error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:] if isinstance(part, str)) or "nội dung"
    told = _FAULTS.get(first["type"], "sai kiểu hoặc sai dạng, xem /api/docs")
    return problem(422, "Dữ liệu sai", f"{where}: {told}")


def _record(code: str, body: DossierBody) -> DossierRecord:
    fields = body.model_dump(exclude={"change_id", "changed_at"})
    row = {name: "" if value is None else str(value) for name, value in fields.items()}
    return record_of({"code": code, **row})


def _refused(settings: Settings, authorization: str) -> JSONResponse | None:
    if settings.api_key is None:
        return problem(503, "Chưa bật", "Máy chủ chưa đặt MOTCUA_API_KEY nên chưa nhận hồ sơ qua API.")
    scheme, _, given = authorization.partition(" ")
    key = settings.api_key.get_secret_value().encode()
    if hmac.compare_digest(given.strip().encode(), key) and scheme.lower() == "bearer":
        return None
    answer = problem(401, "Sai khóa", "Cần tiêu đề Authorization: Bearer với đúng khóa.")
    answer.headers["www-authenticate"] = "Bearer"
    return answer


def router(settings: Settings, database: Database, clock: Clock) -> APIRouter:
    """The dossier API."""

    class Guarded(APIRoute):
        """The key is asked for before anything of the request is read; all errors are problem+json."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                if refused := _refused(settings, request.headers.get("authorization", "")):
                    return refused
                try:
                    return await handle(request)
                except RequestValidationError as error:
                    return _invalid(error)
                except HTTPException as error:
                    if error.status_code != 400:
                        raise
                    return problem(422, "Dữ liệu sai", "nội dung: không phải JSON viết bằng UTF-8")

            return guarded

    bearer = Security(HTTPBearer(auto_error=False, description="MOTCUA_API_KEY"))  # for /api/docs; checked above
    routes = APIRouter(prefix="/api", tags=["hồ sơ"], route_class=Guarded, dependencies=[bearer])
    answers: dict[int | str, dict[str, Any]] = {
        201: {"model": DossierAnswer, "description": "Hồ sơ mới"},
        # Not ``model``: it would say that errors are application/json.
        **{number: {"content": {"application/problem+json": {"schema": _PROBLEM}}, "description": told}
           for number, told in ((401, "Sai khóa"), (422, "Dữ liệu sai"), (503, "Chưa bật API"))},
    }  # fmt: skip

    @routes.put("/dossiers/{code}", response_model=DossierAnswer, responses=answers, summary="Cập nhật một hồ sơ")
    async def put(
        code: Annotated[str, Path(description="Mã hồ sơ, viết cách nào cũng được", max_length=100)],
        body: Annotated[DossierBody, Body()],
    ) -> JSONResponse:
        try:
            record = _record(code, body)
            changed_at = moment("changed_at", body.changed_at or "")
        except BadInputError as error:
            return problem(422, "Dữ liệu sai", str(error))

        def put_in() -> registry.Change:
            with database.write() as session:
                return registry.upsert(
                    session,
                    record,
                    source="api",
                    settings=settings,
                    now=clock(),
                    change_id=body.change_id,
                    changed_at=changed_at,
                )

        try:
            change = await run_in_threadpool(put_in)
        except IntegrityError:
            # Two first calls for one dossier at once (PostgreSQL): the other has created it meanwhile.
            change = await run_in_threadpool(put_in)
        told = DossierAnswer(code=record.code, result=change.kind, notice=change.notice is not None)
        return JSONResponse(told.model_dump(), status_code=201 if change.kind == "created" else 200)

    return routes
