"""The pages where advisors look at turns, say whether they were right, and teach what would have been.

The list is paged by key. One turn is one screen with one key for each act; after a verdict the next turn comes up.
What citizens wrote is shown with personal data covered: judging needs none of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool

from bot.catalog.catalog import Catalog
from bot.clock import local
from bot.console import accounts
from bot.console.numbers import typed_number
from bot.console.pages import Console, Signed
from bot.errors import BadInputError
from bot.masking import mask
from bot.review import examples, queue, verdicts
from bot.review.labels import ABOUT_PROCEDURES, Label, checked, understood
from bot.storage.sight import is_own
from bot.storage.tables import Conversation, Review, Turn
from bot.texts import phrases
from nlu.port import ASPECTS, INTENTS

_T = phrases("review")
_HOME = "/staff/review"
HINTS = 5


def router(console: Console) -> APIRouter:
    """The list, the page of a turn, and its form."""
    routes = APIRouter(prefix=_HOME, include_in_schema=False)
    reads = console.needs("review")
    acts = console.posts("review")

    def catalog() -> Catalog:
        return console.service.talk.desk(console.clock()).catalog

    @routes.get("", response_class=HTMLResponse)
    async def listing(request: Request, who: Signed = reads, show: str = "doubtful", after: str = "") -> Response:
        which = show if show in queue.LISTS else queue.LISTS[0]

        def read(session: Session) -> tuple[queue.Page, int]:
            return queue.page(session, which, after[:40]), queue.waiting(session)

        page, waiting = await console.read(read)
        rows = [_row(turn, review, which, catalog()) for turn, review in page.rows]
        return console.page(
            request, "review.html", who, rows=rows, more=page.more, which=which, lists=_T["lists"], waiting=waiting,
            paged=bool(after),
        )  # fmt: skip

    @routes.get("/next")
    async def next_one(who: Signed = reads, show: str = "doubtful", after: str = "", done: str = "") -> Response:  # noqa: ARG001
        which = show if show in queue.LISTS else queue.LISTS[0]
        found = await console.read(lambda session: queue.next_turn(session, which, after[:40]))
        query = {"show": which} | ({"done": done[:60]} if done else {})
        if found is None:
            return RedirectResponse(f"{_HOME}/end?{urlencode(query)}", 303)
        return RedirectResponse(f"{_HOME}/{found}?{urlencode(query)}", 303)

    @routes.get("/end", response_class=HTMLResponse)
    async def end(request: Request, who: Signed = reads, show: str = "doubtful", done: str = "") -> Response:
        which = show if show in queue.LISTS else queue.LISTS[0]
        return console.page(request, "review_end.html", who, which=which, lists=_T["lists"], **_done(done))

    @routes.get("/{turn_id}", response_class=HTMLResponse)
    async def turn(
        request: Request, turn_id: str, who: Signed = reads, show: str = "doubtful", done: str = ""
    ) -> Response:
        return await one(request, who, turn_id, show, **_done(done))

    def hinted(text: str) -> list[dict[str, Any]]:
        near = console.service.talk.engine.choose(text, tuple(catalog().procedures))[:HINTS]
        return [_candidate(one.code, one.score, catalog()) for one in near]

    async def one(
        request: Request, who: Signed, turn_id: str, show: str, code: int = 200, typed: Any = None, **shown: Any
    ) -> Response:
        which = show if show in queue.LISTS else queue.LISTS[0]

        def read(session: Session) -> tuple[Turn, Review | None, str] | None:
            found = _turn(session, turn_id)
            if found is None:
                return None
            talk = session.get(Conversation, found.conversation_id)
            return found, verdicts.of_turn(session, found.id or 0), talk.channel if talk else ""

        found = await console.read(read)
        if found is None:
            return console.page(
                request, "review_end.html", who, 404, which=which, lists=_T["lists"], error=_T["no_turn"]
            )
        shown = _screen(*found, which, catalog(), typed) | shown
        if not shown["candidates"] and found[0].text:
            # Taken for no question about a procedure: what it would have been about is at hand all the same.
            shown |= {"hinted": True, "candidates": await run_in_threadpool(hinted, found[0].text)}
        return console.page(request, "review_turn.html", who, code, **shown)

    @routes.post("/{turn_id}")
    async def judge(request: Request, turn_id: str, who: Signed = acts) -> Response:
        form = await request.form()
        typed = {key: str(value) for key, value in form.items() if isinstance(value, str)}
        typed["aspects"] = [str(value) for value in form.getlist("aspects")]  # type: ignore[assignment]
        show, act = typed.get("show", ""), typed.get("act", "")

        def write(session: Session) -> str:
            return _judged(session, turn_id, typed, who, console, catalog())

        try:
            done = await console.write(write)
        except verdicts.ReviewedMeanwhileError as refused:
            return await one(request, who, turn_id, show, 409, error=str(refused), typed=typed)
        except BadInputError as refused:
            return await one(request, who, turn_id, show, 409, error=str(refused), typed=typed)
        if act == "name":
            return RedirectResponse(f"{_HOME}/{turn_id}?{urlencode({'show': show, 'done': 'name'})}", 303)
        query = {"show": show, "after": typed.get("key", ""), "done": f"{done}:{turn_id}"}
        return RedirectResponse(f"{_HOME}/next?{urlencode(query)}", 303)

    return routes


def _done(done: str) -> dict[str, Any]:
    """What a link says was done: only our own words are shown, and a number."""
    what, _, number = done.partition(":")
    told = _T["verdict_saved"].get(what, "") if what != "name" else _T["name_added"]
    return {"done": told, "back": number if told and number.isascii() and number.isdigit() else ""}


def _turn(session: Session, turn_id: str) -> Turn | None:
    number = typed_number(turn_id, 17)
    found = None if number is None else session.get(Turn, number)
    return found if found is not None and is_own(session, found.office) else None


def _judged(
    session: Session, turn_id: str, typed: dict[str, Any], who: Signed, console: Console, catalog: Catalog
) -> str:
    """Does what a turn's form asks for; which words to say about it."""
    now = console.clock()
    turn = _turn(session, turn_id)
    if turn is None:
        raise HTTPException(404, _T["no_turn"])
    act = typed.get("act", "")
    if act == "name":
        codes = typed.get("procedures", "").split()
        row = examples.add_name(
            session, typed.get("name", ""), codes[0].strip(",") if codes else "", catalog, by=who.name, now=now,
            turn_id=turn.id,
        )  # fmt: skip
        accounts.audit(session, who.name, "name_add", row.procedure, now, after=row.name)
        return "name"
    meant = understood(turn)
    label = checked(
        typed.get("intent", ""), typed["aspects"], typed.get("procedures", ""),
        ask_back=typed.get("ask_back") == "1", catalog=catalog,
    )  # fmt: skip
    same = _same(label, meant)
    said, verdict, right = _verdict(act, label, same=same, content=typed.get("content") == "1")
    version = typed.get("version", "")
    before = verdicts.of_turn(session, turn.id or 0)
    old = {"verdict": before.verdict, "label": before.label} if before else None
    review = verdicts.give(
        session, turn.id or 0, verdict, right, by=who.name,
        version=typed_number(version, 8) or 0, now=now,
    )  # fmt: skip
    after = {"verdict": review.verdict, "label": review.label}
    accounts.audit(session, who.name, "review", str(turn.id), now, before=old, after=after)
    if act == "example":
        row_ = examples.add(session, typed.get("text", ""), label, by=who.name, now=now, turn_id=turn.id)
        accounts.audit(session, who.name, "example_add", str(row_.id), now, after={"text": row_.text, **row_.label})
    return said


def _same(label: Label, meant: Label) -> bool:
    """Whether a form's label is what the bot understood."""
    one, other = label.to_json(), meant.to_json()
    for told in (one, other):
        told["aspects"] = sorted(told["aspects"] or (["overview"] if told["intent"] == "ask_procedure" else []))
        told["procedures"] = sorted(told["procedures"])
    return one == other


def _verdict(act: str, label: Label, *, same: bool, content: bool) -> tuple[str, str, Label | None]:
    """An act of the form as what to say, the verdict and the right label.

    Raises:
        BadInputError: the act does not fit the label.
    """
    if act == "right":
        if not same:
            raise BadInputError(_T["labels_changed"])
        return "right", "right", None
    if act == "outside":
        return "outside", "wrong", Label("out_of_scope")
    if act == "example":
        return "example", "right" if same else "wrong", label
    if act == "wrong":
        if content:
            return "content", "wrong", None
        if same:
            raise BadInputError(_T["labels_same"])
        return "wrong", "wrong", label
    raise BadInputError(_T["no_act"])


def _names(codes: Sequence[str], catalog: Catalog) -> list[dict[str, str]]:
    return [{"code": code, "name": found.short_name if (found := catalog.get(code)) else code} for code in codes]


def _candidate(code: str, score: float, catalog: Catalog) -> dict[str, Any]:
    return {**_names([code], catalog)[0], "score": f"{score:.0%}", "width": round(score * 100)}


def _row(turn: Turn, review: Review | None, which: str, catalog: Catalog) -> dict[str, Any]:
    label = understood(turn)
    return {
        "id": turn.id,
        "key": queue.key_of(turn, review, which),
        "at": f"{local(turn.at):%H:%M %d/%m}",
        "text": mask(turn.text[:300]).text if turn.text else "",
        "intent": _T["intents"].get(turn.intent, turn.intent),
        "outcome": _T["outcomes"].get(turn.outcome, turn.outcome),
        "procedures": ", ".join(one["name"] for one in _names(label.procedures[:2], catalog)),
        "sure": "" if turn.confidence is None else f"{turn.confidence:.0%}",
        "why": [_T["reasons"][reason] for reason in turn.doubt_why.split(",") if reason in _T["reasons"]],
        "review": _reviewed(review),
    }


def _reviewed(review: Review | None) -> dict[str, Any] | None:
    if review is None:
        return None
    return {
        "verdict": _T["verdicts"][review.verdict],
        "right": review.verdict == "right",
        "by": review.by,
        "at": f"{local(review.at):%H:%M %d/%m/%Y}",
        "version": review.version,
    }


def _screen(
    turn: Turn, review: Review | None, channel: str, which: str, catalog: Catalog, typed: dict[str, Any] | None
) -> dict[str, Any]:
    """All that the page of a turn shows; ``typed`` is what stood in a form that could not be saved."""
    told = turn.understanding
    meant = understood(turn)
    label = Label.from_json(review.label) if review and review.label else meant
    hidden = mask(turn.text)
    replies = [mask(str(reply.get("text", ""))).text for reply in turn.replies.get("replies", ())]
    candidates = [_candidate(str(code), float(score), catalog) for code, score in told.get("candidates") or ()]
    form = {
        "intent": label.intent,
        "aspects": label.aspects,
        "procedures": ", ".join(label.procedures),
        "ask_back": label.ask_back,
        "content": review is not None and review.verdict == "wrong" and not review.label,
        "text": hidden.text,
        "name": "",
    }
    if typed is not None:
        form |= {key: typed[key] for key in ("intent", "aspects", "procedures", "text", "name") if key in typed}
        form |= {"ask_back": typed.get("ask_back") == "1", "content": typed.get("content") == "1"}
    engine = told.get("engine")
    model = told.get("model")
    codes = list(dict.fromkeys([*label.procedures, *meant.procedures, *(one["code"] for one in candidates)]))
    return {
        **_row(turn, review, which, catalog),
        "which": which,
        "lists": _T["lists"],
        "gone": not turn.text,
        "words": hidden.text,
        "covered": [_T["kinds"][kind] for kind in hidden.found],
        "channel": phrases("console").get("channels", {}).get(channel, channel),
        "full_at": f"{local(turn.at):%H:%M:%S %d/%m/%Y}",
        "replies": replies,
        "aspects": [_T["aspects"][aspect] for aspect in meant.aspects],
        "meant": _names(meant.procedures, catalog),
        "ask_back": meant.ask_back,
        "how": _T["how"].get(told.get("how", ""), _T["by_grammar"]),
        "engine": _T["engines"].get(engine, engine) if engine else _T["by_grammar"],
        "model": _T["model"].format(number=model) if model else "",
        "sources": told.get("sources") or (),
        "candidates": candidates,
        "form": form,
        "intents": [(name, _T["intents"][name]) for name in INTENTS],
        "all_aspects": [(name, _T["aspects"][name]) for name in ASPECTS],
        "procedures_all": [(p.code, p.short_name) for p in catalog.procedures.values() if p.superseded_by is None],
        "about": sorted(ABOUT_PROCEDURES),
        "open": codes[0] if codes else "",
        "version": review.version if review else 0,
    }
