"""The pages and forms of the inbox."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from sqlmodel import Session

from bot.catalog.answers import Desk
from bot.console import accounts
from bot.console.inbox import canned_pages, own, shown
from bot.console.inbox.live import Live, Page
from bot.console.numbers import typed_number
from bot.console.pages import Console, Signed
from bot.desk import answering, canned, held, queues, reading
from bot.desk.messages import MOST, T
from bot.errors import BadInputError
from bot.storage.tables import Conversation

LARGEST_ID = 2**62


def router(console: Console, live: Live) -> APIRouter:
    """All routes of the inbox."""
    routes = APIRouter(include_in_schema=False)
    routes.include_router(canned_pages.router(console))  # before "/{number}"
    routes.include_router(own.router(console))
    _pages(routes, console, live)
    _acts(routes, console)
    return routes


def _pages(routes: APIRouter, console: Console, live: Live) -> None:
    reads = console.needs("inbox")

    @routes.get("/staff/inbox", response_class=HTMLResponse, name="inbox")
    async def inbox(
        request: Request, who: Signed = reads, queue: str = queues.WAITING, after: str = "", counter: str = ""
    ) -> Response:
        wanted = queue if queue in T["queues"] else queues.WAITING
        office = console.service.talk.at(who.office, console.clock()).office

        def read(session: Session) -> dict[str, Any]:
            return _list(session, console, who, wanted, after, counter[:120])

        found = await console.read(read)
        return console.page(
            request, "inbox.html", who, **found, texts=T, counters=[one.name for one in office.counters]
        )  # fmt: skip

    @routes.get("/staff/inbox/stream")
    async def stream(request: Request, who: Signed = reads, conversation: int = 0) -> Response:
        async def still_in() -> bool:
            return await console.signed(request) is not None

        watched = conversation if 0 < conversation < LARGEST_ID else 0
        answer = live.open(Page(who.name, watched, who.office), still_in)
        return answer or Response(status_code=503, headers={"retry-after": "5"})

    @routes.get("/staff/inbox/{number:int}", response_class=HTMLResponse, name="inbox_thread")
    async def thread(
        request: Request,
        number: int,
        who: Signed = reads,
        queue: str = "",
        before: str = "",
        said: str = "",
        use: int = 0,
        template: int = 0,
    ) -> Response:
        done = T["said"][said] if said in T["said"] and "{" not in T["said"][said] else ""
        return await thread_page(
            console, request, who, number, queue=queue, before=before, use=use, template=template, done=done
        )


async def thread_page(
    console: Console, request: Request, who: Signed, number: int, code: int = 200, *, queue: str = "",
    before: str = "", use: int = 0, template: int = 0, typed: str = "", key: str = "", **more: Any,
) -> Response:  # fmt: skip
    """A conversation: what was said, who has it, what may be done.

    Args:
        console: of the office.
        request: to answer.
        who: is signed in.
        number: of the conversation.
        code: HTTP status.
        queue: the list to show beside it; by default the one it stands in.
        before: the turn's id to read back from, as text.
        use: the turn whose draft is put into the field.
        template: the canned reply that is put into the field.
        typed: what was typed already, after an answer that could not be sent.
        key: of that message.
        more: for the template.
    """
    now = console.clock()

    def read(session: Session) -> dict[str, Any] | None:
        conversation = session.get(Conversation, number) if number < LARGEST_ID else None
        if conversation is None:
            return None
        desk = _desk(console, who, conversation)
        back = typed_number(before)
        thread = reading.thread(session, number, back)
        mine = conversation.taken_by == who.name
        drafts = reading.drafts(thread.entries, conversation.answered_at) if mine else []
        ready = canned.all_of(session)
        wanted = queue if queue in T["queues"] else conversation.queue
        text = typed or next((one["text"] for one in drafts if one["turn"] == use), "")
        text = text or next((one.text for one in ready if one.id == template), "")
        return {
            **_list(session, console, who, wanted if wanted in T["queues"] else reading.ALL, "", ""),
            "one": {
                "id": number,
                "who": shown.who_is(conversation),
                "channel": shown.channel_name(conversation.channel),
                **_whose(console, who, conversation),
                "state": shown.state_text(session, conversation),
                "since": shown.waited(conversation.queued_at, now),
                "queue": conversation.queue,
                "counter": conversation.counter or "",
                "mine": mine,
                "free": conversation.taken_by is None,
                "reasons": [T["reasons"].get(kind, kind) for kind in reading.reasons(session, number)],
                "unreachable": conversation.unreachable_at is not None,
            },
            "entries": [shown.entry(session, entry, desk.catalog, now) for entry in thread.entries],
            "older": thread.before,
            "newest": back is None,
            "drafts": drafts[-3:],
            "canned": ready,
            "answer": text,
            "counters": [one.name for one in desk.office.counters],
            "other_offices": _others(console, conversation),
        }

    found = await console.read(read)
    if found is None:
        raise HTTPException(404, T["errors"]["no_conversation"])
    return console.page(
        request, "inbox_thread.html", who, code, **found, texts=T, most=MOST, key=key or secrets.token_hex(12), **more,
    )  # fmt: skip


def _desk(console: Console, who: Signed, conversation: Conversation) -> Desk:
    """The desk of a conversation's office; where it isn't known, that of whoever looks at it."""
    return console.service.talk.at(conversation.office or who.office, console.clock())


def _whose(console: Console, who: Signed, conversation: Conversation) -> dict[str, str]:
    """The name of a conversation's office for who sees several; else nothing."""
    offices, slug = console.service.talk.offices, conversation.office
    return {"office": offices.name(slug) if slug and offices.several and who.office is None else ""}


def _others(console: Console, conversation: Conversation) -> list[tuple[str, str]]:
    """The offices that a conversation may be passed on to: slug and name; none where there is one office alone."""
    offices = console.service.talk.offices
    return [(slug, offices.name(slug)) for slug in offices.slugs if offices.several and slug != conversation.office]


def _list(session: Session, console: Console, who: Signed, queue: str, after: str, counter: str) -> dict[str, Any]:
    page = reading.list_page(session, queue, shown.key_of(after), counter)
    now = console.clock()
    return {
        "queue": queue,
        "lines": [shown.line(session, one, now) | _whose(console, who, one.conversation) for one in page.lines],
        "after": shown.key_text(page.after),
        "counts": reading.counts(session),
        "counter": counter,
    }


def _acts(routes: APIRouter, console: Console) -> None:
    acts = console.posts("inbox")

    async def settled(
        request: Request, who: Signed, number: int, act: Callable[[Session], str], typed: str = "", key: str = ""
    ) -> Response:
        """Does one thing and shows the conversation again, or says why it could not be done."""
        try:
            said = await console.write(act)
        except BadInputError as refused:
            if _is_script(request):
                return JSONResponse({"error": str(refused)}, 409)
            return await thread_page(
                console, request, who, number, 409, error=str(refused), typed=typed, key=key
            )  # fmt: skip
        await console.read(lambda session: _ring(session, console, number))
        if _is_script(request):
            return JSONResponse({"said": T["said"][said]})
        return RedirectResponse(f"/staff/inbox/{number}?said={said}#cuoi", 303)

    @routes.post("/staff/inbox/{number:int}/take")
    async def take(request: Request, number: int, who: Signed = acts) -> Response:
        def act(session: Session) -> str:
            _known(session, number)
            if queues.claim(session, number, who.name, console.clock()):
                _log(session, console, who, "inbox_take", number, after=queues.TAKEN)
            return "taken"

        return await settled(request, who, number, act)

    @routes.post("/staff/inbox/{number:int}/done")
    async def done(request: Request, number: int, who: Signed = acts) -> Response:
        def act(session: Session) -> str:
            _known(session, number)
            queues.finish(session, number, who.name, console.clock())
            _log(session, console, who, "inbox_done", number, before=queues.TAKEN, after=queues.DONE)
            return "released"

        return await settled(request, who, number, act)

    @routes.post("/staff/inbox/{number:int}/back")
    async def back(request: Request, number: int, who: Signed = acts) -> Response:
        def act(session: Session) -> str:
            office = _desk(console, who, _known(session, number)).office
            queues.put_back(session, number, who.name, office, console.clock())
            _log(session, console, who, "inbox_back", number, before=queues.TAKEN, after=queues.WAITING)
            return "put_back"

        return await settled(request, who, number, act)

    @routes.post("/staff/inbox/{number:int}/transfer")
    async def transfer(request: Request, number: int, who: Signed = acts, counter: str = Form("")) -> Response:
        def act(session: Session) -> str:
            office = _desk(console, who, _known(session, number)).office
            queues.transfer(session, number, who.name, counter, office, console.clock())
            _log(session, console, who, "inbox_transfer", number, before=who.name, after=counter)
            return "put_back"

        return await settled(request, who, number, act)

    @routes.post("/staff/inbox/{number:int}/office")
    async def hand_over(request: Request, number: int, who: Signed = acts, office: str = Form("")) -> Response:
        def act(session: Session) -> str:
            before = _known(session, number).office
            if office not in dict(_others(console, _known(session, number))):
                raise BadInputError(T["errors"]["no_office"])
            profile = console.service.talk.at(office, console.clock()).office
            queues.hand_over(session, number, who.name, office, profile, console.clock())
            _log(session, console, who, "inbox_office", number, before=before or "", after=office)
            return "put_back"

        answer = await settled(request, who, number, act)
        gone = who.office is not None and answer.status_code == 303  # it is the other office's from here on
        return RedirectResponse("/staff/inbox", 303) if gone else answer

    @routes.post("/staff/inbox/{number:int}/send")
    async def send(
        request: Request, number: int, who: Signed = acts, text: str = Form(""), key: str = Form("")
    ) -> Response:
        def act(session: Session) -> str:
            _known(session, number)
            if not answering.send(session, number, who.name, text, key, console.clock()):
                return "repeated"
            _log(session, console, who, "inbox_send", number, key=key)
            return "sent"

        return await settled(request, who, number, act, text, key)

    @routes.post("/staff/inbox/{number:int}/active")
    async def active(number: int, who: Signed = acts) -> Response:
        def act(session: Session) -> bool:
            _known(session, number)
            return queues.active(session, number, who.name, console.clock())

        mine = await console.write(act)
        return JSONResponse({"mine": mine}, 200 if mine else 409)

    @routes.post("/staff/inbox/{number:int}/held/{held_id:int}")
    async def approve(
        request: Request, number: int, held_id: int, who: Signed = acts, text: str = Form(""), edit: str = Form("")
    ) -> Response:
        def act(session: Session) -> str:
            _known(session, number)
            if held_id >= LARGEST_ID:
                raise BadInputError(T["errors"]["no_conversation"])
            row = held.approve(session, held_id, number, who.name, text if edit else None, console.clock())
            _log(session, console, who, "inbox_approve", number, before="waiting", after=row.state)
            return "approved"

        return await settled(request, who, number, act, text if edit else "")


def _known(session: Session, number: int) -> Conversation:
    found = session.get(Conversation, number) if number < LARGEST_ID else None
    if found is None:
        raise HTTPException(404, T["errors"]["no_conversation"])
    return found


def _ring(session: Session, console: Console, number: int) -> None:
    """Whoever sends on the citizen's channel looks at once."""
    conversation = session.get(Conversation, number)
    if conversation is not None and console.service.on_reply is not None:
        console.service.on_reply(conversation.channel)


def _log(session: Session, console: Console, who: Signed, action: str, number: int, **detail: object) -> None:
    accounts.audit(session, who.name, action, str(number), console.clock(), **detail)


def _is_script(request: Request) -> bool:
    return request.headers.get("accept", "").startswith("application/json")
