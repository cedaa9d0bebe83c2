"""The work beside the requests: messages worked off, replies and notices sent, old texts forgotten, backups made.

Each kind of work is a loop of its own, so that a channel that hiccups, a slow photo or a flood from one citizen
doesn't hold up the others. Order per citizen is the queue's business (``bot.storage.queue``).
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from prometheus_client import Counter, Gauge
from sqlmodel import col, select
from starlette.concurrency import run_in_threadpool

from bot.channels.opening import open_gateways
from bot.channels.port import PushChannel, SendError
from bot.channels.rendering import from_json
from bot.clock import Clock
from bot.conversation.model import Incoming
from bot.desk import queues as desk_queues
from bot.desk.sweep import sweep as desk_sweep
from bot.logs import in_turn
from bot.notices import control, policy, routes
from bot.notices.reminders import remind
from bot.office_accounts import account_of, key
from bot.service import Service
from bot.settings import Settings
from bot.storage import listening, queue
from bot.storage.database import Database
from bot.storage.nightly import Nightly
from bot.storage.retention import prune
from bot.storage.tables import Conversation, Outbox
from bot.storage.together import Together

log = logging.getLogger("motcua.background")
SWEEP_SECONDS = 2.0
PRUNE_SECONDS = 3600.0
RETRY_SECONDS = 60.0  # the longest pause before a broken loop or channel is tried again
LEASE = timedelta(minutes=2)
ACCOUNT_DELAY = timedelta(minutes=5)  # until staff have mended a channel's account
INBOX_WORKERS = 3
TOGETHER = 16  # messages of as many senders that a worker takes at once
BACKUP_FIRST_SECONDS = 30.0  # after the start, so that a service that keeps falling over is not busy with copies
BACKUP_SECONDS = 300.0
ENDING_SECONDS = 12.0  # for the sends under way at the end: cut off, nobody would know whether they arrived
SENDERS = 8  # messages sent at once from one account of a channel, each to another citizen
MOST_SENDERS = 32  # at once on one channel
_SENT = Counter("motcua_channel_sends_total", "Sends by channel and how they ended", ["channel", "result"])
_CHANNEL_UP = Gauge("motcua_channel_up", "1: the channel works, 0: see /ready for the reason", ["channel"])


class Background:
    """Starts and stops all loops of one process."""

    def __init__(
        self, settings: Settings, database: Database, service: Service, channels: Sequence[PushChannel], clock: Clock
    ) -> None:
        self.settings = settings
        self.database = database
        self.service = service
        self.clock = clock
        self.owner = f"{socket.gethostname()[:24]}/{os.getpid()}"
        self.channels: Mapping[str, PushChannel] = {key(one.name, one.account): one for one in channels}
        self.names = dict.fromkeys(channel.name for channel in channels)
        self.running: set[str] = set()  # accounts of channels that have connected
        self.problems: dict[str, str] = {}
        self._wake: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._holding: list[asyncio.Task[None]] = []  # what must not be cut off: turns and sends
        self._ending = False
        self.nightly = Nightly(settings, database, self.owner)
        self._backup_pause = BACKUP_FIRST_SECONDS
        self._others: dict[str, Callable[[], Any]] = {}
        self.listener = None if database.is_sqlite else listening.Listener(database, self._heard)
        self._sent = Together(self._store_sent)

    def beside(self, name: str, work: Callable[[], Any]) -> None:
        """One more loop, to be started with the others; ``work`` is one round of it."""
        self._others[name] = work

    async def start(self) -> None:
        """Starts all loops; a channel that cannot connect does not stop the others."""
        self._loop = asyncio.get_running_loop()
        self.service.on_reply = self._ring_from_thread
        for number in range(INBOX_WORKERS):
            self._holding.append(self._spawn(f"inbox {number}", self._inbox))
        if self.listener is not None:
            self._spawn("listen", self.listener.listen)
        self._spawn("sweep", self._sweep)
        self._spawn("desk", self._desk)
        self._holding.append(self._spawn("notices", self._notices))
        self._spawn("reminders", self._reminders)
        self._spawn("retention", self._retention)
        self._spawn("backup", self._backup)
        for name, work in self._others.items():
            self._spawn(name, work)
        for account, channel in self.channels.items():
            self._spawn(f"start {account}", self._starting(account, channel))
        for name in self.names:
            self._holding.append(self._spawn(f"{name} out", self._sending(name)))

    async def stop(self) -> None:
        """Lets the turns and sends under way end and begins no others, closes the channels, ends the loops."""
        self._ending = True
        for event in self._wake.values():
            event.set()
        if self._holding:
            await asyncio.wait(self._holding, timeout=ENDING_SECONDS)
        # One that can't say goodbye doesn't keep the others from it.
        await asyncio.gather(*(self.channels[one].stop() for one in tuple(self.running)), return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.service.on_reply = None

    def receive(self, incoming: Incoming) -> int | None:
        """Commits a message and wakes the loop that works it off (called in a thread).

        Returns:
            Its inbox id; None for a repeat.
        """
        inbox_id = self.service.receive(incoming)
        self._ring_from_thread("inbox")
        return inbox_id

    def reasons(self) -> dict[str, str]:
        """Account of a channel ("telegram", "telegram/dong-phuoc") → why it doesn't work; empty where all is well."""
        told = {name: self.problems.get(name, "đang kết nối") for name in self.channels if name not in self.running}
        told |= {name: channel.problem for name, channel in self.channels.items() if channel.problem}
        for name in self.channels:
            _CHANNEL_UP.labels(name).set(name not in told)
        return told

    def _heard(self, told: str) -> None:
        """Wakes the loops that wait for what another process (or this one) has committed."""
        if told == listening.ANYTHING:
            for name in ("inbox", "desk", "web", "sms", *self.names):
                self._ring(name)
        elif told.startswith("outbox:"):
            channel = told.removeprefix("outbox:")
            # The loop of the notices sends for all gateways, and waits for "sms".
            self._ring(channel if channel == "web" or channel in self.names else "sms")
        elif told in {"inbox", "desk"}:
            self._ring(told)

    def _ring_from_thread(self, name: str) -> None:
        self._loop.call_soon_threadsafe(self._ring, name)

    def _ring(self, name: str) -> None:
        self._event(name).set()

    def _event(self, name: str) -> asyncio.Event:
        return self._wake.setdefault(name, asyncio.Event())

    async def news(self, name: str) -> None:
        """Waits for something to do ("inbox"), send ("web", "telegram" …) or show ("desk"), at most a sweep's time."""
        event = self._event(name)
        with suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), SWEEP_SECONDS)
        event.clear()

    def _spawn(self, name: str, work: Callable[[], Any]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._forever(name, work), name=name)
        self._tasks.append(task)
        return task

    async def _forever(self, name: str, work: Callable[[], Any]) -> None:
        pause = 1.0
        while not self._ending:
            try:
                await work()
                pause = 1.0
            except Exception:
                log.exception("vòng lặp %s gặp lỗi, thử lại sau %.0f giây", name, pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_SECONDS)

    async def _inbox(self) -> None:
        while not self._ending and await run_in_threadpool(self._work_off):
            # Another worker may take the next message meanwhile.
            self._ring("inbox")
        if not self._ending:
            await self.news("inbox")

    def _work_off(self) -> bool:
        return bool(self.service.work_off(most=TOGETHER))

    async def _sweep(self) -> None:
        await run_in_threadpool(self.service.sweep)
        await asyncio.sleep(SWEEP_SECONDS)

    async def _desk(self) -> None:
        def sweep() -> bool:
            now, talk = self.clock(), self.service.talk
            slugs = talk.offices.slugs if talk.offices.several else ()
            offices = {slug: talk.at(slug, now).office for slug in (None, *slugs)}
            return bool(desk_sweep(self.database, self.settings, offices, now))

        if await run_in_threadpool(sweep):
            for name in ("web", "sms", *self.names):
                self._ring(name)
        await asyncio.sleep(SWEEP_SECONDS)

    async def _notices(self) -> None:
        from bot.notices.sending import run_pass  # noqa: PLC0415

        gateways = open_gateways(self.settings, self.database, self.clock)
        try:
            # Before Python 3.12, asyncio.wait_for swallows a cancel that meets a wait just over: the flag ends it too.
            while not self._ending:
                await run_pass(
                    self.database, self.settings, owner=self.owner, now=self.clock(), gateways=gateways,
                    stopped=lambda: self._ending,
                )  # fmt: skip
                if not self._ending:
                    await self.news("sms")
        finally:
            await gateways.close()

    async def _reminders(self) -> None:
        def put() -> None:
            with self.database.write() as session:
                remind(session, self.settings, self.clock())

        await run_in_threadpool(put)
        await asyncio.sleep(PRUNE_SECONDS)

    async def _retention(self) -> None:
        def forget() -> bool:
            with self.database.write() as session:
                return prune(session, self.settings, self.clock()).more

        more = await run_in_threadpool(forget)
        await asyncio.sleep(0.1 if more else PRUNE_SECONDS)

    async def _backup(self) -> None:
        await asyncio.sleep(self._backup_pause)
        self._backup_pause = BACKUP_SECONDS
        await run_in_threadpool(self.nightly.look, self.clock(), lambda: self._ending)

    def _starting(self, account: str, channel: PushChannel) -> Callable[[], Any]:
        async def start() -> None:
            if account in self.running:
                await asyncio.sleep(PRUNE_SECONDS)
                return
            try:
                await channel.start(self.receive)
            except BaseException as error:  # also where the process ends meanwhile
                self.problems[account] = type(error).__name__
                with suppress(Exception):  # what had started is closed before the next try
                    await channel.stop()
                raise
            self.running.add(account)
            self.problems.pop(account, None)
            self._ring(channel.name)
            log.info("kênh %s đã kết nối", account)

        return start

    def _sending(self, name: str) -> Callable[[], Any]:
        """Sends what leaves on a channel, from whichever of its accounts: the recipient says which."""
        accounts = {one.account: one for one in self.channels.values() if one.name == name}
        under_way: set[asyncio.Task[None]] = set()

        def ended(task: asyncio.Task[None]) -> None:
            under_way.discard(task)
            self._ring(name)  # a place is free, and the next to that citizen may go

        async def send() -> None:
            away = [one for one in accounts if key(name, one) not in self.running]
            free = min(SENDERS * (len(accounts) - len(away)), MOST_SENDERS) - len(under_way)
            if free > 0 and not self._ending:
                for row in await run_in_threadpool(self._claim, name, free, away):
                    task = asyncio.create_task(self._send_one(name, accounts.get(account_of(row.recipient)), row))
                    under_way.add(task)
                    task.add_done_callback(ended)
            if not self._ending:
                await self.news(name)
            if self._ending and under_way:
                try:
                    await asyncio.wait(under_way)
                finally:
                    for task in under_way:  # none, unless they took too long
                        task.cancel()

        return send

    async def _send_one(self, name: str, channel: PushChannel | None, row: Outbox) -> None:
        with in_turn(row.inbox_id):
            try:
                await self._send(name, channel, row)
            except Exception:
                # How it ended could not be stored: the sweep will call it uncertain.
                log.exception("%s: không ghi được kết quả gửi", name, extra={"outbox": row.id})

    async def _send(self, name: str, channel: PushChannel | None, row: Outbox) -> None:
        owner = row.lease_owner or ""
        try:
            if channel is None:  # it is not set up any more, or not yet: only this one reaches that citizen
                raise SendError("account", f"chưa có tài khoản {key(name, account_of(row.recipient))}")
            provider_id = await channel.send(row.recipient, from_json(row.body))
        except SendError as error:
            _SENT.labels(name, error.kind).inc()
            log.warning("%s không gửi được (%s): %s", name, error.kind, error, extra={"outbox": row.id})
            await run_in_threadpool(self._failed, row, owner, error)
            return
        except Exception as error:
            # Nobody knows how far it got: never sent again by itself.
            _SENT.labels(name, "uncertain").inc()
            log.exception("%s: lỗi khi gửi", name, extra={"outbox": row.id})
            await run_in_threadpool(self._failed, row, owner, SendError("uncertain", type(error).__name__))
            return
        _SENT.labels(name, "sent").inc()
        await run_in_threadpool(self._sent.commit, (row.id or 0, owner, provider_id))
        log.info("đã gửi qua %s", key(name, account_of(row.recipient)), extra={"outbox": row.id})

    def _store_sent(self, sent: Sequence[tuple[int, str, str | None]]) -> list[None]:
        """Notes several sends as done, in one transaction: (outbox id, owner of the claim, the channel's id) each."""
        with self.database.write() as session:
            queue.mark_all_sent(session, sent, self.clock())
        return [None] * len(sent)

    def _claim(self, channel: str, most: int, away: Sequence[str | None] = ()) -> list[Outbox]:
        now = self.clock()
        with self.database.write() as session:
            # A pause holds the notices back; whoever is talking in the chat still gets an answer.
            notices_on = [] if channel in control.pauses(session, now) else [channel]
            while True:
                owner = f"{self.owner[:40]}:{secrets.token_hex(8)}"
                rows = queue.claim_several(
                    session, owner=owner, now=now, lease=LEASE, channels=[channel], notices_on=notices_on, most=most,
                    without=away,
                )  # fmt: skip
                going = [
                    row for row in rows if row.kind != policy.KIND or policy.may_go(session, row, self.settings, now)
                ]
                if going or not rows:
                    return going
                session.flush()

    def _failed(self, row: Outbox, owner: str, error: SendError) -> None:
        outbox_id, now, told = row.id or 0, self.clock(), str(error)
        with self.database.write() as session:
            match error.kind:
                case "retry":
                    queue.retry_later(session, outbox_id, owner, now, told, error.delay)
                case "account":
                    delay = error.delay or ACCOUNT_DELAY
                    if queue.retry_later(session, outbox_id, owner, now, told, delay) == "waiting":
                        session.get_one(Outbox, outbox_id).attempts -= 1  # the message is not to blame
                case "uncertain":
                    queue.mark_uncertain(session, outbox_id, owner, now, told)
                case _:
                    if queue.mark_failed(session, outbox_id, owner, now, told):
                        routes.fall_back(session, session.get_one(Outbox, outbox_id), self.settings, now)
            if error.kind in {"uncertain", "failed", "closed"}:
                desk_queues.unsent(session, session.get_one(Outbox, outbox_id), now)
            if error.kind == "blocked":
                who = (Conversation.channel == row.channel, Conversation.sender == row.recipient)
                conversation = session.exec(select(Conversation).where(*who)).first()
                if conversation is not None:
                    conversation.unreachable_at = now
                    session.add(conversation)
                waiting = select(Outbox).where(
                    Outbox.channel == row.channel, Outbox.recipient == row.recipient, col(Outbox.state) == "waiting"
                )
                for other in session.exec(waiting):
                    other.state, other.error = "failed", told[:500]
                    session.add(other)
                    routes.fall_back(session, other, self.settings, now)
