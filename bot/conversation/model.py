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
        text: what was typed, any Unicode form; "" for photos and the like. Of a photo that was read already: the
            dossier codes found on it, one a line.
        at: when it was sent (aware).
        kind: "text", "photo", "contact", "contact_unverified" (shared, but nothing shows that it is their own),
            "follow" (the citizen opened or followed the account), "unfollow", or what can't be read: "sticker",
            "voice", "video", "location", "file", "other".
        phone: E.164 number that the channel itself vouches for (a shared own contact), else None.
        network: address of the client for look-up limits, where the channel shows one.
        photo: how the channel fetches the picture (a file id or address), None where there is none to fetch.
        problem: why a photo could not be read (a word of ``bot.receipts``), else None.
        tapped: the channel's id of our message whose button was tapped, else None.
        account: slug of the office to whose own account or address it was written, None where it came to the one that
            all offices share.
    """

    channel: str
    sender: str
    message_id: str
    text: str
    at: datetime
    kind: str = "text"
    phone: str | None = None
    network: str | None = None
    photo: str | None = None
    problem: str | None = None
    tapped: str | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Button:
    """A quick reply: tapping it sends ``value`` as if typed."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Link:
    """An address to open, and what it leads to."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Reply:
    """One message to the citizen, whatever the channel; ``bot.channels.rendering`` fits it to each.

    Attributes:
        text: plain text (newlines allowed, no markup).
        buttons: quick replies.
        listed: so many of the first buttons stand in the text already, numbered from 1.
        link: shown as a button where the channel has such, else as a line of text.
        contact: words that ask to share one's own phone number; left out where the channel can't.
        image: name of a picture under ``bot/console/static``, "" for none.
        menu: only a choice to make: once made, the answer may take this message's place.
        brief: what is said instead where there is room for two SMS only; "" where the text may simply be shortened.
    """

    text: str
    buttons: tuple[Button, ...] = ()
    listed: int = 0
    link: Link | None = None
    contact: str = ""
    image: str = ""
    menu: bool = False
    brief: str = ""


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
        pending: what the bot waits for: "choice", "dossier_code", "proof" (that a dossier is theirs), "where_to_tell",
            "erase" (a yes before everything is erased), "human", "survey_comment" (a few words after a score),
            "office" (at which office) or None.
        question: the text that led to the pending question.
        rejected: codes the citizen said no to.
        misses: how many times in a row nothing was understood.
        dossier: dossier code last looked up.
        wish: what to do once the dossier is proven theirs: "details" or "subscribe".
        menu: what the numbers of the last message stand for, on channels without buttons.
        survey: dossier code whose survey was just answered here.
        office: slug of the citizen's office, None where it is not known; always None where there is one office alone.
        offices: slugs of the offices last offered, in order.
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
    wish: str | None = None
    menu: tuple[str, ...] = ()
    survey: str | None = None
    office: str | None = None
    offices: tuple[str, ...] = ()
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
class DossierDetails:
    """What the owner of a dossier may see besides, once proven.

    Attributes:
        procedure: short name, None where not known.
        note: what staff wrote for the citizen (what is missing …), None for nothing.
        phone: the number that notices go to, masked; None where there is none on file.
        sms: whether notices go to it by SMS.
        chat: whether notices go to this chat.
    """

    procedure: str | None
    received_at: datetime | None
    note: str | None
    phone: str | None
    sms: bool
    chat: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """Something offered to show that a dossier is one's own.

    Attributes:
        kind: "phone" (an E.164 number that the channel vouches for) or "code" (typed: the look-up code of the
            receipt, or a one-time code).
    """

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: what was understood and what is answered.

    Attributes:
        evidence: figures and names an advisor needs to see why (candidates, confidence, sources).
        effects: things the shell must do: "handoff", "complaint", "rating", "miss", "unsubscribe", "resubscribe",
            "erase"; with a
            dossier code behind a colon: "send_code", "tell_here", "tell_sms".
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
