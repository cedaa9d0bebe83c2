"""What citizens are told, exactly as a channel shows it: through the chat's own words and rendering."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.catalog.answers import Desk
from bot.catalog.offices import Offices
from bot.catalog.schema import Aspect
from bot.channels.rendering import Message, render, render_all
from bot.conversation.decide import procedure_replies
from bot.conversation.due import ready_text
from bot.conversation.model import Memory
from bot.conversation.talk import Talk
from bot.dossiers.offline import OfflineDossiers
from bot.notices.gsm7 import segments
from bot.texts import phrases

CHANNELS = ("zalo_oa", "zalo_bot", "telegram", "web", "sms")
_LABELS = phrases("answers")["titles"]


@dataclass(frozen=True, slots=True)
class Shown:
    """One answer on one channel.

    Attributes:
        title: what was asked.
        messages: as they leave.
        parts: how many SMS they cost; 0 on other channels.
    """

    title: str
    messages: tuple[Message, ...]
    parts: int = 0


def answer(desk: Desk, code: str, aspect: Aspect, channel: str, talk: Talk, now: datetime) -> Shown:
    """The answer about one aspect of a procedure; no message where the desk doesn't have it."""
    procedure = desk.catalog.get(code)
    if procedure is None:
        return Shown(_LABELS[aspect], ())
    today = desk.today == talk.desk(now).today
    ready = ready_text(desk, code, now) if aspect is Aspect.PROCESSING_TIME and today else None
    replies = procedure_replies(procedure, (aspect,), desk, channel=channel, page=talk.page(code), ready=ready)
    return _shown(_LABELS[aspect], [one for reply in replies for one in render(reply, channel).messages], channel)


def answers(desk: Desk, code: str, aspects: Iterable[Aspect], channel: str, talk: Talk, now: datetime) -> list[Shown]:
    """The answers about some aspects."""
    return [answer(desk, code, aspect, channel, talk, now) for aspect in aspects]


def said(desk: Desk, question: str, channel: str, talk: Talk, now: datetime) -> Shown:
    """The answer to a question typed as citizens do, from a desk that is not in use yet."""
    pinned = replace(talk, desk=lambda _now: desk, offices=Offices())  # asked at this office: no choice
    turn = pinned.turn(question, Memory(greeted=True, at=now), now, OfflineDossiers(lambda _code: None, desk), channel)
    return _shown(question, render_all(turn.replies, channel).messages, channel)


def _shown(title: str, messages: Sequence[Message], channel: str) -> Shown:
    parts = sum(segments(message.text).count for message in messages) if channel == "sms" else 0
    return Shown(title, tuple(messages), parts)
