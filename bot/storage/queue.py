"""The durable queue: messages received (inbox) and messages to send (outbox), claimed with a lease.

Order. Of one sender only the oldest unfinished message can be claimed, whatever the number of processes:

- SQLite: a claim runs inside ``BEGIN IMMEDIATE``, so claims come one after the other.
- PostgreSQL: ``receive`` holds a lock on the sender from before the id is drawn until the commit, so a message with a
  smaller id is committed, hence visible, before the next one gets its id. A claim takes a row only where it sees no
  unfinished older row of that sender, and a finished row never opens again; so of two rows of one sender the later
  one can't be claimed while the earlier one is open. The row lock (``FOR UPDATE SKIP LOCKED``; PostgreSQL looks at the
  row's newest version once it has the lock) keeps two processes from taking the same row.

Replies to one recipient keep their order in the same way. Notices and one-time codes stand alone.

Leases. ``owner`` names one claim (a fresh name for each, say a UUID); whoever lost a claim gets False from the closing
calls and must roll back what was done under it. All functions work in the caller's transaction; ``receive`` and
``put_outbox`` hold their lock until it ends.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import ARRAY, ColumnElement, Select, String, and_, bindparam, exists, func, or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased
from sqlalchemy.sql.dml import ReturningUpdate
from sqlmodel import Session, col, select

from bot.conversation.model import Incoming
from bot.errors import BadInputError
from bot.logs import mask
from bot.storage.tables import METADATA, Inbox, Outbox

MAX_ATTEMPTS = 8
_FIRST_DELAY = 2.0  # seconds, doubled with each attempt
_LONGEST_DELAY = 600.0
_SWEEP = 500  # rows of a kind in one sweep, to keep its transaction short
_URGENT_FIRST = (("otp", "reply"), ("test",), ("notice",))  # someone waits for the former

_Row = TypeVar("_Row", Inbox, Outbox)
_PARTS = tuple(part.name for part in fields(Incoming))


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found.

    Attributes:
        returned: inbox rows whose process was lost, waiting again.
        dead: inbox rows given up after ``MAX_ATTEMPTS``; the citizen is still to be told.
        uncertain: outbox rows whose send may or may not have gone out.
        expired: outbox rows too late to be sent.
    """

    returned: tuple[int, ...] = ()
    dead: tuple[int, ...] = ()
    uncertain: tuple[int, ...] = ()
    expired: tuple[int, ...] = ()


def backoff(attempts: int) -> timedelta:
    """How long to wait after so many attempts: 2 s doubled each time, at most 10 min, less up to a quarter."""
    seconds = min(_FIRST_DELAY * 2 ** min(max(attempts - 1, 0), 20), _LONGEST_DELAY)
    return timedelta(seconds=seconds * (1 - secrets.randbelow(251) / 1000))


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message of the inbox under our claim.

    Attributes:
        id: of the inbox row.
        payload: the message.
        attempts: how often it was claimed, this time too.
        received_at: when it came in.
    """

    id: int
    payload: dict[str, Any]
    attempts: int
    received_at: datetime


def check(incoming: Incoming) -> None:
    """Refuses what no row can hold.

    Raises:
        BadInputError: sender or message id is empty or too long.
    """
    for name, value, limit in (("người gửi", incoming.sender, 128), ("mã tin", incoming.message_id, 200)):
        if not 1 <= len(value) <= limit:
            raise BadInputError(f"{incoming.channel}: {name} cần dài từ 1 đến {limit} ký tự, tin này có {len(value)}")


def receive(session: Session, incoming: Incoming, now: datetime) -> int | None:
    """Takes a message in: its inbox id, or None where it is there already. See ``receive_all``."""
    return receive_all(session, [incoming], now)[0]


def receive_all(session: Session, messages: Sequence[Incoming], now: datetime) -> list[int | None]:
    """Takes messages in: the inbox id of each, or None where it is there already (a repeated delivery).

    Those of one sender get ids in the order given. Characters that no database can hold (NUL, lone surrogates) are
    dropped from the text.

    Raises:
        BadInputError: sender or message id of one is empty or too long.
    """
    for one in messages:
        check(one)
    _lock_all(session, [f"inbox/{one.channel}/{one.sender}" for one in messages])
    found: list[int | None] = [None] * len(messages)
    left = list(enumerate(messages))
    while left:
        # The second message of a sender goes into the next statement: in one, nobody promises an order of ids.
        first = {(one.channel, one.sender): number for number, one in reversed(left)}
        taken = [(number, one) for number, one in left if first[one.channel, one.sender] == number]
        left = [(number, one) for number, one in left if first[one.channel, one.sender] != number]
        rows = _insert_all(session, "inbox", [_row_of(one, now) for _, one in taken], "channel", "message_id")
        for number, one in taken:
            found[number] = rows.pop((one.channel, one.message_id), None)
    return found


def _row_of(incoming: Incoming, now: datetime) -> dict[str, Any]:
    text = incoming.text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")
    payload = {name: getattr(incoming, name) for name in _PARTS} | {"text": text, "at": incoming.at.isoformat()}
    return {
        "channel": incoming.channel, "sender": incoming.sender, "message_id": incoming.message_id, "payload": payload,
        "state": "waiting", "attempts": 0, "next_try_at": now, "received_at": now,
    }  # fmt: skip


def incoming_of(row: Inbox | Claimed) -> Incoming:
    """The message an inbox row holds."""
    return Incoming(**{**row.payload, "at": datetime.fromisoformat(row.payload["at"])})


_IN = METADATA.tables["inbox"]
_OTHER, _DONE = _IN.alias(), _IN.alias()
_SAME_SENDER = exists().where(_OTHER.c.channel == _IN.c.channel, _OTHER.c.sender == _IN.c.sender)
_OPEN = (
    select(_IN.c.id)
    .where(
        _IN.c.state == "waiting",
        _IN.c.next_try_at <= bindparam("now"),
        ~_SAME_SENDER.where(_OTHER.c.state == "claimed"),
        ~_SAME_SENDER.where(_OTHER.c.state == "waiting", _OTHER.c.id < _IN.c.id),
    )
    .order_by(_IN.c.next_try_at, _IN.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True, of=_IN)
)


def _claiming(which: Select[Any]) -> ReturningUpdate[Any]:
    picked = which.cte("picked")
    return (
        update(_IN)
        .where(_IN.c.id.in_(select(picked.c.id)))
        .values(
            state="claimed", lease_owner=bindparam("owner"), lease_until=bindparam("until"), attempts=_IN.c.attempts + 1
        )
        .returning(_IN.c.id, _IN.c.payload, _IN.c.attempts, _IN.c.received_at, _IN.c.next_try_at)
    )


_CLAIM = _claiming(_OPEN)
_CLAIM_ONLY = _claiming(_OPEN.where(_IN.c.id == bindparam("only")))
_OURS = (
    _IN.c.id.in_(bindparam("inbox_ids", expanding=True)),
    _IN.c.lease_owner == bindparam("owner"),
    _IN.c.state == "claimed",
)
_FINISH = (
    update(_IN)
    .where(*_OURS)
    .values(state="done", done_at=bindparam("now"), lease_owner=None, lease_until=None, error=None)
)
_LET_GO = (
    update(_IN).where(*_OURS).values(state="waiting", attempts=_IN.c.attempts - 1, lease_owner=None, lease_until=None)
)
_FOLLOWING = (
    update(_IN)
    .where(
        _IN.c.id.in_(
            select(func.min(_OTHER.c.id))
            .select_from(
                _DONE.join(_OTHER, and_(_OTHER.c.channel == _DONE.c.channel, _OTHER.c.sender == _DONE.c.sender))
            )
            .where(_DONE.c.id.in_(bindparam("inbox_ids", expanding=True)), _OTHER.c.state == "waiting")
            .group_by(_DONE.c.id)
        ),
        _IN.c.next_try_at < bindparam("now"),
    )
    .values(next_try_at=bindparam("now"))
)


def claim_inbox(
    session: Session, *, owner: str, now: datetime, lease: timedelta, most: int = 1, only: int | None = None
) -> list[Claimed]:
    """Claims the oldest messages that may be worked on, each of another sender, or only that one.

    Returns:
        At most ``most``, first the one that has waited longest; [] where there is none.
    """
    given: dict[str, Any] = {"owner": owner, "now": now, "until": now + lease, "most": most}
    statement = _CLAIM
    if only is not None:
        statement, given = _CLAIM_ONLY, given | {"only": only}
    rows = sorted(session.connection().execute(statement, given), key=lambda row: (row.next_try_at, row.id))
    return [Claimed(row.id, row.payload, row.attempts, row.received_at) for row in rows]


def let_go(session: Session, inbox_ids: Sequence[int], owner: str) -> None:
    """Gives messages back as if they had not been claimed: another process may take them at once."""
    if inbox_ids:
        session.connection().execute(_LET_GO, {"inbox_ids": inbox_ids, "owner": owner})


def finish_inbox(session: Session, inbox_id: int, owner: str, now: datetime) -> bool:
    """Closes a claimed message; False: the claim was lost, roll back. See ``finish_all``."""
    return finish_all(session, [inbox_id], owner, now)


def finish_all(session: Session, inbox_ids: Sequence[int], owner: str, now: datetime) -> bool:
    """Closes claimed messages; False: the claim of one was lost, roll back.

    A sender's next message takes its turn behind whoever waits now: a flood delays nobody else.
    """
    connection = session.connection()
    given = {"inbox_ids": list(inbox_ids), "owner": owner, "now": now}
    if connection.execute(_FINISH, given).rowcount != len(inbox_ids):
        return False
    del given["owner"]
    connection.execute(_FOLLOWING, given)
    return True


def retry_inbox(session: Session, inbox_id: int, owner: str, now: datetime, error: str) -> str:
    """Gives a claimed message back after a failure.

    Returns:
        The new state: "waiting", "dead" after ``MAX_ATTEMPTS`` (the citizen is to be told), or "lost": not ours.
    """
    row = _held(session, Inbox, inbox_id, owner, ("claimed",))
    if row is None:
        return "lost"
    row.state = "dead" if row.attempts >= MAX_ATTEMPTS else "waiting"
    row.done_at = now if row.state == "dead" else None
    row.next_try_at = now + backoff(row.attempts)
    row.lease_owner = row.lease_until = None
    row.error = _short(error)
    session.flush()
    return row.state


def put_outbox(session: Session, row: Outbox) -> int | None:
    """Stores a message to be sent: its id (also set on ``row``), or None where its ``dedupe_key`` is there already."""
    if row.kind == "reply":
        _lock_all(session, [f"outbox/{row.channel}/{row.recipient}"])
    values = {name: getattr(row, name) for name in Outbox.model_fields if name != "id"}
    row.id = _insert_all(session, "outbox", [values], "dedupe_key").get((row.dedupe_key,))
    return row.id


def put_replies(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Stores replies to be sent, of each recipient in their order; what is there already (``dedupe_key``) stays.

    Args:
        session: the transaction.
        rows: of the outbox, with "channel", "recipient", "dedupe_key", "body", "inbox_id", "office", "created_at".
    """
    if not rows:
        return
    _lock_all(session, [f"outbox/{row['channel']}/{row['recipient']}" for row in rows])
    statement = _inserting(session.get_bind().dialect.name, "outbox", "dedupe_key")
    session.connection().execute(statement, [_REPLY | {"not_before": row["created_at"]} | row for row in rows])


_REPLY = {"kind": "reply", "state": "waiting", "demo": False, "priority": 0, "attempts": 0, "looks": 0}
_BEFORE = aliased(Outbox)
_SAME_RECIPIENT = exists().where(
    col(_BEFORE.channel) == Outbox.channel, col(_BEFORE.recipient) == Outbox.recipient, col(_BEFORE.kind) == "reply"
)
_DUE = (
    select(Outbox)
    .where(
        Outbox.state == "waiting",
        col(Outbox.kind).in_(bindparam("kinds", expanding=True)),
        col(Outbox.not_before) <= bindparam("now"),
        or_(col(Outbox.expires_at).is_(None), col(Outbox.expires_at) > bindparam("now")),
        col(Outbox.channel).in_(bindparam("on", expanding=True)),
        or_(
            col(Outbox.kind) != "reply",
            and_(
                ~_SAME_RECIPIENT.where(col(_BEFORE.state) == "sending"),
                ~_SAME_RECIPIENT.where(col(_BEFORE.state) == "waiting", col(_BEFORE.id) < Outbox.id),
            ),
        ),
    )
    .order_by(col(Outbox.priority), col(Outbox.not_before), col(Outbox.id))
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True, of=Outbox)
    .execution_options(populate_existing=True)
)


def claim_outbox(
    session: Session,
    *,
    owner: str,
    now: datetime,
    lease: timedelta,
    channels: Collection[str],
    notices_on: Collection[str] | None = None,
) -> Outbox | None:
    """Claims the next message that is due on these channels; None where there is none. See ``claim_several``."""
    found = claim_several(
        session, owner=owner, now=now, lease=lease, channels=channels, notices_on=notices_on, most=1
    )  # fmt: skip
    return found[0] if found else None


def claim_several(
    session: Session,
    *,
    owner: str,
    now: datetime,
    lease: timedelta,
    channels: Collection[str],
    notices_on: Collection[str] | None = None,
    most: int,
    without: Collection[str | None] = (),
) -> list[Outbox]:
    """Claims the next messages that are due on these channels: one-time codes and replies first, then notices.

    Of the replies to one citizen only the first is among them.

    Args:
        session: the transaction.
        owner: of the claims.
        now: the moment (aware).
        lease: for how long they are ours.
        channels: these alone.
        notices_on: the channels on which notices may go now, all by default; someone waits for the rest.
        most: so many at most.
        without: the accounts (``bot.office_accounts``) from which nothing can go now, None for the shared one.
    """
    claimed: list[Outbox] = []
    due = _DUE.where(*(_not_of(account) for account in without)) if without else _DUE
    for kinds in _URGENT_FIRST:
        if len(claimed) >= most:
            break
        on = channels if notices_on is None or kinds != ("notice",) else notices_on
        given = {"now": now, "on": list(on), "kinds": kinds, "most": most - len(claimed)}
        found = session.exec(due, params=given).all()
        for row in found:
            row.state, row.lease_owner, row.lease_until = "sending", owner, now + lease
            row.attempts += 1
        claimed += found
    return claimed


def _not_of(account: str | None) -> ColumnElement[bool]:
    """A row of another account than this one; its recipient says whose it is."""
    recipient = col(Outbox.recipient)
    return recipient.contains("/") if account is None else ~recipient.startswith(f"{account}/")


def held_outbox(session: Session, outbox_id: int, owner: str) -> Outbox | None:
    """The row of a claim whose send ended, locked; None where it is not ours any more."""
    return _held(session, Outbox, outbox_id, owner, _SENDING)


# An answer that comes after the lease ended still settles the matter, unless someone else has acted meanwhile.
_SENDING = ("sending", "uncertain")
_OUT = METADATA.tables["outbox"]
_SENT = (
    update(_OUT)
    .where(_OUT.c.id == bindparam("outbox_id"), _OUT.c.lease_owner == bindparam("owner"), _OUT.c.state.in_(_SENDING))
    .values(
        state="sent", sent_at=bindparam("now"), provider_id=bindparam("by_id"), lease_owner=None, lease_until=None,
        error=None,
    )
)  # fmt: skip


def mark_sent(session: Session, outbox_id: int, owner: str, now: datetime, provider_id: str | None) -> bool:
    """The provider took it. False: not ours any more."""
    given = {"outbox_id": outbox_id, "owner": owner, "now": now, "by_id": provider_id}
    return session.connection().execute(_SENT, given).rowcount == 1


def mark_all_sent(session: Session, sent: Sequence[tuple[int, str, str | None]], now: datetime) -> None:
    """The provider took them: (outbox id, owner of the claim, the provider's id) each. Others' stay as they are."""
    given = [{"outbox_id": number, "owner": owner, "now": now, "by_id": told} for number, owner, told in sent]
    session.connection().execute(_SENT, given)


def retry_later(  # the three figures of a claim come first, as in its sisters
    session: Session, outbox_id: int, owner: str, now: datetime, error: str, delay: timedelta | None = None
) -> str:
    """It surely did not go out, but may later: after ``delay``, else after a growing pause.

    Returns:
        The new state: "waiting"; "expired" where the next try would be too late; "failed" after ``MAX_ATTEMPTS`` of
        a message without an end (``expires_at``); or "lost": not ours any more.
    """
    row = _held(session, Outbox, outbox_id, owner, _SENDING)
    if row is None:
        return "lost"
    row.not_before = now + (backoff(row.attempts) if delay is None else delay)
    if row.expires_at is not None:
        row.state = "expired" if row.not_before >= row.expires_at else "waiting"
    else:
        row.state = "failed" if row.attempts >= MAX_ATTEMPTS else "waiting"
    row.lease_owner = row.lease_until = None
    row.error = _short(error)
    session.flush()
    return row.state


def mark_failed(session: Session, outbox_id: int, owner: str, now: datetime, error: str) -> bool:  # noqa: ARG001
    """It can never be sent (wrong number, blocked). False: not ours any more."""
    return _close(session, Outbox, outbox_id, owner, _SENDING, state="failed", lease_owner=None, error=_short(error))


def mark_uncertain(session: Session, outbox_id: int, owner: str, now: datetime, error: str) -> bool:  # noqa: ARG001
    """The provider's answer never came: it may have gone out, so it isn't sent again by itself."""
    return _close(session, Outbox, outbox_id, owner, ("sending",), state="uncertain", error=_short(error))


def mark_delivered(session: Session, channel: str, provider_id: str, now: datetime) -> bool:
    """A chat tells that a message of ours arrived. Only forward: False where none of this id is "sent"."""
    query = select(Outbox).where(
        col(Outbox.gateway).is_(None),  # true of every chat, and what the index begins with
        Outbox.provider_id == provider_id,
        Outbox.channel == channel,
        Outbox.state == "sent",
    )
    row = session.exec(query.limit(1).with_for_update()).first()
    if row is None:
        return False
    row.state, row.delivered_at = "delivered", now
    session.flush()
    return True


def sweep(session: Session, now: datetime) -> Swept:
    """Takes up what lost processes left, and closes what is too late to send."""
    lost = and_(col(Inbox.state) == "claimed", col(Inbox.lease_until) < now)
    note = "tiến trình xử lý bị mất giữa chừng"
    dead = _move(
        session,
        Inbox,
        and_(lost, col(Inbox.attempts) >= MAX_ATTEMPTS),
        state="dead",
        done_at=now,
        lease_owner=None,
        error=note,
    )
    returned = _move(session, Inbox, lost, state="waiting", next_try_at=now, lease_owner=None, error=note)
    unknown = and_(col(Outbox.state) == "sending", col(Outbox.lease_until) < now)
    # lease_owner stays: a slow sender may still tell how it ended.
    unsure = "không rõ đã gửi hay chưa: tiến trình gửi bị mất"
    uncertain = _move(session, Outbox, unknown, state="uncertain", error=unsure)
    late = and_(col(Outbox.state) == "waiting", col(Outbox.expires_at) <= now)
    expired = _move(session, Outbox, late, state="expired")
    return Swept(returned=returned, dead=dead, uncertain=uncertain, expired=expired)


_LOCKS = select(
    func.pg_advisory_xact_lock(func.hashtextextended(func.unnest(bindparam("keys", type_=ARRAY(String))), 0))
)


def _lock_all(session: Session, keys: Sequence[str]) -> None:
    """On PostgreSQL, waits for other transactions with these keys; SQLite has one writer anyway.

    In the same order by all transactions, so that they don't wait for one another in a circle.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(_LOCKS, {"keys": sorted(set(keys))})


@cache
def _inserting(dialect: str, table: str, *unique: str) -> Any:
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(METADATA.tables[table]).on_conflict_do_nothing(index_elements=unique)


@cache
def _inserting_told(dialect: str, table: str, *unique: str) -> Any:
    into = METADATA.tables[table]
    return _inserting(dialect, table, *unique).returning(into.c.id, *(into.c[name] for name in unique))


def _insert_all(
    session: Session, table: str, rows: Sequence[dict[str, Any]], *unique: str
) -> dict[tuple[object, ...], int]:
    """Unique columns → id of each row that was not there."""
    statement = _inserting_told(session.get_bind().dialect.name, table, *unique)
    return {tuple(row[1:]): row[0] for row in session.connection().execute(statement, rows)}


def _held(session: Session, table: type[_Row], row_id: int, owner: str, states: tuple[str, ...]) -> _Row | None:
    """The row, locked, if this owner still holds it."""
    query = select(table).where(table.id == row_id, table.lease_owner == owner, col(table.state).in_(states))
    return session.exec(query.with_for_update().execution_options(populate_existing=True)).first()


def _close(
    session: Session, table: type[_Row], row_id: int, owner: str, states: tuple[str, ...], **values: Any
) -> bool:
    row = _held(session, table, row_id, owner, states)
    if row is None:
        return False
    for name, value in (values | {"lease_until": None}).items():
        setattr(row, name, value)
    session.flush()
    return True


def _move(session: Session, table: type[Inbox | Outbox], which: ColumnElement[bool], **values: Any) -> tuple[int, ...]:
    """Changes the rows that match and that nobody is working on at this moment; returns their ids."""
    found = session.exec(select(table.id).where(which).limit(_SWEEP).with_for_update(skip_locked=True)).all()
    ids = tuple(sorted(one for one in found if one is not None))
    if ids:
        session.execute(update(table).where(col(table.id).in_(ids)).values(**values, lease_until=None))
    return ids


def _short(error: str) -> str:
    return mask(error)[:500]
