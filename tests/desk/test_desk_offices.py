"""The desk of several offices: each one's hours count for its own citizens, and its own advisors are told of them."""

from __future__ import annotations

import pytest

from bot.catalog.office import Hours, Office, Shift
from bot.desk import queues
from bot.desk.sweep import Swept, sweep
from bot.storage.tables import Conversation, Staff
from tests.desk.conftest import Scene
from tests.desk.test_alerts import WORDS, alarms, linked

OPEN, SHUT = "chau-thanh", "dong-phuoc"
ON_SATURDAYS = Hours(days="thứ Bảy", shifts=(Shift(opens="07:00", closes="11:00"),))


@pytest.fixture
def offices(scene: Scene) -> dict[str | None, Office]:
    """One that is open now, and one that opens on Saturday; lan is of the first, minh of the second, hoa of all."""
    with scene.database.write() as session:
        session.get_one(Staff, "lan").office = OPEN
        session.get_one(Staff, "minh").office = SHUT
        session.add(Staff(name="hoa", role="advisor", password_hash="-", created_at=scene.now))
    for chat, name in (("9001", "lan"), ("9002", "minh"), ("9003", "hoa")):
        linked(scene, chat, name)
    known = scene.office
    return {
        None: known.model_copy(update={"hours": (), "counters": ()}), OPEN: known,
        SHUT: known.model_copy(update={"hours": (ON_SATURDAYS,)}),
    }  # fmt: skip


def swept(scene: Scene, offices: dict[str | None, Office]) -> Swept:
    return sweep(scene.database, scene.settings, offices, scene.now)


def waits(scene: Scene, office: str | None, sender: str) -> int:
    scene.say(WORDS, sender=sender)
    with scene.database.write() as session:
        talk = session.get_one(Conversation, scene.conversation(sender).id)
        talk.office = office
        return talk.id or 0


def told(scene: Scene) -> list[int]:
    return [len(alarms(scene, chat)) for chat in ("9001", "9002", "9003")]


def test_the_advisors_of_the_citizens_office_are_told_and_those_who_see_all(
    scene: Scene, offices: dict[str | None, Office]
) -> None:
    number = waits(scene, OPEN, "77")
    scene.later(minutes=6)
    assert swept(scene, offices).alerted == [number]
    assert told(scene) == [1, 0, 1]


def test_of_a_citizen_of_no_known_office_everybody_is_told(scene: Scene, offices: dict[str | None, Office]) -> None:
    number = waits(scene, None, "77")
    scene.later(minutes=6)
    assert swept(scene, offices).alerted == [number]
    assert told(scene) == [1, 1, 1]


def test_while_an_office_is_closed_nobody_is_told_of_its_citizens(
    scene: Scene, offices: dict[str | None, Office]
) -> None:
    closed, number = waits(scene, SHUT, "77"), waits(scene, OPEN, "78")
    scene.later(minutes=6)
    assert swept(scene, offices).alerted == [number]
    scene.later(days=3)
    assert swept(scene, offices).alerted == [closed]


def test_an_office_that_is_gone_lets_nobody_wait_unheard(scene: Scene, offices: dict[str | None, Office]) -> None:
    number = waits(scene, "bi-bo", "77")
    scene.later(minutes=6)
    assert swept(scene, offices).alerted == [number]


def test_a_conversation_is_taken_back_by_the_hours_of_its_office(
    scene: Scene, offices: dict[str | None, Office]
) -> None:
    number = waits(scene, OPEN, "77")
    scene.switch(return_after_minutes=240)
    scene.later(hours=7)
    scene.write(queues.claim, number, "lan", scene.now)
    scene.later(minutes=90)  # past 17 o'clock
    closing = {**offices, OPEN: offices[SHUT]}
    assert not swept(scene, closing).returned
    assert swept(scene, offices).returned == [number]
