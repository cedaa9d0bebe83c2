"""The account at the end: what came in against the turns, what the database says was sent against what arrived."""

from __future__ import annotations

from collections import Counter

from sqlmodel import col, func, select

from bot.storage.tables import Inbox, Outbox, Turn
from tests.soak.citizens import Citizens
from tests.soak.office import Office


def settled(office: Office) -> bool:
    """Whether nothing waits any more."""
    with office.database.read() as session:
        inbox = session.exec(select(func.count()).where(col(Inbox.state).in_(("waiting", "claimed")))).one()
        outbox = session.exec(select(func.count()).where(col(Outbox.state).in_(("waiting", "sending")))).one()
    return not inbox and not outbox


def arrived(office: Office) -> Counter[tuple[str, str]]:
    """(channel, recipient) → messages on their screen."""
    found: Counter[tuple[str, str]] = Counter()
    found.update(("telegram", str(message["chat"]["id"])) for message in office.telegram.sent)
    found.update(("zalo_bot", chat) for chat, _ in office.zalo_bot.sent)
    found.update(("zalo_oa", str(message["user"])) for message in office.zalo.sent)
    found.update(("sms", str(message["to"])) for message in office.twilio.messages)
    return found


def faults(office: Office, citizens: Citizens) -> list[str]:
    """What is not as it must be, a line each."""
    wrong = list(citizens.faults)
    with office.database.read() as session:
        taken = Counter(session.exec(select(Inbox.channel)))
        turns = Counter(session.exec(select(Turn.inbox_id)))
        numbers = set(session.exec(select(Inbox.id)))
        rows = session.exec(select(Outbox)).all()
    for channel, count in citizens.taken.items():
        if channel != "api" and taken[channel] != count:
            wrong.append(f"{channel}: {count} messages were taken, {taken[channel]} are in the inbox")
    wrong += [f"inbox {number}: {turns[number]} turns" for number in numbers if turns[number] != 1]
    sent: Counter[tuple[str, str]] = Counter()
    unsure: Counter[tuple[str, str]] = Counter()
    for row in rows:
        who = (row.channel, row.recipient)
        sent[who] += row.state in {"sent", "delivered"}
        unsure[who] += row.state == "uncertain"
        if row.state in {"failed", "expired", "cancelled", "waiting", "sending"}:
            wrong.append(f"outbox {row.id} ({row.kind}, {row.channel}): {row.state}: {row.error}")
    there = arrived(office)
    for who in sent.keys() | there.keys() | unsure.keys():
        if not sent[who] <= there[who] <= sent[who] + unsure[who]:
            wrong.append(f"{who}: {there[who]} arrived, {sent[who]} sent, {unsure[who]} uncertain")
    told = Counter(row.recipient for row in rows if row.kind == "notice")
    wrong += [f"{phone}: {told[phone]} notices" for phone in citizens.notified if told[phone] != 1]
    return wrong


def figures(office: Office, citizens: Citizens) -> str:
    """One line."""
    with office.database.read() as session:
        states = Counter(session.exec(select(Outbox.state)))
    came = ", ".join(f"{channel} {count}" for channel, count in sorted(citizens.taken.items()))
    return f"in: {came}; out: {', '.join(f'{state} {count}' for state, count in sorted(states.items()))}"
