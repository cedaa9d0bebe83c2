"""One turn from text to reply, the same for every door: service, ``converse``, ``chat``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.catalog.answers import Desk
from bot.conversation.decide import Context, decide, wanted_codes
from bot.conversation.due import due_text, ready_text
from bot.conversation.model import DossierView, Memory, Outcome, Reply, Turn
from bot.conversation.places import place_text
from bot.conversation.resolve import faded, resolve
from bot.conversation.wording import T
from nlu.port import NluEngine


@dataclass(frozen=True)
class LookedUp:
    """What a look-up of dossier codes gave: each code with its view or None; ``limited`` where refused."""

    views: Mapping[str, DossierView | None]
    limited: bool = False


@dataclass(frozen=True)
class Talk:
    """What turns need that stays the same between them.

    Attributes:
        engine: reads messages.
        desk: catalogue, office and province as of a day.
        keep_days: how long talk is kept.
    """

    engine: NluEngine
    desk: Callable[[datetime], Desk]
    keep_days: int

    def turn(
        self,
        text: str,
        memory: Memory,
        now: datetime,
        look_up: Callable[[tuple[str, ...]], LookedUp],
        channel: str = "terminal",
    ) -> Turn:
        """Understands one message in the light of the memory and decides what is said.

        Args:
            text: as typed.
            memory: of this conversation, as the last turn left it.
            now: the moment of the message (aware).
            look_up: called with canonical dossier codes, only where the message asks for them.
            channel: name of the channel.
        """
        desk = self.desk(now)
        memory = faded(memory, now)
        resolved = resolve(self.engine.parse(text), memory, self.engine)
        codes = wanted_codes(resolved, memory)
        looked = look_up(codes) if codes else LookedUp({})
        context = Context(
            desk=desk,
            now=now,
            dossiers=looked.views,
            limited=looked.limited,
            channel=channel,
            keep_days=self.keep_days,
            due_text=lambda code, said: due_text(desk, code, said, now),
            ready=lambda code: ready_text(desk, code, now),
            place=place_text,
        )
        return decide(resolved, memory, context)


def failed_turn(memory: Memory, now: datetime) -> Turn:
    """What is said when something broke inside: politely, without pretending."""
    return Turn("out_of_scope", (), (), (), Outcome.FAILED, (Reply(T["failed"]),), memory, evidence={"at": str(now)})


def unread_turn(memory: Memory) -> Turn:
    """The answer to a photo, file or voice message."""
    return Turn("out_of_scope", (), (), (), Outcome.CLARIFY, (Reply(T["photo"]),), memory)
