"""The bank of models: what was taught, a candidate trained and compared, promoted or not, and one click back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from sqlmodel import Session, col, select

from bot.catalog.catalog import Catalog
from bot.clock import local
from bot.console import accounts
from bot.console.numbers import typed_number
from bot.console.pages import Console, Signed
from bot.errors import BadInputError
from bot.masking import mask
from bot.review import bank, examples
from bot.review.labels import Label
from bot.review.training import FOLDED, TURNS, worse
from bot.settings import Engine
from bot.storage.switches import setting
from bot.storage.tables import AddedExample, CandidateModel, EverydayName, ModelChange, Turn
from bot.texts import phrases

_T = phrases("review")
_HOME = "/staff/models"
SHOWN = 30  # models and changes on the page
PAGE = 100  # examples
MAX_FILE = 2_000_000
BODIES = {f"{_HOME}/examples": MAX_FILE + 10_000}  # path → the most bytes of a request, where others get less
_BIG = 2**31


def router(console: Console) -> APIRouter:
    """The pages of models and examples and their forms."""
    routes = APIRouter(prefix=_HOME, include_in_schema=False)
    reads = console.needs("models")
    acts = console.posts("models")
    rasa = console.settings.chosen_engine is Engine.RASA

    def catalog() -> Catalog:
        return console.service.talk.desk(console.clock()).catalog

    async def overview(request: Request, who: Signed, code: int = 200, **shown: Any) -> Response:
        def read(session: Session) -> dict[str, Any]:
            return _overview(session)

        found = await console.read(read)
        here = console.service.talk.model
        if done := shown.pop("changed", ""):
            shown["done"] = _T[done].format(model=found["current_name"])
        return console.page(
            request, "models.html", who, code, **found, rasa=_T["rasa"] if rasa else "",
            changing=not rasa and here != found["current"], **shown,
        )  # fmt: skip

    async def changed(request: Request, who: Signed, change: Callable[[Session], str]) -> Response:
        try:
            target = await console.write(change)
        except BadInputError as refused:
            return await overview(request, who, 409, error=str(refused))
        return RedirectResponse(target, 303)

    @routes.get("", response_class=HTMLResponse)
    async def models(request: Request, who: Signed = reads, done: str = "") -> Response:
        return await overview(request, who, changed=done if done in {"promoted", "rolled_back"} else "")

    @routes.post("")
    async def begin(request: Request, who: Signed = acts) -> Response:
        def change(session: Session) -> str:
            if rasa:
                raise BadInputError(_T["rasa"])
            model = bank.begin(session, who.name, console.clock())
            counts = {what: len(numbers) for what, numbers in model.examples.items()}
            accounts.audit(session, who.name, "model_begin", str(model.id), console.clock(), after=counts)
            return f"{_HOME}/{model.id}"

        return await changed(request, who, change)

    @routes.post("/roll-back")
    async def roll_back(request: Request, who: Signed = acts, seen: str = Form("")) -> Response:
        def change(session: Session) -> str:
            now = console.clock()
            before, after = bank.roll_back(session, by=who.name, seen=typed_number(seen, 9), now=now)
            accounts.audit(
                session, who.name, "model_roll_back", bank.name(after), now, before=bank.name(before),
                after=bank.name(after),
            )  # fmt: skip
            return f"{_HOME}?done=rolled_back"

        return await changed(request, who, change)

    # --- what was taught -------------------------------------------------------------------------------------------

    async def taught(request: Request, who: Signed, code: int = 200, before: int = 0, **shown: Any) -> Response:
        def read(session: Session) -> dict[str, Any]:
            return _taught(session, catalog(), before)

        return console.page(request, "examples.html", who, code, **await console.read(read), **shown)

    @routes.get("/examples", response_class=HTMLResponse)
    async def examples_page(request: Request, who: Signed = reads, before: int = 0, done: str = "") -> Response:
        told = _T["withdrawn"] if done == "withdrawn" else ""
        return await taught(request, who, before=before, done=told)

    @routes.get("/examples.yml")
    async def export(who: Signed = reads, names: str = "") -> Response:  # noqa: ARG001
        text = await console.read(lambda session: examples.export(session, with_names=names == "1"))
        headers = {"Content-Disposition": 'attachment; filename="can-bo.yml"'}
        return PlainTextResponse(text, media_type="application/yaml", headers=headers)

    @routes.post("/examples")
    async def import_back(request: Request, who: Signed = acts) -> Response:
        def change(session: Session, text: str) -> str:
            now = console.clock()
            added, known = examples.import_back(session, text, catalog(), by=who.name, now=now)
            accounts.audit(session, who.name, "example_import", str(added), now, added=added, known=known)
            return str(_T["imported"].format(added=added, known=known))

        try:
            async with request.form() as form:
                text = await _text_of(form.get("file"))
            done = await console.write(lambda session: change(session, text))
        except BadInputError as refused:
            return await taught(request, who, 409, error=str(refused))
        return await taught(request, who, done=done)

    @routes.post("/{what}/{number}/withdraw")
    async def withdraw(request: Request, what: str, number: str, who: Signed = acts) -> Response:
        def change(session: Session) -> None:
            now, key = console.clock(), typed_number(number, 9) or 0
            row: AddedExample | EverydayName | None = (
                session.get(EverydayName, key, with_for_update=True)
                if what == "names"
                else session.get(AddedExample, key, with_for_update=True)
            )
            examples.withdraw(session, row, by=who.name, now=now)
            action = "name_withdraw" if what == "names" else "example_withdraw"
            accounts.audit(session, who.name, action, str(key), now)

        try:
            await console.write(change)
        except BadInputError as refused:
            return await taught(request, who, 409, error=str(refused))
        return RedirectResponse(f"{_HOME}/examples?done=withdrawn", 303)

    # --- one model -------------------------------------------------------------------------------------------------

    async def one(request: Request, who: Signed, number: str, code: int = 200, **shown: Any) -> Response:
        def read(session: Session) -> dict[str, Any] | None:
            model = session.get(CandidateModel, typed_number(number, 9) or 0)
            return _model(session, model, catalog()) if model else None

        found = await console.read(read)
        if found is None:
            return await overview(request, who, 404, error=_T["not_ready"].format(number=number[:12]))
        return console.page(request, "model.html", who, code, **found, **shown)

    @routes.get("/{number}", response_class=HTMLResponse)
    async def model_page(request: Request, number: str, who: Signed = reads) -> Response:
        return await one(request, who, number)

    @routes.post("/{number}/promote")
    async def promote(request: Request, number: str, who: Signed = acts, seen: str = Form("")) -> Response:
        def change(session: Session) -> str:
            now = console.clock()
            limit = setting(session, "worse_at_most_points")
            key = typed_number(number, 9) or 0
            before = bank.promote(session, key, by=who.name, seen=typed_number(seen, 9), at_most_points=limit, now=now)
            accounts.audit(
                session, who.name, "model_promote", bank.name(key), now, before=bank.name(before), after=bank.name(key)
            )
            return f"{_HOME}?done=promoted"

        try:
            target = await console.write(change)
        except BadInputError as refused:
            return await one(request, who, number, 409, error=str(refused))
        return RedirectResponse(target, 303)

    return routes


async def _text_of(given: object) -> str:
    """The text of an uploaded file.

    Raises:
        BadInputError: there is none, it is too long or no UTF-8.
    """
    if given is None or isinstance(given, str) or not hasattr(given, "read"):
        raise BadInputError(_T["no_file"])
    data: bytes = await given.read(MAX_FILE + 1)
    if not data:
        raise BadInputError(_T["no_file"])
    try:
        if len(data) > MAX_FILE:
            raise BadInputError(_T["too_many"].format(most=examples.MOST_IMPORTED))
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInputError(_T["no_utf8"]) from error


def _overview(session: Session) -> dict[str, Any]:
    current = bank.current(session)
    added, withdrawn = bank.news(session)
    there, before = bank.previous(session)
    models = session.exec(select(CandidateModel).order_by(col(CandidateModel.id).desc()).limit(SHOWN)).all()
    changes = session.exec(select(ModelChange).order_by(col(ModelChange.id).desc()).limit(SHOWN)).all()
    return {
        "current": current,
        "current_name": bank.name(current),
        "since": _change(changes[0]) if changes else None,
        "added": added,
        "withdrawn": withdrawn,
        "before": bank.name(before) if there else "",
        "models": [_summary(model) for model in models],
        "changes": [_change(change) for change in changes],
        "training": next((model.id for model in models if model.state == "training"), None),
    }


def _change(change: ModelChange) -> dict[str, str]:
    return {
        "what": _T["changes"][change.kind],
        "model": bank.name(change.model_id),
        "by": change.by,
        "at": f"{local(change.at):%H:%M %d/%m/%Y}",
    }


def _summary(model: CandidateModel) -> dict[str, Any]:
    kinds = model.figures.get("kinds", ())
    return {
        "id": model.id,
        "state": model.state,
        "state_name": _T["states"][model.state],
        "by": model.by,
        "at": f"{local(model.at):%H:%M %d/%m/%Y}",
        "examples": len(model.examples.get("examples", ())),
        "names": len(model.examples.get("names", ())),
        "fixed": len(model.figures.get("fixed", ())),
        "broken": len(model.figures.get("broken", ())),
        "measured": bool(kinds),
        "progress": model.progress,
    }


def _model(session: Session, model: CandidateModel, catalog: Catalog) -> dict[str, Any]:
    """All that the page of a model shows."""
    limit = setting(session, "worse_at_most_points")
    figures = model.figures
    bad = [(row["source"], row["kind"]) for row in worse(figures, limit)]
    current = bank.current(session)
    return {
        **_summary(model),
        "model_error": model.error or "",
        "limit": limit,
        "current": current,
        "current_name": bank.name(current),
        "compared_name": bank.name(figures.get("compared_with")),
        "stale": model.state == "ready" and figures.get("compared_with") != current,
        "sources": _sources(figures.get("kinds", ()), bad),
        "bad": [bank.kind_text(row) for row in worse(figures, limit)],
        "folds": figures.get("folds", 0),
        "sampled": figures.get("sampled", 0),
        "taught": figures.get("taught") or {"total": 0, "right": 0},
        "fixed_rows": [_sentence(session, row, catalog) for row in figures.get("fixed", ())],
        "broken_rows": [_sentence(session, row, catalog) for row in figures.get("broken", ())],
    }


def _sources(kinds: Sequence[Mapping[str, Any]], bad: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """The kinds by where their sentences come from, each with its shares."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in kinds:
        told = {
            **row,
            "name": _T["intents"].get(row["kind"]) or _T["set_kinds"].get(row["kind"]) or row["kind"],
            "before_share": _comma(f"{row['before'] / row['total']:.1%}"),
            "after_share": _comma(f"{row['after'] / row['total']:.1%}"),
            "points": _comma(f"{100 * (row['after'] - row['before']) / row['total']:+.1f}"),
            "bad": (row["source"], row["kind"]) in bad,
        }
        found.setdefault(row["source"], []).append(told)
    order = sorted(found, key=lambda source: (source == FOLDED, source != TURNS, source))
    return [{"name": _T["sources"].get(source, source), "rows": found[source]} for source in order]


def _comma(figure: str) -> str:
    """A figure as it is written in Vietnamese."""
    return figure.replace(".", ",")


def _sentence(session: Session, row: Mapping[str, Any], catalog: Catalog) -> dict[str, Any]:
    """A sentence that is understood otherwise than before; a turn's words are read where they are kept."""
    turn = session.get(Turn, row["turn"]) if "turn" in row else None
    text = (mask(turn.text).text if turn and turn.text else _T["gone"]) if "turn" in row else row["text"]
    return {
        "text": text,
        "turn": row.get("turn"),
        "source": _T["sources"].get(row["source"], row["source"]),
        "taught": row["taught"],
        "wanted": _said(row["wanted"], catalog),
        "before": _said(row["before"], catalog),
        "after": _said(row["after"], catalog),
    }


def _said(told: Mapping[str, Any], catalog: Catalog) -> str:
    """A label or an understanding in words."""
    parts = [_T["intents"].get(told["intent"], told["intent"])]
    if told.get("aspects"):
        parts.append(", ".join(_T["aspects"][aspect] for aspect in told["aspects"]))
    if told.get("procedures"):
        parts.append(", ".join(_short(code, catalog) for code in told["procedures"]))
    elif told.get("offered"):
        parts.append(_T["offers"].format(names=" | ".join(_short(code, catalog) for code in told["offered"])))
    return " · ".join(parts)


def _short(code: str, catalog: Catalog) -> str:
    found = catalog.get(code)
    return f"{found.short_name} ({code})" if found else code


def _taught(session: Session, catalog: Catalog, before: int) -> dict[str, Any]:
    query = select(AddedExample).order_by(col(AddedExample.id).desc()).limit(PAGE)
    if 0 < before < _BIG:
        query = query.where(col(AddedExample.id) < before)
    rows = session.exec(query).all()
    names = session.exec(select(EverydayName).order_by(col(EverydayName.id).desc()).limit(PAGE)).all()
    return {
        "examples": [
            {**_common(row), "text": row.text, "label": _label(Label.from_json(row.label), catalog)} for row in rows
        ],
        "names": [{**_common(row), "text": row.name, "label": _short(row.procedure, catalog)} for row in names],
        "more": rows[-1].id if len(rows) == PAGE else None,
    }


def _label(label: Label, catalog: Catalog) -> str:
    told = _said({"intent": label.intent, "aspects": label.aspects, "procedures": label.procedures}, catalog)
    return f"{told} · {_T['set_kinds']['ambiguous']}" if label.ask_back else told


def _common(row: AddedExample | EverydayName) -> dict[str, Any]:
    gone = row.withdrawn_at
    return {
        "id": row.id,
        "turn": row.turn_id,
        "by": row.by,
        "at": f"{local(row.at):%d/%m/%Y}",
        "withdrawn": f"{row.withdrawn_by}, {local(gone):%d/%m/%Y}" if gone else "",
    }
