"""One turn from a message to replies, the same for every door: service, ``converse``, ``chat``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Protocol

from bot.catalog.answers import Desk
from bot.catalog.offices import Offices
from bot.conversation import offices, owner, survey
from bot.conversation.decide import Context, decide, finished, wanted_codes
from bot.conversation.due import due_text, ready_text
from bot.conversation.model import DossierView, Memory, Outcome, Reply, Turn
from bot.conversation.places import find_place, place_text
from bot.conversation.resolve import faded, resolve
from bot.conversation.wording import T, number_of, start_buttons
from nlu.port import NluEngine


@dataclass(frozen=True)
class LookedUp:
    """What a look-up of dossier codes gave: each code with its view or None; ``limited`` where refused."""

    views: Mapping[str, DossierView | None]
    limited: bool = False


class Dossiers(owner.Owners, survey.Surveys, Protocol):
    """The dossiers as one citizen may see them."""

    def look_up(self, codes: tuple[str, ...]) -> LookedUp:
        """Looks up canonical codes; what a bare code opens."""
        ...


@dataclass(frozen=True)
class Talk:
    """What turns need that stays the same between them.

    Attributes:
        engine: reads messages.
        desk: catalogue, office and province as of a day; of several offices, those of the default one.
        keep_days: how long talk is kept.
        page: procedure code → address of its page, None where the office has no public address.
        model: the model of the bank that the engine was made of, None for the program's own content alone.
        offices: the offices of the deployment.
        desks: the desk of each of several offices; of None the one that speaks for all.
    """

    engine: NluEngine
    desk: Callable[[datetime], Desk]
    keep_days: int
    page: Callable[[str], str | None] = lambda _code: None
    model: int | None = None
    offices: Offices = field(default_factory=Offices)
    desks: Callable[[str | None, datetime], Desk] | None = None

    def at(self, office: str | None, now: datetime) -> Desk:
        """The desk of an office; of None, or of one that is not known here, the one that speaks for all.

        With one office it is always that one's.
        """
        if self.desks is None or not self.offices.several:
            return self.desk(now)
        return self.desks(self.offices.known(office), now)

    def pinned(self, now: datetime) -> Talk:
        """The same, with the desks of this moment: they stay whole though staff confirm a change during the turn."""
        desk = self.desk(now)
        return replace(self, desk=lambda _now: desk, desks=cache(lambda office, _now: self.at(office, now)))

    def turn(
        self,
        text: str,
        memory: Memory,
        now: datetime,
        dossiers: Dossiers,
        channel: str = "terminal",
        account: str | None = None,
    ) -> Turn:
        """Understands one message in the light of the memory and decides what is said.

        Args:
            text: as typed.
            memory: of this conversation, as the last turn left it.
            now: the moment of the message (aware).
            dossiers: asked only where the message is about a dossier.
            channel: name of the channel.
            account: slug of the office whose own account was written to, None for the one that all share.
        """
        memory = faded(memory, now)
        if not self.offices.several:
            return self._turn(text, memory, now, dossiers, channel)

        def finish(said: Turn, before: Memory) -> Turn:
            return finished(said, before, self._context(now, channel, LookedUp({}), dossiers, before.office))

        scene = offices.Scene(
            self.offices,
            desk=lambda office: self.at(office, now),
            answer=lambda asked, known: self._turn(asked, known, now, dossiers, channel),
            finish=finish,
            place=find_place,
            account=self.offices.known(account),
        )
        return offices.step(text, memory, scene)

    def _turn(self, text: str, memory: Memory, now: datetime, dossiers: Dossiers, channel: str) -> Turn:
        """One turn at the office of the memory."""
        context = self._context(now, channel, LookedUp({}), dossiers, memory.office)
        number = number_of(text) if memory.menu else None
        if number is not None and not 1 <= number <= len(memory.menu) and memory.pending is None:
            return finished(_no_such_number(memory), memory, context)
        text = _chosen(number, text, memory)
        memory = replace(memory, menu=())
        said = owner.step(text, memory, dossiers, channel) or survey.step(text, memory, dossiers)
        if said is not None:
            return finished(said, memory, context)
        resolved = resolve(self.engine.parse(text), memory, self.engine)
        if resolved.understanding.intent == "subscribe":
            return finished(
                owner.asked("subscribe", resolved.understanding.dossier_codes, memory, dossiers, channel),
                memory,
                context,
            )
        codes = wanted_codes(resolved, memory)
        looked = dossiers.look_up(codes) if codes else LookedUp({})
        said = decide(resolved, memory, self._context(now, channel, looked, dossiers, memory.office))
        return replace(said, evidence={**said.evidence, "model": self.model})

    def other(
        self,
        kind: str,
        memory: Memory,
        now: datetime,
        dossiers: Dossiers,
        channel: str,
        phone: str | None = None,
        account: str | None = None,
    ) -> Turn:
        """The turn for what is no text: a shared contact, a new follower, a sticker and so on."""
        memory = faded(memory, now)
        if self.offices.several:
            memory = offices.located(memory, self.offices, account)
        if kind == "contact":
            said = owner.contact(phone, memory, dossiers, channel)
        elif kind == "contact_unverified":
            said = owner.unverified_contact(memory)
        elif kind == "follow":
            greeting = T["greet"].format(office=self.at(memory.office, now).office.name)
            said = Turn("greet", (), (), (), Outcome.ACKNOWLEDGED, (Reply(greeting, start_buttons()),), memory)
        else:
            said = unread_turn(memory, kind)
        return finished(said, memory, self._context(now, channel, LookedUp({}), dossiers, memory.office))

    def _context(
        self, now: datetime, channel: str, looked: LookedUp, dossiers: Dossiers, office: str | None
    ) -> Context:
        desk = self.at(office, now)
        return Context(
            desk=desk,
            now=now,
            dossiers=looked.views,
            limited=looked.limited,
            channel=channel,
            keep_days=self.keep_days,
            due_text=lambda code, said: due_text(desk, code, said, now),
            ready=lambda code: ready_text(desk, code, now),
            place=place_text,
            page=self.page,
            vouched=dossiers.vouched,
        )


def _chosen(number: int | None, text: str, memory: Memory) -> str:
    """What a lone number means after a numbered menu; the text itself for anything else."""
    return memory.menu[number - 1] if number is not None and 1 <= number <= len(memory.menu) else text


def _no_such_number(memory: Memory) -> Turn:
    """The answer to a number that the menu doesn't have; the menu stays."""
    said = Reply(T["wrong_number"].format(count=len(memory.menu)))
    return Turn("out_of_scope", (), (), (), Outcome.CLARIFY, (said,), memory, evidence={"how": "wrong_number"})


def failed_turn(memory: Memory, now: datetime) -> Turn:
    """What is said when something broke inside: politely, without pretending."""
    return Turn("out_of_scope", (), (), (), Outcome.FAILED, (Reply(T["failed"]),), memory, evidence={"at": str(now)})


def unread_turn(memory: Memory, kind: str) -> Turn:
    """The answer to a sticker, voice message, place, file …, or to a photo on which no code could be read.

    Args:
        memory: stays as it is.
        kind: of ``Incoming``, or "photo" and the problem: "photo:too_large".
    """
    unread = T["unread"]
    text = unread.get(kind) or unread[kind.partition(":")[0] if kind.startswith("photo") else "other"]
    image = "receipt.png" if kind.startswith("photo") else ""
    return Turn("out_of_scope", (), (), (), Outcome.CLARIFY, (Reply(text, image=image),), memory)
