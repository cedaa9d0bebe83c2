"""A pile of results on the desk: scan one receipt after another, then set them all.

Each dossier is a transaction of its own. All or nothing would let one odd receipt at the end of a pile hold back the
notices of all the others, and would keep the database locked for the whole pile; and nothing is lost by stopping half
way, for the same pile scanned again sets only what is left.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from sqlmodel import Session

from bot.console import accounts
from bot.console.pages import Console, Signed
from bot.dossiers import listing, scanning
from bot.dossiers.status import STATUSES
from bot.texts import phrases

MAX_TEXT = 40_000  # characters of a form


def add(routes: APIRouter, console: Console) -> None:
    """The page, its form, and what one scan would do."""
    reads = console.needs("dossiers.move")
    acts = console.posts("dossiers.move")
    settings, clock, said = console.settings, console.clock, phrases("desk")

    def states(session: Session, codes: tuple[str, ...]) -> list[scanning.Line]:
        known = listing.known(session, codes)
        return [scanning.state_of(code, known.get(code)) for code in codes]

    async def page(
        request: Request, who: Signed, lines: list[scanning.Line], code: int = 200, **shown: Any
    ) -> Response:
        return console.page(request, "pile.html", who, code, lines=[told(line) for line in lines], **shown)

    @routes.get("/scan", response_class=HTMLResponse)
    async def scan_page(request: Request, who: Signed = reads) -> Response:
        return await page(request, who, [])

    @routes.get("/scan/state", dependencies=[reads])
    async def state(code: str = "") -> JSONResponse:
        codes = scanning.pile(code[: scanning.LONGEST_LINE])
        lines = await console.read(lambda session: states(session, codes))
        return JSONResponse([told(line) for line in lines])

    @routes.post("/scan")
    async def scan(request: Request, who: Signed = acts, codes: str = Form(""), do: str = Form("set")) -> Response:
        typed = codes[:MAX_TEXT]
        wanted = scanning.pile(typed)
        if not wanted:
            return await page(request, who, [], 409, error=said["scan_nothing"])
        over = said["scan_too_many"].format(most=scanning.MOST) if scanning.is_over(typed) else ""
        if do == "check":
            lines = await console.read(lambda session: states(session, wanted))
            return await page(request, who, lines, codes=typed, checked=True, error=over)
        lines = []
        for code in wanted:

            def change(session: Session, code: str = code) -> scanning.Line:
                now = clock()
                line = scanning.set_ready(session, code, by=who.name, settings=settings, now=now)
                if line.state == scanning.DONE:
                    accounts.audit(session, who.name, "set_status", code, now, before=line.before, after=line.status)
                return line

            lines.append(await console.write(change))
        done = scanning.summary(lines).get(scanning.DONE, 0)
        note = said["scan_set"].format(done=done, left=len(lines) - done)
        return await page(request, who, lines, done=note, error=over)


def told(line: scanning.Line) -> dict[str, str]:
    """A line for the page and its script."""
    said = phrases("desk")["scan"][line.state]
    name = STATUSES[line.status].name if line.status else ""
    return {"code": line.code, "state": line.state, "told": said.format(status=line.status, name=name)}
