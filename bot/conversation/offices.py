"""Which office a citizen means, where a deployment has several. Pure.

It is known from the account that was written to, else from the code of a dossier that was looked up, else from the
place that the citizen names, else it is asked, once: only where the answer depends on it, and then remembered. The
question that led there is answered as soon as it is known. With one office none of this runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from bot.catalog.answers import Desk, section
from bot.catalog.offices import Offices
from bot.catalog.schema import Aspect
from bot.conversation import wording
from bot.conversation.model import Button, Memory, Outcome, Reply, Turn
from bot.conversation.places import Found
from bot.texts import phrases
from nlu.normalize import fold

MOST_LISTED = 8  # offices that are listed; of more, the name is to be typed
AROUND = 4  # words around a place name that are still only an answer: "dạ tui ở xã …"
_T = wording.T
_LABELS = phrases("answers")["labels"]
_OF_OFFICE = frozenset({"office_hours", "office_location", "office_contact"})
_PERSON = frozenset({"handoff", "complaint"})
_LOCAL = (Aspect.FEE, Aspect.WHERE)  # what may differ from office to office
_UNIT = re.compile(r"\b(?:xa|phuong|thi tran|tt|huyen)\b")


@dataclass(frozen=True)
class Scene:
    """What the question for the office needs.

    Attributes:
        offices: all of them.
        desk: slug, or None where it is not known → the desk that answers.
        answer: one turn at the office of the memory it is given.
        finish: (turn, memory before) → the turn as it is told.
        place: an old place named in a text → what it is called now.
        account: slug of the office whose own account was written to, None for the one that all share.
    """

    offices: Offices
    desk: Callable[[str | None], Desk]
    answer: Callable[[str, Memory], Turn]
    finish: Callable[[Turn, Memory], Turn]
    place: Callable[[str], Found | None]
    account: str | None


def located(memory: Memory, offices: Offices, account: str | None) -> Memory:
    """The memory with the office that counts for this message."""
    return replace(memory, office=offices.known(account) or offices.known(memory.office))


def step(text: str, memory: Memory, scene: Scene) -> Turn:
    """One turn of a citizen where there are several offices.

    Args:
        text: as typed.
        memory: already ``faded``.
        scene: see there.
    """
    memory = located(memory, scene.offices, scene.account)
    if memory.pending == "office":
        return _told_where(text, memory, scene)
    return _answered(text, memory, scene)


def _answered(text: str, memory: Memory, scene: Scene, *, asked: bool = False) -> Turn:
    """The answer; ``asked``: the question for the office was put already, a person need not wait for its answer."""
    said = scene.answer(text, memory)
    if _is_local(said):
        named = scene.offices.named(text)
        if len(named) == 1 and named[0] != memory.office:
            return _elsewhere(text, named[0], memory, scene)
        if len(named) > 1 and memory.office not in named:
            return _ask(said, memory, scene, text, named)
    if said.memory.office is not None:
        return said
    if said.outcome is Outcome.STATUS and said.memory.dossier:
        return replace(said, memory=replace(said.memory, office=scene.offices.of_code(said.memory.dossier)))
    if _is_local(said) and not (asked and _PERSON.intersection(said.effects)):
        return _ask(said, memory, scene, text)
    return _asked_besides(said, scene)


def _is_local(said: Turn) -> bool:
    """Whether all of an answer is the office's own."""
    return said.intent in _OF_OFFICE or bool(_PERSON.intersection(said.effects))


def _elsewhere(text: str, office: str, memory: Memory, scene: Scene) -> Turn:
    """Another office is named than the one that is known. An account stays that of its office: it is only told of."""
    if scene.account is None:
        return scene.answer(text, replace(memory, office=office))
    said = scene.answer(text, memory)
    if _PERSON.intersection(said.effects):
        return said
    said = scene.answer(text, replace(memory, office=office))
    return replace(said, memory=replace(said.memory, office=memory.office))


def _ask(said: Turn, memory: Memory, scene: Scene, text: str, among: tuple[str, ...] = ()) -> Turn:
    """The question for the office in place of an answer that depends on it."""
    question = text if said.intent in {*_OF_OFFICE, "human", "complaint"} else _T["values"]["human"]
    reply, offered = _question(_T["office_ask"], scene.offices, among or scene.offices.slugs)
    waiting = replace(memory, pending="office", question=question[:300], offices=offered, menu=())
    evidence = {**said.evidence, "how": "which_office"}
    asking = Turn(
        said.intent, (), (), (), Outcome.CLARIFY, (reply,), waiting, confidence=said.confidence, evidence=evidence
    )  # fmt: skip
    return scene.finish(asking, memory)


def _asked_besides(said: Turn, scene: Scene) -> Turn:
    """An answer about procedures, with the question for the office where that tells more."""
    if said.intent != "ask_procedure" or said.outcome is not Outcome.ANSWER:
        return said
    for code in said.procedures[:3]:
        local = [aspect for aspect in _LOCAL if aspect.value in said.aspects and _differs(code, aspect, scene)]
        if local:
            told = " và ".join(_LABELS[aspect].lower() for aspect in local)
            question = _T["values"]["aspect"].format(aspect=told, code=code)
            reply, offered = _question(_T["office_ask_more"], scene.offices, scene.offices.slugs)
            waiting = replace(said.memory, pending="office", question=question, offices=offered)
            return replace(said, replies=(*said.replies, reply), memory=waiting)
    return said


def _differs(code: str, aspect: Aspect, scene: Scene) -> bool:
    """Whether an office has more to say about an aspect than all have in common."""
    common = scene.desk(None)
    procedure = common.catalog.get(code)
    if procedure is None:
        return False
    told = section(procedure, aspect, common).lines
    return any(section(procedure, aspect, scene.desk(slug)).lines != told for slug in scene.offices.slugs)


def _question(lead: str, offices: Offices, among: tuple[str, ...]) -> tuple[Reply, tuple[str, ...]]:
    if len(among) > MOST_LISTED:
        return Reply(f"{lead} {_T['office_type']}"), ()
    names = [offices.name(slug) for slug in among]
    lines = [f"{lead} {_T['office_choose']}"]
    lines += [_T["which_item"].format(number=number, name=name) for number, name in enumerate(names, 1)]
    buttons = tuple(Button(name, name) for name in names)
    return Reply("\n".join(lines), buttons, listed=len(buttons), menu=True), among


# --- what is answered to the question -----------------------------------------------------------------------------


def _told_where(text: str, memory: Memory, scene: Scene) -> Turn:
    question, offered = memory.question or "", memory.offices
    settled = replace(memory, pending=None, question=None, offices=(), menu=())
    if memory.office is not None:  # known meanwhile from the account
        return _answered(text, settled, scene)
    number = wording.number_of(text)
    if number is not None:
        named = offered[number - 1 : number] if number else ()
        problem = _T["office_number"].format(count=len(offered)) if offered else _T["office_unknown"]
    else:
        named, problem = _places(text, scene)
    if problem and not named:
        return _again(problem, memory, scene)
    if not named:
        return _something_else(text, settled, memory, scene)
    if len(named) > 1:
        reply, offered = _question(_T["office_which"], scene.offices, named)
        return scene.finish(_clarify(reply, replace(memory, offices=offered, menu=())), memory)
    settled = replace(settled, office=named[0])
    if number is None and len(text.split()) > len(scene.offices.name(named[0]).split()) + AROUND:
        return _answered(text, settled, scene)  # more than the name: a question of its own
    return _answered(question, settled, scene)


def _places(text: str, scene: Scene) -> tuple[tuple[str, ...], str]:
    """The offices that an answer names, and what is said where the place it names has none here."""
    named = scene.offices.named(text, bare=True)
    old = scene.place(text) if not named and _UNIT.search(fold(text)) else None
    if old is None:
        return named, ""
    place = _T["place_new"].format(old=old.old, new=old.new)
    return scene.offices.named(old.new), _T["office_elsewhere"].format(place=place)


def _something_else(text: str, settled: Memory, memory: Memory, scene: Scene) -> Turn:
    """No place is named: another question, or a name that isn't known here."""
    said = _answered(text, settled, scene, asked=True)
    understood = said.outcome not in {Outcome.CLARIFY, Outcome.OUT_OF_SCOPE} or said.procedures or said.dossier_codes
    if understood or said.memory.pending in {"office", "dossier_code", "erase"}:
        return said
    return _again(_T["office_unknown"], memory, scene)


def _again(lead: str, memory: Memory, scene: Scene) -> Turn:
    reply = Reply(lead, (wording.human(),))
    return scene.finish(_clarify(reply, replace(memory, menu=())), memory)


def _clarify(reply: Reply, memory: Memory) -> Turn:
    return Turn(
        "place_lookup", (), (), (), Outcome.CLARIFY, (reply,), memory, confidence=1.0, evidence={"how": "which_office"}
    )  # fmt: skip
