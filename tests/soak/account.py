"""The account at the end: what came in against the turns, what the database says was sent against what arrived."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from http.client import HTTPException

from sqlmodel import col, func, select

from bot.storage.tables import Conversation, Inbox, Outbox, Turn
from tests.soak.browsers import RefusedError
from tests.soak.citizens import Citizens
from tests.soak.office import Office
from tests.soak.reports import Reports

_CHATS = ("telegram", "zalo_bot", "zalo_oa")
_LAST_NUMBER = re.compile(r"\d+$")
_TOLD_AGAIN = "đã nhắc lại"  # of a reply that may not have arrived: it was said once more, and said to be so


def settled(office: Office) -> bool:
    """Whether nothing waits any more but answers for visitors who have left the page, and no SMS is in doubt."""
    with office.database.read() as session:
        inbox = session.exec(select(func.count()).where(col(Inbox.state).in_(("waiting", "claimed")))).one()
        going = (Outbox.channel != "web", col(Outbox.state).in_(("waiting", "sending")))
        outbox = session.exec(select(func.count()).where(*going)).one()
        unsure = session.exec(select(func.count()).where(Outbox.state == "uncertain", Outbox.channel == "sms")).one()
    return not (inbox or outbox or unsure)


def arrived(office: Office) -> dict[str, list[tuple[str, str]]]:
    """Channel → (recipient, the provider's id) of each message on a screen, in the order they came."""
    return {
        "telegram": [(str(one["chat"]["id"]), str(one["message_id"])) for one in office.telegram.sent],
        "zalo_bot": [(chat, f"b{number}") for number, (chat, _) in enumerate(office.zalo_bot.sent, 1)],
        "zalo_oa": [(str(one["user"]), str(one["id"])) for one in office.zalo.sent],
        "sms": [(str(one["to"]), str(one["sid"])) for one in office.twilio.messages],
    }


def faults(office: Office, citizens: Citizens, reports: Reports) -> list[str]:
    """What is not as it must be, a line each."""
    shown = _shown(office, citizens)  # marks what it shows
    with office.database.read() as session:
        rows = session.exec(select(Outbox).order_by(col(Outbox.id))).all()
    there = arrived(office)
    told = Counter(row.recipient for row in rows if row.kind == "notice")
    return [
        *citizens.faults,
        *reports.faults,
        *_taken_in(office, citizens),
        *_ended(rows, reports),
        *_once(rows, there),
        *_in_order(rows, there),
        *_reported(rows, reports),
        *shown,
        *(f"{phone}: {told[phone]} notices" for phone in citizens.notified if told[phone] != 1),
    ]


def _taken_in(office: Office, citizens: Citizens) -> list[str]:
    """Each message that was taken has one row, one turn and an answer, and a sender's stand in the order they wrote."""
    with office.database.read() as session:
        inbox = session.exec(select(Inbox).order_by(col(Inbox.id))).all()
        turns = session.exec(select(Turn.id, Turn.inbox_id).order_by(col(Turn.id))).all()
        answered = set(session.exec(select(Outbox.inbox_id).where(Outbox.kind == "reply")))
        people = session.exec(select(func.count()).select_from(Conversation)).one()
    wrong = []
    taken = Counter(row.channel for row in inbox)
    for channel, count in citizens.taken.items():
        if channel != "api" and taken[channel] != count:
            wrong.append(f"{channel}: {count} messages were taken, {taken[channel]} are in the inbox")
    numbers = Counter(inbox_id for _, inbox_id in turns)
    wrong += [f"inbox {row.id}: {numbers[row.id]} turns" for row in inbox if numbers[row.id] != 1]
    wrong += [f"inbox {row.id} ({row.channel}): no answer" for row in inbox if row.id not in answered]
    wrong += [f"inbox {row.id} ({row.channel}): {row.state}: {row.error}" for row in inbox if row.state != "done"]
    turn_of = {inbox_id: turn for turn, inbox_id in turns}
    senders: dict[tuple[str, str], list[Inbox]] = defaultdict(list)
    for row in inbox:
        senders[row.channel, row.sender].append(row)
    for who, written in senders.items():
        own = [int(found[0]) for row in written if (found := _LAST_NUMBER.search(row.message_id))]
        if own != sorted(own):
            wrong.append(f"{who}: written as {sorted(own)}, taken in as {own}")
        order = [turn_of.get(row.id, 0) for row in written]
        if order != sorted(order):
            wrong.append(f"{who}: answered out of order, turns {order}")
    if people != len(senders):
        wrong.append(f"{len(senders)} senders, {people} conversations")
    return wrong


def _ended(rows: Sequence[Outbox], reports: Reports) -> list[str]:
    """What must be settled is; a reply that was told again counts as uncertain."""
    wrong = []
    for row in rows:
        undelivered = row.state == "failed" and reports.last.get(row.provider_id or "") == "undelivered"
        again = row.state == "cancelled" and (row.error or "").startswith(_TOLD_AGAIN)
        unsure = row.state == "uncertain" and row.channel in _CHATS
        if not (row.state in {"sent", "delivered"} or undelivered or again or unsure):
            wrong.append(f"outbox {row.id} ({row.kind}, {row.channel}): {row.state}: {row.error}")
    return wrong


def _once(rows: Sequence[Outbox], there: Mapping[str, Sequence[tuple[str, str]]]) -> list[str]:
    """What was sent arrived, once; what is uncertain arrived once at most."""
    sent: Counter[tuple[str, str]] = Counter()
    unsure: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row.channel in there:
            doubtful = row.state in {"uncertain", "cancelled"}
            (unsure if doubtful else sent)[row.channel, row.recipient] += 1
    came = Counter((channel, recipient) for channel, messages in there.items() for recipient, _ in messages)
    return [
        f"{who}: {came[who]} arrived, {sent[who]} sent, {unsure[who]} uncertain"
        for who in sorted(sent.keys() | came.keys() | unsure.keys())
        if not sent[who] <= came[who] <= sent[who] + unsure[who]
    ]


def _in_order(rows: Sequence[Outbox], there: Mapping[str, Sequence[tuple[str, str]]]) -> list[str]:
    """A citizen's answers came in the order of their questions.

    An SMS of which it was long in doubt whether it had gone out is no longer waited for; found out that it had not, it
    goes after those that came later.
    """
    place = {
        (channel, told): number for channel, messages in there.items() for number, (_, told) in enumerate(messages)
    }
    came: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        known = place.get((row.channel, row.provider_id or ""))
        late = row.channel == "sms" and row.attempts > 1
        if row.kind == "reply" and known is not None and not late:
            came[row.channel, row.recipient].append(known)
    return [f"{who}: answers came out of order" for who, order in came.items() if order != sorted(order)]


def _reported(rows: Sequence[Outbox], reports: Reports) -> list[str]:
    """Each SMS belongs to one row, which knows the last of what was reported of it."""
    known: dict[str, list[Outbox]] = defaultdict(list)
    for row in rows:
        if row.channel == "sms":
            known[row.provider_id or ""].append(row)
    wrong = [f"SMS {sid}: {len(known[sid])} rows" for sid in reports.last if len(known[sid]) != 1]
    return wrong + [
        f"SMS {sid}: reported as {last}, stored as {row.provider_status}"
        for sid, last in reports.last.items()
        for row in known[sid]
        if row.provider_status != last
    ]


def _shown(office: Office, citizens: Citizens) -> list[str]:
    """Each visitor who opens the page anew gets all answers, once, in the order of what they wrote."""
    with office.database.read() as session:
        rows = session.exec(select(Outbox).where(Outbox.channel == "web").order_by(col(Outbox.id))).all()
    browsers, wrong = citizens.browsers, []
    due: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        if row.id is not None:
            due[row.recipient].append(row.id)
    for number, visitor in browsers.visitors.items():
        wanted = len(due[visitor])
        try:
            told = browsers.stream(office.replicas[0].url, number, lambda told: len(told) >= wanted, 10)  # noqa: B023
        except (OSError, HTTPException, RefusedError) as error:
            wrong.append(f"web {number}: {type(error).__name__} {error}")
            continue
        ids = [int(one["id"]) for one in told]
        if ids != due[visitor] or not browsers.seen.get(number, set()) <= set(ids):
            wrong.append(f"web {number}: shown {ids}, due {due[visitor]}, seen {sorted(browsers.seen.get(number, ()))}")
        own = list(dict.fromkeys(one["to"] for one in told if one["to"]))
        if own != browsers.written.get(number, []):
            wrong.append(f"web {number}: wrote {browsers.written.get(number)}, answered {own}")
    return wrong


def figures(office: Office, citizens: Citizens, reports: Reports) -> str:
    """One line."""
    with office.database.read() as session:
        states = Counter(session.exec(select(Outbox.state)))
    came = ", ".join(f"{channel} {count}" for channel, count in sorted(citizens.taken.items()))
    refused = ", ".join(f"{what} {count}" for what, count in sorted(citizens.refused.items()))
    gone = ", ".join(f"{state} {count}" for state, count in sorted(states.items()))
    return f"in: {came}; tried again: {refused or 'none'}; out: {gone}; delivery reports {reports.told}"
