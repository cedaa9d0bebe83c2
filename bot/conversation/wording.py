"""Setting answers into replies: texts from ``bot/texts``, buttons that offer the next natural questions. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from bot.catalog.answers import Desk, Section, cases, section
from bot.catalog.catalog import Catalog
from bot.catalog.office import hours_text
from bot.catalog.schema import Aspect, Procedure
from bot.clock import local
from bot.conversation.model import Button, DossierView, Link, Reply
from bot.texts import phrases
from nlu.entries import Candidate

T = phrases("replies")
_ANSWERS = phrases("answers")
_STATUS = phrases("status")
FINAL = frozenset({3, 7, 8, 9, 10})
CASE_BUTTONS = 4
BRIEF_UNITS = 300  # two SMS hold 306, and every character here is one unit
_NEXT = (
    Aspect.DOCUMENTS, Aspect.FEE, Aspect.PROCESSING_TIME, Aspect.WHERE, Aspect.ONLINE, Aspect.FORM, Aspect.STEPS
)  # fmt: skip
_DECREE = re.compile(r" \((?:Thông tư|Nghị định|Quyết định|Luật)\b[^()]*\)")
_WEEKDAYS = ("thứ Hai", "thứ Ba", "thứ Tư", "thứ Năm", "thứ Sáu", "thứ Bảy", "Chủ nhật")


def number_of(text: str) -> int | None:
    """The number that a message consists of ("2", "số 2", "2."), None where it is anything else."""
    match = re.fullmatch(r"\s*(?:s[ốo]\s*|ch[ọo]n\s*|m[ụu]c\s*)?(\d{1,2})\s*[.)]?\s*", text, re.IGNORECASE)
    return int(match[1]) if match else None


def human() -> Button:
    """Offers a person."""
    return Button(T["buttons"]["human"], T["values"]["human"])


def subscribe_button(code: str) -> Button:
    """Offers to tell when the result is there."""
    return Button(T["buttons"]["subscribe"], T["values"]["subscribe"].format(code=code))


def status_buttons(code: str, view: DossierView) -> tuple[Button, ...]:
    """What its owner may want next; both need a proof."""
    details = Button(T["buttons"]["details"], T["values"]["details"].format(code=code))
    return (details,) if view.status in FINAL else (details, subscribe_button(code))


def start_buttons() -> tuple[Button, ...]:
    """What to do first: the two most asked procedures, a dossier, help."""
    return tuple(Button(T["buttons"][key], T["values"][key]) for key in ("status", "birth", "copy", "help"))


def aspect_buttons(procedure: Procedure, told: Sequence[Aspect]) -> tuple[Button, ...]:
    """The questions that naturally come next: what was not told yet and is known."""
    known = {
        Aspect.DOCUMENTS: procedure.documents,
        Aspect.FEE: procedure.fees,
        Aspect.PROCESSING_TIME: procedure.processing_times,
        Aspect.WHERE: procedure.where,
        Aspect.ONLINE: procedure.online,
        Aspect.FORM: procedure.forms,
        Aspect.STEPS: procedure.steps,
    }
    labels = _ANSWERS["labels"]
    return tuple(
        Button(labels[a], T["values"]["aspect"].format(aspect=labels[a].lower(), code=procedure.code))
        for a in _NEXT
        if a not in told and known[a]
    )


def answer_replies(
    procedure: Procedure,
    text: str,
    sections: Sequence[Section],
    told: Sequence[Aspect],
    *,
    with_buttons: bool,
    more: bool = True,
    case: int = 0,
    page: str | None = None,
) -> list[Reply]:
    """One reply for an answer; with "xem đủ" first where something was cut.

    Args:
        procedure: answered about.
        text: the answer.
        sections: of the answer.
        told: the aspects told.
        with_buttons: whether the next natural questions are offered below it.
        more: whether there is room to show the whole of what was cut.
        case: number of the case shown, 0 for all.
        page: address of the procedure's page, None for none.
    """
    link = Link(T["page"], page) if page and Aspect.DOCUMENTS in told else None
    short = brief(procedure, sections, page)
    buttons: list[Button] = []
    labels = _ANSWERS["labels"]
    for part in sections:
        if part.cut and more:
            what = labels[part.aspect].lower() + (T["values"]["of_case"].format(number=case) if case else "")
            value = T["values"]["more"].format(aspect=what, code=procedure.code)
            buttons.append(Button(T["buttons"]["more"], value))
            break
    listed = cases(procedure)
    if with_buttons and any(part.cut and part.aspect is Aspect.DOCUMENTS for part in sections) and len(listed) > 1:
        # Too much for one message, and most of it is other people's: which case is theirs?
        shown = [Button(_label(case[:1].upper() + case[1:]), T["values"]["case"].format(number=n, code=procedure.code))
                 for n, case in enumerate(listed[:CASE_BUTTONS], 1)]  # fmt: skip
        return [Reply(f"{text}\n\n{T['which_case']}", (*buttons, *shown), brief=short)]
    if with_buttons:
        buttons += aspect_buttons(procedure, told)[: 4 - len(buttons)]
        buttons.append(Button(T["buttons"]["wrong"], T["values"]["wrong"]))
    return [Reply(text, tuple(buttons), link=link, brief=short)]


def brief(procedure: Procedure, sections: Sequence[Section], page: str | None) -> str:
    """The answer for two SMS: of each section as many whole items as there is room for.

    What is left out is never silently so: how many more items there are, and where all of it stands, is said.
    """
    key, end = ("brief_page", page) if page else ("brief_counter", "")
    room = BRIEF_UNITS - len(T[key].format(name=procedure.short_name, parts="", page=end))
    parts = []
    for position, part in enumerate(sections):
        share = room // (len(sections) - position)
        parts.append(_brief_section(part, share))
        room -= len(parts[-1]) + 1
    return str(T[key].format(name=procedure.short_name, parts=" ".join(filter(None, parts)), page=end))


def _brief_section(part: Section, room: int) -> str:
    """A section on one line, at most ``room`` long, "" where not even its title fits."""
    items = _items(part)
    title = _ANSWERS["titles"][part.aspect]
    for shown in range(len(items), -1, -1):
        left = len(items) - shown + part.cut
        more = (T["brief_more"] if shown else T["brief_count"]).format(count=left) if left else ""
        told = f"{title}: {'; '.join(filter(None, [*items[:shown], more]))}."
        if len(told) <= room:
            return told
    return ""


def _items(part: Section) -> list[str]:
    """The items of a section, each on one line: headings go with the item below them, remarks with the one above.

    What goes without saying is left out: that papers are handed in, and the decree of a form.
    """
    items: list[str] = []
    heading = ""
    for line in part.lines[: -1 if part.cut else None]:
        text = _DECREE.sub("", " ".join(line.removeprefix("• ").split()))
        if text.endswith(":"):
            heading += f"{text} " if text != _ANSWERS["submit"] else ""
        elif line.startswith(" ") and items:
            items[-1] += f". {text.rstrip('.')}"
        else:
            items.append(heading + text.rstrip("."))
            heading = ""
    return items


def _label(text: str) -> str:
    return text if len(text) <= 60 else text[:59].rstrip() + "…"


def choices(procedures: Sequence[Procedure], lead: str) -> tuple[str, list[Button]]:
    """A numbered list told apart by when each is meant, and a button for each."""
    lines = [lead]
    buttons = []
    for number, procedure in enumerate(procedures, 1):
        key = "which_item_when" if procedure.choose_when else "which_item"
        lines.append(T[key].format(number=number, name=procedure.short_name, when=procedure.choose_when))
        buttons.append(Button(_label(procedure.short_name), procedure.code))
    buttons.append(Button(T["which_none"], T["values"]["wrong"]))
    return "\n".join(lines), buttons


def brief_choices(procedures: Sequence[Procedure]) -> str:
    """The same list for two SMS: names only."""
    lines = [T["which_item"].format(number=n, name=_label(p.short_name)) for n, p in enumerate(procedures, 1)]
    return "\n".join([T["which_brief"], *lines])


def question_between(catalog: Catalog, candidates: Sequence[Candidate]) -> str:
    """The question that tells the first two apart, where one of them knows it; else a plain lead."""
    if len(candidates) >= 2:
        first, second = (catalog.get(c.code) for c in candidates[:2])
        for one, other in ((first, second), (second, first)):
            for sibling in one.siblings if one else ():
                if other and sibling.code == other.code:
                    return str(T["which_question"].format(question=sibling.question))
    return str(T["which"])


def contact(desk: Desk) -> str:
    """Phone and hours of the office, or that they are not known."""
    hours = hours_text(desk.office, desk.today)
    phone = desk.office.phone
    told = T["handoff_phone"].format(phone=phone) if phone else T["handoff_no_phone"]
    return str(told + (T["handoff_hours"].format(hours=hours) if hours else ""))


def day_text(moment: datetime) -> str:
    """``thứ Tư 02/12/2026``, local time."""
    at = local(moment)
    return f"{_WEEKDAYS[at.weekday()]} {at:%d/%m/%Y}"


def status_text(code: str, view: DossierView | None, now: datetime) -> str:
    """What a bare code opens: status, due date, office, what to do next. Nothing else."""
    if view is None:
        return str(T["status_unknown"].format(code=code))
    told = _STATUS["statuses"][view.status]
    lines = [T["status_demo"]] if view.demo else []
    lines.append(T["status_found"].format(code=code, status=told["name"]))
    advice = told.get(f"next_{view.return_mode}") or told.get("next")
    if advice:
        lines.append(advice.format(office=view.office))
    if view.due_at is not None and view.status not in FINAL:
        key = "status_due_computed" if view.due_computed else "status_due"
        estimated = T["estimated"] if view.due_estimated else ""
        lines.append(T[key].format(due=day_text(view.due_at), estimated=estimated))
        if view.due_at < now:
            lines.append(T["status_late"])
    if view.office:
        lines.append(T["status_office"].format(office=view.office))
    lines.append(T["status_updated"].format(at=f"{local(view.updated_at):%H:%M %d/%m/%Y}"))
    return "\n".join(lines)


__all__ = [
    "T", "answer_replies", "aspect_buttons", "choices", "contact", "day_text", "human", "number_of", "question_between",
    "section", "start_buttons", "status_buttons", "status_text", "subscribe_button",
]  # fmt: skip
