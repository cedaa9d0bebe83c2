"""Several offices in one deployment: the office is asked once, and only where the answer depends on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.catalog.loading import CatalogError
from bot.catalog.office import Counter, Hours, Shift
from bot.catalog.offices import Offices, load_offices
from bot.conversation.model import Memory
from bot.conversation.talk import Talk
from bot.dossiers.offline import OfflineDossiers
from tests.conversations.test_conversations import NOW, talk_through

SEVERAL = Path(__file__).parent / "several" / "offices.yml"
ROOT = Path("procedures_data")
HOURS = Hours(days="thứ Hai đến thứ Sáu", shifts=(Shift(opens="07:00", closes="11:00"),))


@pytest.fixture(scope="module")
def province(talk: Talk) -> Talk:
    """The same talk for two offices, of which the second has hours, a telephone and a counter of its own."""
    loaded = load_offices(ROOT, ("chau-thanh", "dong-phuoc"))
    office, fees = loaded.profiles["dong-phuoc"]
    more = {
        "hours": (HOURS,),
        "phone": "0292 000 0002",
        "counters": (Counter(name="Quầy hộ tịch", fields=("ho-tich",)),),
    }
    offices = Offices({**loaded.profiles, "dong-phuoc": (office.model_copy(update=more), fees)})

    def desks(slug: str | None, now: Any) -> Any:
        profile, fees = offices.profiles[slug] if slug else offices.common()
        return replace(talk.desk(now), office=profile, province=fees)

    return replace(talk, offices=offices, desks=desks)


@pytest.mark.parametrize(
    "conversation",
    [pytest.param(one, id=str(number)) for number, one in enumerate(yaml.safe_load(SEVERAL.read_text("utf-8")), 1)],
)
def test_conversation_with_one_of_several_offices(conversation: dict[str, Any], province: Talk) -> None:
    talk_through(conversation, province)


def test_with_one_office_nothing_is_asked_and_no_office_is_remembered(talk: Talk) -> None:
    citizen = OfflineDossiers(lambda _code: None, talk.desk(NOW))
    memory = Memory()
    for text in ("giờ làm việc", "địa chỉ của xã Đông Phước", "gặp cán bộ", "nộp đăng ký khai sinh ở đâu"):
        said = talk.turn(text, memory, NOW, citizen)
        memory = said.memory
        assert said.outcome != "clarify", text
        assert memory.office is None
        assert memory.pending != "office"


def test_of_many_offices_the_name_is_typed_instead_of_chosen(province: Talk) -> None:
    office, fees = province.offices.profiles["chau-thanh"]
    many = {
        f"xa-{number}": (office.model_copy(update={"commune": f"xã Số {number}", "codes": ()}), fees)
        for number in range(1, 21)
    }
    offices = Offices(many)
    talk = replace(province, offices=offices, desks=lambda slug, now: replace(
        province.desk(now), office=(offices.profiles[slug] if slug else offices.common())[0]))  # fmt: skip
    citizen = OfflineDossiers(lambda _code: None, talk.desk(NOW))
    asked = talk.turn("giờ làm việc", Memory(), NOW, citizen)
    assert asked.outcome == "clarify"
    assert not asked.replies[0].buttons
    assert "gõ tên xã" in asked.replies[0].text
    assert talk.turn("số 17", asked.memory, NOW, citizen).memory.office is None  # a number is no name
    assert talk.turn("xa so 17", asked.memory, NOW, citizen).memory.office == "xa-17"


def test_an_office_that_is_gone_is_asked_for_again(province: Talk) -> None:
    citizen = OfflineDossiers(lambda _code: None, province.desk(NOW))
    said = province.turn("giờ làm việc", Memory(office="da-bo"), NOW, citizen)
    assert said.outcome == "clarify"
    assert said.memory.pending == "office"


def test_two_offices_may_not_share_a_place_or_a_code(tmp_path: Path) -> None:
    local = tmp_path / "local"
    (local / "provinces").mkdir(parents=True)
    (local / "provinces" / "p.yml").write_text("name: tỉnh P\ncouncil: HĐND\n", "utf-8")
    for slug in ("mot", "hai"):
        (local / f"{slug}.yml").write_text(
            "name: A\nshort_name: A\ncommune: xã A\nprovince: p\ncodes: [H30.99.01]\n", "utf-8"
        )
    with pytest.raises(CatalogError) as refused:
        load_offices(tmp_path, ("mot", "hai"))
    assert [fault.field for fault in refused.value.faults] == ["commune", "codes"]
