"""The dossiers as one citizen may see them in one turn: look-ups, proofs and details within its transaction."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlmodel import Session

from bot.catalog.answers import Desk
from bot.conversation.due import deadline_of
from bot.conversation.model import DossierDetails, Incoming, Proof
from bot.conversation.talk import LookedUp
from bot.dossiers import access
from bot.dossiers.access import Citizen
from bot.dossiers.lookup import look_up
from bot.office_accounts import account_of, id_of
from bot.settings import Settings
from bot.storage.tables import Dossier
from bot.survey import surveys


def citizen_of(incoming: Incoming) -> Citizen:
    """Who wrote a message.

    At the bots of several offices one person is as many senders. Together they may guess no more often than the
    visitors of one network: the person takes the place of the network, under a name that tells staff nothing.
    """
    network = incoming.network
    if network is None and account_of(incoming.sender) is not None:
        person = f"{incoming.channel}/{id_of(incoming.sender)}"
        network = hashlib.sha256(person.encode()).hexdigest()[:16]
    return Citizen(incoming.channel, incoming.sender, network)


class CitizenDossiers:
    """``bot.conversation.talk.Dossiers`` over the database, with limits and log."""

    def __init__(self, session: Session, incoming: Incoming, settings: Settings, now: datetime, desk: Desk) -> None:
        self._session = session
        self._citizen = citizen_of(incoming)
        self._settings = settings
        self._now = now
        self._desk = desk
        trusted = incoming.channel == "zalo_oa" and settings.zalo_trust_shared_phone
        self.vouched = incoming.channel == "telegram" or trusted

    def look_up(self, codes: tuple[str, ...]) -> LookedUp:
        """What a bare code opens."""
        found = look_up(
            self._session, codes, self._citizen, settings=self._settings, now=self._now,
            deadline=lambda code, at: deadline_of(self._desk, code, at),
        )  # fmt: skip
        return LookedUp(found.views, found.limited)

    def exists(self, code: str) -> bool | None:
        """Whether it is on file; counts as a look-up. None: too many of them."""
        looked = self.look_up((code,))
        return None if looked.limited else looked.views.get(code) is not None

    def prove(self, code: str, proof: Proof) -> str:
        """Tries a proof: "opened", "refused" or "limited"."""
        return access.prove(self._session, self._citizen, code, proof, self._settings, self._now)

    def details(self, code: str) -> DossierDetails | None:
        """The details, once proven."""
        dossier = self._session.get(Dossier, code)
        procedure = self._desk.catalog.get(dossier.procedure) if dossier and dossier.procedure else None
        name = procedure.short_name if procedure else None
        return access.details(self._session, self._citizen, code, self._now, name)

    def code_allowed(self, code: str) -> bool:
        """Whether one more one-time code may be sent."""
        return access.code_allowed(self._session, self._citizen, code, self._settings, self._now)

    def survey(self) -> str | None:
        """The dossier whose survey this citizen was last asked for here and has not answered."""
        return surveys.asked_in_chat(self._session, self._citizen.channel, self._citizen.sender, self._now)

    def rate(self, code: str, score: int) -> str:
        """Stores a score: "stored", "answered" or "closed"."""
        who = (self._citizen.channel, self._citizen.sender)
        return surveys.rate_in_chat(self._session, *who, code, score, self._now)

    def comment(self, code: str, text: str) -> bool:
        """Adds words to the score."""
        return surveys.comment_in_chat(self._session, self._citizen.channel, self._citizen.sender, code, text)
