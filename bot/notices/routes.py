"""Who is told, and on which way first: chat, then a Zalo template, then SMS. Pure but for what the tables say.

The next way is taken only after a definite rejection of the one before, never after "accepted" or "uncertain".
A chat within Zalo's window is free and was chosen by the citizen; SMS costs most (reference/channels.md §3).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from bot.conversation.survey import buttons as score_buttons
from bot.notices import consent, wording
from bot.office_accounts import account_of
from bot.settings import Settings
from bot.storage import queue
from bot.storage.tables import Conversation, Dossier, Outbox, Preference
from bot.survey.surveys import EVENT
from bot.texts import phrases

SMS = "sms"
ZALO = "zalo_oa"
BY_USER, BY_PHONE = "zbs_uid", "zbs_phone"
PHONE_CHANNELS = frozenset({SMS, BY_PHONE})


@dataclass(frozen=True, slots=True)
class Step:
    """One way to one recipient."""

    channel: str
    recipient: str


def routes(session: Session, dossier: Dossier, event: str, settings: Settings) -> list[tuple[Step, ...]]:
    """The ways a notice about a dossier takes, one row of steps for each person to be told.

    Each chat that asked is told there. The phone on file is told by SMS, unless a chat of its owner asked to be told
    in the chat instead: then SMS is what that chat falls back to.
    """
    from bot.notices.policy import office_of  # noqa: PLC0415 - the two know each other

    def templated(office: str | None) -> bool:
        return event in settings.at(office).zalo_template_ids

    chats = _chats(session, dossier)
    phone = dossier.phone if consent.may_sms(session, dossier, settings) else None
    first = (BY_PHONE,) if phone and templated(office_of(dossier.code, settings)) else ()
    by_phone = tuple(Step(channel, phone) for channel in (*first, SMS)) if phone else ()
    found: list[tuple[Step, ...]] = []
    merged = False
    for step in chats:
        steps: tuple[Step, ...] = (step,)
        if step.channel == ZALO and templated(account_of(step.recipient)):
            steps += (Step(BY_USER, step.recipient),)
        if by_phone and not merged and not consent.chose_sms(session, dossier):
            steps += by_phone
            merged = True
        found.append(steps)
    if by_phone and not merged:
        found.append(by_phone)
    return found


def _chats(session: Session, dossier: Dossier) -> list[Step]:
    """The chats that asked to be told about this dossier, still want it and can be reached; the newest wish first."""
    asked = session.exec(
        select(Preference)
        .where(Preference.dossier_code == dossier.code, col(Preference.channel).notin_(PHONE_CHANNELS))
        .order_by(col(Preference.id).desc())
    ).all()
    steps = dict.fromkeys(Step(one.channel, one.recipient) for one in asked)
    return [
        step
        for step in steps
        if consent.wants(session, step.channel, step.recipient, dossier.code) and _reachable(session, step)
    ]


def _reachable(session: Session, step: Step) -> bool:
    gone = select(Conversation.id).where(
        Conversation.channel == step.channel,
        Conversation.sender == step.recipient,
        col(Conversation.unreachable_at).is_not(None),
    )
    return session.exec(gone).first() is None


def put(
    session: Session,
    steps: tuple[Step, ...],
    dossier: Dossier,
    like: Outbox,
    template: str,
    fields: dict[str, str],
    *,
    several: bool = False,
) -> int | None:
    """Puts a notice on the first of its ways into the outbox, the others noted behind it.

    Args:
        session: the transaction.
        steps: at least one.
        dossier: it is about.
        like: office, event, occurrence, priority and times; not stored itself.
        template: name of the text.
        fields: of the template.
        several: whether there are several offices: a chat is written to from the account that it wrote to.

    Returns:
        The outbox id; None where this recipient has the notice of this occurrence already.
    """
    first, *rest = steps
    text = wording.render(session, template, fields, first.channel)
    if dossier.demo and first.channel not in PHONE_CHANNELS:
        text = f"{phrases('replies')['status_demo']}\n{text}"
    asks = like.event == EVENT and first.channel not in PHONE_CHANNELS
    body = {
        "text": text, "template": template, "fields": fields,
        "buttons": [asdict(button) for button in score_buttons(dossier.code)] if asks else [],
        "route": [[step.channel, step.recipient] for step in rest],
    }  # fmt: skip
    row = Outbox(
        kind="notice", channel=first.channel, recipient=first.recipient,
        dedupe_key=dedupe_key(first, dossier.code, like.event or "", like.occurrence or ""), body=body,
        dossier_code=dossier.code, event=like.event, occurrence=like.occurrence, demo=dossier.demo,
        priority=like.priority, not_before=like.not_before, expires_at=like.expires_at, created_at=like.created_at,
        office=_account(session, first) if several and first.channel not in PHONE_CHANNELS else like.office,
    )  # fmt: skip
    return queue.put_outbox(session, row)


def _account(session: Session, step: Step) -> str | None:
    channel = ZALO if step.channel == BY_USER else step.channel
    where = (Conversation.channel == channel, Conversation.sender == step.recipient)
    return session.exec(select(Conversation.account).where(*where)).first()


def dedupe_key(step: Step, code: str, event: str, occurrence: str) -> str:
    """What makes a notice one: dossier, event, occurrence, recipient (and the way, but for SMS)."""
    key = f"{code}:{event}:{occurrence}:{step.recipient}"
    return key if step.channel == SMS else f"{step.channel}:{key}"


def fall_back(session: Session, row: Outbox, settings: Settings, now: datetime) -> int | None:
    """Takes the next way of a notice that surely did not go out on this one.

    Called in the transaction that marks the row failed.

    Returns:
        The new outbox id; None where there is no other way, or it is no notice.
    """
    from bot.notices.policy import office_of, sending_time  # noqa: PLC0415 - the two know each other

    route = [Step(str(channel), str(recipient)) for channel, recipient in row.body.get("route") or ()]
    dossier = session.get(Dossier, row.dossier_code) if row.kind == "notice" else None
    if not route or dossier is None:
        return None
    like = Outbox(
        kind="notice", channel="", recipient="", dedupe_key="", event=row.event, occurrence=row.occurrence,
        priority=row.priority, not_before=sending_time(now, settings), expires_at=row.expires_at, created_at=now,
        office=office_of(dossier.code, settings),
    )  # fmt: skip
    template, fields = str(row.body["template"]), dict(row.body["fields"])
    return put(session, tuple(route), dossier, like, template, fields, several=len(settings.offices) > 1)
