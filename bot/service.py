"""The application: a message in; a committed turn and its reply out.

Receiving commits the message and returns at once; messages that come together are committed together. Working off
takes one message of a sender at a time: the turn, the new memory, the reply in the outbox and the end of the inbox row
are one transaction, so a crash loses nothing and says nothing twice. Where many wait, those of several senders share
one: a commit to the disk costs as much as a turn.
A photo is fetched and read before that transaction, and never stored.
While an advisor has the conversation the bot says nothing: what it would have said is kept as a draft for them
(``bot.desk``). Only what the citizen may demand of the machine at any time is still done and answered by it: to erase
their data, and to end or renew notices. These are rights, asked for in set words; nobody should have to wait for them.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import Counter, Histogram
from sqlmodel import Session, col, select

from bot.channels.port import FetchError
from bot.channels.rendering import Message, render, render_all
from bot.channels.rendering import to_json as message_json
from bot.citizen import CitizenDossiers, citizen_of
from bot.clock import Clock, local, utc_now
from bot.conversation.memory import from_json, to_json
from bot.conversation.model import Incoming, Memory, Outcome, Reply
from bot.conversation.model import Turn as Said
from bot.conversation.owner import CHATS
from bot.conversation.talk import Talk, failed_turn
from bot.desk import alerts, held, queues
from bot.dossiers import access
from bot.edits.live import LiveEdits
from bot.logs import in_turn
from bot.notices import consent
from bot.office_accounts import key
from bot.receipts import read_receipt
from bot.review.doubt import note as note_doubt
from bot.settings import Settings
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.erasure import erase
from bot.storage.tables import Conversation, Dossier, Inbox, Outbox, Turn
from bot.storage.together import Together
from bot.storage.turns import TurnRows
from bot.texts import phrases

log = logging.getLogger("motcua.service")
LEASE = timedelta(seconds=60)
MAX_TEXT = 4000
PHOTO_TRIES = 3  # then the citizen is asked for another photo
AGAIN_MOST = 3  # uncertain replies told once more
_RECEIVED = Counter("motcua_messages_received_total", "Messages taken in", ["channel", "duplicate"])
_TURNS = Counter("motcua_turns_total", "Turns by outcome", ["channel", "outcome"])
_SECONDS = Histogram("motcua_turn_seconds", "Time from claim to commit", buckets=(0.005, 0.01, 0.05, 0.1, 0.5, 2, 10))
_ASKING = frozenset({"handoff", "complaint", "rating", "miss"})  # an advisor is to look at it
_KEPT_WHILE_TAKEN = frozenset({"complaint", "rating"})
_RIGHTS = frozenset({"erase", "unsubscribe", "resubscribe"})
_ERRORS = Counter("motcua_turn_errors_total", "Turns that broke inside", ["channel"])


@dataclass(frozen=True, slots=True)
class _Taken:
    """A message under our claim: its inbox id, what it says, how often it was tried, and when it came."""

    id: int
    incoming: Incoming
    attempts: int
    received_at: datetime

    @property
    def is_quick(self) -> bool:
        """Whether nothing has to be fetched for it, and it did not fail before."""
        return self.incoming.kind != "photo" and self.attempts == 1

    def without_text(self) -> _Taken:
        """The same with its words left out."""
        return replace(self, incoming=replace(self.incoming, text=""))


class Service:
    """Receives messages and works them off. Safe to call from many threads and processes."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        talk: Talk,
        *,
        clock: Clock = utc_now,
        photos: Mapping[str, Callable[[str], bytes]] | None = None,
        edits: LiveEdits | None = None,
    ) -> None:
        """Takes the parts.

        Args:
            settings: of the office.
            database: with the current schema.
            talk: over the files alone.
            clock: the time.
            photos: channel, or ``office_accounts.key`` of an account → how it fetches a photo
                (``PushChannel.fetch_photo``).
            edits: those of the staff, where they were read before.
        """
        self.settings = settings
        self.database = database
        self.edits = edits or LiveEdits(database, settings.office)
        self.base = talk.desk  # what the files say, without the staff's edits
        self.files = talk.at  # the same of one of several offices
        self.talk = replace(
            talk,
            desk=lambda now: self.edits.desk(talk.desk(now)),
            desks=lambda office, now: self.edits.desk(talk.at(office, now), office or ""),
        )
        self.clock = clock
        self._photos = photos or {}
        self._arrivals = Together(self._keep)
        self.on_reply: Callable[[str], object] | None = None  # told the channel after each committed turn

    def receive(self, incoming: Incoming) -> int | None:
        """Commits a message to the inbox, together with those that other threads bring meanwhile.

        Returns:
            Its inbox id; None where it was delivered before.

        Raises:
            BadInputError: sender or message id is empty or too long.
        """
        queue.check(incoming)
        inbox_id = self._arrivals.commit(incoming)
        _RECEIVED.labels(incoming.channel, str(inbox_id is None).lower()).inc()
        with in_turn(inbox_id):
            log.info("tin đến %s, loại %s", incoming.channel, incoming.kind if inbox_id else "trùng")
        return inbox_id

    def _keep(self, messages: Sequence[Incoming]) -> list[int | None]:
        """Stores messages in one transaction; their inbox ids in the same order."""
        with self.database.write() as session:
            return queue.receive_all(session, messages, self.clock())

    def work_off(self, only: int | None = None, most: int = 1) -> frozenset[str]:
        """Takes messages from claim to committed reply.

        Args:
            only: this message alone.
            most: so many at most, each of another sender.

        Returns:
            Their channels; empty where there was none to take.
        """
        owner, now = uuid.uuid4().hex, self.clock()
        with self.database.write() as session:
            claimed = queue.claim_inbox(session, owner=owner, now=now, lease=LEASE, most=most, only=only)
            took = [_Taken(one.id, queue.incoming_of(one), one.attempts, one.received_at) for one in claimed]
            # Photos take seconds each: all but the first are left to other workers.
            others = [one for one in took if one.incoming.kind == "photo"][1:]
            queue.let_go(session, [one.id for one in others], owner)
        took = [one for one in took if one not in others]
        channels = frozenset(one.incoming.channel for one in took)
        quick = [one for one in took if one.is_quick]
        if len(quick) > 1 and self._answer_together(quick, owner):
            self._ring(quick)
            took = [one for one in took if not one.is_quick]
        for one in took:
            with in_turn(one.id):
                self._answer(one, owner)
            self._ring([one])
        return channels

    def _ring(self, answered: Sequence[_Taken]) -> None:
        if self.on_reply is not None:
            for channel in {one.incoming.channel for one in answered}:
                self.on_reply(channel)

    def _answer_together(self, took: Sequence[_Taken], owner: str) -> bool:
        """Answers messages of several senders in one transaction; False: nothing was done, each is tried alone."""
        started = time.monotonic()
        try:
            with self.database.write() as session:
                said = self._turns(session, took, owner)
        except Exception as error:  # noqa: BLE001 - whichever it was: it comes again, alone, and is told then
            log.warning("nhóm %d tin không xong (%s), làm từng tin", len(took), type(error).__name__)
            return False
        seconds = time.monotonic() - started
        for one, answer in zip(took, said, strict=True):
            _SECONDS.observe(seconds / len(took))
            with in_turn(one.id):
                self._done(one, answer, seconds)
        return True

    def _answer(self, one: _Taken, owner: str) -> None:
        started = time.monotonic()
        try:
            one = replace(one, incoming=self._read_photo(one.incoming, last_try=one.attempts >= PHOTO_TRIES))
            with _SECONDS.time(), self.database.write() as session:
                (said,) = self._turns(session, [one], owner)
        except LeaseLostError:
            log.warning("mất quyền xử lý tin, tiến trình khác làm tiếp")
        except FetchError as error:
            log.warning("chưa tải được ảnh: %s", error)
            self._broke(one.id, owner, error)
        except Exception as error:
            _ERRORS.labels(one.incoming.channel).inc()
            log.exception("lỗi khi trả lời tin")
            self._broke(one.id, owner, error)
        else:
            self._done(one, said, time.monotonic() - started)

    def _turns(self, session: Session, took: Sequence[_Taken], owner: str) -> list[Said | None]:
        """Answers claimed messages, each of another sender, and closes them.

        Raises:
            LeaseLostError: another process has taken one over.
        """
        rows = self._rows(session, took)
        said = []
        for one in took:
            with in_turn(one.id):
                said.append(self._turn(session, one, rows))
        rows.store(session)
        if not queue.finish_all(session, [one.id for one in took], owner, self.clock()):
            raise LeaseLostError
        return said

    def _rows(self, session: Session, took: Sequence[_Taken]) -> TurnRows:
        senders = [(one.incoming.channel, one.incoming.sender) for one in took]
        return TurnRows.read(session, [one.id for one in took], senders, self.clock())

    def _done(self, one: _Taken, said: Said | None, seconds: float) -> None:
        channel, outcome = one.incoming.channel, str(said.outcome) if said else "none"
        _TURNS.labels(channel, outcome).inc()
        log.info("đã trả lời", extra={"channel": channel, "outcome": outcome, "seconds": round(seconds, 3)})

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
            for outbox_id in swept.uncertain:
                queues.unsent(session, session.get_one(Outbox, outbox_id), self.clock())

    def _read_photo(self, incoming: Incoming, *, last_try: bool) -> Incoming:
        """A photo with the codes found on it in place of the reference; everything else as it is.

        Raises:
            FetchError: the photo could not be fetched; another try may help.
        """
        fetch = self._photos.get(key(incoming.channel, incoming.account))
        if incoming.kind != "photo" or incoming.photo is None or fetch is None:
            return incoming
        try:
            reading = read_receipt(fetch(incoming.photo))
        except FetchError as error:
            if not (error.final or last_try):
                raise
            log.warning("bỏ qua ảnh không tải được: %s", error)
            return replace(incoming, photo=None, problem=error.problem)
        # Where no code could be read, what was written below the photo may still say what is wanted.
        return replace(incoming, photo=None, text="\n".join(reading.codes) or incoming.text, problem=reading.problem)

    def _turn(self, session: Session, one: _Taken, rows: TurnRows) -> Said | None:
        """Understands and answers; None where the message asks for no answer."""
        now, incoming = self.clock(), one.incoming
        conversation = rows.conversations[incoming.channel, incoming.sender]
        memory = from_json(conversation.memory)
        if incoming.kind == "unfollow":
            conversation.unreachable_at = now
            return None
        conversation.unreachable_at = None
        talk = self.talk.pinned(now)
        if incoming.kind == "text" and alerts.is_code(incoming.channel, incoming.text):
            return self._link(session, one, conversation, rows, now)
        desk = talk.at(talk.offices.known(incoming.account) or memory.office, now)
        dossiers = CitizenDossiers(session, incoming, self.settings, now, desk)
        if incoming.kind == "text" or (incoming.kind == "photo" and incoming.text):
            said = talk.turn(incoming.text, memory, now, dossiers, incoming.channel, incoming.account)
        else:
            kind = f"photo:{incoming.problem}" if incoming.kind == "photo" and incoming.problem else incoming.kind
            said = talk.other(kind, memory, now, dossiers, incoming.channel, incoming.phone, incoming.account)
        if "erase" in said.effects:
            erase(session, incoming.channel, incoming.sender, now)
            rows.erased(conversation)
            one = one.without_text()
        self._store(session, one, conversation, rows, said, now, drafted=_is_draft(conversation, memory, said))
        if incoming.kind == "contact" or "erase" in said.effects:
            # A shared number serves the comparison only.
            session.get_one(Inbox, one.id).payload = {}
        return said

    def _link(self, session: Session, one: _Taken, conversation: Conversation, rows: TurnRows, now: datetime) -> Said:
        """An advisor links their own chat, where they are told of citizens who wait. The code is not kept."""
        incoming = one.incoming
        text = alerts.link(session, self.settings, incoming.channel, incoming.sender, incoming.text, now)
        memory = replace(from_json(conversation.memory), at=now)
        said = Said(
            "out_of_scope", (), (), (), Outcome.ACKNOWLEDGED, (Reply(text),), memory, evidence={"how": "staff_link"}
        )
        self._store(session, one.without_text(), conversation, rows, said, now)
        session.get_one(Inbox, one.id).payload = {}
        return said

    def _store(
        self,
        session: Session,
        one: _Taken,
        conversation: Conversation,
        rows: TurnRows,
        said: Said,
        now: datetime,
        *,
        drafted: bool = False,
    ) -> None:
        """Has a turn stored and what is said told; ``drafted``: an advisor has the conversation, nothing is said."""
        incoming, inbox_id = one.incoming, one.id
        quiet = queues.is_quiet(conversation)
        rendered = render_all(said.replies, incoming.channel)
        if self.talk.offices.several:
            self._note_office(conversation, incoming, said)
        office = self.talk.at(conversation.office, now).office
        unsure = not drafted and held.is_unsure(session, conversation, said, office, now)
        # What was said at first contact (what is kept and why) is said again where it may not reach the citizen.
        greeted = said.memory.greeted and (not unsure or from_json(conversation.memory).greeted)
        conversation.memory = to_json(replace(said.memory, menu=rendered.menu or said.memory.menu, greeted=greeted))
        conversation.last_at = now
        assert conversation.id is not None  # noqa: S101 - flushed above
        understanding = {
            "aspects": said.aspects, "procedures": said.procedures, "codes": said.dossier_codes,
            "confidence": round(said.confidence, 3), **said.evidence,
        }  # fmt: skip
        messages = list(rendered.messages)
        if unsure:
            until = held.deadline(session, office, now)
            held.hold(session, conversation, inbox_id, messages, until, now)
            messages = list(render(held.notice(until), incoming.channel).messages)
        told = [message_json(message) for message in messages]
        turn: dict[str, Any] = {
            "conversation_id": conversation.id, "inbox_id": inbox_id, "text": _kept(incoming), "intent": said.intent,
            "outcome": str(said.outcome), "understanding": understanding,
            "replies": {"replies": [], "draft": told} if drafted else {"replies": told},
            "at": now, "day": local(now).date(), "channel": incoming.channel,
            "waited_ms": _milliseconds(self.clock() - one.received_at), "reviewed": False,
            "office": conversation.office,
        }  # fmt: skip
        note_doubt(session, turn, said.effects, rows.before.get(conversation.id, ()))
        rows.turns.append(turn)
        if drafted:
            for effect in _KEPT_WHILE_TAKEN.intersection(said.effects):
                queues.ask(session, conversation, effect, _kept(incoming), now)
            queues.place(session, conversation, now)
            return
        again = self._again(session, incoming, rows)
        if again:
            queues.settle_unsent(session, conversation, now)
        messages = again + messages
        if incoming.tapped and messages and self._was_menu(session, incoming):
            messages[0] = replace(messages[0], edits=incoming.tapped)
        for number, message in enumerate(messages):
            rows.replies.append(
                {"channel": incoming.channel, "recipient": incoming.sender,
                 "dedupe_key": f"reply:{inbox_id}:{number}", "body": message_json(message), "inbox_id": inbox_id,
                 "office": conversation.account, "created_at": now}
            )  # fmt: skip
        for effect in said.effects:
            self._effect(session, effect, incoming, conversation, now)
        quiet = quiet and not unsure and not _ASKING.intersection(said.effects)
        answered = said.outcome in {Outcome.ANSWER, Outcome.STATUS} and not unsure and "miss" not in said.effects
        if answered and not quiet:
            queues.settle_misses(session, conversation, now)
        otherwise = queues.BOT if conversation.queue == queues.WAITING else None
        queues.place(session, conversation, now, otherwise, nothing=quiet)

    def _note_office(self, conversation: Conversation, incoming: Incoming, said: Said) -> None:
        """Whose the conversation is, of several offices, and which account it came to.

        Who waits for a person of one office, or talks to one, stays theirs though another office is asked about
        meanwhile; who asks for one anew waits where they ask. Who never said which stays with whoever answered them.
        """
        conversation.account = self.talk.offices.known(incoming.account)
        waits = not queues.is_quiet(conversation) and conversation.office is not None
        before = conversation.office
        if "erase" in said.effects:
            conversation.office = None
        elif conversation.taken_by is None and (not waits or "handoff" in said.effects):
            conversation.office = said.memory.office or conversation.office
        if conversation.office != before:
            conversation.counter = None  # of the office before

    def _again(self, session: Session, incoming: Incoming, rows: TurnRows) -> list[Message]:
        """Replies that may never have arrived are told once more, said to be so."""
        ids = rows.uncertain.get((incoming.channel, incoming.sender), ())
        if incoming.channel not in CHATS or not ids:
            return []
        still = select(Outbox).where(col(Outbox.id).in_(ids), Outbox.state == "uncertain").order_by(col(Outbox.id))
        unsure = session.exec(still.with_for_update()).all()
        told: list[Message] = []
        for row in unsure[-AGAIN_MOST:]:
            text = phrases("replies")["again"].format(text=row.body.get("text", ""))
            told += render(Reply(text), incoming.channel).messages
        for row in unsure:
            row.state, row.error = "cancelled", f"đã nhắc lại sau tin {incoming.message_id}"[:500]
            session.add(row)
        session.flush()
        return told

    def _was_menu(self, session: Session, incoming: Incoming) -> bool:
        """Whether the tapped message was only a choice: then the answer takes its place."""
        tapped = session.exec(
            select(Outbox)
            .where(
                Outbox.channel == incoming.channel,
                Outbox.recipient == incoming.sender,
                Outbox.provider_id == incoming.tapped,
            )
            .order_by(col(Outbox.id).desc())
            .limit(1)
        ).first()
        return tapped is not None and bool(tapped.body.get("menu"))

    def _effect(
        self, session: Session, effect: str, incoming: Incoming, conversation: Conversation, now: datetime
    ) -> None:
        what, _, code = effect.partition(":")
        citizen = citizen_of(incoming)
        if what == "unsubscribe":
            consent.refuse(session, incoming.channel, incoming.sender, now, evidence=f"tin {incoming.message_id}")
        elif what == "resubscribe":
            consent.bring_back(session, incoming.channel, incoming.sender, now, evidence=f"tin {incoming.message_id}")
        elif what == "send_code":
            access.send_code(session, citizen, code, self.settings, now)
        elif what == "tell_here":
            consent.subscribe(
                session, incoming.channel, incoming.sender, code, now, evidence=f"turn:{incoming.message_id}"
            )
        elif what == "tell_sms":
            dossier = session.get(Dossier, code)
            if dossier is not None and dossier.phone and access.is_open(session, citizen, code, now):
                evidence = f"{incoming.channel}:{incoming.message_id}"
                consent.subscribe(session, consent.SMS, dossier.phone, code, now, evidence=evidence)
        elif what in _ASKING:
            queues.ask(session, conversation, what, _kept(incoming), now)

    def _broke(self, inbox_id: int, owner: str, error: Exception) -> None:
        with self.database.write() as session:
            state = queue.retry_inbox(session, inbox_id, owner, self.clock(), f"{type(error).__name__}: {error}")
            if state == "dead":
                self._give_up(session, inbox_id)

    def _give_up(self, session: Session, inbox_id: int) -> None:
        """Says politely that it failed; once, because the reply's key is the message's."""
        row = session.get(Inbox, inbox_id)
        if row is None:
            return
        one, now = _Taken(inbox_id, queue.incoming_of(row), row.attempts, row.received_at), self.clock()
        rows = self._rows(session, [one])
        conversation = rows.conversations[one.incoming.channel, one.incoming.sender]
        known = session.exec(select(Turn.id).where(col(Turn.inbox_id) == inbox_id)).first()
        if known is None:
            said = failed_turn(from_json(conversation.memory), now)
            taken = conversation.taken_by is not None
            self._store(session, one, conversation, rows, said, now, drafted=taken)
            rows.store(session)
            _TURNS.labels(one.incoming.channel, Outcome.FAILED).inc()


def _milliseconds(passed: timedelta) -> int:
    return min(max(0, round(passed.total_seconds() * 1000)), 2**31 - 1)


def _is_draft(conversation: Conversation, before: Memory, said: Said) -> bool:
    """Whether an advisor has the conversation, and the citizen demands nothing that is the machine's own business."""
    if conversation.taken_by is None:
        return False
    return not (_RIGHTS.intersection(said.effects) or "erase" in {before.pending, said.memory.pending})


def _kept(incoming: Incoming) -> str:
    return incoming.text[:MAX_TEXT].replace("\0", "")


class LeaseLostError(Exception):
    """Another process has taken the message over meanwhile; nothing of ours may be kept."""
