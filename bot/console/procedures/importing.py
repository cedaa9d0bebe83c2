"""Official records on the console: an upload or the drafts of ``motcua catalog import``; what is new is proposed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from bot.catalog.answers import Desk
from bot.catalog.imports.differences import differences
from bot.catalog.imports.drafting import draft
from bot.catalog.imports.portal_docx import read_docx
from bot.catalog.imports.records import BadRecordError, Record, read_json, read_list
from bot.catalog.loading import CatalogError, load_procedure
from bot.catalog.schema import Procedure
from bot.clock import local
from bot.console.pages import Console, Signed
from bot.console.procedures.editor import record
from bot.edits import store
from bot.edits.apply import why
from bot.edits.parts import FACTS, NEW, PARTS, dump, value_of
from bot.errors import BadInputError
from bot.storage.switches import setting
from bot.storage.tables import FactEdit
from bot.texts import phrases

_T = phrases("procedures")
MAX_UPLOAD = 5 * 1024 * 1024
MAX_BODY = MAX_UPLOAD + 64 * 1024
SHOWN = 40  # records of one file that are shown in full
READ_AT_ONCE = 1
UPLOAD = "/staff/procedures/import"


def router(console: Console) -> APIRouter:
    """The page of imports and its forms."""
    routes = APIRouter(prefix=UPLOAD, include_in_schema=False)
    reads, acts = console.needs("procedures.edit"), console.posts("procedures.edit")
    service, slug = console.service, console.settings.office
    folder = console.settings.var_dir / "drafts"
    readers = anyio.CapacityLimiter(READ_AT_ONCE)

    def told() -> Desk:
        return service.talk.desk(console.clock())

    async def page(request: Request, who: Signed, code: int = 200, **shown: Any) -> Response:
        desk = told()
        drafts = await run_in_threadpool(lambda: list(_drafts(folder, desk)))
        return console.page(
            request, "procedure_import.html", who, code, drafts=drafts, fields=desk.catalog.fields, parts=_T["parts"],
            folder=folder.name, most=MAX_UPLOAD // 1024 // 1024, **shown,
        )  # fmt: skip

    @routes.get("", response_class=HTMLResponse)
    async def start(request: Request, who: Signed = reads) -> Response:
        return await page(request, who)

    @routes.post("", response_class=HTMLResponse)
    async def upload(request: Request, who: Signed = acts) -> Response:
        file = (await request.form()).get("file")
        try:
            name, data = await _read(file)
            found = await anyio.to_thread.run_sync(_looked_at, name, data, told(), console.clock(), limiter=readers)
        except BadInputError as refused:
            return await page(request, who, 422, error=str(refused))
        finally:
            await request.close()  # the upload, which may lie on the disk
        return await page(request, who, found=found, name=name)

    @routes.post("/propose")
    async def propose(
        request: Request, who: Signed = acts, given: str = Form(""), file: str = Form(""), short_name: str = Form(""),
        field: str = Form(""), names: str = Form(""), source: str = Form(""),
    ) -> Response:  # fmt: skip
        now = console.clock()
        base = service.base(now)

        def write(session: Session) -> FactEdit:
            procedure = _drafted(file, given, folder)
            procedure |= {
                "short_name": short_name.strip() or procedure.get("short_name"),
                "field": field or procedure.get("field"),
                "everyday_names": [line for line in (line.strip() for line in names.splitlines()) if line],
            }
            try:
                checked = Procedure.model_validate(procedure)
            except ValidationError as error:
                raise BadInputError(why(error)) from error
            rows = store.rows_of(session, checked.code, NEW)
            if any(row.state == "proposed" for row in rows):
                raise BadInputError(_T["refused"]["waits"].format(code=checked.code))
            seen = store.state_of(rows, base, checked.code, PARTS[NEW])
            change = store.Change(checked.code, NEW, {NEW: dump(checked)}, source.strip(), seen)
            four_eyes = bool(setting(session, "four_eyes"))
            row = store.save(session, base, slug, change, by=who.name, now=now, four_eyes=four_eyes)
            record(session, who.name, "fact_propose" if row.state == "proposed" else "fact_save", row, now)
            return row

        try:
            row = await console.write(write)
        except BadInputError as refused:
            return await page(
                request, who, 409, error=str(refused),
                again={"given": given, "file": file, "short_name": short_name, "field": field, "names": names,
                       "source": source, "code": _code_of(given) or Path(file).stem},
            )  # fmt: skip
        if row.state == "active":
            await run_in_threadpool(service.edits.refresh)
        return RedirectResponse(f"/staff/procedures/{row.subject}?done=new", 303)

    return routes


async def _read(file: object) -> tuple[str, bytes]:
    """The uploaded file's name and bytes.

    Raises:
        BadInputError: there is none, of another kind, or too large.
    """
    words = _T["refused"]
    if not isinstance(file, UploadFile) or not file.filename:
        raise BadInputError(words["no_file"])
    name = Path(file.filename.replace("\\", "/")).name[:120]
    if Path(name).suffix.lower() not in {".docx", ".json", ".xlsx"}:
        raise BadInputError(words["file_kind"])
    data = await file.read(MAX_UPLOAD + 1)
    if len(data) > MAX_UPLOAD:
        raise BadInputError(words["file_large"].format(most=MAX_UPLOAD // 1024 // 1024))
    return name, data


def _looked_at(name: str, data: bytes, desk: Desk, now: datetime) -> dict[str, Any]:
    """What a file holds: new procedures, differences from those that are told, what could not be read.

    Raises:
        BadInputError: the file as a whole can't be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"tep{Path(name).suffix.lower()}"
        path.write_bytes(data)
        records = list(_records(path))
    found: dict[str, Any] = {"new": [], "known": [], "bad": [], "same": 0, "listed": 0, "more": 0, "all": len(records)}
    for one in records:
        if isinstance(one, BadRecordError):
            found["bad"].append(str(one))
            continue
        procedure = desk.catalog.get(one.code)
        if procedure is None and one.listed_only:
            found["listed"] += 1
        elif len(found["new"]) + len(found["known"]) >= SHOWN:
            found["more"] += 1
        elif procedure is None:
            try:
                drafted = draft(one, desk.catalog.fields, local(now).date())
            except ValidationError as error:
                found["bad"].append(f"{one.code}: {why(error)}")
                continue
            found["new"].append(_new(drafted))
        elif lines := differences(one, procedure):
            found["known"].append({"code": one.code, "name": procedure.short_name, "lines": lines,
                                   "parts": _loadable(one, procedure, desk, now)})  # fmt: skip
        else:
            found["same"] += 1
    return found


def _records(path: Path) -> Iterator[Record | BadRecordError]:
    if path.suffix == ".docx":
        yield read_docx(path)
    elif path.suffix == ".xlsx":
        yield from read_list(path)
    else:
        yield from read_json(path)


def _new(procedure: Procedure) -> dict[str, Any]:
    return {
        "code": procedure.code, "name": procedure.name, "short_name": procedure.short_name, "field": procedure.field,
        "papers": len(procedure.documents), "given": json.dumps(dump(procedure), ensure_ascii=False),
    }  # fmt: skip


def _loadable(one: Record, procedure: Procedure, desk: Desk, now: datetime) -> list[tuple[str, str]]:
    """(part, its value in the record) for what could be taken into a form: staff put it into plain words there."""
    if one.listed_only:
        return []
    try:
        drafted = draft(one, desk.catalog.fields, local(now).date())
    except ValidationError:
        return []
    return [
        (key, json.dumps(value, ensure_ascii=False))
        for key, part in FACTS.items()
        if (value := value_of(drafted, part)) and value != value_of(procedure, part)
    ]


def _drafts(folder: Path, desk: Desk) -> Iterator[dict[str, Any]]:
    """The drafts of the command, those of procedures that are told already left out."""
    for path in sorted(folder.glob("*/*.yml")):
        if path.stem in desk.catalog.procedures:
            continue
        file = f"{path.parent.name}/{path.name}"
        try:
            yield {**_new(load_procedure(path)), "given": "", "file": file}
        except CatalogError as error:
            yield {"file": file, "bad": str(error.faults[0])}


def _drafted(file: str, given: str, folder: Path) -> dict[str, Any]:
    """The procedure of a form: a draft of the command by its name, or one that came with the form.

    Raises:
        BadInputError: there is none.
    """
    if file:
        known = {f"{path.parent.name}/{path.name}": path for path in folder.glob("*/*.yml")}
        if file not in known:
            raise BadInputError(_T["refused"]["no_draft"])
        try:
            return dump(load_procedure(known[file]))
        except CatalogError as error:
            raise BadInputError(_T["refused"]["bad_draft"].format(why=error.faults[0])) from error
    try:
        found = json.loads(given)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadInputError(_T["refused"]["no_draft"])
    return found


def _code_of(given: str) -> str:
    try:
        found = json.loads(given)
    except (ValueError, RecursionError):
        return ""
    return str(found.get("code", ""))[:12] if isinstance(found, dict) else ""
