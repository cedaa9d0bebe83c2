"""Server-sent events: what a visitor is told arrives on the open page, from whichever process it was said by.

One look at the table serves all streams of a process: it finds the visitors with something new (after a bell, or every
two seconds for what another process said), and only their streams read. Nobody holds a connection while it is quiet.
A stream that missed the look reads all the same with its next heartbeat.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread
from fastapi.responses import StreamingResponse
from prometheus_client import Gauge
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Receive, Scope, Send

from bot.channels.web import shown
from bot.clock import Clock
from bot.storage.database import Database

log = logging.getLogger("motcua.web")
PER_VISITOR = 4  # a browser keeps six connections to one site: its pages must not fill them all
PER_PROCESS = 1000
HEARTBEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 2000  # after which a browser connects again
LATE_SECONDS = 60.0  # no transaction lives longer, so nothing appears behind an id seen so long ago
_OPEN = Gauge("motcua_web_streams", "Open event streams")
_Result = TypeVar("_Result")
_Given = TypeVarTuple("_Given")


class BusyError(Exception):
    """Too many open streams. ``own``: of this visitor, else of the process (or it is stopping)."""

    def __init__(self, *, own: bool) -> None:
        super().__init__()
        self.own = own


class Stream:
    """One open page: where it stands, and whether there is news for it."""

    def __init__(self, visitor: str, after: int) -> None:
        self.visitor = visitor
        self.after = after
        self.news = asyncio.Event()


class Streams:
    """All open streams of one process. Everything but reading happens on the event loop."""

    def __init__(self, database: Database, clock: Clock, news: Callable[[], Awaitable[None]]) -> None:
        """``news``: waits until there may be something new in the outbox, a few seconds at most."""
        self._database = database
        self._clock = clock
        self._news = news
        self._of: dict[str, set[Stream]] = {}
        self._count = 0
        self._closing = False
        self._floor: int | None = None  # rows up to here are not looked at any more
        self._next_floor = 0
        self._raised_at = 0.0
        self._threads = CapacityLimiter(4)  # of their own: slow answers elsewhere must not silence the streams

    def open(self, visitor: str, after: int) -> StreamingResponse:
        """The endless answer to one page.

        Args:
            visitor: whose messages.
            after: the last outbox id that the page has.

        Raises:
            BusyError: too many streams, or the process is stopping.
        """
        if self._closing or self._count >= PER_PROCESS:
            raise BusyError(own=False)
        mine = self._of.setdefault(visitor, set())
        if len(mine) >= PER_VISITOR:
            raise BusyError(own=True)
        stream = Stream(visitor, after)
        mine.add(stream)
        self._count += 1
        _OPEN.set(self._count)
        return Events(self._events(stream), lambda: self._leave(stream))

    def close(self) -> None:
        """Ends all streams and opens no more; the pages come back to whoever answers then."""
        self._closing = True
        for streams in self._of.values():
            for stream in streams:
                stream.news.set()

    async def look(self) -> None:
        """One round: waits for news, and wakes the streams it is for."""
        await self._news()
        if not self._of:
            self._floor = None
            return
        first = self._floor is None
        newest = await self._in_thread(self._newest)
        for visitor, streams in self._of.items():
            for stream in streams:
                # Before the first look nobody watched: what came between a stream's own reading and it counts as news.
                if first or newest.get(visitor, 0) > stream.after:
                    stream.news.set()

    def _leave(self, stream: Stream) -> None:
        mine = self._of[stream.visitor]
        mine.remove(stream)
        if not mine:
            del self._of[stream.visitor]
        self._count -= 1
        _OPEN.set(self._count)

    async def _events(self, stream: Stream) -> AsyncIterator[str]:
        yield f"retry: {RETRY_MILLISECONDS}\n\n"
        while not self._closing:
            stream.news.clear()
            try:
                told = await self._in_thread(self._read, stream)
                if told.bubbles:
                    yield "".join(_event(bubble) for bubble in told.bubbles)
                if told.waiting:
                    await self._in_thread(self._mark, told)
            except SQLAlchemyError as error:
                log.warning("luồng tin đóng lại, trang sẽ tự nối lại: %s", type(error).__name__)
                return
            if told.after > stream.after:
                stream.after = told.after
                continue  # there may be more than one reading takes
            try:
                await asyncio.wait_for(stream.news.wait(), HEARTBEAT_SECONDS)
            except TimeoutError:
                yield ":\n\n"

    async def _in_thread(self, work: Callable[[*_Given], _Result], *given: *_Given) -> _Result:
        return await to_thread.run_sync(work, *given, limiter=self._threads)

    def _read(self, stream: Stream) -> shown.Shown:
        with self._database.read() as session:
            return shown.messages(session, stream.visitor, stream.after, self._clock())

    def _mark(self, told: shown.Shown) -> None:
        with self._database.write() as session:
            shown.mark_delivered(session, told.waiting, self._clock())

    def _newest(self) -> dict[str, int]:
        with self._database.read() as session:
            if self._floor is None:
                self._floor = self._next_floor = shown.last_id(session)
                self._raised_at = time.monotonic()
            found = dict(shown.newest(session, self._floor, self._clock()))
        if time.monotonic() > self._raised_at + LATE_SECONDS:
            self._floor, self._next_floor = self._next_floor, max([self._next_floor, *found.values()])
            self._raised_at = time.monotonic()
        return found


def _event(bubble: shown.Bubble) -> str:
    # JSON escapes line breaks, so that one line of data is all of it.
    return f"id: {bubble['id']}\ndata: {json.dumps(bubble, ensure_ascii=False)}\n\n"


class Events(StreamingResponse):
    """A stream that says when it has ended, however it did."""

    def __init__(self, events: AsyncIterator[str], leave: Callable[[], None]) -> None:
        """``events``: as they go over the line; ``leave`` is called once it has ended."""
        # A proxy (nginx) that gathers the answer before passing it on would hold the messages back.
        super().__init__(events, media_type="text/event-stream", headers={"x-accel-buffering": "no"})
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Streams until either side ends it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()
