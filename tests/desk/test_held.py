"""Answers that wait for approval: approved, edited or expired, each exactly once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.conversation.model import Turn
from bot.desk import held, queues
from bot.errors import BadInputError
from bot.storage.tables import Held, OfficeSetting
from tests.desk.conftest import Scene
from tests.desk.test_queues import at_once, take

QUESTION = "làm giấy khai sinh cho con cần gì"
FEE = "phí chứng thực bản sao bao nhiêu"


@pytest.fixture
def unsure(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """The setting is on, and the bot is never quite sure."""
    scene.switch(approve_unsure=True)
    talk = scene.service.talk
    wondering = type(talk).turn

    def turn(*given: object, **named: object) -> Turn:
        said = wondering(*given, **named)  # type: ignore[arg-type]
        return replace(said, confidence=min(said.confidence, 0.8))

    monkeypatch.setattr(type(talk), "turn", turn)
    return scene


def only(scene: Scene) -> Held:
    (row,) = scene.all(Held)
    assert isinstance(row, Held)
    return row


def approve(scene: Scene, text: str | None = None, staff: str = "lan") -> object:
    row = only(scene)
    return scene.write(held.approve, row.id, row.conversation_id, staff, text, scene.now)


def test_an_unsure_answer_waits_and_the_citizen_is_told_until_when(unsure: Scene) -> None:
    (told,) = unsure.say(QUESTION)
    assert "đang chờ cán bộ kiểm tra" in told
    assert "09:10" in told
    assert unsure.queue() == "held"
    assert "Giấy chứng sinh" in only(unsure).replies["replies"][0]["text"]


def test_a_sure_answer_or_none_is_not_held(unsure: Scene) -> None:
    unsure.switch(approve_below_percent=50)
    assert "Giấy chứng sinh" in unsure.say(QUESTION)[0]
    unsure.switch(approve_below_percent=100)
    assert unsure.say("chào")
    assert unsure.say("giấy phép xây dựng cũ", sender="88")  # asks which
    assert unsure.say("gặp cán bộ")
    assert unsure.all(Held) == []


def test_outside_hours_and_with_the_setting_off_nothing_is_held(unsure: Scene) -> None:
    unsure.later(hours=3)  # the lunch break
    assert "Giấy chứng sinh" in unsure.say(QUESTION)[0]
    unsure.later(hours=2)
    unsure.switch(approve_unsure=False)
    assert "Giấy chứng sinh" in unsure.say(QUESTION)[0]
    assert unsure.all(Held) == []


def test_approved_it_goes_out_as_it_was_and_is_done(unsure: Scene) -> None:
    unsure.say(QUESTION)
    approve(unsure)
    assert "Giấy chứng sinh" in unsure.told()[-1]
    assert unsure.queue() == "done"
    assert len(unsure.turns()[0].replies["replies"]) == 2  # what the page shows: the notice, then the answer
    with pytest.raises(BadInputError, match="Cán bộ tư vấn Lan xử lý"):
        approve(unsure, staff="minh")
    assert len(unsure.told()) == 2


def test_edited_the_advisor_says_it(unsure: Scene) -> None:
    unsure.say(QUESTION)
    with pytest.raises(BadInputError):
        approve(unsure, "  ")
    approve(unsure, "Ông/bà mang giấy chứng sinh và căn cước.")
    assert unsure.told()[-1] == "Cán bộ tư vấn Lan: Ông/bà mang giấy chứng sinh và căn cước."
    assert only(unsure).state == "edited"


def test_past_the_deadline_the_citizen_is_told_and_waits_for_a_person(unsure: Scene) -> None:
    unsure.say(QUESTION)
    unsure.later(minutes=9)
    assert not unsure.sweep()
    unsure.later(minutes=1)
    assert unsure.sweep().expired == [only(unsure).id]
    assert not unsure.sweep()
    assert "cán bộ chưa kịp kiểm tra" in unsure.told()[-1]
    assert "Giấy chứng sinh" not in str(unsure.told())
    assert (unsure.queue(), unsure.open_reasons()) == ("waiting", ["late"])
    with pytest.raises(BadInputError, match="quá giờ duyệt"):
        approve(unsure)


def test_approval_and_deadline_at_once_are_one_of_them(unsure: Scene) -> None:
    for number in range(6):
        sender = str(number)
        unsure.say(QUESTION, sender=sender)
        row = unsure.all(Held, state="waiting")[0]
        assert isinstance(row, Held)
        unsure.later(minutes=10)
        before = len(unsure.told(sender))
        approval, first, second = at_once(
            lambda: unsure.write(held.approve, row.id, row.conversation_id, "lan", None, unsure.now),  # noqa: B023
            lambda: unsure.write(held.expire, row.id, lambda _one: unsure.office, unsure.now),  # noqa: B023
            lambda: unsure.write(held.expire, row.id, lambda _one: unsure.office, unsure.now),  # noqa: B023
        )
        approved = isinstance(approval, Held)
        assert approved or isinstance(approval, BadInputError)
        assert [approved, first, second].count(True) == 1
        assert len(unsure.told(sender)) == before + 1
        assert ("Giấy chứng sinh" in unsure.told(sender)[-1]) is approved


def test_the_deadline_is_never_past_the_end_of_the_shift(unsure: Scene) -> None:
    unsure.now = unsure.now.replace(hour=10, minute=55)
    assert "11:00" in unsure.say(QUESTION)[0]
    unsure.later(minutes=5)
    assert unsure.sweep().expired
    assert "chiều nay, từ 13 giờ" in unsure.told()[-1]


def test_what_builds_on_a_held_answer_is_held_too(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.switch(approve_unsure=True)
    sure = iter((0.5, 1.0))
    real = type(scene.service.talk).turn
    monkeypatch.setattr(
        type(scene.service.talk), "turn", lambda *given: replace(real(*given), confidence=next(sure))
    )  # fmt: skip
    scene.say(QUESTION)
    assert "đang chờ cán bộ kiểm tra" in scene.say("còn phí?")[0]
    assert len(scene.all(Held)) == 2


def test_whoever_takes_the_conversation_gets_the_held_answer_as_a_draft(unsure: Scene) -> None:
    unsure.say(QUESTION)
    take(unsure)
    assert only(unsure).state == "taken"
    assert "Giấy chứng sinh" in unsure.turns()[0].replies["draft"][0]["text"]
    unsure.later(minutes=11)
    assert not unsure.sweep().expired
    with pytest.raises(BadInputError, match="phần gợi ý"):
        approve(unsure)
    unsure.later(minutes=10)
    unsure.sweep()
    assert unsure.queue() == "waiting"  # the question was not answered, so it is not lost
    assert all("Giấy chứng sinh" not in text for text in unsure.told())


def test_erasing_takes_the_held_answer_along(unsure: Scene) -> None:
    unsure.say("làm giấy khai sinh cho con tên An cần gì")
    unsure.say("xóa dữ liệu của tôi")
    unsure.say("đồng ý xóa")
    assert (only(unsure).state, only(unsure).replies) == ("erased", {})
    unsure.later(minutes=11)
    assert not unsure.sweep()


def test_what_is_kept_is_said_again_where_the_first_answer_was_held(unsure: Scene) -> None:
    assert "được lưu" not in unsure.say(FEE)[0]
    unsure.later(minutes=10)
    unsure.sweep()
    assert "được lưu" in unsure.say("chào")[0]


def test_a_setting_that_nobody_touched_is_off(scene: Scene) -> None:
    assert scene.all(OfficeSetting) == []
    scene.say(QUESTION)
    assert scene.all(Held) == []
    assert scene.queue() == queues.BOT
