"""``/khao-sat/<token>``: the survey of one returned dossier, by the link of a message or on the kiosk."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from sqlmodel import Session

from bot.catalog.office import Office
from bot.channels.web import same_origin
from bot.console.pages import Console
from bot.errors import BadInputError
from bot.hall.kiosk import IDLE_SECONDS, WARN_SECONDS, root_of
from bot.survey import surveys
from bot.survey.questions import EXTRA_PAYMENT, LONGEST_COMMENT, NEEDED, SCORED, read_answers
from bot.texts import phrases

SHOWN = 4  # of the code: enough to know which dossier is meant


def router(console: Console) -> APIRouter:
    """The form and its answer."""
    routes = APIRouter(prefix="/khao-sat", include_in_schema=False)
    texts = phrases("hall")["survey"]

    offices = console.service.talk.offices

    def office_of(code: str) -> Office:
        """The office that a dossier belongs to; of none, that which speaks for all."""
        return console.service.talk.at(offices.of_code(code), console.clock()).office

    def page(request: Request, code: int = 200, **shown: Any) -> Response:
        kiosk, at = request.query_params.get("o") == "kiosk", offices.known(request.query_params.get("xa"))
        frame = {
            "office": office_of(str((shown.get("survey") or {}).get("of", ""))), "texts": texts, "kiosk": kiosk,
            "start": root_of(at), "here": ("?o=kiosk" + (f"&xa={at}" if at else "")) if kiosk else "",
            "idle": IDLE_SECONDS, "warn": WARN_SECONDS, "hall": phrases("hall")["kiosk"],
            "scored": SCORED, "needed": NEEDED, "extra": EXTRA_PAYMENT, "longest": LONGEST_COMMENT,
        }  # fmt: skip
        response = console.templates.TemplateResponse(request, "survey.html", frame | shown, status_code=code)
        response.headers["x-robots-tag"] = "noindex"
        return response

    def look(session: Session, token: str) -> tuple[int, str, dict[str, Any]]:
        survey = surveys.by_token(session, token)
        if survey is None:
            return 404, texts["unknown"], {}
        if survey.state == "answered":
            return 200, texts["answered"], {}
        if not surveys.is_open(session, survey, console.clock()):
            return 410, texts["expired"], {}
        last = survey.dossier_code[-SHOWN:]
        return 200, "", {"id": survey.id, "last": last, "token": token, "of": survey.dossier_code}

    @routes.get("/{token}", response_class=HTMLResponse)
    async def form(request: Request, token: str) -> Response:
        code, said, survey = await console.read(lambda session: look(session, token))
        return page(request, code, said=said, survey=survey, given={})

    @routes.post("/{token}")
    async def send(request: Request, token: str) -> Response:
        if not same_origin(request):
            raise HTTPException(403)
        given = {key: str(value) for key, value in (await request.form()).items()}
        channel = "kiosk" if request.query_params.get("o") == "kiosk" else "link"
        try:
            answers = read_answers(given)
        except BadInputError as wrong:
            code, said, survey = await console.read(lambda session: look(session, token))
            return page(request, 422 if survey else code, said=said, survey=survey, given=given, error=str(wrong))

        def store(session: Session) -> tuple[int, str]:
            code, said, survey = look(session, token)
            if not survey:
                return code, said
            comment = given.get("comment", "")
            stored = surveys.answer(session, survey["id"], answers, comment, channel, console.clock())
            return 200, texts["thanks" if stored else "answered"]

        code, said = await console.write(store)
        return page(request, code, said=said, survey={}, given={})

    return routes
