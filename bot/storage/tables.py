"""All tables, by subject. Times are UTC; the schema is created only by the migrations."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Date, DateTime, Dialect, Index, Integer, UniqueConstraint, false, text
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from bot.clock import local

BIG_ID = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, stored in UTC; SQLite drops the zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuses naive times: they would be off by seven hours."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime: times are stored in UTC and must be aware")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Returns an aware UTC time."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _id() -> Any:
    return Field(default=None, sa_column=Column(BIG_ID, primary_key=True, autoincrement=True))


def _at(*, nullable: bool = False, index: bool = False) -> Any:
    default: Any = None if nullable else ...
    return Field(default=default, sa_column=Column(UtcDateTime(), nullable=nullable, index=index))


def _json() -> Any:
    return Field(default_factory=dict, sa_column=Column(JSON, nullable=False))


# What retention has not emptied yet: the indexes of these hold the kept days only, however old the table is. In so many
# words, as in the queries (bot.storage.retention): a database uses them only where it sees that they fit.
TURN_KEPT = "text <> '' OR CAST(replies AS VARCHAR) <> '{}'"
INBOX_KEPT = "state IN ('done', 'dead') AND CAST(payload AS VARCHAR) <> '{}'"
OUTBOX_KEPT = "kind <> 'notice' AND CAST(body AS VARCHAR) <> '{}'"


# What there is for one of several offices: with one office these indexes stay empty, and cost nothing.
_OF_OFFICE = text("office IS NOT NULL")


def _of_office(name: str, *columns: str) -> Index:
    return Index(name, "office", *columns, sqlite_where=_OF_OFFICE, postgresql_where=_OF_OFFICE)


def _kept(name: str, column: str, where: str) -> Index:
    return Index(name, column, sqlite_where=text(where), postgresql_where=text(where))


def _day_of(context: Any) -> date:
    """The day (Vietnam time) of the ``at`` of a row that is being inserted."""
    at: datetime = context.get_current_parameters()["at"]
    return local(at).date()


class Inbox(SQLModel, table=True):
    """One message received; unique by channel and message id, worked off per sender in order.

    States: waiting → claimed → done | dead (given up after many attempts, told politely).
    """

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("channel", "message_id", name="uq_inbox_message"),
        Index("ix_inbox_open", "state", "next_try_at"),
        Index("ix_inbox_sender", "channel", "sender", "state", "id"),
        _kept("ix_inbox_kept", "done_at", INBOX_KEPT),
        {"sqlite_autoincrement": True},  # ids stand in other tables and in keys: never used twice
    )

    id: int | None = _id()
    channel: str = Field(max_length=20)
    sender: str = Field(max_length=128)
    message_id: str = Field(max_length=200)
    payload: dict[str, Any] = _json()  # the Incoming, as JSON
    state: str = Field(default="waiting", max_length=12)
    attempts: int = 0
    next_try_at: datetime = _at()
    lease_owner: str | None = Field(default=None, max_length=64)
    lease_until: datetime | None = _at(nullable=True)
    error: str | None = Field(default=None, max_length=500)
    received_at: datetime = _at()
    done_at: datetime | None = _at(nullable=True)


_NOTICES = text("kind = 'notice'")


class Outbox(SQLModel, table=True):
    """One message to be sent: a reply in a conversation, or a notice about a dossier.

    States: waiting → sending → sent → delivered; failed (final), expired, cancelled,
    uncertain (the send's answer never came: never blindly repeated).
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("dedupe_key", name="uq_outbox_dedupe"),
        Index("ix_outbox_open", "state", "kind", "priority", "not_before"),
        Index("ix_outbox_recipient", "channel", "recipient", "state", "id"),
        Index("ix_outbox_provider", "gateway", "provider_id"),
        _kept("ix_outbox_kept", "created_at", OUTBOX_KEPT),
        Index("ix_outbox_log", "kind", "created_at", "id"),  # what the desk lists and counts
        # Of notices alone: an index that begins with kind and state would lead SQLite away from ix_outbox_open in the
        # claim of what is due (a test looks at that).
        Index(
            "ix_outbox_state_log",
            "state",
            "created_at",
            "id",
            "channel",
            sqlite_where=_NOTICES,
            postgresql_where=_NOTICES,
        ),
        {"sqlite_autoincrement": True},
    )

    id: int | None = _id()
    kind: str = Field(max_length=12)  # reply | notice | otp | test
    channel: str = Field(max_length=20)  # web | telegram | sms …
    gateway: str | None = Field(default=None, max_length=20)  # simulator | twilio, for SMS
    recipient: str = Field(max_length=128)  # the channel's id of the citizen, or an E.164 number
    dedupe_key: str = Field(max_length=200)
    body: dict[str, Any] = _json()  # {"text": str, "buttons": [{"label", "value"}]}
    inbox_id: int | None = Field(default=None, sa_column=Column(BIG_ID, nullable=True, index=True))
    dossier_code: str | None = Field(default=None, max_length=48, index=True)
    # Slug of the office whose own account it goes out from, None: the one that all share; always None with one office.
    office: str | None = Field(default=None, max_length=60)
    event: str | None = Field(default=None, max_length=32)
    occurrence: str | None = Field(default=None, max_length=100)
    demo: bool = False  # demo notices never go through a real gateway
    priority: int = 0  # smaller goes first: a result before a reminder
    state: str = Field(default="waiting", max_length=12)
    not_before: datetime = _at()
    expires_at: datetime | None = _at(nullable=True)
    attempts: int = 0
    lease_owner: str | None = Field(default=None, max_length=64)
    lease_until: datetime | None = _at(nullable=True)
    provider_id: str | None = Field(default=None, max_length=100)
    provider_status: str | None = Field(default=None, max_length=32)
    looks: int = 0  # how often the gateway was asked about an uncertain send and did not know it
    looked_at: datetime | None = _at(nullable=True)
    segments: int | None = None  # SMS billed
    cost: float | None = None  # đồng, where the gateway tells
    spent_on: date | None = None  # the day (Vietnam) whose ``Spend`` it is counted in
    error: str | None = Field(default=None, max_length=500)
    created_at: datetime = _at()
    sent_at: datetime | None = _at(nullable=True)
    delivered_at: datetime | None = _at(nullable=True)


class Conversation(SQLModel, table=True):
    """What is remembered of one citizen on one channel."""

    __tablename__ = "conversation"
    __table_args__ = (
        UniqueConstraint("channel", "sender", name="uq_conversation_sender"),
        Index("ix_conversation_queue", "queue", "queued_at", "id"),
        Index("ix_conversation_last", "last_at", "id"),
        {"sqlite_autoincrement": True},  # a new citizen must never get an erased one's number
    )

    id: int | None = _id()
    channel: str = Field(max_length=20)
    sender: str = Field(max_length=128)
    memory: dict[str, Any] = _json()
    taken_by: str | None = Field(default=None, max_length=64)  # advisor who took it over
    unreachable_at: datetime | None = _at(nullable=True)  # blocked us; empty again once they write
    created_at: datetime = _at()
    last_at: datetime = _at()
    # The advisors' inbox; see bot.desk.queues.
    queue: str = Field(default="bot", max_length=8, sa_column_kwargs={"server_default": "bot"})
    queued_at: datetime | None = _at(nullable=True)  # since when it stands in this queue
    version: int = Field(default=0, sa_column_kwargs={"server_default": "0"})  # grows with every change staff may see
    advisor_at: datetime | None = _at(nullable=True)  # the advisor's last sign of life
    answered_at: datetime | None = _at(nullable=True)  # an advisor's last message
    counter: str | None = Field(default=None, max_length=120)  # passed on to this counter of the office
    # Of several offices (else always None), slugs: the citizen's, None where it is not known; and the one whose own
    # account they wrote to last, None for the one that all share.
    office: str | None = Field(default=None, max_length=60)
    account: str | None = Field(default=None, max_length=60)


class Turn(SQLModel, table=True):
    """One message and its answer, kept ``keep_talk_days``; then only figures.

    The figures are read from one index alone, in its order: a million turns are summed up without touching a row.
    ``replies``: {"replies": [message …]} as told; "draft": the same for the advisor who has the conversation, not told.
    """

    __tablename__ = "turn"
    __table_args__ = (
        Index("ix_turn_figures", "day", "procedure", "outcome", "intent", "channel", "waited_ms"),
        Index("ix_turn_thread", "conversation_id", "id"),
        _kept("ix_turn_kept", "at", TURN_KEPT),
        Index("ix_turn_doubt", "reviewed", "doubt", "id"),  # the advisors' queue, worst first
        _of_office("ix_turn_office_figures", "day", "procedure", "outcome", "intent", "channel", "waited_ms"),
        _of_office("ix_turn_office_doubt", "reviewed", "doubt", "id"),
        _of_office("ix_turn_office", "id"),
    )

    id: int | None = _id()
    conversation_id: int = Field(sa_column=Column(BIG_ID, nullable=False, index=True))
    inbox_id: int | None = Field(default=None, sa_column=Column(BIG_ID, nullable=True, unique=True))
    text: str = Field(max_length=4000)
    intent: str = Field(max_length=24)
    outcome: str = Field(max_length=16)
    understanding: dict[str, Any] = _json()
    replies: dict[str, Any] = _json()
    at: datetime = _at(index=True)
    channel: str | None = Field(default=None, max_length=20)
    procedure: str | None = Field(default=None, max_length=12)  # the first of the answer, or of what was offered
    day: date | None = Field(default=None, sa_column=Column(Date(), nullable=True, default=_day_of))
    waited_ms: int | None = None  # from the message's arrival to its answer
    confidence: float | None = None  # 0–1, of the whole answer; None where nothing had to be guessed
    engine: str | None = Field(default=None, max_length=20)  # embedded | rasa; None where grammar alone decided
    # How much it wants to be looked at, higher first; -1: nothing is left to look at (see bot.review.doubt).
    doubt: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    doubt_why: str = Field(default="", max_length=80, sa_column_kwargs={"server_default": ""})  # reasons, by commas
    reviewed: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    office: str | None = Field(default=None, max_length=60)  # of several: the conversation's at that time


class Handoff(SQLModel, table=True):
    """A citizen waits for a person, or left a complaint or a rating."""

    __tablename__ = "handoff"
    __table_args__ = (
        Index("ix_handoff_open", "state", "created_at"),
        Index("ix_handoff_kind", "kind", "created_at"),  # the figures of a month
    )

    id: int | None = _id()
    conversation_id: int = Field(sa_column=Column(BIG_ID, nullable=False, index=True))
    kind: str = Field(max_length=16)  # see bot.desk.queues.WAITS; and rating
    text: str = Field(max_length=4000)
    state: str = Field(default="open", max_length=12)  # open | done
    taken_by: str | None = Field(default=None, max_length=64)
    created_at: datetime = _at()
    closed_at: datetime | None = _at(nullable=True)
    alerted_at: datetime | None = _at(nullable=True)  # the advisors were told that nobody takes it
    office: str | None = Field(default=None, max_length=60)  # of several: the conversation's at that time


_OPEN = text("status IN (1, 2, 4, 5, 6)")


class Dossier(SQLModel, table=True):
    """One dossier (hồ sơ) as the one-stop software told it; the least that is needed."""

    __tablename__ = "dossier"
    # The last columns of each are only there so that the counts need no look at the table itself.
    __table_args__ = (
        # Those still worked on (bot.dossiers.status.OPEN), by their date: what the desk looks at all day.
        Index("ix_dossier_open_due", "due_at", "code", "procedure", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_dossier_updated", "updated_at", "code"),
        Index("ix_dossier_received", "received_at", "created_at"),
        # A handful, left out of the figures.
        Index("ix_dossier_demo", "code", sqlite_where=text("demo = 1"), postgresql_where=text("demo")),
        Index("ix_dossier_status", "status", "updated_at", "code", "return_mode", "procedure"),
        Index("ix_dossier_procedure", "procedure", "updated_at", "code", "status", "return_mode"),
    )

    code: str = Field(primary_key=True, max_length=48)
    procedure: str | None = Field(default=None, max_length=12)
    status: int
    received_at: datetime | None = _at(nullable=True)
    due_at: datetime | None = _at(nullable=True)
    office: str | None = Field(default=None, max_length=200)
    phone: str | None = Field(default=None, max_length=20)  # E.164
    consent_sms: bool = False
    return_mode: str = Field(default="counter", max_length=12)
    lookup_digest: str | None = Field(default=None, max_length=64)  # HMAC of the look-up code
    note: str | None = Field(default=None, max_length=500)
    demo: bool = False
    created_at: datetime = _at()
    updated_at: datetime = _at()


class StatusChange(SQLModel, table=True):
    """Each entry of a dossier into a status: the occurrence that a notice is about."""

    __tablename__ = "status_change"
    __table_args__ = (
        Index("ix_status_change_code", "dossier_code", "id"),
        Index("ix_status_change_when", "source_at", "at"),
    )

    id: int | None = _id()
    dossier_code: str = Field(max_length=48)
    before: int | None = None
    after: int
    source: str = Field(max_length=16)  # import | api | staff | demo
    source_change_id: str | None = Field(default=None, max_length=100)
    source_at: datetime | None = _at(nullable=True)  # when the source says it happened, never later than we heard of it
    by: str | None = Field(default=None, max_length=64)
    note: str | None = Field(default=None, max_length=500)
    at: datetime = _at()


class Lookup(SQLModel, table=True):
    """One look-up of a dossier code, or one try to prove it one's own: for limits, and to notice guessing.

    Kept ``keep_lookups_days``.
    """

    __tablename__ = "lookup"
    __table_args__ = (
        Index("ix_lookup_who", "channel", "sender", "at"),
        Index("ix_lookup_network", "network", "at"),
        # Guesses alone: a full one would offer itself for the limits, which count by sender.
        Index("ix_lookup_missed", "at", sqlite_where=text("found = 0"), postgresql_where=text("NOT found")),
    )

    id: int | None = _id()
    channel: str = Field(max_length=20)
    sender: str = Field(max_length=128)
    network: str | None = Field(default=None, max_length=64)
    code: str = Field(max_length=48)
    kind: str = Field(default="code", max_length=8, sa_column_kwargs={"server_default": "code"})  # code | proof
    found: bool
    at: datetime = _at()


class Access(SQLModel, table=True):
    """A citizen proved on one channel that a dossier is theirs; until when that opens its details."""

    __tablename__ = "access"
    __table_args__ = (Index("ix_access_who", "channel", "sender", "dossier_code"),)

    id: int | None = _id()
    channel: str = Field(max_length=20)
    sender: str = Field(max_length=128)
    dossier_code: str = Field(max_length=48)
    how: str = Field(max_length=12)  # phone | otp | lookup_code
    at: datetime = _at()
    until: datetime = _at()


class OneTimeCode(SQLModel, table=True):
    """A code sent by SMS to the phone of a dossier; only its HMAC is kept.

    A row is written for each request, also where there is no phone to send to, so that limits tell nothing.
    """

    __tablename__ = "one_time_code"
    __table_args__ = (
        Index("ix_one_time_code_who", "channel", "sender", "at"),
        Index("ix_one_time_code_dossier", "dossier_code", "at"),
    )

    id: int | None = _id()
    channel: str = Field(max_length=20)
    sender: str = Field(max_length=128)
    dossier_code: str = Field(max_length=48)
    digest: str | None = Field(default=None, max_length=64)  # None: none was sent, or it is used up
    tries: int = 0
    at: datetime = _at()
    expires_at: datetime = _at()


class ChannelToken(SQLModel, table=True):
    """The token pair of one account at a channel whose tokens rotate (Zalo), sealed with the office's key.

    ``generation`` grows with each pair. Whoever refreshes holds the lease.
    """

    __tablename__ = "channel_token"

    channel: str = Field(primary_key=True, max_length=20)
    account: str = Field(primary_key=True, max_length=64)  # Zalo: the app id
    access_sealed: str = Field(max_length=4000)
    refresh_sealed: str = Field(max_length=4000)
    generation: int = 1
    expires_at: datetime = _at()  # of the access token
    refreshed_at: datetime = _at()
    lease_owner: str | None = Field(default=None, max_length=64)
    lease_until: datetime | None = _at(nullable=True)
    problem: str | None = Field(default=None, max_length=500)  # why the last refresh failed, for staff


class Staff(SQLModel, table=True):
    """A person who may sign in to the console."""

    __tablename__ = "staff"

    name: str = Field(primary_key=True, max_length=64)
    role: str = Field(max_length=16)  # see bot.console.permissions
    password_hash: str = Field(max_length=200)
    active: bool = True
    failed: int = 0
    locked_until: datetime | None = _at(nullable=True)
    locks: int = 0  # how often it was locked since it was last entered
    office: str | None = Field(default=None, max_length=60)  # slug of their office; None: they see all offices
    display_name: str | None = Field(default=None, max_length=40)  # told to citizens; the name where it is empty
    created_at: datetime = _at()


class StaffSession(SQLModel, table=True):
    """A signed-in browser; the cookie holds the token, the table its SHA-256."""

    __tablename__ = "staff_session"

    digest: str = Field(primary_key=True, max_length=64)
    staff: str = Field(max_length=64, index=True)
    csrf: str = Field(max_length=64)
    created_at: datetime = _at()
    expires_at: datetime = _at()


class Audit(SQLModel, table=True):
    """Who did what, with the values before and after; the database itself refuses to change or delete a row."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_subject", "subject", "id"), Index("ix_audit_staff", "staff", "id"),
        _of_office("ix_audit_office", "id"),
    )  # fmt: skip

    id: int | None = _id()
    staff: str = Field(max_length=64)
    action: str = Field(max_length=40)
    subject: str = Field(max_length=100)
    detail: dict[str, Any] = _json()
    at: datetime = _at(index=True)
    office: str | None = Field(default=None, max_length=60)  # of several: that of the staff; None: they see all


class Preference(SQLModel, table=True):
    """Consent to notices, or the refusal of them, of one recipient on one channel.

    ``dossier_code`` "" stands for all dossiers. The newest row counts.
    """

    __tablename__ = "preference"
    __table_args__ = (
        Index("ix_preference_who", "channel", "recipient", "dossier_code"),
        Index("ix_preference_dossier", "dossier_code"),
    )

    id: int | None = _id()
    channel: str = Field(max_length=20)
    recipient: str = Field(max_length=128)
    dossier_code: str = Field(default="", max_length=48)
    wants: bool
    wording: str = Field(default="", max_length=40)
    evidence: str = Field(default="", max_length=200)
    at: datetime = _at()


class Consent(SQLModel, table=True):
    """That the owner of a dossier agreed to notices on a channel: which wording, when, how that is known.

    Law 91/2025/QH15 Article 9: consent must be provable. The newest row of a dossier, channel and recipient counts;
    an opt-out (``Preference``) beats it.
    """

    __tablename__ = "consent"
    __table_args__ = (Index("ix_consent_dossier", "dossier_code", "channel", "recipient"),)

    id: int | None = _id()
    dossier_code: str = Field(max_length=48)
    channel: str = Field(max_length=20)
    recipient: str = Field(max_length=128)
    given: bool
    wording: str = Field(max_length=40)
    evidence: str = Field(max_length=200)
    at: datetime = _at()


class GatewayPause(SQLModel, table=True):
    """A channel whose notices wait: paused by staff, or stopped for a fault of the account until ``until``."""

    __tablename__ = "gateway_pause"

    channel: str = Field(primary_key=True, max_length=20)
    by: str = Field(max_length=64)
    reason: str = Field(max_length=500)
    at: datetime = _at()
    until: datetime | None = _at(nullable=True)  # None: until staff resume it


class Spend(SQLModel, table=True):
    """What went out on a channel on one day (Vietnam time): for the daily budget and the figures."""

    __tablename__ = "spend"

    day: date = Field(primary_key=True)
    channel: str = Field(primary_key=True, max_length=20)
    messages: int = 0
    segments: int = 0
    dong: float = 0


class OfficeSetting(SQLModel, table=True):
    """A setting of the office that staff may switch on the console; what is not set has its default."""

    __tablename__ = "office_setting"

    key: str = Field(primary_key=True, max_length=40)
    value: dict[str, Any] = _json()  # {"value": …}
    by: str = Field(max_length=64)
    at: datetime = _at()


class HallUse(SQLModel, table=True):
    """How often something in the hall was used on one day (Vietnam time); see ``bot.figures.hall``."""

    __tablename__ = "hall_use"

    day: date = Field(primary_key=True)
    what: str = Field(primary_key=True, max_length=20)
    times: int = 0


class OfficeHallUse(SQLModel, table=True):
    """The same of one of several offices, whose own screens were used."""

    __tablename__ = "office_hall_use"

    office: str = Field(primary_key=True, max_length=60)
    day: date = Field(primary_key=True)
    what: str = Field(primary_key=True, max_length=20)
    times: int = 0


class Survey(SQLModel, table=True):
    """The one survey of a returned dossier: asked, and what was answered."""

    __tablename__ = "survey"
    __table_args__ = (UniqueConstraint("dossier_code", name="uq_survey_dossier"),)

    id: int | None = _id()
    dossier_code: str = Field(max_length=48)
    token_digest: str = Field(max_length=64, unique=True)  # SHA-256 of what stands in the link
    state: str = Field(default="sent", max_length=12)  # sent | answered
    channel: str | None = Field(default=None, max_length=20)  # it was answered on: link | kiosk | telegram | sms …
    answers: dict[str, Any] = _json()  # {"overall": 1–5, …}, see bot.survey.questions
    comment: str = Field(default="", max_length=1000)  # numbers masked
    comment_state: str = Field(default="none", max_length=12)  # none | new | seen | hidden
    asked_at: datetime = _at()
    expires_at: datetime = _at()
    answered_at: datetime | None = _at(nullable=True, index=True)


class FactEdit(SQLModel, table=True):
    """A change that staff made to a fact of the files; the files themselves stay as the program brought them.

    States: proposed → active | rejected | withdrawn. An active one is never changed back: undoing is a new edit.
    """

    __tablename__ = "fact_edit"
    __table_args__ = (
        UniqueConstraint("subject", "part", "revision", name="uq_fact_edit_revision"),
        Index("ix_fact_edit_state", "state", "id"),
    )

    id: int | None = _id()
    subject: str = Field(max_length=80)  # a procedure's code, "office:<slug>" or "province:<slug>"
    part: str = Field(max_length=24)  # see bot.edits.parts
    revision: int  # counts the edits of one part: two at once can't both be the next
    before: dict[str, Any] = _json()  # {"value": {field: …}}: what was told when it was proposed
    after: dict[str, Any] = _json()  # {"value": {field: …}}, or {"base": true}: as the files have it
    base_digest: str = Field(max_length=64)  # of what the files had
    valid_from: date | None = None  # None: from the day on which it becomes active
    valid_to: date | None = None
    starts: date | None = None  # set when it becomes active
    source: str = Field(max_length=300)
    state: str = Field(default="proposed", max_length=12)
    by: str = Field(max_length=64)
    at: datetime = _at()
    decided_by: str | None = Field(default=None, max_length=64)
    decided_at: datetime | None = _at(nullable=True)
    reason: str | None = Field(default=None, max_length=300)  # why it was rejected


class NoticeTemplate(SQLModel, table=True):
    """The words of a notice as staff changed them, over those of ``bot/texts/notices.yml``.

    ``version`` grows with each change. ``sms`` and ``chat`` None: back to the file's words.
    """

    __tablename__ = "notice_template"

    name: str = Field(primary_key=True, max_length=40)
    sms: str | None = Field(default=None, max_length=1000)
    chat: str | None = Field(default=None, max_length=2000)
    segments: int = 1
    version: int = 1
    by: str = Field(max_length=64)
    at: datetime = _at()


class Held(SQLModel, table=True):
    """An answer of the bot that waits for an advisor's approval.

    States: waiting → approved | edited | expired (the deadline passed) | taken (an advisor has the conversation) |
    erased. Whoever changes the state from "waiting" acts; nobody else does.
    """

    __tablename__ = "held"
    __table_args__ = (
        Index("ix_held_due", "state", "deadline_at"),
        Index("ix_held_conversation", "conversation_id", "state"),
    )

    id: int | None = _id()
    conversation_id: int = Field(sa_column=Column(BIG_ID, nullable=False))
    inbox_id: int = Field(sa_column=Column(BIG_ID, nullable=False, unique=True))
    replies: dict[str, Any] = _json()  # {"replies": [message …]}
    state: str = Field(default="waiting", max_length=12)
    deadline_at: datetime = _at()
    by: str | None = Field(default=None, max_length=64)
    created_at: datetime = _at()
    decided_at: datetime | None = _at(nullable=True)


class DeskMessage(SQLModel, table=True):
    """What a citizen was told by an advisor, or on the advisors' behalf ("… đang trả lời ông/bà")."""

    __tablename__ = "desk_message"
    __table_args__ = (
        UniqueConstraint("conversation_id", "key", name="uq_desk_message_key"),
        Index("ix_desk_message_thread", "conversation_id", "at"),
    )

    id: int | None = _id()
    conversation_id: int = Field(sa_column=Column(BIG_ID, nullable=False))
    key: str = Field(max_length=64)  # made by the page: a repeat is sent once
    kind: str = Field(max_length=8)  # advisor | notice
    by: str | None = Field(default=None, max_length=64)  # the account; None: nobody (a deadline, closing time)
    name: str = Field(default="", max_length=80)  # as the citizen was told
    text: str = Field(max_length=4000)
    outbox_id: int | None = Field(default=None, sa_column=Column(BIG_ID, nullable=True))  # of its last part
    at: datetime = _at()
    office: str | None = Field(default=None, max_length=60)  # of several: the conversation's at that time


class CannedReply(SQLModel, table=True):
    """A reply that advisors send often, by its shortcut."""

    __tablename__ = "canned_reply"

    id: int | None = _id()
    shortcut: str = Field(max_length=20, unique=True)
    text: str = Field(max_length=2000)
    version: int = 1
    by: str = Field(max_length=64)
    at: datetime = _at()


class StaffChat(SQLModel, table=True):
    """An advisor's own chat, where the office tells that a citizen waits."""

    __tablename__ = "staff_chat"
    __table_args__ = (UniqueConstraint("channel", "sender", name="uq_staff_chat"),)

    id: int | None = _id()
    staff: str = Field(max_length=64, index=True)
    channel: str = Field(max_length=20)
    sender: str = Field(max_length=128)
    created_at: datetime = _at()


class StaffCode(SQLModel, table=True):
    """The one-time code with which an advisor links a chat; only its HMAC is kept."""

    __tablename__ = "staff_code"

    staff: str = Field(primary_key=True, max_length=64)
    digest: str = Field(max_length=64)
    expires_at: datetime = _at()


class Review(SQLModel, table=True):
    """What an advisor says of one turn. It holds labels only; the words stay with the turn and go with it."""

    __tablename__ = "review"
    __table_args__ = (UniqueConstraint("turn_id", name="uq_review_turn"),)

    id: int | None = _id()
    turn_id: int = Field(sa_column=Column(BIG_ID, nullable=False))
    verdict: str = Field(max_length=8)  # right | wrong
    label: dict[str, Any] = _json()  # what would have been right; {} where only the answer's content was wrong
    by: str = Field(max_length=64)
    at: datetime = _at()
    version: int = 1  # grows with each change: a second reviewer is told of the first


class AddedExample(SQLModel, table=True):
    """A sentence that an advisor taught, without personal data; never changed, only withdrawn."""

    __tablename__ = "added_example"
    __table_args__ = (Index("ix_added_example_turn", "turn_id"),)

    id: int | None = _id()
    text: str = Field(max_length=1000)
    label: dict[str, Any] = _json()  # intent, aspects, procedures, ask_back
    turn_id: int | None = Field(default=None, sa_column=Column(BIG_ID, nullable=True))
    by: str = Field(max_length=64)
    at: datetime = _at()
    withdrawn_by: str | None = Field(default=None, max_length=64)
    withdrawn_at: datetime | None = _at(nullable=True)


class EverydayName(SQLModel, table=True):
    """What people call a procedure, added by an advisor; never changed, only withdrawn."""

    __tablename__ = "everyday_name"
    __table_args__ = (Index("ix_everyday_name_turn", "turn_id"),)

    id: int | None = _id()
    name: str = Field(max_length=200)
    procedure: str = Field(max_length=12)
    turn_id: int | None = Field(default=None, sa_column=Column(BIG_ID, nullable=True))
    by: str = Field(max_length=64)
    at: datetime = _at()
    withdrawn_by: str | None = Field(default=None, max_length=64)
    withdrawn_at: datetime | None = _at(nullable=True)


class CandidateModel(SQLModel, table=True):
    """A model of the bank: the program's own training content and a set of added examples and names.

    States: training → ready | failed; ready → promoted → retired (→ promoted again by a roll-back).
    """

    __tablename__ = "candidate_model"
    __table_args__ = (  # one training at a time, whatever the replicas
        Index("uq_candidate_training", "state", unique=True, sqlite_where=text("state = 'training'"),
              postgresql_where=text("state = 'training'")),
    )  # fmt: skip

    id: int | None = _id()
    state: str = Field(max_length=12)
    examples: dict[str, Any] = _json()  # {"examples": [ids], "names": [ids]}
    figures: dict[str, Any] = _json()  # see bot.review.training; of turns it holds ids, never words
    progress: str = Field(default="", max_length=80)
    error: str | None = Field(default=None, max_length=500)
    owner: str | None = Field(default=None, max_length=64)  # the process that trains it
    alive_at: datetime = _at()  # its last sign of life
    by: str = Field(max_length=64)
    at: datetime = _at()
    ended_at: datetime | None = _at(nullable=True)


class ModelChange(SQLModel, table=True):
    """Which model answers since when and by whom; the newest row counts. ``model_id`` None: none of the bank."""

    __tablename__ = "model_change"
    __table_args__ = (UniqueConstraint("after", name="uq_model_change_after"),)

    id: int | None = _id()
    after: int = Field(sa_column=Column(BIG_ID, nullable=False))  # the change before, 0 for the first: none at once
    model_id: int | None = Field(default=None, sa_column=Column(BIG_ID, nullable=True))
    kind: str = Field(max_length=12)  # promote | roll_back
    by: str = Field(max_length=64)
    at: datetime = _at()


class Heartbeat(SQLModel, table=True):
    """When a task that only one of all processes does was last done, and by which ("backup")."""

    __tablename__ = "heartbeat"

    name: str = Field(primary_key=True, max_length=40)
    owner: str = Field(max_length=64)
    at: datetime = _at()


METADATA = SQLModel.metadata
