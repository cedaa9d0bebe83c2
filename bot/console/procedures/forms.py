"""Forms made from the schema's models: a tree of fields to show. Back from what was typed: ``typed``. Pure.

A field's name in the form is its path: ``documents.0.name``. Lists have a row for each item and one empty one;
an empty row is no item. What was typed is shown again exactly as it was, with the fault beside it.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from bot.catalog.office import HHMM
from bot.texts import phrases

_T = phrases("procedures")
_TIME = get_args(HHMM)[1]
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NONE = ("", _T["options"]["none"])
_YES_NO = (("1", _T["options"]["yes"]), ("0", _T["options"]["no"]))
_LONG = frozenset({"name", "exemption", "note", "when", "filed_at"})  # a text that often needs a second line


@dataclass(frozen=True, slots=True)
class Spec:
    """One field of a form.

    Attributes:
        kind: "text", "long", "number", "decimal", "date", "time", "check", "maybe" (yes, no, not said), "select",
            "checks", "group" or "rows".
        options: value → label, of "select" and "checks".
        children: the fields of a "group".
        item: what a row of "rows" holds.
        default: what a "select" says where nobody has chosen.
    """

    name: str
    kind: str
    label: str = ""
    help: str = ""
    required: bool = False
    options: tuple[tuple[str, str], ...] = ()
    children: tuple[Spec, ...] = ()
    item: Spec | None = None
    default: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """One field with what stands in it.

    Attributes:
        path: its name in the form.
        value: the text, or the chosen values of "checks".
        fields: of a group.
        rows: of a list; the last is empty.
    """

    spec: Spec
    path: str
    value: Any = ""
    error: str = ""
    fields: tuple[Field, ...] = ()
    rows: tuple[Field, ...] = ()
    fresh: bool = False  # a row that was just added: the cursor goes there


def specs_of(
    model: type[BaseModel], names: Iterable[str], choices: Mapping[str, tuple[tuple[str, str], ...]] | None = None
) -> tuple[Spec, ...]:
    """The form fields of a model.

    Args:
        model: of the schema.
        names: which of its fields.
        choices: "Model.field" → options of a text that is chosen from a list.
    """
    return tuple(_spec(model, name, choices or {}) for name in names)


def _spec(model: type[BaseModel], name: str, choices: Mapping[str, tuple[tuple[str, str], ...]]) -> Spec:
    info = model.model_fields[name]
    annotation, optional = _plain(info.annotation)
    if _TIME in info.metadata:
        annotation = "time"
    found = _kind(annotation, name, choices, f"{model.__name__}.{name}", optional=optional)
    if info.is_required() and found.kind == "check":
        found = Spec(name, "maybe", options=_YES_NO)
    if info.is_required() and found.kind in {"maybe", "select"}:
        found = replace(found, options=(("", "–"), *found.options))  # nobody has chosen anything yet
    default = info.default.value if isinstance(info.default, Enum) else "" if info.is_required() else info.default
    return replace(
        found,
        name=name,
        label=_T["labels"].get(model.__name__, {}).get(name, name),
        help=_T["help"].get(f"{model.__name__}.{name}", ""),
        required=info.is_required(),
        default=str(default) if found.kind in {"select", "number"} and default is not None else "",
    )


def _plain(annotation: Any) -> tuple[Any, bool]:
    """A type without what is said about it, and whether it may be missing."""
    optional = False
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in {Union, types.UnionType}:
            optional = True
            annotation = next(one for one in get_args(annotation) if one is not type(None))
        else:
            return annotation, optional


def _kind(  # noqa: PLR0911 - one for each kind
    annotation: Any, name: str, choices: Mapping[str, tuple[tuple[str, str], ...]], place: str, *, optional: bool
) -> Spec:
    if get_origin(annotation) is tuple:
        inner, _ = _plain(get_args(annotation)[0])
        if place in choices:
            return Spec(name, "checks", options=choices[place])
        if isinstance(inner, type) and issubclass(inner, Enum):
            return Spec(name, "checks", options=_options(inner))
        item = _kind(inner, "", choices, place, optional=False)
        return Spec(name, "rows", item=replace(item, kind="long") if item.kind == "text" else item)
    if annotation == "time":
        return Spec(name, "time")
    if isinstance(annotation, type):
        if issubclass(annotation, BaseModel):
            return Spec(name, "group", children=specs_of(annotation, annotation.model_fields, choices))
        if issubclass(annotation, Enum):
            none = (("", _T["options"]["every" if name == "channel" else "none"]),) if optional else ()
            return Spec(name, "select", options=(*none, *_options(annotation)))
        if issubclass(annotation, bool):
            return Spec(name, "maybe", options=(_NONE, *_YES_NO)) if optional else Spec(name, "check")
        simple = {int: "number", float: "decimal", date: "date"}.get(annotation)
        if simple:
            return Spec(name, simple)
    return Spec(name, "long" if name in _LONG else "text")


def _options(kind: type[Enum]) -> tuple[tuple[str, str], ...]:
    return tuple((str(one.value), _T["options"][kind.__name__][one.value]) for one in kind)


# --- a value as text -----------------------------------------------------------------------------------------------


def texts_of(specs: Iterable[Spec], value: Mapping[str, Any]) -> dict[str, Any]:
    """A part's value as the texts of its form."""
    return {spec.name: _text(spec, value.get(spec.name)) for spec in specs}


def _text(spec: Spec, value: Any) -> Any:  # noqa: PLR0911 - one for each kind
    # A stored value may be of an older form of the schema: it is shown all the same.
    if spec.kind == "group":
        known = value if isinstance(value, Mapping) else {}
        return {child.name: _text(child, known.get(child.name)) for child in spec.children}
    if spec.kind == "rows" and spec.item:
        return [_text(spec.item, one) for one in _listed(value)]
    if spec.kind == "checks":
        return _listed(value)
    if value is None:
        return spec.default
    if spec.kind in {"check", "maybe"}:
        return "1" if value else "0"
    if spec.kind == "number" and isinstance(value, int):
        return f"{value:,}".replace(",", ".")
    if spec.kind == "decimal" and isinstance(value, (int, float)):
        return f"{value:g}".replace(".", ",")
    return str(value)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


# --- to show -------------------------------------------------------------------------------------------------------


def fields_of(
    specs: Iterable[Spec], texts: Mapping[str, Any], errors: Mapping[str, str] | None = None, fresh: str = ""
) -> tuple[Field, ...]:
    """The form's fields with their texts.

    Args:
        specs: of the part.
        texts: what stands in them.
        errors: path → what is wrong there.
        fresh: path of the list whose empty row the cursor goes to.
    """
    return tuple(_field(spec, spec.name, texts.get(spec.name), errors or {}, fresh) for spec in specs)


def _field(spec: Spec, path: str, text: Any, errors: Mapping[str, str], fresh: str) -> Field:
    shown = Field(spec, path, error=errors.get(path, ""))
    if spec.kind == "group":
        texts = text or {}
        return replace(
            shown,
            fields=tuple(
                _field(child, f"{path}.{child.name}", texts.get(child.name), errors, fresh) for child in spec.children
            ),
        )
    if spec.kind == "rows" and spec.item:
        rows = [_field(spec.item, f"{path}.{number}", one, errors, fresh) for number, one in enumerate(text or ())]
        empty = _field(spec.item, f"{path}.{len(rows)}", _text(spec.item, None), {}, fresh)
        return replace(shown, rows=(*rows, replace(empty, fresh=fresh == path)))
    return replace(shown, value=spec.default if text is None else text)


# --- in words ------------------------------------------------------------------------------------------------------


def lines_of(specs: Iterable[Spec], value: Mapping[str, Any]) -> list[str]:
    """A part's value in words, one line an item: to see what changed."""
    lines: list[str] = []
    for spec in specs:
        told = value.get(spec.name)
        if spec.kind == "rows" and spec.item:
            lines += [_line(spec.item, one) for one in _listed(told)]
        elif spec.kind == "group":
            if told is not None:
                lines.append(_line(spec, told))
        elif told not in (None, [], ""):
            lines.append(f"{spec.label}: {_line(spec, told)}")
    return lines


def _line(spec: Spec, value: Any) -> str:  # noqa: PLR0911 - one for each kind
    if spec.kind == "group" and isinstance(value, Mapping):
        parts = [
            f"{child.label}: {_line(child, value[child.name])}"
            for child in spec.children
            if child.name in value and value[child.name] not in (None, False)
        ]
        return "; ".join(parts)
    if spec.kind == "rows" and spec.item:
        return ", ".join(_line(spec.item, one) for one in _listed(value))
    known = dict(spec.options)
    if spec.kind == "checks":
        return ", ".join(known.get(str(one), str(one)) for one in _listed(value))
    if spec.kind in {"check", "maybe"}:
        return str(_T["options"]["yes" if value else "no"])
    if spec.kind == "select":
        return known.get(str(value), str(value))
    if spec.kind == "date" and _ISO.fullmatch(str(value)):
        return "/".join(reversed(str(value).split("-")))
    return str(value) if spec.kind == "group" else str(_text(spec, value))
