"""The answer to "nộp … thì ngày nào xong": computed from the procedure's time limits. Pure."""

from __future__ import annotations

from datetime import datetime

from bot.catalog.answers import Desk, source_line
from bot.catalog.deadlines import CUTOFF, due, received
from bot.catalog.opening import calendar_of
from bot.catalog.schema import Aspect, Procedure
from bot.clock import local
from bot.conversation.moments import filing_moment
from bot.conversation.wording import T, day_text
from bot.texts import phrases

_ANSWERS = phrases("answers")


def _lead(procedure: Procedure, number: int) -> str:
    limit = procedure.processing_times[number]
    parts = (
        limit.stage,
        _ANSWERS["channels"][limit.channel] if limit.channel else None,
        _ANSWERS["when"].format(when=limit.when) if limit.when else None,
    )
    return ", ".join(part for part in parts if part)


def due_text(desk: Desk, code: str, said: str, now: datetime) -> str | None:
    """When a result would be ready if filed at the moment the message names.

    Returns:
        The text, or None where the procedure's limits are not known or run one after the other.
    """
    procedure = desk.catalog.get(code)
    if procedure is None or not procedure.processing_times or any(t.stage for t in procedure.processing_times):
        return None
    start = filing_moment(said, now)
    calendar = calendar_of(desk.office)
    told_start = f"{local(start):%H:%M} {day_text(start)}"
    dates = [due(start, limit, calendar) for limit in procedure.processing_times]

    def date_of(number: int) -> tuple[str, str]:
        return day_text(dates[number].at), T["estimated"] if dates[number].estimated else ""

    if len(dates) == 1 and not _lead(procedure, 0):
        day, estimated = date_of(0)
        text = T["due"].format(name=procedure.short_name, start=told_start, due=day, estimated=estimated)
    else:
        lines = [T["due_several"].format(name=procedure.short_name, start=told_start)]
        for number in range(len(dates)):
            day, estimated = date_of(number)
            lead = _lead(procedure, number) or _ANSWERS["titles"]["processing_time"]
            lines.append(T["due_stage"].format(lead=lead, due=day, estimated=estimated))
        lines.append(T["due_official"])
        text = "\n".join(lines)
    return f"{text}\n\n{source_line(procedure, (Aspect.PROCESSING_TIME,))}"


def ready_text(desk: Desk, code: str, now: datetime) -> str | None:
    """When a result would be there if filed now; None where the limit is not one single figure."""
    procedure = desk.catalog.get(code)
    if procedure is None or len(procedure.processing_times) != 1 or _lead(procedure, 0):
        return None
    limit, calendar = procedure.processing_times[0], calendar_of(desk.office)
    start = received(now, calendar)
    today = local(start).date() == local(now).date()
    if limit.cutoff_15h and local(start).time() > CUTOFF:
        start, today = received(start.replace(hour=23), calendar), False
    lead = T["ready_today" if today else "ready_later"].format(day=day_text(start))
    if limit.cutoff_15h:
        lead = T["ready_before"].format(lead=lead, hour=CUTOFF.hour)
    found = due(start, limit, calendar)
    same = local(found.at).date() == local(start).date()
    told = T["ready_same_day"] if same else T["ready"]
    return str(told.format(lead=lead, due=day_text(found.at), estimated=T["estimated"] if found.estimated else ""))


def deadline_of(desk: Desk, code: str, received_at: datetime) -> tuple[datetime, bool] | None:
    """The computed due date of a dossier whose software gave none; None where the limit is not one single figure."""
    procedure = desk.catalog.get(code)
    if procedure is None or len(procedure.processing_times) != 1 or _lead(procedure, 0):
        return None
    found = due(received_at, procedure.processing_times[0], calendar_of(desk.office))
    return found.at, found.estimated
