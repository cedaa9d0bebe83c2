"""The token pair that rotates: one refresher among all processes, the new pair committed before it is used.

A refresh token works once, and a new access token kills the old one [B] (reference/channels.md §1.1). So:

- whoever refreshes holds the lease on the row; no transaction is open while Zalo is asked;
- ``generation`` tells whether somebody else was quicker: then his pair is taken;
- a refresh is never cut off half-way by a shutdown (``close`` waits for it), and a database that hiccups after Zalo
  has answered is asked again; only a killed process can lose a pair. The next refresh then gets -14014, and staff are
  told to run ``motcua zalo login``.

Sends meanwhile use the old token as long as Zalo takes it.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import Counter, Gauge
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool

from bot.channels.zalo_oa.errors import REUSED_REFRESH_TOKEN, ZaloError
from bot.channels.zalo_oa.oauth import OAuth, Pair
from bot.clock import Clock, utc_now
from bot.errors import BadInputError
from bot.secrets import seal, unseal
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import ChannelToken

log = logging.getLogger("motcua.zalo")
CHANNEL = "zalo_oa"
LEASE = timedelta(seconds=90)  # two tries of a refresh and their commit
COOL_DOWN = timedelta(minutes=5)  # after a refusal, before Zalo is asked again
SILENCE_COOL_DOWN = timedelta(seconds=30)
POLL_SECONDS = 0.1  # how often a waiting process looks whether the pair has come
WAIT_SECONDS = 15.0  # how long it waits
NO_LOGIN = "chưa có token: chạy «motcua zalo login»"
_in_trouble: set[tuple[str, str]] = set()  # the accounts of this process whose tokens need a person
_SEAL = "zalo-token"
_COMMIT_PAUSES = (0.2, 1.0, 3.0, 10.0, 30.0)
_PROBLEM = Gauge("motcua_zalo_token_problem", "1: the Zalo tokens need a person, see /ready")
_REFRESHES = Counter("motcua_zalo_token_refreshes_total", "Refreshes of the Zalo tokens", ["result"])


@dataclass(frozen=True, slots=True)
class Token:
    """An access token as stored.

    Attributes:
        generation: grows with each pair.
        expires_at: when Zalo stops taking it.
        due_at: from when on it should be refreshed: 80 % of its life, 20 h of 25; at once where there is a problem.
        problem: why the last refresh failed, None where it didn't.
    """

    access: str
    generation: int
    refreshed_at: datetime
    expires_at: datetime
    due_at: datetime
    problem: str | None


@dataclass(frozen=True, slots=True)
class _Lease:
    """The right to refresh one generation."""

    owner: str
    generation: int
    refresh: str


@dataclass(frozen=True, slots=True)
class _Busy:
    """Somebody else refreshes, or nobody may for a while (then ``problem`` says why)."""

    until: datetime
    problem: str | None


def _key(settings: Settings) -> tuple[str, str]:
    """The row of an Official Account: of the one that all share the application's id, of an office's own both ids."""
    app_id = settings.zalo_app_id or ""
    return CHANNEL, f"{app_id}/{settings.zalo_oa_id}" if settings.zalo_oa_id else app_id


def stored(settings: Settings, database: Database) -> Token | None:
    """The pair's access token as it is now; None before the first login.

    Raises:
        ZaloError: "account": sealed with another key.
    """
    with database.read() as session:
        row = session.get(ChannelToken, _key(settings))
        return None if row is None else _token(settings, row)


def store(settings: Settings, session: Session, pair: Pair, now: datetime, *, instead_of: int | None = None) -> Token:
    """Stores a new pair as the next generation, in the caller's transaction.

    It replaces the generation ``instead_of``; None: whatever is there (a login).

    Returns:
        What is stored now: the pair of somebody quicker where ``instead_of`` is not there any more.
    """
    key = _key(settings)
    row = session.get(ChannelToken, key, with_for_update=True, populate_existing=True)
    if row is not None and instead_of is not None and row.generation != instead_of:
        return _token(settings, row)
    if row is None:
        row = ChannelToken(
            channel=key[0], account=key[1], access_sealed="", refresh_sealed="", generation=0,
            expires_at=now, refreshed_at=now,
        )  # fmt: skip
    row.access_sealed = seal(settings, _SEAL, pair.access)
    if pair.refresh is not None:  # one project met an answer without: then the old one stays good [C]
        row.refresh_sealed = seal(settings, _SEAL, pair.refresh)
    row.generation += 1
    row.refreshed_at, row.expires_at = now, now + pair.lifetime
    row.lease_owner = row.lease_until = row.problem = None
    session.add(row)
    session.flush()
    return _token(settings, row)


def _token(settings: Settings, row: ChannelToken) -> Token:
    due = row.refreshed_at + (row.expires_at - row.refreshed_at) * 0.8
    if row.problem:
        due = row.refreshed_at  # as soon as the cool-down is over: the next good refresh ends the problem
    return Token(
        _unsealed(settings, row.access_sealed), row.generation, row.refreshed_at, row.expires_at, due, row.problem
    )


def _unsealed(settings: Settings, sealed: str) -> str:
    try:
        return unseal(settings, _SEAL, sealed)
    except BadInputError as error:
        raise ZaloError("account", str(error)) from error


class Tokens:
    """The tokens of one process.

    Attributes:
        problem: why there is no good token, for staff; None: all is well.
        optional: nobody needs to have logged in.
    """

    def __init__(self, settings: Settings, database: Database, oauth: OAuth, clock: Clock = utc_now) -> None:
        self.problem: str | None = None
        # Where offices have accounts of their own, there need not be one that all share.
        self.optional = settings.zalo_oa_id is None and bool(settings.owners("zalo_oa_id"))
        self._settings = settings
        self._database = database
        self._oauth = oauth
        self._clock = clock
        self._turn = asyncio.Lock()
        self._refreshing: asyncio.Task[Token] | None = None
        self._closed = False

    async def current(self) -> Token:
        """A token to call with, refreshed where that is due.

        Raises:
            ZaloError: "account": none can be had until staff act (or until Zalo answers again: ``delay``).
        """
        token = await self._stored()
        now = self._clock()
        if now < token.due_at or (now < token.expires_at and self._turn.locked()):
            return token
        valid = token if now < token.expires_at else None
        try:
            return await self._renewed(token.generation, valid)
        except ZaloError:
            if valid is None:
                raise
            return valid

    async def replacement(self, refused: Token) -> Token:
        """Another token than one that Zalo has just refused: somebody's newer one, else a fresh one.

        Raises:
            ZaloError: see ``current``.
        """
        return await self._renewed(refused.generation, None)

    async def refused_again(self, token: Token, error: ZaloError) -> None:
        """Notes that Zalo refuses even a fresh token, so that not every message fetches another."""
        problem = f"Zalo không nhận token mới đổi: {error}"
        await run_in_threadpool(self._fail, token.generation, problem, COOL_DOWN)
        self._told(problem)

    async def close(self) -> None:
        """Lets a refresh under way come to its end; begins none any more."""
        self._closed = True
        if self._refreshing is not None:
            await asyncio.gather(self._refreshing, return_exceptions=True)

    async def _stored(self) -> Token:
        try:
            token = await run_in_threadpool(stored, self._settings, self._database)
        except ZaloError as error:
            self._told(str(error))
            raise
        self._told(NO_LOGIN if token is None else token.problem)
        if token is None:
            raise ZaloError("account", NO_LOGIN)
        return token

    async def _renewed(self, generation: int, valid: Token | None) -> Token:
        """The pair after this generation; waits while another process fetches it, unless ``valid`` will do."""
        async with self._turn:
            until = asyncio.get_running_loop().time() + WAIT_SECONDS
            while True:
                found = await run_in_threadpool(self._claim, generation)
                if isinstance(found, Token):
                    self._told(None)
                    return found
                if isinstance(found, _Lease):
                    self._refreshing = asyncio.create_task(self._refresh(found))
                    # Whoever waits may be cancelled: the task goes on, and tells its failure itself.
                    self._refreshing.add_done_callback(lambda task: task.cancelled() or task.exception())
                    return await asyncio.shield(self._refreshing)
                if found.problem:
                    raise ZaloError("account", found.problem, found.until - self._clock())
                if valid is not None:
                    return valid
                if asyncio.get_running_loop().time() > until:
                    raise ZaloError("retry", "tiến trình khác đang đổi token")
                await asyncio.sleep(POLL_SECONDS)

    def _claim(self, generation: int) -> Token | _Lease | _Busy:
        now = self._clock()
        with self._database.write() as session:
            key = _key(self._settings)
            row = session.get(ChannelToken, key, with_for_update=True, populate_existing=True)
            if row is None:
                raise ZaloError("account", NO_LOGIN)
            if row.generation != generation:
                return _token(self._settings, row)
            if row.lease_until is not None and row.lease_until > now:
                return _Busy(row.lease_until, row.problem if row.lease_owner is None else None)
            if self._closed:
                raise ZaloError("retry", "dịch vụ đang dừng")
            row.lease_owner, row.lease_until = uuid.uuid4().hex, now + LEASE
            session.add(row)
            return _Lease(row.lease_owner, generation, _unsealed(self._settings, row.refresh_sealed))

    async def _refresh(self, lease: _Lease) -> Token:
        try:
            pair = await self._asked(lease.refresh)
        except ZaloError as error:
            return await run_in_threadpool(self._not_refreshed, lease, error)
        token = await self._committed(lease, pair)
        _REFRESHES.labels("done").inc()
        self._told(None)
        log.info("đã đổi token Zalo, lần thứ %d", token.generation)
        return token

    async def _asked(self, refresh: str) -> Pair:
        """Asks for a new pair, once more where no answer came: the same token may still be good."""
        try:
            return await self._oauth.refresh(refresh)
        except ZaloError as error:
            if error.code is not None:
                raise
            log.warning("đổi token Zalo: %s; thử lại", error)
        return await self._oauth.refresh(refresh)

    async def _committed(self, lease: _Lease, pair: Pair) -> Token:
        """The pair exists only here until it is stored: a database that hiccups is asked again."""

        def commit() -> Token:
            with self._database.write() as session:
                return store(self._settings, session, pair, self._clock(), instead_of=lease.generation)

        for pause in _COMMIT_PAUSES:
            try:
                return await run_in_threadpool(commit)
            except SQLAlchemyError as error:
                # Without its text: that holds the sealed tokens.
                log.warning("chưa lưu được token Zalo mới (%s), thử lại sau %.0f giây", type(error).__name__, pause)
                await asyncio.sleep(pause)
        return await run_in_threadpool(commit)

    def _not_refreshed(self, lease: _Lease, error: ZaloError) -> Token:
        """What is left where Zalo gave no pair: somebody else's, who was quicker, or the error for staff.

        Raises:
            ZaloError: "account".
        """
        silent = error.code is None
        pause = SILENCE_COOL_DOWN if silent else COOL_DOWN
        advice = "; chạy «motcua zalo login»" if error.code == REUSED_REFRESH_TOKEN else ""
        problem = f"không đổi được token Zalo: {error}{advice}"
        newer = self._fail(lease.generation, problem, pause)
        if newer is not None:
            return newer
        _REFRESHES.labels("silent" if silent else "refused").inc()
        log.error("%s", problem)
        self._told(problem)
        raise ZaloError("account", problem, pause, error.code) from error

    def _fail(self, generation: int, problem: str, pause: timedelta) -> Token | None:
        """Writes a problem down and keeps everybody from asking for a while; the pair there is now, if newer."""
        with self._database.write() as session:
            key = _key(self._settings)
            row = session.get(ChannelToken, key, with_for_update=True, populate_existing=True)
            if row is None:
                return None
            if row.generation != generation:
                return _token(self._settings, row)
            row.lease_owner, row.lease_until, row.problem = None, self._clock() + pause, problem[:500]
            session.add(row)
            return None

    def _told(self, problem: str | None) -> None:
        if problem == NO_LOGIN and self.optional:
            problem = None
        self.problem = problem
        _in_trouble.add(_key(self._settings)) if problem else _in_trouble.discard(_key(self._settings))
        _PROBLEM.set(bool(_in_trouble))
