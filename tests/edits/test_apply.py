"""Edits laid over the files: dates, what no longer fits, confirmations, and the files left as they are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.application import open_desk
from bot.catalog.answers import Desk, compose
from bot.catalog.catalog import Catalog
from bot.catalog.schema import Aspect, Fee, Verification
from bot.edits.apply import Edit, apply, in_force
from bot.edits.parts import FACTS, NEW, PARTS, VERIFIED, digest, dump, fact_digests, value_of, with_value
from bot.settings import Settings

CODE, OFFICE = "2.000815", "chau-thanh"
TODAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def desk() -> Desk:
    return replace(open_desk(Settings()), today=TODAY)


def an_edit(part: str = "fees", value: Any = None, number: int = 1, **more: Any) -> Edit:
    amount = {"fees": [{"amount": 3000 + number, "unit": "trang"}]}
    settled = {
        "id": number, "subject": CODE, "part": part, "value": amount if value is None else value,
        "source": f"văn bản {number}", "starts": TODAY, "valid_to": None,
        "decided_at": NOW + timedelta(minutes=number), "two_people": True,
    }  # fmt: skip
    return Edit(**{**settled, **more})


def fees(desk: Desk) -> list[int | None]:
    return [fee.amount for fee in desk.catalog.procedures[CODE].fees]


def with_file(desk: Desk, **changes: Any) -> Desk:
    """The desk as an update of the program might bring it."""
    changed = desk.catalog.procedures[CODE].model_copy(update=changes)
    return replace(desk, catalog=Catalog({**desk.catalog.procedures, CODE: changed}, desk.catalog.fields))


def test_nothing_changes_without_edits_and_the_files_stay_as_they_are(desk: Desk) -> None:
    assert apply(desk, [], OFFICE).desk == desk
    before = fees(desk)
    assert fees(apply(desk, [an_edit()], OFFICE).desk) == [3001]
    assert fees(desk) == before


def test_an_edit_is_kept_when_the_file_below_it_is_updated(desk: Desk) -> None:
    updated = with_file(desk, fees=(Fee(amount=9000),))
    assert fees(apply(updated, [an_edit()], OFFICE).desk) == [3001]
    assert fees(apply(updated, [an_edit(value=None, number=2)], OFFICE).desk) == [3002]
    back = an_edit(number=3)
    assert fees(apply(updated, [an_edit(), replace(back, value=None)], OFFICE).desk) == [9000]


def test_what_no_longer_fits_is_left_out_and_the_rest_is_told(desk: Desk) -> None:
    broken = an_edit(value={"fees": [{"amount": 1, "set_by_province": True}]})
    gone = an_edit("steps", {"steps": ["Một."]}, 2, subject="9.999999")
    fine = an_edit("steps", {"steps": ["Một."]}, 3)
    applied = apply(desk, [broken, gone, fine], OFFICE)
    assert set(applied.left_out) == {1, 2}
    assert "cần đúng một trong hai" in applied.left_out[1]
    assert fees(applied.desk) == fees(desk)
    assert applied.desk.catalog.procedures[CODE].steps == ("Một.",)
    assert [one.field for one in applied.desk.catalog.procedures[CODE].amendments] == ["steps"]


days = st.integers(-40, 40).map(lambda n: TODAY + timedelta(days=n))
dated = st.builds(
    lambda number, starts, lasts: an_edit(number=number, starts=starts, valid_to=lasts and starts + timedelta(lasts)),
    st.integers(1, 50), days, st.none() | st.integers(1, 60),
)  # fmt: skip


@given(st.lists(dated, max_size=8, unique_by=lambda edit: edit.id), days)
def test_of_all_edits_in_force_the_one_that_starts_last_counts(edits: list[Edit], day: date) -> None:
    running = [e for e in edits if e.starts <= day and (e.valid_to is None or day <= e.valid_to)]
    found = in_force(edits, day).get((CODE, "fees"))
    if not running:
        assert found is None
        return
    assert found is not None
    assert all((found.starts, found.id) >= (one.starts, one.id) for one in running)
    assert found == in_force(list(reversed(edits)), day)[CODE, "fees"]


def a_new_one(desk: Desk, code: str = "1.999001", **changes: Any) -> dict[str, Any]:
    draft = dump(desk.catalog.procedures[CODE])
    for name in ("siblings", "components", "everyday_names"):
        draft.pop(name, None)
    return {NEW: {**draft, "code": code, "short_name": "Thủ tục thử", **changes}}


def test_an_added_procedure_is_checked_against_all_others(desk: Desk) -> None:
    fine = an_edit(NEW, a_new_one(desk), 1, subject="1.999001")
    fee = an_edit("fees", {"fees": [{"amount": 1}]}, 2, subject="1.999001")
    added = apply(desk, [fine, fee], OFFICE).desk.catalog.procedures["1.999001"]
    assert (added.short_name, [one.amount for one in added.fees]) == ("Thủ tục thử", [1])
    for wrong in ({"field": "khong-co"}, {"superseded_by": "9.999999"}, {"everyday_names": ["sao y"]}):
        bad = an_edit(NEW, a_new_one(desk, **wrong), 1, subject="1.999001")
        applied = apply(desk, [bad], OFFICE)
        assert set(applied.left_out) == {1}
        assert applied.desk.catalog == desk.catalog


def test_a_file_that_comes_with_an_update_wins_over_an_added_procedure(desk: Desk) -> None:
    late = an_edit(NEW, a_new_one(desk, CODE, name="Khác"), 1)
    applied = apply(desk, [late], OFFICE)
    assert applied.desk.catalog.procedures[CODE] == desk.catalog.procedures[CODE]
    assert "nay đã có thủ tục" in applied.left_out[1]


def test_an_added_procedure_never_brings_its_own_confirmation(desk: Desk) -> None:
    mark = {"by": "ai đó", "on": "2026-01-01"}
    edit = an_edit(NEW, a_new_one(desk, verification=mark), 1, subject="1.999001")
    assert apply(desk, [edit], OFFICE).desk.catalog.procedures["1.999001"].verification is None


def a_mark(desk: Desk, number: int = 9) -> Edit:
    facts = fact_digests(desk.catalog.procedures[CODE])
    return an_edit(VERIFIED, {VERIFIED: {"by": "lan", "on": "2026-11-24"}, "facts": facts}, number)


def confirmed(desk: Desk, *edits: Edit) -> bool:
    return apply(desk, edits, OFFICE).desk.catalog.procedures[CODE].verification is not None


def test_a_confirmation_covers_what_was_told_when_it_was_given(desk: Desk) -> None:
    mark = a_mark(desk)
    assert confirmed(desk, mark)
    assert confirmed(desk, mark, an_edit())  # two people
    assert not confirmed(desk, mark, an_edit(two_people=False))
    assert not confirmed(with_file(desk, fees=(Fee(amount=9000),)), mark)
    assert not confirmed(desk, mark, an_edit(VERIFIED, {}, 10))
    assert apply(desk, [mark, an_edit(two_people=False)], OFFICE).lapsed == {CODE}


def test_a_confirmation_in_the_file_lapses_with_a_change_that_one_person_made(desk: Desk) -> None:
    marked = with_file(desk, verification=Verification(by="lan", on=TODAY))
    assert confirmed(marked)
    assert confirmed(marked, an_edit())
    assert not confirmed(marked, an_edit(two_people=False))


def test_answers_name_the_source_of_what_was_changed_only_where_it_is_told(desk: Desk) -> None:
    edited = apply(desk, [an_edit()], OFFICE).desk
    procedure = edited.catalog.procedures[CODE]
    told = compose(procedure, (Aspect.FEE,), edited)[0]
    assert "Phí, lệ phí theo văn bản 1, cơ quan cập nhật ngày 24/11/2026." in told
    assert "văn bản 1" not in compose(procedure, (Aspect.STEPS,), edited)[0]
    assert "văn bản 1" in compose(procedure, (Aspect.OVERVIEW,), edited)[0]


def test_every_part_of_every_procedure_survives_the_way_to_json_and_back(desk: Desk) -> None:
    for procedure in desk.catalog.procedures.values():
        for part in FACTS.values():
            assert with_value(procedure, part, value_of(procedure, part)) == procedure
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1})
    assert set(PARTS) > set(FACTS)
