"""What the office and its province add: counters, hours by counter, fees of the council, from–to."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from bot.application import open_desk
from bot.catalog.answers import Desk, compose
from bot.catalog.office import Counter, Hours, Office, Province, ProvinceFee, Shift, hours_text
from bot.catalog.schema import Aspect
from bot.settings import Settings


@pytest.fixture(scope="module")
def desk() -> Desk:
    return replace(open_desk(Settings()), today=date(2026, 11, 24))


def _told(desk: Desk, code: str, aspect: Aspect) -> str:
    return compose(desk.catalog.procedures[code], (aspect,), desk)[0]


def _office(desk: Desk, **changes: object) -> Desk:
    return replace(desk, office=Office.model_validate({**desk.office.model_dump(), **changes}))


SATURDAY = Hours(days="sáng thứ Bảy", shifts=(Shift(opens="07:30", closes="11:30"),))


def test_a_counter_of_its_own_is_told_where_its_fields_are_filed(desk: Desk) -> None:
    police = Counter(name="Công an xã", fields=("cu-tru",), address="số 1", phone="02931", hours=(SATURDAY,))
    with_police = _office(desk, counters=(police.model_dump(),))
    told = _told(with_police, "1.004194", Aspect.WHERE)
    assert "Tại xã: Công an xã, số 1, 02931, sáng thứ Bảy, 07:30–11:30." in told
    assert "Tại xã:" not in _told(with_police, "2.000815", Aspect.WHERE)
    assert "Tại xã:" not in _told(desk, "1.004194", Aspect.WHERE)


def test_what_is_over_or_not_yet_is_not_told(desk: Desk) -> None:
    gone = Counter(name="Quầy cũ", fields=("cu-tru",), valid_to=date(2026, 11, 23))
    later = Counter(name="Quầy mới", fields=("cu-tru",), valid_from=date(2026, 11, 25))
    told = _told(_office(desk, counters=(gone.model_dump(), later.model_dump())), "1.004194", Aspect.WHERE)
    assert "Quầy" not in told
    shifts = (Shift(opens="07:00", closes="11:00"), Shift(opens="13:00", closes="17:00"))
    winter = Hours(counter="Quầy 1", days="thứ Hai đến thứ Sáu", shifts=shifts, valid_from=date(2026, 12, 1))
    office = _office(desk, hours=(winter.model_dump(), SATURDAY.model_dump())).office
    assert hours_text(office, date(2026, 11, 24)) == "sáng thứ Bảy, 07:30–11:30"
    assert (hours_text(office, date(2026, 12, 1)) or "").startswith("Quầy 1: thứ Hai đến thứ Sáu, 07:00–11:00, 13:00")


def test_the_councils_fee_or_that_it_is_the_councils(desk: Desk) -> None:
    assert "mức thu do HĐND thành phố Cần Thơ quy định" in _told(desk, "1.001193", Aspect.FEE)
    fee = ProvinceFee(
        code="1.001193", what="đăng ký quá hạn", amount=5000, source="Nghị quyết 1/2026/NQ-HĐND",
        valid_from=date(2026, 1, 1), valid_to=date(2026, 12, 31),
    )  # fmt: skip
    province = Province(name="thành phố Cần Thơ", council="HĐND thành phố Cần Thơ", fees=(fee,))
    told = _told(replace(desk, province=province), "1.001193", Aspect.FEE)
    assert "đăng ký quá hạn: 5.000 đồng (Nghị quyết 1/2026/NQ-HĐND)" in told.replace("Đăng", "đăng")
    over = _told(replace(desk, province=province, today=date(2027, 1, 1)), "1.001193", Aspect.FEE)
    assert "5.000" not in over
