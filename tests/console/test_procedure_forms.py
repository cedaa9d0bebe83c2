"""Forms of the schema: every value survives the way through its form; nothing breaks on what is stored or typed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.application import open_desk
from bot.catalog.answers import Desk
from bot.console.procedures import forms, typed
from bot.edits.parts import FACTS, OFFICE, Part, value_of, with_value
from bot.settings import Settings

ALL = (*FACTS.values(), *OFFICE.values())


@pytest.fixture(scope="module")
def desk() -> Desk:
    return open_desk(Settings())


def specs(part: Part) -> tuple[forms.Spec, ...]:
    return forms.specs_of(part.model, part.fields, {"Counter.fields": (("ho-tich", "Hộ tịch"),)})


def sent(fields: tuple[forms.Field, ...]) -> dict[str, list[str]]:
    """What a browser sends of a form."""
    found: dict[str, list[str]] = {}
    for one in fields:
        if one.fields or one.rows:
            found |= sent((*one.fields, *one.rows))
        elif one.spec.kind == "checks":
            found[one.path] = list(one.value)
        elif one.spec.kind != "check" or one.value == "1":
            found[one.path] = [str(one.value)]
    return found


def test_every_fact_of_every_procedure_survives_its_form(desk: Desk) -> None:
    for procedure in desk.catalog.procedures.values():
        for part in FACTS.values():
            value = value_of(procedure, part)
            form = forms.fields_of(specs(part), forms.texts_of(specs(part), value))
            back = typed.read(specs(part), sent(form)).value
            assert value_of(with_value(procedure, part, back), part) == value, (procedure.code, part.key)


def test_every_label_is_in_words() -> None:
    def labels(found: tuple[forms.Spec, ...]) -> list[tuple[str, str]]:
        mine = [(one.name, one.label) for one in found if one.name]
        return mine + [pair for one in found for pair in labels((*one.children, *([one.item] if one.item else [])))]

    for part in ALL:
        for name, label in labels(specs(part)):
            assert label
            assert label != name, (part.key, name)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.sampled_from(ALL), st.data())
def test_a_stored_value_of_any_shape_is_shown(part: Part, data: st.DataObject) -> None:
    value = {field: data.draw(json_values) for field in part.fields}
    forms.lines_of(specs(part), value)
    forms.fields_of(specs(part), forms.texts_of(specs(part), value))


PATHS = (
    "fees", "fees.0", "fees.0.amount", "fees.1.what", "fees.x.what", "fees.0.__out", "fees.999.note", "channels",
    "fees.0.valid_from", "fees.٣.amount", "where.filed_at", "hours.0.shifts.0.opens",
)  # fmt: skip
names = st.sampled_from(PATHS)


@given(st.sampled_from(ALL), st.dictionaries(names, st.lists(st.text(max_size=9), max_size=2)), st.text(max_size=20))
def test_anything_typed_is_read_shown_again_and_judged(part: Part, form: dict[str, list[str]], act: str) -> None:
    found = typed.read(specs(part), form)
    typed.moved(found.texts, f"up:{act}")
    forms.fields_of(specs(part), found.texts, {}, act)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("number", "8.000", 8000), ("number", "8 000 đ", 8000), ("number", "8000", 8000), ("number", "8.00", None),
        ("number", "8,000", None), ("number", "1e3", None), ("decimal", "7,5", 7.5), ("decimal", "1e2", None),
        ("date", "31/12/2026", "2026-12-31"), ("date", "2026-12-31", "2026-12-31"), ("date", "1767200000", None),
    ],
)  # fmt: skip
def test_a_figure_is_read_as_it_is_written_or_refused(kind: str, text: str, value: Any) -> None:
    found = typed.read((forms.Spec("x", kind),), {"x": [text]}).value["x"]
    assert found == (f"«{text}»" if value is None else value)
