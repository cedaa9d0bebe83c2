"""Many dossiers at once. What changes nothing, and what is new and tells nobody, costs a few statements a batch.

All others go through ``registry.upsert`` one by one; the outcome is the same for each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pydantic import SecretStr
from sqlalchemy import insert
from sqlmodel import Session, col, select

from bot.dossiers import registry
from bot.dossiers.records import DossierRecord
from bot.notices import consent, policy
from bot.secrets import secret_key
from bot.settings import Settings
from bot.storage.tables import Consent, Dossier, Preference, StatusChange

CHUNK = 500  # codes a statement; databases limit how many it may hold


def upsert(
    session: Session, records: Sequence[DossierRecord], *, source: str, settings: Settings, now: datetime
) -> Counter[str]:
    """Brings dossiers to what the one-stop software says (see ``registry.upsert``).

    Args:
        session: the transaction.
        records: checked; each code once.
        source: "import", "api" or "demo".
        settings: for the secret key and the notices.
        now: the moment (aware).

    Returns:
        How many were "created", "changed", "unchanged".

    Raises:
        IntegrityError: somebody else has created one of them meanwhile; nothing is to be committed.
    """
    # With the key at hand: its file is not read again for each look-up code.
    settings = settings.model_copy(update={"secret_key": SecretStr(secret_key(settings).decode())})
    kinds: Counter[str] = Counter()
    for start in range(0, len(records), CHUNK):
        chunk = sorted(records[start : start + CHUNK], key=lambda one: one.code)  # two imports lock in one order
        kinds += _upsert(session, chunk, source, settings, now)
    return kinds


def _upsert(
    session: Session, records: Sequence[DossierRecord], source: str, settings: Settings, now: datetime
) -> Counter[str]:
    codes = [record.code for record in records]
    there = {
        dossier.code: dossier
        for dossier in session.exec(
            select(Dossier).where(col(Dossier.code).in_(codes)).order_by(Dossier.code).with_for_update()
        )
    }
    spoken_of = _spoken_of(session, codes)
    new: list[tuple[DossierRecord, dict[str, Any]]] = []
    kinds: Counter[str] = Counter()
    for record in records:
        fields = registry.fields_of(record, settings)
        dossier = there.get(record.code)
        if dossier is None and record.code not in spoken_of and not _may_tell(record, settings):
            new.append((record, fields))
            kinds["created"] += 1
        elif dossier is not None and registry.is_same(dossier, record, fields):
            kinds["unchanged"] += 1
        else:
            change = registry.upsert(session, record, source=source, settings=settings, now=now)
            kinds[change.kind] += 1
    _create(session, new, source, now)
    return kinds


def _spoken_of(session: Session, codes: Sequence[str]) -> set[str]:
    """The codes of which somebody said something before: consent, a wish to be told."""
    found: set[str] = set()
    for column in (col(Consent.dossier_code), col(Preference.dossier_code)):
        found.update(session.exec(select(column).where(column.in_(codes))))
    return found


def _may_tell(record: DossierRecord, settings: Settings) -> bool:
    """Whether a new dossier of which nobody has said anything could cause a notice."""
    by_phone = record.phone is not None and (record.consent_sms or settings.notice_basis)
    return bool(by_phone and policy.tells_of_new(record.status))


def _create(session: Session, new: Iterable[tuple[DossierRecord, dict[str, Any]]], source: str, now: datetime) -> None:
    dossiers, changes, consents = [], [], []
    for record, fields in new:
        dossiers.append(
            {"code": record.code, "status": record.status, "demo": record.demo, "created_at": now, "updated_at": now}
            | fields
        )
        changes.append({"dossier_code": record.code, "after": record.status, "source": source, "at": now})
        if record.phone and record.consent_sms:
            consents.append(
                {"dossier_code": record.code, "channel": consent.SMS, "recipient": record.phone, "given": True,
                 "wording": consent.AT_THE_COUNTER, "evidence": registry.evidence(source, now), "at": now}
            )  # fmt: skip
    for table, rows in ((Dossier, dossiers), (StatusChange, changes), (Consent, consents)):
        if rows:
            session.connection().execute(insert(table), rows)
