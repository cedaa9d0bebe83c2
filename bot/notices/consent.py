"""Consent to notices, and the refusal of them (Law 91/2025/QH15: provable, specific, withdrawn as easily as given).

Consent (``Consent``) belongs to a dossier and a channel. A refusal or its end (``Preference``) belongs to a recipient
and beats every consent: HUY stays until START or a plain request, whatever dossiers come later.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from bot.settings import Settings
from bot.storage.tables import Consent, Dossier, Preference

SMS = "sms"
WORDING = "xin-bao-1"  # the question of the chat that a citizen said yes to
AT_THE_COUNTER = "phieu-tiep-nhan-1"  # the line on the reception form


def wants(session: Session, channel: str, recipient: str, dossier_code: str) -> bool | None:
    """The newest word of a recipient about the notices of a dossier (or of all); None where there is none."""
    newest = session.exec(
        select(Preference)
        .where(
            Preference.channel == channel,
            Preference.recipient == recipient,
            col(Preference.dossier_code).in_(("", dossier_code)),
        )
        .order_by(col(Preference.at).desc(), col(Preference.id).desc())
        .limit(1)
    ).first()
    return None if newest is None else newest.wants


def subscribe(
    session: Session, channel: str, recipient: str, dossier_code: str, now: datetime, *, evidence: str
) -> None:
    """Writes down that the owner asked for the notices of a dossier on a channel ("sms", or a chat)."""
    session.add(
        Preference(
            channel=channel, recipient=recipient, dossier_code=dossier_code, wants=True, wording=WORDING,
            evidence=evidence[:200], at=now,
        )
    )  # fmt: skip
    give(session, dossier_code, channel, recipient, now, wording=WORDING, evidence=evidence)


def give(
    session: Session,
    dossier_code: str,
    channel: str,
    recipient: str,
    now: datetime,
    *,
    wording: str,
    evidence: str,
    given: bool = True,
) -> None:
    """Writes a consent (or its end) down, where it says something new."""
    newest = _newest(session, dossier_code, channel, recipient)
    if newest is None and not given:
        return
    if newest is None or newest.given != given or newest.wording != wording:
        session.add(
            Consent(
                dossier_code=dossier_code, channel=channel, recipient=recipient, given=given, wording=wording,
                evidence=evidence[:200], at=now,
            )
        )  # fmt: skip
        session.flush()


def may_sms(session: Session, dossier: Dossier, settings: Settings) -> bool:
    """Whether the phone on file may be told: consent (or the office's statutory basis), and no refusal."""
    if not dossier.phone:
        return False
    if wants(session, SMS, dossier.phone, dossier.code) is False:
        return False
    if dossier.consent_sms or settings.notice_basis:
        return True
    newest = _newest(session, dossier.code, SMS, dossier.phone)
    return newest is not None and newest.given and newest.wording == WORDING


def chose_sms(session: Session, dossier: Dossier) -> bool:
    """Whether the owner's newest wish about this dossier is SMS, not a chat."""
    newest = session.exec(
        select(Preference)
        .where(Preference.dossier_code == dossier.code, Preference.wants == True)  # noqa: E712 - SQL
        .order_by(col(Preference.at).desc(), col(Preference.id).desc())
        .limit(1)
    ).first()
    return newest is not None and newest.channel == SMS


def refuse(session: Session, channel: str, recipient: str, now: datetime, *, evidence: str) -> None:
    """No notices to this recipient any more, of any dossier."""
    _word(session, channel, recipient, now, evidence, refused=True)


def bring_back(session: Session, channel: str, recipient: str, now: datetime, *, evidence: str) -> None:
    """Ends a refusal (START, "nhận tin lại"); it gives no consent that was not there."""
    _word(session, channel, recipient, now, evidence, refused=False)


def _word(session: Session, channel: str, recipient: str, now: datetime, evidence: str, *, refused: bool) -> None:
    session.add(Preference(channel=channel, recipient=recipient, wants=not refused, evidence=evidence[:200], at=now))
    session.flush()


def _newest(session: Session, dossier_code: str, channel: str, recipient: str) -> Consent | None:
    return session.exec(
        select(Consent)
        .where(Consent.dossier_code == dossier_code, Consent.channel == channel, Consent.recipient == recipient)
        .order_by(col(Consent.id).desc())
        .limit(1)
    ).first()
