"""The words the whole program shares: a message in, a turn out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """How a turn ended (public names, see the contract)."""

    ANSWER = "answer"
    CLARIFY = "clarify"
    STATUS = "status"
    HANDOFF = "handoff"
    ACKNOWLEDGED = "acknowledged"
    OUT_OF_SCOPE = "out_of_scope"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message of a citizen, as a channel adapter hands it in.

    Attributes:
        channel: "web", "telegram", "sms", "zalo_oa", "zalo_bot", "terminal".
        sender: the channel's stable id of the citizen.
        message_id: unique within the channel; a repeat is a duplicate delivery.
        text: what was typed, any Unicode form; "" for photos and the like.
        at: when it was sent (aware).
        kind: "text", "photo", "contact" or "other".
        phone: E.164 number that the channel itself vouches for (a shared own contact), else None.
        network: address of the client for look-up limits, where the channel shows one.
    """

    channel: str
    sender: str
    message_id: str
    text: str
    at: datetime
    kind: str = "text"
    phone: str | None = None
    network: str | None = None


@dataclass(frozen=True, slots=True)
class Button:
    """A quick reply: tapping it sends ``value`` as if typed."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Reply:
    """One message to the citizen: plain text (newlines allowed, no markup)."""

    text: str
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing offered in a list: a procedure by code, what it is called, and when it is meant."""

    procedure: str
    label: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a conversation remembers between two messages; empty at first.

    Attributes:
        topic: code of the procedure last answered about.
        answered: all codes of that answer, in order.
        aspects: aspects last asked.
        intent: intent to resume when a choice is made ("ask_procedure", "due_date", "dossier_status").
        offered: the choices last offered, in order.
        pending: what the bot waits for: "choice", "dossier_code", "rating", "complaint" or None.
        question: the text that led to the pending question.
        rejected: codes the citizen said no to.
        misses: how many times in a row nothing was understood.
        subscribed: dossier code last looked up.
        greeted: whether the one-line privacy notice was given.
        at: when the last turn was (aware), None at first.
    """

    topic: str | None = None
    answered: tuple[str, ...] = ()
    aspects: tuple[str, ...] = ()
    intent: str | None = None
    offered: tuple[Choice, ...] = ()
    pending: str | None = None
    question: str | None = None
    rejected: tuple[str, ...] = ()
    misses: int = 0
    dossier: str | None = None
    greeted: bool = False
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DossierView:
    """What a bare dossier code may open: no procedure, no name, no phone.

    Attributes:
        code: canonical dossier code.
        status: 1–10 (national exchange).
        due_on: the due date given by the one-stop software or computed, local date; None if unknown.
        due_estimated: True where computed over a year whose working-day swaps are not decreed yet.
        office: receiving office.
        return_mode: "counter", "post" or "electronic".
        demo: a demonstration dossier.
    """

    code: str
    status: int
    due_at: datetime | None
    due_computed: bool
    due_estimated: bool
    office: str
    return_mode: str
    updated_at: datetime
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: what was understood and what is answered.

    Attributes:
        evidence: figures and names an advisor needs to see why (candidates, confidence, sources).
        effects: things the shell must do: "handoff", "complaint", "subscribe", "unsubscribe", "rating", "miss".
    """

    intent: str
    aspects: tuple[str, ...]
    procedures: tuple[str, ...]
    dossier_codes: tuple[str, ...]
    outcome: Outcome
    replies: tuple[Reply, ...]
    memory: Memory
    confidence: float = 0.0
    effects: tuple[str, ...] = ()
    evidence: dict[str, object] = field(default_factory=dict)
