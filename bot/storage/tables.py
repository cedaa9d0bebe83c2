"""All tables, by subject. Times are UTC; the schema is created only by the migrations."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, DateTime, Dialect, Index, Integer, UniqueConstraint, text
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

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


class Inbox(SQLModel, table=True):
    """One message received; unique by channel and message id, worked off per sender in order.

    States: waiting → claimed → done | dead (given up after many attempts, told politely).
    """

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("channel", "message_id", name="uq_inbox_message"),
        Index("ix_inbox_open", "state", "next_try_at"),
        Index("ix_inbox_sender", "channel", "sender", "state", "id"),
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
        Index("ix_outbox_log", "kind", "created_at", "id"),  # what the desk lists and counts
        # Of notices alone: an index that begins with kind and state would lead SQLite away from ix_outbox_open in the
        # claim of what is due (a test looks at that).
        Index(
            "ix_outbox_state_log", "state", "created_at", "id", "channel", sqlite_where=_NOTICES,
            postgresql_where=_NOTICES,
        ),  # fmt: skip
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


class Turn(SQLModel, table=True):
    """One message and its answer, kept ``keep_talk_days``."""

    __tablename__ = "turn"

    id: int | None = _id()
    conversation_id: int = Field(sa_column=Column(BIG_ID, nullable=False, index=True))
    inbox_id: int | None = Field(default=None, sa_column=Column(BIG_ID, nullable=True, unique=True))
    text: str = Field(max_length=4000)
    intent: str = Field(max_length=24)
    outcome: str = Field(max_length=16)
    understanding: dict[str, Any] = _json()
    replies: dict[str, Any] = _json()
    at: datetime = _at(index=True)


class Handoff(SQLModel, table=True):
    """A citizen waits for a person, or left a complaint or a rating."""

    __tablename__ = "handoff"

    id: int | None = _id()
    conversation_id: int = Field(sa_column=Column(BIG_ID, nullable=False, index=True))
    kind: str = Field(max_length=16)  # handoff | complaint | rating | miss
    text: str = Field(max_length=4000)
    state: str = Field(default="open", max_length=12)  # open | done
    taken_by: str | None = Field(default=None, max_length=64)
    created_at: datetime = _at()
    closed_at: datetime | None = _at(nullable=True)


_OPEN = text("status IN (1, 2, 4, 5, 6)")


class Dossier(SQLModel, table=True):
    """One dossier (hồ sơ) as the one-stop software told it; the least that is needed."""

    __tablename__ = "dossier"
    # The last columns of each are only there so that the counts need no look at the table itself.
    __table_args__ = (
        # Those still worked on (bot.dossiers.status.OPEN), by their date: what the desk looks at all day.
        Index("ix_dossier_open_due", "due_at", "code", "procedure", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_dossier_updated", "updated_at", "code"),
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
    __table_args__ = (Index("ix_status_change_code", "dossier_code", "id"),)

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
    __table_args__ = (Index("ix_lookup_who", "channel", "sender", "at"), Index("ix_lookup_network", "network", "at"))

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
    __table_args__ = (Index("ix_audit_subject", "subject", "id"),)

    id: int | None = _id()
    staff: str = Field(max_length=64)
    action: str = Field(max_length=40)
    subject: str = Field(max_length=100)
    detail: dict[str, Any] = _json()
    at: datetime = _at(index=True)


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


class Heartbeat(SQLModel, table=True):
    """Which process runs here: a second ``serve`` on one SQLite file is refused."""

    __tablename__ = "heartbeat"

    name: str = Field(primary_key=True, max_length=40)
    owner: str = Field(max_length=64)
    at: datetime = _at()


METADATA = SQLModel.metadata
