"""From what was understood to what is said: one pure function, ``decide``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from bot.catalog.answers import Desk, cases, compose, of_case, source_line
from bot.catalog.office import hours_text
from bot.catalog.opening import answer_words
from bot.catalog.schema import Aspect, Procedure
from bot.conversation import wording
from bot.conversation.model import Button, Choice, DossierView, Memory, Outcome, Reply, Turn
from bot.conversation.owner import CHATS, proof_question
from bot.conversation.resolve import MAX_OFFERED, Resolved
from nlu.entries import Candidate
from nlu.normalize import fold
from nlu.port import Understanding

OFFER_FROM = 0.02  # candidates less likely than this are not offered
GIVE_UP_AFTER = 2  # not understood this often in a row: a person is offered
_CASE = re.compile(r"truong hop (\d{1,2})\b")
_T = wording.T


@dataclass(frozen=True)
class Context:
    """What a decision depends on besides message and memory.

    Attributes:
        desk: catalogue, office, province, day.
        now: the moment of the message (aware).
        dossiers: the codes looked up → what may be told, None where not on file.
        limited: True where look-ups were refused (too many).
        channel: where the message came from.
        keep_days: how long talk is kept, told at first contact.
        due_text: (procedure code, message text) → the answer to "which day", or None where unknown.
        ready: procedure code → when a result would be there if filed now, or None where unknown.
        place: message text → the answer about an old place name, or None.
        page: procedure code → address of its page, or None.
        vouched: whether a phone number shared on the channel is surely the citizen's own.
    """

    desk: Desk
    now: datetime
    dossiers: Mapping[str, DossierView | None]
    limited: bool
    channel: str
    keep_days: int
    due_text: Callable[[str, str], str | None]
    ready: Callable[[str], str | None]
    place: Callable[[str], str | None]
    page: Callable[[str], str | None]
    vouched: bool


def wanted_codes(resolved: Resolved, memory: Memory) -> tuple[str, ...]:
    """The dossier codes to look up for a message: named in it, else the one last asked about."""
    understanding = resolved.understanding
    if understanding.intent != "dossier_status":
        return ()
    if understanding.dossier_codes:
        return understanding.dossier_codes[:5]
    if memory.dossier and not understanding.near_codes:
        return (memory.dossier,)
    return ()


def decide(resolved: Resolved, memory: Memory, context: Context) -> Turn:
    """One turn: outcome, replies and new memory. Never raises for any message."""
    understanding = resolved.understanding
    handler = _HANDLERS.get(understanding.intent, _out_of_scope)
    if resolved.how == "wrong_number":
        turn = _wrong_number(understanding, memory)
    else:
        turn = handler(understanding, memory, context)
    evidence: dict[str, object] = {
        "how": resolved.how,
        "confidence": round(understanding.confidence, 3),
        "candidates": [[c.code, c.score] for c in understanding.candidates[:5]],
        "engine": understanding.engine,
        "sources": _sources(turn, context),
        **turn.evidence,
    }
    return finished(replace(turn, evidence=evidence, confidence=understanding.confidence), memory, context)


def _sources(turn: Turn, context: Context) -> list[str]:
    """Where the facts of the procedures that were answered about come from."""
    if turn.outcome is not Outcome.ANSWER:
        return []
    told = (context.desk.catalog.get(code) for code in turn.procedures[:3])
    return [f"{one.code}: {source_line(one)}" for one in told if one]


def finished(turn: Turn, memory: Memory, context: Context) -> Turn:
    """The turn with its time remembered and, at first contact, what is kept and why in one line."""
    remembered = replace(turn.memory, at=context.now, greeted=True)
    replies = turn.replies
    if not memory.greeted and replies and turn.outcome is not Outcome.FAILED:
        privacy = _T["privacy"].format(days=context.keep_days)
        if context.channel == "sms" and replies[-1].brief:  # which leaves no room for it
            replies = (*replies, Reply(privacy))
        else:
            replies = (*replies[:-1], replace(replies[-1], text=f"{replies[-1].text}\n\n{privacy}"))
    return replace(turn, memory=remembered, replies=replies)


def _turn(
    understanding: Understanding,
    outcome: Outcome,
    replies: tuple[Reply, ...],
    memory: Memory,
    *,
    procedures: tuple[str, ...] = (),
    codes: tuple[str, ...] = (),
    effects: tuple[str, ...] = (),
) -> Turn:
    aspects = understanding.aspects if understanding.intent == "ask_procedure" else ()
    return Turn(
        understanding.intent, aspects, procedures, codes or understanding.dossier_codes, outcome, replies, memory,
        effects=effects,
    )  # fmt: skip


def _said(text: str, *buttons: Button) -> tuple[Reply, ...]:
    return (Reply(text, buttons),)


def _settled(memory: Memory) -> Memory:
    """Nothing pending any more; the subject stays."""
    return replace(memory, pending=None, question=None, misses=0)


# --- procedures ---------------------------------------------------------------------------------------------------


def _ask_procedure(understanding: Understanding, memory: Memory, context: Context) -> Turn:
    codes = tuple(dict.fromkeys(context.desk.catalog.current(code) for code in understanding.procedures))
    codes = tuple(code for code in codes if context.desk.catalog.get(code))
    if codes:
        return _answer(understanding, memory, context, codes)
    return _which(understanding, memory, context)


def _answer(understanding: Understanding, memory: Memory, context: Context, codes: tuple[str, ...]) -> Turn:
    aspects = tuple(Aspect(aspect) for aspect in understanding.aspects) or (Aspect.OVERVIEW,)
    whole = understanding.text.strip().lower().startswith(_T["buttons"]["more"].lower())
    replies = []
    for position, code in enumerate(codes[:3]):
        told = context.desk.catalog.procedures[code]
        replies += procedure_replies(
            told, aspects, context.desk, channel=context.channel, page=context.page(code),
            ready=context.ready(code) if Aspect.PROCESSING_TIME in aspects else None,
            case=_case(understanding.text, told), whole=whole, last=position == len(codes[:3]) - 1,
        )  # fmt: skip
    # Offered on "không phải": what the message may have meant else, then what is easily taken for the answer.
    near = [c.code for c in understanding.candidates if c.score >= OFFER_FROM]
    near += [sibling.code for code in codes for sibling in context.desk.catalog.procedures[code].siblings]
    near += [c.code for c in understanding.candidates]
    alternatives = tuple(
        Choice(code, found.short_name, found.choose_when or "")
        for code in dict.fromkeys(near)
        if code not in codes and (found := context.desk.catalog.get(code))
    )[:MAX_OFFERED]
    remembered = replace(
        _settled(memory),
        topic=codes[-1],
        answered=codes,
        aspects=tuple(aspects),
        intent="ask_procedure",
        offered=alternatives or tuple(choice for choice in memory.offered if choice.procedure not in codes),
    )
    return _turn(understanding, Outcome.ANSWER, tuple(replies), remembered, procedures=codes)


def procedure_replies(
    procedure: Procedure,
    aspects: tuple[Aspect, ...],
    desk: Desk,
    *,
    channel: str,
    page: str | None = None,
    ready: str | None = None,
    case: int = 0,
    whole: bool = False,
    last: bool = True,
) -> list[Reply]:
    """What the chat answers to a question about a procedure; staff look at it before they save a change.

    Args:
        procedure: answered about.
        aspects: what was asked.
        desk: catalogue, office, province, day.
        channel: where the question came from.
        page: address of the procedure's page, None for none.
        ready: when a result would be there if filed now, None where that is not told.
        case: number of the case asked about, 0 for all.
        whole: whether nothing is to be cut.
        last: whether the next natural questions are offered below it.
    """
    named = cases(procedure)[case - 1] if case else ""
    if named:
        procedure = of_case(procedure, named)
    text, sections = compose(procedure, aspects, desk, brief=not whole, ready=ready)
    if named:
        text = _T["only_case"].format(case=named) + "\n\n" + text
    return wording.answer_replies(
        procedure, text, sections, aspects, with_buttons=last, more=channel != "sms", case=case, page=page
    )


def _case(text: str, procedure: Procedure) -> int:
    """The number of the case that a button's text names ("trường hợp 2"), 0 for none."""
    match = _CASE.search(fold(text))
    number = int(match[1]) if match and procedure.code in text else 0
    return number if number <= len(cases(procedure)) else 0


def _offer(
    understanding: Understanding, memory: Memory, context: Context, candidates: tuple[Candidate, ...], lead: str
) -> Turn:
    offered = candidates[:MAX_OFFERED]
    procedures = [p for c in offered if (p := context.desk.catalog.get(c.code))]
    if memory.pending == "choice" and {c.procedure for c in memory.offered} == {p.code for p in procedures}:
        return _same_again(understanding, memory)
    text, buttons = wording.choices(procedures, lead)
    remembered = replace(
        memory,
        offered=tuple(Choice(p.code, p.short_name, p.choose_when or "") for p in procedures),
        pending="choice",
        intent=understanding.intent if understanding.intent == "due_date" else "ask_procedure",
        aspects=understanding.aspects,
        question=understanding.text[:300],
        misses=0,
    )
    return _turn(
        understanding,
        Outcome.CLARIFY,
        (Reply(text, tuple(buttons), listed=len(procedures), menu=True, brief=wording.brief_choices(procedures)),),
        remembered,
        procedures=tuple(p.code for p in procedures),
    )


def _same_again(understanding: Understanding, memory: Memory) -> Turn:
    """The same question is not asked twice: a number or a person is asked for."""
    buttons = (*(Button(choice.label, choice.procedure) for choice in memory.offered), wording.human())
    offered = tuple(choice.procedure for choice in memory.offered)
    said = _said(_T["which_again"], *buttons)
    return _turn(understanding, Outcome.CLARIFY, said, memory, procedures=offered, effects=("miss",))


def _which(understanding: Understanding, memory: Memory, context: Context) -> Turn:
    likely = tuple(c for c in understanding.candidates if c.score >= OFFER_FROM and c.code not in memory.rejected)
    if not likely:
        return _not_understood(understanding, memory)
    return _offer(understanding, memory, context, likely, wording.question_between(context.desk.catalog, likely))


def _wrong_number(understanding: Understanding, memory: Memory) -> Turn:
    text = _T["wrong_number"].format(count=len(memory.offered))
    offered = tuple(choice.procedure for choice in memory.offered)
    buttons = tuple(Button(choice.label, choice.procedure) for choice in memory.offered)
    return _turn(understanding, Outcome.CLARIFY, _said(text, *buttons), memory, procedures=offered)


def _due_date(understanding: Understanding, memory: Memory, context: Context) -> Turn:
    code = understanding.procedure
    if code is None:
        return _which(understanding, memory, context)
    code = context.desk.catalog.current(code)
    procedure = context.desk.catalog.get(code)
    if procedure is None:
        return _which(understanding, memory, context)
    text = context.due_text(code, understanding.text) or _T["due_unknown"].format(name=procedure.short_name)
    remembered = replace(_settled(memory), topic=code, intent="due_date", aspects=("processing_time",))
    buttons = wording.aspect_buttons(procedure, (Aspect.PROCESSING_TIME,))[:3]
    return _turn(understanding, Outcome.ANSWER, _said(text, *buttons), remembered, procedures=(code,))


# --- dossiers -----------------------------------------------------------------------------------------------------


def _dossier_status(understanding: Understanding, memory: Memory, context: Context) -> Turn:
    codes = tuple(context.dossiers)
    if context.limited:
        return _turn(understanding, Outcome.STATUS, _said(_T["status_limited"], wording.human()), _settled(memory))
    if codes:
        found = next((code for code in reversed(codes) if context.dossiers[code]), None)
        wanted = bool(found and memory.wish and memory.pending == "dossier_code")
        replies = tuple(
            Reply(
                wording.status_text(code, view, context.now),
                wording.status_buttons(code, view) if view and len(codes) == 1 and not wanted else (),
            )
            for code, view in context.dossiers.items()
        )
        remembered = replace(_settled(memory), dossier=found or memory.dossier, wish=None)
        if found and wanted:
            # The code was asked for to see more, or to be told: on with it.
            replies = (*replies, proof_question(found, context.channel, contact=context.vouched))
            remembered = replace(remembered, pending="proof", wish=memory.wish)
        return _turn(understanding, Outcome.STATUS, replies, remembered, codes=codes)
    waiting = replace(memory, pending="dossier_code", misses=0)
    if understanding.near_codes:
        text = _T["bad_code"].format(code=understanding.near_codes[0][:40])
        return _turn(understanding, Outcome.CLARIFY, _said(text), waiting)
    return _turn(understanding, Outcome.CLARIFY, _said(_T["ask_code"]), waiting)


# --- the office and people ----------------------------------------------------------------------------------------


def _office(kind: str) -> Callable[[Understanding, Memory, Context], Turn]:
    def handle(understanding: Understanding, memory: Memory, context: Context) -> Turn:
        office = context.desk.office
        facts = {
            "hours": hours_text(office, context.desk.today), "location": office.address, "contact": office.phone
        }  # fmt: skip
        key = f"office_{kind}" if facts[kind] else f"office_{kind}_unknown"
        text = _T[key].format(
            office=office.name, commune=office.commune, hours=facts["hours"], address=office.address, phone=office.phone
        )
        return _turn(understanding, Outcome.ANSWER, _said(text), _settled(memory))

    return handle


def _handoff(understanding: Understanding, memory: Memory, context: Context) -> Turn:
    when = answer_words(context.desk.office, context.now)
    text = _T["handoff"].format(when=f" {when}" if when else "", contact=wording.contact(context.desk))
    return _turn(understanding, Outcome.HANDOFF, _said(text), _settled(memory), effects=("handoff",))


def _complaint(understanding: Understanding, memory: Memory, context: Context) -> Turn:
    text = _T["complaint"].format(contact=wording.contact(context.desk))
    return _turn(understanding, Outcome.ACKNOWLEDGED, _said(text), _settled(memory), effects=("complaint",))


def _acknowledge(key: str, *effects: str) -> Callable[[Understanding, Memory, Context], Turn]:
    def handle(understanding: Understanding, memory: Memory, context: Context) -> Turn:
        text = _T[key].format(office=context.desk.office.name)
        buttons = wording.start_buttons() if key == "greet" else ()
        return _turn(understanding, Outcome.ACKNOWLEDGED, _said(text, *buttons), _settled(memory), effects=effects)

    return handle


def _help(understanding: Understanding, memory: Memory, _context: Context) -> Turn:
    said = Reply(_T["help"], wording.start_buttons(), brief=_T["help_brief"])
    return _turn(understanding, Outcome.ANSWER, (said,), _settled(memory))


def _unsubscribe(understanding: Understanding, memory: Memory, context: Context) -> Turn:
    key = "unsubscribe" if context.channel == "sms" else "unsubscribe_chat" if context.channel in CHATS else ""
    text = _T[key or "unsubscribe_elsewhere"]
    effects = ("unsubscribe",) if key else ()
    return _turn(understanding, Outcome.ACKNOWLEDGED, _said(text), _settled(memory), effects=effects)


def _cancel(understanding: Understanding, memory: Memory, _context: Context) -> Turn:
    cleared = Memory(greeted=memory.greeted, dossier=memory.dossier, office=memory.office)
    return _turn(understanding, Outcome.ACKNOWLEDGED, _said(_T["cancel"], *wording.start_buttons()), cleared)


def _deny(understanding: Understanding, memory: Memory, context: Context) -> Turn:
    """After an answer or a list, "không phải": the next candidates, and a miss for the advisors."""
    if memory.topic is None and not memory.offered:
        return _turn(understanding, Outcome.ACKNOWLEDGED, _said(_T["nothing_open"]), _settled(memory))
    listed = tuple(c.procedure for c in memory.offered) if memory.pending == "choice" else ()
    rejected = tuple(dict.fromkeys([*memory.rejected, *([memory.topic] if memory.topic else []), *listed]))
    rest = [choice for choice in memory.offered if choice.procedure not in rejected]
    without = replace(_settled(memory), topic=None, rejected=rejected[-12:])
    if rest:
        again = replace(understanding, intent="deny", aspects=memory.aspects)
        candidates = tuple(Candidate(choice.procedure, choice.label, 0.5) for choice in rest)
        turn = _offer(again, without, context, candidates, _T["which_more"])
        kept = replace(turn.memory, aspects=memory.aspects, rejected=without.rejected)
        return replace(turn, memory=kept, effects=("miss",))
    text = _T["say_procedure"]
    return _turn(
        understanding, Outcome.CLARIFY, _said(text, wording.human()), replace(without, offered=()), effects=("miss",)
    )  # fmt: skip


def _affirm(understanding: Understanding, memory: Memory, context: Context) -> Turn:
    if memory.pending == "human":
        return _handoff(understanding, memory, context)
    if memory.pending == "choice" and memory.offered:
        return _wrong_number(understanding, memory)
    return _turn(understanding, Outcome.ACKNOWLEDGED, _said(_T["nothing_open"]), _settled(memory))


def _place(understanding: Understanding, memory: Memory, context: Context) -> Turn:
    text = context.place(understanding.text)
    outcome = Outcome.ANSWER if text else Outcome.CLARIFY
    return _turn(understanding, outcome, _said(text or _T["place_unknown"]), _settled(memory))


def _not_understood(understanding: Understanding, memory: Memory) -> Turn:
    misses = memory.misses + 1
    again = misses >= GIVE_UP_AFTER
    text = _T["not_understood_again"] if again else _T["not_understood"]
    pending = "human" if again else None
    buttons = (wording.human(), *wording.start_buttons()[:2])
    return _turn(
        understanding, Outcome.CLARIFY, _said(text, *buttons), replace(memory, misses=misses, pending=pending),
        effects=("miss",),
    )  # fmt: skip


def _out_of_scope(understanding: Understanding, memory: Memory, context: Context) -> Turn:
    text = _T["out_of_scope"].format(office=context.desk.office.name)
    buttons = (wording.human(), *wording.start_buttons()[:2])
    return _turn(understanding, Outcome.OUT_OF_SCOPE, _said(text, *buttons), replace(memory, pending=None))


_HANDLERS: Mapping[str, Callable[[Understanding, Memory, Context], Turn]] = {
    "ask_procedure": _ask_procedure,
    "due_date": _due_date,
    "dossier_status": _dossier_status,
    "office_hours": _office("hours"),
    "office_location": _office("location"),
    "office_contact": _office("contact"),
    "unsubscribe": _unsubscribe,
    "human": _handoff,
    "complaint": _complaint,
    "rating": _acknowledge("rating", "rating"),
    "greet": _acknowledge("greet"),
    "thanks": _acknowledge("thanks"),
    "goodbye": _acknowledge("goodbye"),
    "help": _help,
    "affirm": _affirm,
    "deny": _deny,
    "cancel": _cancel,
    "place_lookup": _place,
    "out_of_scope": _out_of_scope,
}
