"""How the inbox puts things into words for its templates: who, where, since when, what. Numbers are masked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session

from bot.catalog.catalog import Catalog
from bot.clock import local
from bot.desk import queues
from bot.desk.messages import T
from bot.desk.reading import Entry, Key, Line
from bot.logs import mask
from bot.storage.tables import Conversation, Held

SNIPPET = 90  # characters of the last message in a list


def key_text(key: Key | None) -> str:
    """A key of a list as it stands in an address; "" for none."""
    return f"{key[0].isoformat()}~{key[1]}" if key else ""


def key_of(text: str) -> Key | None:
    """The key that an address carries; None for none, or for anything else."""
    at, _, number = text.partition("~")
    try:
        found = datetime.fromisoformat(at), int(number)
    except ValueError:
        return None
    return found if found[0].tzinfo and 0 <= found[1] < 2**62 else None


def waited(since: datetime | None, now: datetime) -> str:
    """How long ago something was, in the largest whole unit: "12 phút"."""
    if since is None:
        return ""
    minutes = int((now - since).total_seconds() // 60)
    if minutes < 1:
        return str(T["waited"]["now"])
    if minutes < 60:
        return str(T["waited"]["minutes"].format(count=minutes))
    if minutes < 48 * 60:
        return str(T["waited"]["hours"].format(count=minutes // 60))
    return str(T["waited"]["days"].format(count=minutes // (24 * 60)))


def moment(at: datetime | None, now: datetime) -> str:
    """The time, with the day where it is another one."""
    if at is None:
        return ""
    shown = local(at)
    return f"{shown:%H:%M}" if shown.date() == local(now).date() else f"{shown:%H:%M %d/%m/%Y}"


def who_is(conversation: Conversation) -> str:
    """A citizen without a name: "Người dân 12", by SMS with the masked number."""
    number = f" ({mask(conversation.sender)})" if conversation.channel == "sms" else ""
    return f"{T['citizen']} {conversation.id}{number}"


def channel_name(channel: str) -> str:
    """A channel as staff call it."""
    return str(T["channels"].get(channel, channel))


def state_text(session: Session, conversation: Conversation) -> str:
    """Who has a conversation now, in words."""
    name = queues.shown_name(session, conversation.taken_by) if conversation.taken_by else ""
    return str(T["states"].get(conversation.queue, conversation.queue)).format(name=name)


def line(session: Session, one: Line, now: datetime) -> dict[str, Any]:
    """A conversation in a list."""
    conversation = one.conversation
    said = " ".join((one.last.text if one.last else "").split())
    snippet = said if len(said) <= SNIPPET else said[: SNIPPET - 1].rstrip() + "…"
    answered = conversation.answered_at is not None and conversation.answered_at >= conversation.last_at
    return {
        "id": conversation.id,
        "who": who_is(conversation),
        "channel": channel_name(conversation.channel),
        "text": mask(snippet) or T["no_text"],
        "reasons": [T["reasons"].get(kind, kind) for kind in one.reasons],
        "state": state_text(session, conversation),
        "queue": conversation.queue,
        "since": waited(conversation.queued_at, now),
        "last": moment(conversation.last_at, now),
        "counter": conversation.counter or "",
        "unanswered": conversation.queue == queues.TAKEN and not answered,
    }


def entry(session: Session, one: Entry, catalog: Catalog, now: datetime) -> dict[str, Any]:
    """Something in a thread."""
    if one.message is not None:
        return {
            "kind": one.message.kind,
            "at": moment(one.at, now),
            "who": one.message.name or T["automatic"],
            "text": mask(one.message.text) or T["no_text"],
            "state": T["send_states"].get(one.state, ""),
            "pending": one.state in {"waiting", "sending"},
            "bad": one.state in {"failed", "uncertain", "expired"},
            "why": mask(one.error) if one.state in {"failed", "uncertain", "expired"} else "",
        }
    turn = one.turn
    assert turn is not None  # noqa: S101 - an entry is one or the other
    understood = turn.understanding
    procedures = [
        found.short_name if (found := catalog.get(code)) else code for code in understood.get("procedures") or ()
    ]
    return {
        "kind": "turn",
        "id": turn.id,
        "at": moment(one.at, now),
        "text": mask(turn.text) or T["no_text"],
        "replies": [mask(str(reply.get("text", ""))) for reply in turn.replies.get("replies", [])],
        "outcome": T["outcomes"].get(turn.outcome, turn.outcome),
        "procedures": procedures,
        "sure": f"{float(understood.get('confidence') or 0) * 100:.0f}%",
        "checked": _checked(session, one.held),
        "held": held(one.held, now) if one.held and one.held.state == "waiting" else None,
    }


def _checked(session: Session, row: Held | None) -> str:
    """Who approved or changed an answer of the bot; "" where nobody did."""
    if row is None or row.by is None or row.state not in T["checked"]:
        return ""
    return str(T["checked"][row.state].format(name=queues.shown_name(session, row.by)))


def held(row: Held, now: datetime) -> dict[str, Any]:
    """An answer that waits for approval."""
    replies: Sequence[Mapping[str, Any]] = row.replies.get("replies", [])
    return {
        "id": row.id,
        "text": "\n\n".join(str(reply.get("text", "")) for reply in replies),
        "until": moment(row.deadline_at, now),
    }
