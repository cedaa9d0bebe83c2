"""The application: a message in; a committed turn and its reply out.

Receiving commits the message and returns at once. Working off takes one message
of a sender at a time: the turn, the new memory, the reply in the outbox and the
end of the inbox row are one transaction, so a crash loses nothing and says nothing twice.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta

from prometheus_client import Counter, Histogram
from sqlmodel import Session, col, select

from bot.clock import Clock, utc_now
from bot.conversation.due import deadline_of
from bot.conversation.memory import from_json, to_json
from bot.conversation.model import Incoming, Outcome
from bot.conversation.model import Turn as Said
from bot.conversation.talk import LookedUp, Talk, failed_turn, unread_turn
from bot.dossiers.lookup import look_up
from bot.settings import Settings
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.tables import Conversation, Handoff, Inbox, Outbox, Preference, Turn

log = logging.getLogger("motcua.service")
LEASE = timedelta(seconds=60)
MAX_TEXT = 4000
_RECEIVED = Counter("motcua_messages_received_total", "Messages taken in", ["channel", "duplicate"])
_TURNS = Counter("motcua_turns_total", "Turns by outcome", ["channel", "outcome"])
_SECONDS = Histogram("motcua_turn_seconds", "Time from claim to commit", buckets=(0.005, 0.01, 0.05, 0.1, 0.5, 2, 10))
_ERRORS = Counter("motcua_turn_errors_total", "Turns that broke inside", ["channel"])


class Service:
    """Receives messages and works them off. Safe to call from many threads and processes."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        talk: Talk,
        *,
        clock: Clock = utc_now,
        on_turn: Callable[[str, str], None] | None = None,
    ) -> None:
        """``on_turn`` is told (channel, sender) after each commit, to push the reply at once."""
        self.settings = settings
        self.database = database
        self.talk = talk
        self.clock = clock
        self._on_turn = on_turn or (lambda _channel, _sender: None)

    def receive(self, incoming: Incoming) -> int | None:
        """Commits a message to the inbox.

        Returns:
            Its inbox id; None where it was delivered before.
        """
        with self.database.write() as session:
            inbox_id = queue.receive(session, incoming, self.clock())
        _RECEIVED.labels(incoming.channel, str(inbox_id is None).lower()).inc()
        return inbox_id

    def work_off(self, only: int | None = None) -> bool:
        """Takes one message from claim to committed reply; False where there was none to take."""
        owner, now = uuid.uuid4().hex, self.clock()
        with self.database.write() as session:
            row = queue.claim_inbox(session, owner=owner, now=now, lease=LEASE, only=only)
            if row is None or row.id is None:
                return False
            incoming, inbox_id = queue.incoming_of(row), row.id
        try:
            with _SECONDS.time(), self.database.write() as session:
                said = self._turn(session, incoming, inbox_id)
                if not queue.finish_inbox(session, inbox_id, owner, self.clock()):
                    raise LeaseLostError
        except LeaseLostError:
            log.warning("mất quyền xử lý tin, tiến trình khác làm tiếp", extra={"inbox": inbox_id})
            return True
        except Exception as error:
            _ERRORS.labels(incoming.channel).inc()
            log.exception("lỗi khi trả lời tin", extra={"inbox": inbox_id})
            self._broke(incoming, inbox_id, owner, error)
            return True
        _TURNS.labels(incoming.channel, said.outcome).inc()
        self._on_turn(incoming.channel, incoming.sender)
        return True

    def inbox_id(self, channel: str, message_id: str) -> int:
        """The inbox id of a message received before."""
        with self.database.read() as session:
            where = (Inbox.channel == channel, Inbox.message_id == message_id)
            return int(session.exec(select(Inbox.id).where(*where)).one() or 0)

    def is_done(self, inbox_id: int) -> bool:
        """Whether a message was answered or given up."""
        with self.database.read() as session:
            return session.exec(select(Inbox.state).where(Inbox.id == inbox_id)).first() in {"done", "dead"}

    def wait_for(self, inbox_id: int, seconds: float = 10.0) -> bool:
        """Works off what stands before a message, or waits while another process does; False after ``seconds``."""
        deadline = time.monotonic() + seconds
        while not self.is_done(inbox_id):
            if time.monotonic() > deadline:
                return False
            if not self.work_off():
                time.sleep(0.05)
        return True

    def sweep(self) -> None:
        """Takes up what a crash left, and tells those whose message was given up."""
        with self.database.write() as session:
            swept = queue.sweep(session, self.clock())
            for inbox_id in swept.dead:
                self._give_up(session, inbox_id)

    def _turn(self, session: Session, incoming: Incoming, inbox_id: int) -> Said:
        now = self.clock()
        conversation = self._conversation(session, incoming, now)
        memory = from_json(conversation.memory)

        def find(codes: tuple[str, ...]) -> LookedUp:
            found = look_up(
                session, codes, channel=incoming.channel, sender=incoming.sender, network=incoming.network,
                settings=self.settings, now=now, deadline=lambda code, at: deadline_of(self.talk.desk(now), code, at),
            )  # fmt: skip
            return LookedUp(found.views, found.limited)

        if incoming.kind != "text":
            said = unread_turn(memory)
        else:
            said = self.talk.turn(incoming.text, memory, now, find, incoming.channel)
        self._store(session, incoming, inbox_id, conversation, said, now)
        return said

    def _conversation(self, session: Session, incoming: Incoming, now: datetime) -> Conversation:
        where = (Conversation.channel == incoming.channel, Conversation.sender == incoming.sender)
        conversation = session.exec(select(Conversation).where(*where)).first()
        if conversation is None:
            conversation = Conversation(channel=incoming.channel, sender=incoming.sender, created_at=now, last_at=now)
            session.add(conversation)
            session.flush()
        return conversation

    def _store(
        self,
        session: Session,
        incoming: Incoming,
        inbox_id: int,
        conversation: Conversation,
        said: Said,
        now: datetime,
    ) -> None:
        conversation.memory = to_json(said.memory)
        conversation.last_at = now
        session.add(conversation)
        assert conversation.id is not None  # noqa: S101 - flushed above
        replies = [asdict(reply) for reply in said.replies]
        understanding = {
            "aspects": said.aspects, "procedures": said.procedures, "codes": said.dossier_codes,
            "confidence": round(said.confidence, 3), **said.evidence,
        }  # fmt: skip
        session.add(
            Turn(
                conversation_id=conversation.id,
                inbox_id=inbox_id,
                text=incoming.text[:MAX_TEXT].replace("\0", ""),
                intent=said.intent,
                outcome=said.outcome,
                understanding=understanding,
                replies={"replies": replies},
                at=now,
            )
        )
        for number, reply in enumerate(replies):
            queue.put_outbox(
                session,
                Outbox(
                    kind="reply",
                    channel=incoming.channel,
                    recipient=incoming.sender,
                    dedupe_key=f"reply:{inbox_id}:{number}",
                    body=reply,
                    inbox_id=inbox_id,
                    not_before=now,
                    created_at=now,
                ),
            )
        for effect in said.effects:
            self._effect(session, effect, incoming, conversation.id, now)

    def _effect(self, session: Session, effect: str, incoming: Incoming, conversation_id: int, now: datetime) -> None:
        if effect == "unsubscribe":
            session.add(
                Preference(channel="sms", recipient=incoming.sender, wants=False, evidence="tin nhắn HUY", at=now)
            )
        elif effect in {"handoff", "complaint", "rating", "miss"}:
            text = incoming.text[:MAX_TEXT].replace("\0", "")
            session.add(Handoff(conversation_id=conversation_id, kind=effect, text=text, created_at=now))

    def _broke(self, incoming: Incoming, inbox_id: int, owner: str, error: Exception) -> None:
        with self.database.write() as session:
            state = queue.retry_inbox(session, inbox_id, owner, self.clock(), f"{type(error).__name__}: {error}")
            if state == "dead":
                self._give_up(session, inbox_id)
        self._on_turn(incoming.channel, incoming.sender)

    def _give_up(self, session: Session, inbox_id: int) -> None:
        """Says politely that it failed; once, because the reply's key is the message's."""
        row = session.get(Inbox, inbox_id)
        if row is None:
            return
        incoming, now = queue.incoming_of(row), self.clock()
        conversation = self._conversation(session, incoming, now)
        known = session.exec(select(Turn.id).where(col(Turn.inbox_id) == inbox_id)).first()
        if known is None:
            said = failed_turn(from_json(conversation.memory), now)
            self._store(session, incoming, inbox_id, conversation, said, now)
            _TURNS.labels(incoming.channel, Outcome.FAILED).inc()


class LeaseLostError(Exception):
    """Another process has taken the message over meanwhile; nothing of ours may be kept."""
