from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from sqlmodel import Session, col, select

from bot.conversation.model import Incoming
from bot.errors import BadInputError
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.queue import Swept
from bot.storage.tables import Inbox, Outbox

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
LEASE = timedelta(minutes=1)
LATE = NOW + timedelta(minutes=5)
CHANNELS = ("telegram", "sms")
_KEYS = count()


def incoming(sender: str = "an", message_id: str | None = None, text: str = "xin chào") -> Incoming:
    return Incoming("telegram", sender, message_id or f"m{next(_KEYS)}", text, NOW)


def reply(recipient: str = "an", **given: object) -> Outbox:
    values: dict[str, object] = {
        "kind": "reply", "channel": "telegram", "recipient": recipient, "dedupe_key": f"k{next(_KEYS)}",
        "body": {"text": "chào", "buttons": []}, "not_before": NOW, "created_at": NOW,
    }  # fmt: skip
    return Outbox(**{**values, **given})


def receive(database: Database, message: Incoming) -> int:
    with database.write() as session:
        found = queue.receive(session, message, NOW)
    assert found is not None
    return found


def put(database: Database, row: Outbox) -> int:
    with database.write() as session:
        found = queue.put_outbox(session, row)
    assert found is not None
    return found


def claim(database: Database, owner: str = "w", now: datetime = NOW, only: int | None = None) -> Inbox | None:
    with database.write() as session:
        claimed = queue.claim_inbox(session, owner=owner, now=now, lease=LEASE, only=only)
        return session.get(Inbox, claimed[0].id) if claimed else None


def claim_out(database: Database, owner: str = "w", now: datetime = NOW) -> Outbox | None:
    with database.write() as session:
        return queue.claim_outbox(session, owner=owner, now=now, lease=LEASE, channels=CHANNELS)


def inbox(database: Database, row_id: int) -> Inbox:
    with database.read() as session:
        return session.get_one(Inbox, row_id)


def outbox(database: Database, row_id: int) -> Outbox:
    with database.read() as session:
        return session.get_one(Outbox, row_id)


def sweep(database: Database, now: datetime) -> Swept:
    with database.write() as session:
        return queue.sweep(session, now)


# Receiving


def test_a_message_comes_back_as_it_was_taken_in(database: Database) -> None:
    message = Incoming(
        "telegram", "an", "7", "làm khai sinh 👶", NOW, kind="contact", phone="+84950000123", network="10.0.0.1"
    )
    taken = inbox(database, receive(database, message))
    assert queue.incoming_of(taken) == message
    assert (taken.state, taken.attempts, taken.received_at) == ("waiting", 0, NOW)


def test_a_repeated_delivery_is_recognised_before_and_after_the_work(database: Database) -> None:
    first = receive(database, incoming(message_id="7"))
    with database.write() as session:
        assert queue.receive(session, incoming(message_id="7"), NOW) is None
        assert queue.claim_inbox(session, owner="w", now=NOW, lease=LEASE)
        assert queue.finish_inbox(session, first, "w", NOW)
        assert queue.receive(session, incoming(message_id="7", text="khác"), LATE) is None
        other = Incoming("sms", "an", "7", "cùng mã, kênh khác", NOW)
        assert queue.receive(session, other, NOW) is not None


def test_what_no_database_can_hold_is_dropped_from_a_text(database: Database) -> None:
    row = inbox(database, receive(database, incoming(text="a\0b\ud83dc")))
    assert queue.incoming_of(row).text == "abc"


@pytest.mark.parametrize(("sender", "message_id"), [("", "1"), ("a" * 129, "1"), ("a", "m" * 201)])
def test_a_key_that_does_not_fit_is_refused(sqlite_database: Database, sender: str, message_id: str) -> None:
    with sqlite_database.write() as session, pytest.raises(BadInputError, match="cần dài từ 1 đến"):
        queue.receive(session, incoming(sender, message_id), NOW)


def test_a_receipt_rolled_back_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.write() as session:
            queue.receive(session, incoming(message_id="7"), NOW)
            queue.put_outbox(session, reply())
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fail()
    with database.read() as session:
        assert session.exec(select(Inbox)).all() == []
        assert session.exec(select(Outbox)).all() == []
    receive(database, incoming(message_id="7"))


def test_a_second_receipt_of_a_sender_waits_for_the_first_to_commit(database: Database) -> None:
    """Else the later id could be visible, and claimed, before the earlier one."""
    ids: list[int] = []
    done = threading.Event()

    def second() -> None:
        ids.append(receive(database, incoming("an")))
        done.set()

    thread = threading.Thread(target=second)
    with database.write() as session:
        first = queue.receive(session, incoming("an"), NOW)
        thread.start()
        assert not done.wait(0.3)
    thread.join()
    assert first is not None
    assert ids[0] > first


# The inbox in order


def test_of_one_sender_one_message_at_a_time_in_order(database: Database) -> None:
    first, second, other = (receive(database, incoming(who)) for who in ("an", "an", "binh"))
    assert claim(database, only=second) is None
    claimed = [claim(database, f"w{i}") for i in range(3)]
    assert [row.id if row else None for row in claimed] == [first, other, None]
    with database.write() as session:
        assert queue.finish_inbox(session, first, "w0", NOW)
    following = claim(database)
    assert following is not None
    assert (following.id, following.state, following.attempts) == (second, "claimed", 1)
    assert following.lease_until == NOW + LEASE


def test_one_message_can_be_claimed_by_number(database: Database) -> None:
    receive(database, incoming("an"))
    wanted = receive(database, incoming("binh"))
    row = claim(database, only=wanted)
    assert row is not None
    assert row.id == wanted
    assert claim(database, only=wanted) is None


def test_a_failure_holds_up_its_sender_only_and_is_tried_again_later(database: Database) -> None:
    first, _second, other = (receive(database, incoming(who)) for who in ("an", "an", "binh"))
    assert claim(database, "w1") is not None
    with database.write() as session:
        assert queue.retry_inbox(session, first, "w1", NOW, "gọi +84950000123 không được") == "waiting"
    assert "0000" not in (inbox(database, first).error or "")
    row = claim(database, "w2")
    assert row is not None
    assert row.id == other
    assert claim(database, "w3", NOW + timedelta(seconds=1)) is None
    row = claim(database, "w3", NOW + timedelta(seconds=2))
    assert row is not None
    assert (row.id, row.attempts) == (first, 2)


def test_after_eight_attempts_a_message_is_given_up_and_the_next_one_comes(database: Database) -> None:
    first, second = receive(database, incoming()), receive(database, incoming())
    states = []
    for attempt in range(8):
        now = NOW + timedelta(hours=attempt)
        assert claim(database, "w", now, only=first) is not None
        with database.write() as session:
            states.append(queue.retry_inbox(session, first, "w", now, "lỗi"))
    assert states == ["waiting"] * 7 + ["dead"]
    row = claim(database, now=NOW + timedelta(hours=9))
    assert row is not None
    assert row.id == second


def test_pauses_double_up_to_ten_minutes() -> None:
    for attempts in range(1, 40):
        whole = min(2.0 * 2 ** (attempts - 1), 600.0)
        for _ in range(20):
            assert 0.75 * whole - 0.001 <= queue.backoff(attempts).total_seconds() <= whole


def test_a_lost_process_gives_its_message_back_once_the_lease_is_over(database: Database) -> None:
    number = receive(database, incoming())
    assert claim(database, "lost") is not None
    assert sweep(database, NOW + LEASE) == Swept()
    assert sweep(database, LATE) == Swept(returned=(number,))
    assert sweep(database, LATE) == Swept()
    with database.write() as session:
        assert not queue.finish_inbox(session, number, "lost", LATE)
    again = claim(database, "new", LATE)
    assert again is not None
    with database.write() as session:
        assert not queue.finish_inbox(session, number, "lost", LATE)
        assert queue.retry_inbox(session, number, "lost", LATE, "x") == "lost"
        assert queue.finish_inbox(session, number, "new", LATE)
        assert not queue.finish_inbox(session, number, "new", LATE)
    row = inbox(database, number)
    assert (row.state, row.done_at, row.lease_owner, row.lease_until) == ("done", LATE, None, None)


def test_a_message_that_kills_its_process_again_and_again_is_given_up(database: Database) -> None:
    number = receive(database, incoming())
    results = []
    for attempt in range(8):
        now = NOW + timedelta(hours=attempt)
        assert claim(database, "w", now) is not None
        results.append(sweep(database, now + timedelta(minutes=2)))
    assert results == [Swept(returned=(number,))] * 7 + [Swept(dead=(number,))]
    assert claim(database, now=NOW + timedelta(days=1)) is None


# The outbox


def test_a_message_is_put_once(database: Database) -> None:
    row = reply(dedupe_key="reply/1/0")
    number = put(database, row)
    assert row.id == number
    with database.write() as session:
        assert queue.put_outbox(session, reply(dedupe_key="reply/1/0", body={"text": "khác"})) is None
    assert outbox(database, number).body == {"text": "chào", "buttons": []}


def test_replies_to_one_recipient_keep_their_order(database: Database) -> None:
    first, second, other = (put(database, reply(who)) for who in ("an", "an", "binh"))
    claimed = [claim_out(database, f"w{i}") for i in range(3)]
    assert [row.id if row else None for row in claimed] == [first, other, None]
    with database.write() as session:
        assert queue.retry_later(session, first, "w0", NOW, "mạng chậm", timedelta(seconds=30)) == "waiting"
    assert claim_out(database, now=NOW + timedelta(seconds=29)) is None
    row = claim_out(database, "w3", NOW + timedelta(seconds=30))
    assert row is not None
    assert row.id == first
    with database.write() as session:
        assert queue.mark_sent(session, first, "w3", NOW, "tg-1")
    row = claim_out(database)
    assert row is not None
    assert row.id == second


def test_notices_go_by_their_time_after_those_for_whom_someone_waits(database: Database) -> None:
    def notice(minutes: int, **given: object) -> int:
        return put(database, reply(kind="notice", channel="sms", not_before=NOW + timedelta(minutes=minutes), **given))

    later, sooner, future = notice(-1), notice(-9), notice(1)
    code = put(database, reply(kind="otp", channel="sms"))
    answer = put(database, reply("binh"))
    put(database, reply(channel="zalo_oa"))
    order = []
    while (row := claim_out(database)) is not None:
        order.append(row.id)
    assert order == [code, answer, sooner, later]
    assert outbox(database, future).state == "waiting"


def test_what_is_too_late_is_never_sent(database: Database) -> None:
    number = put(database, reply(expires_at=NOW + timedelta(minutes=1)))
    following = put(database, reply())
    assert claim_out(database, now=LATE) is None
    assert sweep(database, LATE) == Swept(expired=(number,))
    row = claim_out(database, now=LATE)
    assert row is not None
    assert row.id == following


@pytest.mark.parametrize("close", [queue.mark_failed, queue.mark_uncertain])
def test_a_final_or_unknown_end_lets_the_next_reply_go(database: Database, close: Callable[..., bool]) -> None:
    first, second = put(database, reply()), put(database, reply())
    assert claim_out(database) is not None
    with database.write() as session:
        assert not close(session, first, "someone else", NOW, "lỗi")
        assert close(session, first, "w", NOW, "số +84950000123 sai")
        assert not close(session, first, "w", NOW, "lỗi")
    row = outbox(database, first)
    assert row.state == close.__name__.removeprefix("mark_")
    assert "0000" not in (row.error or "")
    following = claim_out(database)
    assert following is not None
    assert following.id == second


def test_a_send_whose_process_was_lost_is_uncertain_and_not_repeated(database: Database) -> None:
    number = put(database, reply())
    assert claim_out(database) is not None
    assert sweep(database, NOW + LEASE) == Swept()
    assert sweep(database, LATE) == Swept(uncertain=(number,))
    assert claim_out(database, now=LATE) is None
    with database.write() as session:
        assert not queue.mark_sent(session, number, "someone else", LATE, "id")
        assert queue.mark_sent(session, number, "w", LATE, "id")  # it was only slow
        assert queue.retry_later(session, number, "w", LATE, "x") == "lost"
    row = outbox(database, number)
    assert (row.state, row.sent_at, row.provider_id, row.lease_owner) == ("sent", LATE, "id", None)


def test_tries_end_with_the_message_or_after_eight(database: Database) -> None:
    limited = put(database, reply("an", expires_at=NOW + timedelta(seconds=5)))
    open_ended = put(database, reply("binh"))
    with database.write() as session:
        assert queue.claim_outbox(session, owner="w", now=NOW, lease=LEASE, channels=CHANNELS) is not None
        assert queue.retry_later(session, limited, "w", NOW, "bận") == "waiting"
        later = NOW + timedelta(seconds=2)
        states = []
        for attempt in range(8):
            now = later + timedelta(hours=attempt)
            while (row := queue.claim_outbox(session, owner="w", now=now, lease=LEASE, channels=CHANNELS)) is not None:
                assert row.id is not None
                states.append((row.id, queue.retry_later(session, row.id, "w", now, "bận", timedelta(minutes=1))))
    assert [state for number, state in states if number == limited] == ["expired"]
    assert [state for number, state in states if number == open_ended] == ["waiting"] * 7 + ["failed"]


# Many processes


def _together(database: Database, work: Callable[[Database, str], None], threads: int = 4) -> None:
    """Runs the work in threads, each with connections of its own, as replicas would."""
    failures: list[BaseException] = []
    url = database.url.render_as_string(hide_password=False)
    start = threading.Barrier(threads)

    def run(name: str) -> None:
        replica = Database(url)
        try:
            start.wait()
            work(replica, name)
        except BaseException as error:  # noqa: BLE001  raised again below, in the test's own thread
            failures.append(error)
        finally:
            replica.close()

    running = [threading.Thread(target=run, args=(f"w{number}",)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if failures:
        raise failures[0]


class _Watch:
    """Sees who is being served, and cries out when one sender is served twice at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.open: set[str] = set()
        self.order: list[tuple[str, int]] = []

    def enter(self, sender: str, row_id: int) -> None:
        with self.lock:
            assert sender not in self.open, f"two messages of {sender} at a time"
            self.open.add(sender)
            self.order.append((sender, row_id))

    def leave(self, sender: str) -> None:
        with self.lock:
            self.open.remove(sender)

    def check(self, senders: int, each: int) -> None:
        assert len(self.order) == len(set(self.order)) == senders * each
        for sender in {who for who, _ in self.order}:
            numbers = [number for who, number in self.order if who == sender]
            assert numbers == sorted(numbers)


def test_replicas_receive_and_claim_together(database: Database) -> None:
    """Never the same row twice, never two of one sender, each sender in order, while new messages come in."""
    senders, each = 3, 8
    watch = _Watch()
    received = count(1)
    todo = iter([f"s{number % senders}" for number in range(senders * each)])
    guard = threading.Lock()

    def work(replica: Database, name: str) -> None:
        idle = 0
        while idle < 3:
            with guard:
                sender = next(todo, None)
            if sender is not None:
                receive(replica, incoming(sender, f"c{next(received)}"))
            owner = f"{name}-{next(_KEYS)}"
            row = claim(replica, owner)
            if row is None:
                idle += sender is None
                continue
            assert row.id is not None
            watch.enter(row.sender, row.id)
            with replica.write() as session:
                assert queue.put_outbox(session, reply(row.sender, dedupe_key=f"reply/{row.id}")) is not None
                assert queue.finish_inbox(session, row.id, owner, NOW)
                watch.leave(row.sender)

    _together(database, work)
    while (row := claim(database)) is not None:  # what came last, after the others had stopped
        assert row.id is not None
        watch.enter(row.sender, row.id)
        watch.leave(row.sender)
        with database.write() as session:
            assert queue.finish_inbox(session, row.id, "w", NOW)
    watch.check(senders, each)


def test_replicas_send_together(database: Database) -> None:
    senders, each = 3, 8
    watch = _Watch()
    with database.write() as session:
        for number in range(senders * each):
            queue.put_outbox(session, reply(f"s{number % senders}"))

    def work(replica: Database, name: str) -> None:
        idle = 0
        while idle < 20:
            owner = f"{name}-{next(_KEYS)}"
            row = claim_out(replica, owner)
            if row is None:
                idle += 1
                continue
            idle = 0
            assert row.id is not None
            watch.enter(row.recipient, row.id)
            with replica.write() as session:
                watch.leave(row.recipient)
                assert queue.mark_sent(session, row.id, owner, NOW, None)

    _together(database, work)
    watch.check(senders, each)


def test_replicas_that_get_the_same_delivery_take_it_once(database: Database) -> None:
    taken: list[int | None] = []

    def work(replica: Database, name: str) -> None:
        for number in range(10):
            with replica.write() as session:
                taken.append(queue.receive(session, incoming("an", f"same-{number}"), NOW))

    _together(database, work)
    assert len([number for number in taken if number is not None]) == 10
    assert len(taken) == 40


@pytest.mark.postgres
def test_a_row_taken_between_look_and_lock_is_not_taken_again(postgres_database: Database) -> None:
    """While one claim is not committed, others pass over that sender instead of waiting or taking the next."""
    first, second = receive(postgres_database, incoming("an")), receive(postgres_database, incoming("an"))
    with postgres_database.write() as session:
        (row,) = queue.claim_inbox(session, owner="a", now=NOW, lease=LEASE)
        assert row.id == first
        assert claim(postgres_database, "b") is None
        assert queue.finish_inbox(session, first, "a", NOW)
        assert claim(postgres_database, "b") is None
    following = claim(postgres_database, "b")
    assert following is not None
    assert following.id == second


def _states(session: Session) -> list[str]:
    return [row.state for row in session.exec(select(Inbox).order_by(col(Inbox.id)))]


def test_a_claim_that_rolls_back_is_free_again(database: Database) -> None:
    receive(database, incoming())

    def fail() -> None:
        with database.write() as session:
            assert queue.claim_inbox(session, owner="a", now=NOW, lease=LEASE)
            assert _states(session) == ["claimed"]
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fail()
    with database.read() as session:
        assert _states(session) == ["waiting"]
