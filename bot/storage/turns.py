"""The rows that turns of one transaction need before and leave after: one statement a table, however many turns.

A statement costs Python several times what it costs the database, so that sixteen turns stored together (of as many
citizens) take hardly longer than two stored alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import CompoundSelect, Row, and_, bindparam, insert, union_all
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from bot.storage import queue
from bot.storage.tables import METADATA, Conversation, Inbox

BACK = 3  # turns looked back at
UNCERTAIN_WITHIN = timedelta(days=1)
_IN, _OUT, _TURN = METADATA.tables["inbox"], METADATA.tables["outbox"], METADATA.tables["turn"]
_INSERT_TURN = insert(_TURN)
_LOCKED = (
    select(Conversation)
    .join(Inbox, and_(col(Inbox.channel) == Conversation.channel, col(Inbox.sender) == Conversation.sender))
    .where(col(Inbox.id).in_(bindparam("inbox_ids", expanding=True)))
    .order_by(col(Conversation.id))
    .with_for_update(of=Conversation)
    .execution_options(populate_existing=True)
)
# Kind and age are looked at afterwards: in the query they would lead SQLite to the index of all replies of the day.
_UNCERTAIN = (
    columns(_OUT.c.id, _OUT.c.channel, _OUT.c.recipient, _OUT.c.kind, _OUT.c.created_at)
    .join(_IN, and_(_IN.c.channel == _OUT.c.channel, _IN.c.sender == _OUT.c.recipient))
    .where(_IN.c.id.in_(bindparam("inbox_ids", expanding=True)), _OUT.c.state == "uncertain")
)


@dataclass(slots=True)
class TurnRows:
    """What was read for the turns of some messages, and what is to be stored of them.

    Attributes:
        conversations: (channel, sender) → their conversation, locked until the transaction ends.
        before: conversation id → its last turns, latest first.
        uncertain: (channel, sender) → outbox ids of replies of the last day that may not have arrived.
        turns: rows to be stored.
        replies: rows of the outbox to be stored; of each citizen in the order in which they are to be sent.
    """

    conversations: dict[tuple[str, str], Conversation] = field(default_factory=dict)
    before: Mapping[int, Sequence[Row[Any]]] = field(default_factory=dict)
    uncertain: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    turns: list[dict[str, Any]] = field(default_factory=list)
    replies: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(
        cls, session: Session, inbox_ids: Sequence[int], senders: Sequence[tuple[str, str]], now: datetime
    ) -> TurnRows:
        """Reads and locks what the turns of these messages need; begins the conversations that are not there yet.

        Args:
            session: the transaction.
            inbox_ids: the messages, each of another sender.
            senders: (channel, sender) of each.
            now: the moment (aware).
        """
        given = {"inbox_ids": list(inbox_ids)}
        known = {(one.channel, one.sender): one for one in session.exec(_LOCKED, params=given)}
        new = [one for one in senders if one not in known]
        rows = cls(known, _last_turns(session, [one.id for one in known.values() if one.id is not None]))
        if known:
            since = now - UNCERTAIN_WITHIN
            for row in session.connection().execute(_UNCERTAIN, given):
                if row.kind == "reply" and row.created_at > since:
                    rows.uncertain.setdefault((row.channel, row.recipient), []).append(row.id)
        for channel, sender in new:
            begun = Conversation(channel=channel, sender=sender, created_at=now, last_at=now)
            session.add(begun)
            known[channel, sender] = begun
        if new:
            session.flush()
        return rows

    def erased(self, conversation: Conversation) -> None:
        """Nothing that was read of a conversation counts any more."""
        self.before = {number: turns for number, turns in self.before.items() if number != conversation.id}

    def store(self, session: Session) -> None:
        """Stores the turns and their replies."""
        if self.turns:
            session.connection().execute(_INSERT_TURN, self.turns)
        queue.put_replies(session, self.replies)


def _last_turns(session: Session, conversation_ids: Sequence[int]) -> Mapping[int, Sequence[Row[Any]]]:
    if not conversation_ids:
        return {}
    found: dict[int, list[Row[Any]]] = defaultdict(list)
    given = {f"of_{number}": one for number, one in enumerate(conversation_ids)}
    for row in session.connection().execute(_last_of(len(conversation_ids)), given):
        found[row.conversation_id].append(row)
    return {number: sorted(turns, key=lambda turn: -turn.id) for number, turns in found.items()}


@cache
def _last_of(conversations: int) -> CompoundSelect[Any]:
    """The last turns of so many conversations: a look at the index for each, in one statement."""
    last = [
        columns(
            _TURN.c.id, _TURN.c.conversation_id, _TURN.c.text, _TURN.c.outcome, _TURN.c.at, _TURN.c.doubt,
            _TURN.c.doubt_why,
        )
        .where(_TURN.c.conversation_id == bindparam(f"of_{number}"))
        .order_by(_TURN.c.conversation_id.desc(), _TURN.c.id.desc())
        .limit(BACK)
        .subquery()
        for number in range(conversations)
    ]  # fmt: skip
    return union_all(*(columns(one) for one in last))
