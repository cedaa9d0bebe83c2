"""The dossiers for one person at a terminal: nothing is written, nothing is limited, no SMS goes out."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

from bot.catalog.answers import Desk
from bot.conversation.due import deadline_of
from bot.conversation.model import DossierDetails, Proof
from bot.conversation.talk import LookedUp
from bot.dossiers.access import as_printed
from bot.dossiers.lookup import view
from bot.dossiers.records import DossierRecord
from bot.logs import mask
from bot.storage.tables import Dossier

_PREFIX = "plain:"


def dossier_of(record: DossierRecord, now: datetime) -> Dossier:
    """A record as a row that is in no database; its look-up code stays readable, for ``OfflineDossiers``."""
    known = asdict(record)
    lookup = known.pop("lookup_code")
    kept = f"{_PREFIX}{as_printed(lookup)}" if lookup else None
    return Dossier(created_at=now, updated_at=now, lookup_digest=kept, **known)


class OfflineDossiers:
    """``bot.conversation.talk.Dossiers`` over anything that finds a dossier by its canonical code."""

    def __init__(self, find: Callable[[str], Dossier | None], desk: Desk) -> None:
        self._find = find
        self._desk = desk
        self._open: set[str] = set()
        self.vouched = False  # the terminal shares no numbers

    def look_up(self, codes: tuple[str, ...]) -> LookedUp:
        """What a bare code opens."""
        found = {code: self._find(code) for code in codes}
        return LookedUp(
            {code: view(d, lambda c, at: deadline_of(self._desk, c, at)) if d else None for code, d in found.items()}
        )

    def exists(self, code: str) -> bool | None:
        """Whether it is on file."""
        return self._find(code) is not None

    def prove(self, code: str, proof: Proof) -> str:
        """Compares with the look-up code or the phone of the record."""
        dossier = self._find(code)
        expected = None
        if dossier is not None:
            expected = dossier.phone if proof.kind == "phone" else dossier.lookup_digest
        given = proof.value if proof.kind == "phone" else f"{_PREFIX}{as_printed(proof.value)}"
        if expected is None or not hmac.compare_digest(expected.encode(), given.encode()):
            return "refused"
        self._open.add(code)
        return "opened"

    def details(self, code: str) -> DossierDetails | None:
        """The details, once proven."""
        dossier = self._find(code)
        if dossier is None or code not in self._open:
            return None
        procedure = self._desk.catalog.get(dossier.procedure) if dossier.procedure else None
        return DossierDetails(
            procedure=procedure.short_name if procedure else None,
            received_at=dossier.received_at,
            note=dossier.note,
            phone=mask(dossier.phone) if dossier.phone else None,
            sms=dossier.consent_sms,
            chat=False,
        )

    def code_allowed(self, code: str) -> bool:  # noqa: ARG002 - the port's signature
        """None can be sent from here."""
        return False

    def survey(self) -> str | None:
        """Nobody is asked here."""
        return None

    def rate(self, code: str, score: int) -> str:  # noqa: ARG002 - the port's signature
        """There is nothing to rate."""
        return "closed"

    def comment(self, code: str, text: str) -> bool:  # noqa: ARG002 - the port's signature
        """There is nothing to add to."""
        return False
