"""The parts of a procedure, an office and a province that staff may change, each as a whole. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel

from bot.catalog.answers import Desk
from bot.catalog.office import Office, Province
from bot.catalog.schema import Aspect, Procedure
from bot.errors import BadInputError

M = TypeVar("M", bound=BaseModel)
Value = Mapping[str, Any]  # field → its value as JSON; a field with its default value is left out


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is changed, proposed and confirmed as a whole.

    Attributes:
        key: its name in addresses and in the database.
        model: what it is a part of.
        fields: the fields of the model that it covers.
        aspects: what citizens are told from it, shown before it is saved.
        four_eyes: whether another person must confirm a change (where the office wants it).
    """

    key: str
    model: type[BaseModel]
    fields: tuple[str, ...]
    aspects: tuple[Aspect, ...] = ()
    four_eyes: bool = False


NEW, VERIFIED = "procedure", "verification"
_FACTS = (
    Part("documents", Procedure, ("documents",), (Aspect.DOCUMENTS, Aspect.FORM), four_eyes=True),
    Part("fees", Procedure, ("fees",), (Aspect.FEE,), four_eyes=True),
    Part("processing_times", Procedure, ("processing_times",), (Aspect.PROCESSING_TIME,)),
    Part("where", Procedure, ("where", "channels"), (Aspect.WHERE,)),
    Part("steps", Procedure, ("steps",), (Aspect.STEPS,)),
    Part("online", Procedure, ("online",), (Aspect.ONLINE,)),
    Part("forms", Procedure, ("forms",), (Aspect.FORM,)),
    Part("eligibility", Procedure, ("eligibility",), (Aspect.ELIGIBILITY,)),
    Part("results", Procedure, ("results",), (Aspect.RESULT,)),
    Part("legal_basis", Procedure, ("legal_basis",), (Aspect.LEGAL_BASIS,)),
    Part("notes", Procedure, ("notes",), (Aspect.DOCUMENTS,)),
)
_OFFICE = (
    Part("contact", Office, ("address", "phone", "website")),
    Part("hours", Office, ("hours",)),
    Part("counters", Office, ("counters",), (Aspect.WHERE,)),
    Part("notices", Office, ("notices",)),
    Part("days_off", Office, ("days_off", "working_days"), (Aspect.PROCESSING_TIME,)),
    Part("province_fees", Province, ("fees",), (Aspect.FEE,), four_eyes=True),
)
FACTS: Mapping[str, Part] = MappingProxyType({part.key: part for part in _FACTS})
OFFICE: Mapping[str, Part] = MappingProxyType({part.key: part for part in _OFFICE})
PARTS: Mapping[str, Part] = MappingProxyType(
    {
        **FACTS,
        **OFFICE,
        NEW: Part(NEW, Procedure, (), four_eyes=True),
        VERIFIED: Part(VERIFIED, Procedure, ("verification",), four_eyes=True),
    }
)


def of_office(desk: Desk, slug: str, part: Part) -> str:
    """The subject of a part of the office or of its province."""
    return f"province:{desk.office.province}" if part.model is Province else f"office:{slug}"


def dump(model: BaseModel) -> dict[str, Any]:
    """A model as JSON, without what has its default value: so a new field of a later version changes nothing."""
    return model.model_dump(mode="json", exclude_defaults=True)


def value_of(model: BaseModel, part: Part) -> dict[str, Any]:
    """The value of a part."""
    dumped = dump(model)
    return {field: dumped[field] for field in part.fields if field in dumped}


def with_value(model: M, part: Part, value: Value) -> M:
    """The model with another value of a part.

    Raises:
        pydantic.ValidationError: the value doesn't fit the schema.
    """
    data = {key: told for key, told in dump(model).items() if key not in part.fields}
    return type(model).model_validate({**data, **{key: value[key] for key in part.fields if key in value}})


def digest(value: object) -> str:
    """A short name of a value: the same for equal values only."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def fact_digests(procedure: Procedure) -> dict[str, str]:
    """Part → digest of its value: what somebody confirms who confirms the procedure."""
    return {key: digest(value_of(procedure, part)) for key, part in FACTS.items()}


def model_of(desk: Desk, subject: str) -> BaseModel | None:
    """The procedure, office or province that is meant; None where there is none."""
    if subject.startswith("office:"):
        return desk.office
    if subject.startswith("province:"):
        return desk.province if subject == f"province:{desk.office.province}" else None
    return desk.catalog.get(subject)


def part_of(key: str) -> Part:
    """A part by its key.

    Raises:
        BadInputError: there is none.
    """
    part = PARTS.get(key)
    if part is None:
        raise BadInputError(f"không có phần {key[:30]!r}")
    return part
