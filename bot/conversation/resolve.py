"""Merging one message with what the conversation remembers. Pure.

A message alone may be a number, "còn phí?", "à không, đăng ký lại": only with the
memory it means something. What comes out is an ``Understanding`` as resolved in context.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.conversation.model import Memory
from nlu.normalize import prepare
from nlu.port import NluEngine, Understanding

FADES_AFTER = timedelta(minutes=30)
MAX_OFFERED = 4
FOLLOW_UP_WORDS = 2  # at most this many words of content in a question without a subject

_ORDINALS = {
    "mot": 1, "nhat": 1, "dau": 1, "dau tien": 1, "hai": 2, "nhi": 2, "ba": 3, "bon": 4, "tu": 4, "nam": 5,
    "sau": -1, "cuoi": -1, "cuoi cung": -1, "chot": -1, "tren": 1, "duoi": -1,
}  # fmt: skip
_PICK = re.compile(
    r"(?:da |vang |toi |em |minh |chon |lay |cho |la |muc |so |cai |y |thu tuc |truong hop |phuong an |dap an )*"
    r"(?:thu |so |muc |cai )*"
    r"(?P<pick>\d{1,2}|dau tien|cuoi cung|mot|nhat|dau|hai|nhi|ba|bon|tu|nam|sau|cuoi|chot|tren|duoi)"
    r"(?: a| nha| nhe| di| do| ban| ad| em| nhen| duoc roi)*"
)
_CORRECTION = re.compile(
    r"^(?:a |da |y |ua |oi )*(?:khong phai|khong|nham(?: roi)?|sai roi|y (?:toi|minh|em) la)\b"
    r"(?:\s+(?:ma la|ma|phai|la))?\s*(?P<rest>.*)$"
)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A message in context.

    Attributes:
        understanding: with intent, aspects and procedures as meant in context.
        how: "alone", "choice", "follow_up", "correction", "rejection", "wrong_number", "no_list".
    """

    understanding: Understanding
    how: str = "alone"


def faded(memory: Memory, now: datetime) -> Memory:
    """The memory without subject and pending question once they are too old."""
    if memory.at is not None and now - memory.at > FADES_AFTER:
        return Memory(greeted=memory.greeted, at=memory.at)
    return memory


def _picked(folded: str, count: int) -> int | None:
    """The index chosen from a list of ``count`` by number or ordinal; -1 where out of range."""
    match = _PICK.fullmatch(folded)
    if not match:
        return None
    word = match["pick"]
    number = int(word) if word.isdigit() else _ORDINALS[word]
    if number == -1:
        number = count
    return number - 1 if 1 <= number <= count else -1


def _as_choice(understanding: Understanding, memory: Memory, code: str) -> Understanding:
    intent = memory.intent or "ask_procedure"
    aspects = memory.aspects if intent == "ask_procedure" else ()
    if understanding.intent == "ask_procedure" and understanding.aspects not in {(), ("overview",)}:
        aspects = understanding.aspects
    if intent == "ask_procedure" and not aspects:
        aspects = ("overview",)
    return replace(
        understanding, intent=intent, aspects=aspects, procedure=code, procedures=(code,), confidence=1.0
    )  # fmt: skip


def _choice(understanding: Understanding, folded: str, memory: Memory, engine: NluEngine) -> Resolved | None:
    codes = tuple(choice.procedure for choice in memory.offered)
    index = _picked(folded, len(codes))
    if index is not None:
        if index < 0:
            return Resolved(replace(understanding, intent="ask_procedure", aspects=memory.aspects), "wrong_number")
        return Resolved(_as_choice(understanding, memory, codes[index]), "choice")
    if understanding.intent == "affirm" and len(codes) == 1:
        return Resolved(_as_choice(understanding, memory, codes[0]), "choice")
    if understanding.procedure in codes and len(understanding.procedures) == 1:
        return Resolved(_as_choice(understanding, memory, understanding.procedure or ""), "choice")
    if understanding.intent in {"ask_procedure", "out_of_scope", "due_date"} and understanding.procedure is None:
        ranked = engine.choose(understanding.text, codes)
        if ranked and (len(ranked) == 1 or ranked[0].score >= 1.6 * ranked[1].score) and len(folded.split()) <= 12:
            return Resolved(_as_choice(understanding, memory, ranked[0].code), "choice")
    return None


def _corrected(understanding: Understanding, folded: str, memory: Memory, engine: NluEngine) -> Resolved | None:
    match = _CORRECTION.match(folded)
    if not match or memory.topic is None:
        return None
    rest = match["rest"].strip()
    if not rest or len(rest.split()) < 2:
        return Resolved(replace(understanding, intent="deny", aspects=(), procedures=(), procedure=None), "rejection")
    meant = engine.parse(rest)
    code = meant.procedure
    if code is None or code == memory.topic:
        near = tuple(choice.procedure for choice in memory.offered if choice.procedure != memory.topic)
        ranked = engine.choose(rest, near) if near else ()
        code = ranked[0].code if ranked else None
    if code is None:
        return Resolved(replace(understanding, intent="deny", aspects=(), procedures=(), procedure=None), "rejection")
    aspects = meant.aspects if meant.aspects != ("overview",) else memory.aspects or ("overview",)
    return Resolved(
        replace(understanding, intent="ask_procedure", aspects=aspects, procedure=code, procedures=(code,)),
        "correction",
    )


def resolve(understanding: Understanding, memory: Memory, engine: NluEngine) -> Resolved:
    """What a message means after what went before.

    Args:
        understanding: of the message alone.
        memory: already ``faded``.
        engine: asked again only for corrections and choices in words.
    """
    folded = prepare(understanding.text).folded
    if memory.pending == "choice" and memory.offered:
        chosen = _choice(understanding, folded, memory, engine)
        if chosen:
            return chosen
    elif not folded.isdigit() and _picked(folded, MAX_OFFERED) is not None:
        # "Cái thứ hai" where no list is open: of what?
        return Resolved(replace(understanding, intent="ask_procedure", aspects=(), procedures=(), procedure=None,
                                candidates=()), "no_list")  # fmt: skip
    corrected = _corrected(understanding, folded, memory, engine)
    if corrected:
        return corrected
    follows = understanding.intent in {"ask_procedure", "due_date"} and understanding.procedure is None
    if memory.topic and follows and understanding.content_words <= FOLLOW_UP_WORDS:
        aspects = understanding.aspects
        if aspects == ("overview",):
            aspects = memory.aspects or aspects
        return Resolved(
            replace(understanding, aspects=aspects, procedure=memory.topic, procedures=(memory.topic,)), "follow_up"
        )
    return Resolved(understanding)
