"""News for the open pages of the inbox, as server-sent events: what stands in the queues, and what has changed.

One look at the database serves all pages of a process, whichever replica made the change, and only while a page is
open: each second, and on PostgreSQL as soon as a conversation has changed. An event says that there is something new;
the page then fetches itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from bot.channels.web import Events
from bot.desk import queues, reading
from bot.desk.reading import Mark
from bot.storage.database import Database

log = logging.getLogger("motcua.inbox")
LOOK_SECONDS = 1.0
CALM_SECONDS = 0.2  # between two looks, however much changes
HEARTBEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 2000
PER_PROCESS = 200


class Page:
    """One open page: whose, which conversation it shows (0: a list), and what they see (None: all offices)."""

    def __init__(self, staff: str, conversation_id: int, office: str | None = None) -> None:
        self.staff = staff
        self.conversation_id = conversation_id
        self.office = office
        self.news = asyncio.Event()
        self.known: Mapping[int, Mark] | None = None

    def seen(self, marks: Mapping[int, Mark]) -> Mapping[int, Mark]:
        """Of all conversations those that this person may see."""
        if self.office is None:
            return marks
        return {number: mark for number, mark in marks.items() if mark.is_seen_from(self.office)}


class Live:
    """All open pages of one process."""

    def __init__(self, database: Database, news: Callable[[], Awaitable[None]]) -> None:
        """``news``: waits until a conversation may have changed."""
        self._database = database
        self._news = news
        self._pages: set[Page] = set()
        self._marks: Mapping[int, Mark] = {}
        self._looked = False
        self._closing = False

    def open(self, page: Page, still_in: Callable[[], Awaitable[bool]]) -> Events | None:
        """The endless answer to one page; None where there are too many, or the process is stopping.

        Args:
            page: who looks at what.
            still_in: whether the session is alive; asked with every heartbeat.
        """
        if self._closing or len(self._pages) >= PER_PROCESS:
            return None
        self._pages.add(page)
        self._looked = False  # this page's conversation is not among the marks yet
        return Events(self._events(page, still_in), lambda: self._pages.discard(page))

    def close(self) -> None:
        """Ends all streams and opens no more."""
        self._closing = True
        for page in self._pages:
            page.news.set()

    async def look(self) -> None:
        """One round: sees what has changed and wakes the pages."""
        if not self._pages:
            self._looked = False
        else:
            watched = {page.conversation_id for page in self._pages}
            self._marks = await run_in_threadpool(self._read, watched)
            self._looked = True
            for page in self._pages:
                if page.known != self._marks:
                    page.news.set()
        calm = min(CALM_SECONDS, LOOK_SECONDS)
        await asyncio.sleep(calm)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news(), LOOK_SECONDS - calm)

    def _read(self, watched: set[int]) -> Mapping[int, Mark]:
        with self._database.read() as session:
            return reading.marks(session, watched)

    async def _events(self, page: Page, still_in: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
        yield f"retry: {RETRY_MILLISECONDS}\n\n"
        while not self._closing:
            page.news.clear()
            marks = page.seen(self._marks)
            if self._looked and page.known != marks:
                told, page.known = _news(page, marks), marks
                yield f"data: {json.dumps(told, ensure_ascii=False)}\n\n"
                continue  # what came while this was on its way
            try:
                await asyncio.wait_for(page.news.wait(), HEARTBEAT_SECONDS)
            except TimeoutError:
                try:
                    if not await still_in():
                        yield "event: expired\ndata: {}\n\n"
                        return
                except SQLAlchemyError as error:
                    log.warning("luồng tin của hộp thư đóng lại: %s", type(error).__name__)
                    return
                yield ":\n\n"


def _news(page: Page, marks: Mapping[int, Mark]) -> dict[str, Any]:
    """What a page is told.

    ``counts``: of each queue of work; ``changed``: the list or its own conversation looks different now; ``ring``:
    somebody new waits, or the citizen of a conversation that this advisor has wrote.
    """
    before = page.known
    counts = {name: sum(mark.queue == name for mark in marks.values()) for name in queues.QUEUES[:3]}
    if before is None:
        return {"counts": counts, "changed": True, "ring": False}
    mine = page.conversation_id
    return {
        "counts": counts,
        "changed": marks.get(mine) != before.get(mine) if mine else True,
        "ring": any(_rings(page.staff, before.get(number), mark) for number, mark in marks.items()),
    }


def _rings(staff: str, before: Mark | None, now: Mark) -> bool:
    if now.queue in {queues.WAITING, queues.HELD}:
        return before is None or before.queue != now.queue
    wrote: datetime | None = before.last_at if before else None
    return now.by == staff and before is not None and wrote != now.last_at
