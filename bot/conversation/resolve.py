"""Merging one message with what the conversation remembers. Pure.

A message alone may be a number, "còn phí?", "à không, đăng ký lại": only with the
memory it means something. What comes out is an ``Understanding`` as resolved in context.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from bot.conversation.model import Choice, Memory
from nlu.features import ASKING
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
    r"^(?:a |da |y |ua |oi |thoi )*(?:khong phai|khong|nham|lon|sai|y (?:toi|minh|em|con) la)\b(?: roi| mat roi)?"
    r"(?:\s+(?:ma la|ma|phai|la))?\s*(?P<rest>.*)$"
)
_FILLER = frozenset(
    "cai do nay kia dau a ma vay roi thu tuc muc y toi minh em con phai nha nhe ad ui cac nhung".split()
)
# "Còn cái sau thì …" after an answer about two procedures.
_WHICH_OF_TWO = re.compile(
    r"^(?:con |the con )?cai (?P<which>sau|cuoi|thu hai|thu 2|dau|truoc|thu nhat|thu 1|do|nay)\b"
)
_CHOOSING = re.compile(
    r"^(?:da |vang |toi |minh |em |la |chon |lay )*(?:cai|muc|loai|ben|truong hop|kieu|viec|thu tuc)\b"
)
_FIRST = frozenset({"dau", "truoc", "thu nhat", "thu 1"})
SHORT = 10  # words; a longer message is not just a choice in words


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
        return Memory(greeted=memory.greeted, office=memory.office, at=memory.at)
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
    if index is not None and index < 0:
        return Resolved(replace(understanding, intent="ask_procedure", aspects=memory.aspects), "wrong_number")
    code = codes[index] if index is not None else _chosen_in_words(understanding, folded, memory, engine)
    return Resolved(_as_choice(understanding, memory, code), "choice") if code else None


def _chosen_in_words(understanding: Understanding, folded: str, memory: Memory, engine: NluEngine) -> str | None:
    codes = tuple(choice.procedure for choice in memory.offered)
    length = len(folded.split())
    if understanding.intent == "affirm" and len(codes) == 1:
        return codes[0]
    if understanding.text[:300] == memory.question:
        return None  # the same once more tells nothing new
    if length <= SHORT and (understanding.procedure is None or _CHOOSING.match(folded)):
        told = _told_apart(folded, memory.offered)
        if told:
            return told
    if understanding.procedure in codes and len(understanding.procedures) == 1:
        return understanding.procedure
    if understanding.intent in {"ask_procedure", "out_of_scope", "due_date"} and understanding.procedure is None:
        ranked = engine.choose(understanding.text, codes)
        if ranked and (len(ranked) == 1 or ranked[0].score >= 1.6 * ranked[1].score) and length <= SHORT + 2:
            return ranked[0].code
    return None


def _told_apart(folded: str, offered: Sequence[Choice]) -> str | None:
    """The one choice that the message's words belong to and the others' do not; None where it is not clear."""
    said = folded.split()
    asked = {word for word in said if word not in ASKING} | {f"{a} {b}" for a, b in pairwise(said)}
    features = []
    for choice in offered:
        words = prepare(f"{choice.label} {choice.hint}").words
        features.append({word for word in words if word not in ASKING} | {f"{a} {b}" for a, b in pairwise(words)})
    scores = []
    for number, own in enumerate(features):
        others = set().union(*(other for at, other in enumerate(features) if at != number))
        scores.append(sum(2 if " " in feature else 1 for feature in (own - others) & asked))
    ranked = sorted(zip(scores, offered, strict=True), key=lambda item: -item[0])
    if len(ranked) < 2 or ranked[0][0] < 2 or ranked[0][0] < 2 * ranked[1][0]:
        return None
    return ranked[0][1].procedure


def _corrected(understanding: Understanding, folded: str, memory: Memory, engine: NluEngine) -> Resolved | None:
    match = _CORRECTION.match(folded)
    if not match or memory.topic is None:
        return None
    rest = match["rest"].strip()
    if all(word in _FILLER for word in rest.split()) or len(rest.split()) < 2:
        return Resolved(replace(understanding, intent="deny", aspects=(), procedures=(), procedure=None), "rejection")
    meant = engine.parse(rest)
    if meant.content_words == 0 and meant.aspects not in {(), ("overview",)}:  # "không, tui hỏi mấy ngày mà"
        return _followed(meant, memory)
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
    return (
        _chosen(understanding, folded, memory, engine)
        or _corrected(understanding, folded, memory, engine)
        or _follow_up(understanding, folded, memory)
        or Resolved(understanding)
    )


def _chosen(understanding: Understanding, folded: str, memory: Memory, engine: NluEngine) -> Resolved | None:
    """A choice from what was offered, or from what is easily taken for the answer just given."""
    if memory.pending == "choice" and memory.offered:
        return _choice(understanding, folded, memory, engine)
    if not folded.isdigit() and _picked(folded, MAX_OFFERED) is not None:
        # "Cái thứ hai" where no list is open: of what?
        nothing = replace(
            understanding, intent="ask_procedure", aspects=(), procedures=(), procedure=None, candidates=()
        )  # fmt: skip
        return Resolved(nothing, "no_list")
    if memory.topic and _CHOOSING.match(folded) and len(folded.split()) <= SHORT:
        # "Cái có yếu tố nước ngoài kìa" after an answer: what is easily taken for it is at hand.
        meant = _told_apart(folded, memory.offered)
        return Resolved(_as_choice(understanding, memory, meant), "correction") if meant else None
    return None


def _follow_up(understanding: Understanding, folded: str, memory: Memory) -> Resolved | None:
    """A question without a subject, about the one that is open."""
    if not memory.topic or understanding.intent not in {"ask_procedure", "due_date"}:
        return None
    which = _WHICH_OF_TWO.match(folded)
    if which and memory.answered and understanding.content_words <= FOLLOW_UP_WORDS:
        topic = memory.answered[0 if which["which"] in _FIRST else -1]
        return _followed(understanding, replace(memory, topic=topic))
    unnamed = understanding.procedure is None and understanding.content_words <= FOLLOW_UP_WORDS
    return _followed(understanding, memory) if understanding.content_words == 0 or unnamed else None


def _followed(understanding: Understanding, memory: Memory) -> Resolved:
    """A question about the subject that is open."""
    topic = memory.topic or ""
    aspects = understanding.aspects
    if aspects == ("overview",):
        aspects = memory.aspects or aspects
    return Resolved(replace(understanding, aspects=aspects, procedure=topic, procedures=(topic,)), "follow_up")
