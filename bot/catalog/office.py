"""The office's own profile (``procedures_data/local/<office>.yml``) and its province's fees.

What is not known stays empty: citizens hear that it is not known and are asked
to come to the counter; staff see a placeholder that asks them to fill it in.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from bot.catalog.loading import LOCAL_DIR, CatalogError, Fault, read_model
from bot.catalog.schema import Code, Slug, Strict, Text
from nlu.codes import AGENCY

HHMM = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class Shift(Strict):
    """One shift of a working day, local time."""

    opens: HHMM
    closes: HHMM

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.opens >= self.closes:
            raise ValueError("opens phải trước closes")
        return self


AgencyCode = Annotated[str, Field(pattern=f"^(?:{AGENCY})$")]


class Hours(Strict):
    """Opening hours of the office or one counter."""

    counter: Text | None = None  # absent: the whole office
    days: Text  # "thứ Hai đến thứ Sáu", as told
    shifts: Annotated[tuple[Shift, ...], Field(min_length=1)]
    note: Text | None = None
    valid_from: date | None = None
    valid_to: date | None = None


class Counter(Strict):
    """A counter or place of its own (công an xã, quầy đất đai): where the procedures of some fields are filed."""

    name: Text
    fields: Annotated[tuple[Slug, ...], Field(min_length=1)]
    address: Text | None = None
    phone: Text | None = None
    hours: tuple[Hours, ...] = ()
    valid_from: date | None = None
    valid_to: date | None = None


class ProvinceFee(Strict):
    """A fee set by the provincial council (HĐND cấp tỉnh) for one procedure."""

    code: Code
    what: Text | None = None
    amount: Annotated[int, Field(ge=0, le=100_000_000)]
    unit: Text | None = None
    exemption: Text | None = None
    source: Text  # the resolution (nghị quyết)
    valid_from: date
    valid_to: date | None = None


class Province(Strict):
    """What all offices of a province share."""

    name: Text
    council: Text
    fees: tuple[ProvinceFee, ...] = ()


class Notify(Strict):
    """Which events the office tells citizens of; results, papers, fees, refusals and stops by default."""

    off: tuple[Literal["result_ready", "papers_wanted", "payment_due", "not_accepted", "stopped", "overdue"], ...] = ()
    reminder_after: Annotated[int, Field(ge=1, le=90)] | None = None  # working days a result lies at the counter
    survey: bool = False  # asks how it was, after the return


class Office(Strict):
    """One one-stop office (Trung tâm Phục vụ hành chính công)."""

    name: Text
    short_name: Text  # for SMS: no diacritics needed, at most 24 characters
    commune: Text
    province: Slug  # file name of the province below local/provinces
    former_places: tuple[Text, ...] = ()
    codes: tuple[AgencyCode, ...] = ()  # the agency parts of its dossiers' codes: "H30.99.01"
    address: Text | None = None
    phone: Text | None = None
    website: Text | None = None
    hours: tuple[Hours, ...] = ()
    counters: tuple[Counter, ...] = ()
    notices: tuple[Text, ...] = ()  # who is away, what is closed: shown on the front page
    notify: Notify = Notify()
    days_off: tuple[date, ...] = ()
    working_days: tuple[date, ...] = ()


def load_office(root: Path, slug: str) -> tuple[Office, Province]:
    """Reads the profile of one office and its province below ``root/local``.

    Raises:
        CatalogError: a file is missing or wrong.
    """
    local = root / LOCAL_DIR
    path = local / f"{slug}.yml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in local.glob("*.yml"))) or "chưa có tệp nào"
        raise CatalogError([Fault(str(path), 1, "", f"không có hồ sơ cơ quan này (đang có: {known})")])
    office = read_model(Office, path)
    return office, read_model(Province, local / "provinces" / f"{office.province}.yml")


def in_force(start: date | None, end: date | None, day: date) -> bool:
    """Whether a day lies from ``start`` to ``end``, both included; None: no such limit."""
    return (start is None or start <= day) and (end is None or day <= end)


def counter_text(office: Office, field: str, today: date) -> str | None:
    """Where in the office the procedures of a field are filed, with address, phone and hours; None where unknown."""
    for counter in office.counters:
        if field in counter.fields and in_force(counter.valid_from, counter.valid_to, today):
            parts = (counter.name, counter.address, counter.phone, _spans(counter.hours, today))
            return ", ".join(part for part in parts if part)
    return None


def hours_text(office: Office, today: date) -> str | None:
    """The opening hours in force on a day, one line a counter; None where none are known."""
    return _spans(office.hours, today)


def _spans(listed: tuple[Hours, ...], today: date) -> str | None:
    lines = []
    for hours in listed:
        if not in_force(hours.valid_from, hours.valid_to, today):
            continue
        spans = ", ".join(f"{shift.opens}–{shift.closes}" for shift in hours.shifts)
        lead = f"{hours.counter}: " if hours.counter else ""
        lines.append(f"{lead}{hours.days}, {spans}" + (f" ({hours.note})" if hours.note else ""))
    return "\n".join(lines) or None
