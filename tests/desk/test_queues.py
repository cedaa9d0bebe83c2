"""Whose turn it is to answer: one advisor at a time, the bot silent meanwhile, nothing lost when they leave."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import select

from bot.desk import answering, queues
from bot.errors import BadInputError
from bot.notices.inbound import has_enough_answers
from bot.storage import queue
from bot.storage.tables import Conversation, DeskMessage, Handoff, Outbox, Preference
from tests.desk.conftest import COUNTER, Scene

ASKED = "gặp cán bộ"


def take(scene: Scene, staff: str = "lan", sender: str = "77") -> int:
    number = scene.conversation(sender).id or 0
    scene.write(queues.claim, number, staff, scene.now)
    return number


def send(scene: Scene, number: int, text: str, key: str, staff: str = "lan") -> object:
    return scene.write(answering.send, number, staff, text, key, scene.now)


def at_once(*works: Callable[[], object]) -> list[object]:
    """Runs all at the same time; what each returned or raised."""
    ready, results = threading.Barrier(len(works)), [None] * len(works)

    def run(number: int, work: Callable[[], object]) -> None:
        ready.wait()
        try:
            results[number] = work()
        except Exception as error:  # noqa: BLE001 - looked at by the test
            results[number] = error  # type: ignore[call-overload]

    threads = [threading.Thread(target=run, args=one) for one in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(results)


def test_who_asks_for_a_person_waits_and_is_told_until_when(scene: Scene) -> None:
    (told,) = scene.say(ASKED)
    assert "hôm nay đến 11 giờ" in told
    assert scene.queue() == "waiting"
    assert scene.conversation().queued_at == scene.now


def test_out_of_hours_the_next_opening_is_said(scene: Scene) -> None:
    scene.later(hours=9)
    assert "sáng mai, từ 7 giờ" in scene.say(ASKED)[0]


def test_what_the_bot_answers_waits_for_nobody(scene: Scene) -> None:
    scene.say("làm giấy khai sinh cho con cần gì")
    scene.say("chấm 5 sao", sender="88")
    assert (scene.queue(), scene.queue("88")) == ("bot", "bot")


def test_what_the_bot_did_not_know_waits_until_it_answers_after_all(scene: Scene) -> None:
    scene.say("asdf qwer zxcv hjkl")
    if scene.queue() != "waiting":  # taken for chatter; ask something that leads nowhere
        scene.say("làm giấy khai sinh cần gì")
        scene.say("không phải")
    assert scene.open_reasons() == ["miss"]
    assert scene.queue() == "waiting"
    scene.say("làm giấy khai sinh cho con cần gì")
    assert scene.open_reasons() == []
    assert scene.queue() == "bot"


def test_only_one_of_two_advisors_gets_it(scene: Scene) -> None:
    for sender in map(str, range(6)):
        scene.say(ASKED, sender=sender)
        number = scene.conversation(sender).id
        first, second = at_once(
            lambda: scene.write(queues.claim, number, "lan", scene.now),  # noqa: B023 - run in this round
            lambda: scene.write(queues.claim, number, "minh", scene.now),  # noqa: B023
        )
        refused = [one for one in (first, second) if isinstance(one, BadInputError)]
        assert [first, second].count(True) == 1
        assert len(refused) == 1
        owner = scene.conversation(sender).taken_by or ""
        assert f"Cán bộ tư vấn {owner.title()}" in str(refused[0])
    assert len(scene.all(DeskMessage)) == 6


def test_taking_it_again_changes_nothing(scene: Scene) -> None:
    scene.say(ASKED)
    number = take(scene)
    assert scene.write(queues.claim, number, "lan", scene.now) is False
    assert scene.told().count("Cán bộ tư vấn Lan đang trả lời ông/bà. Ông/bà cứ nhắn tiếp.") == 1


def test_while_a_person_has_it_the_bot_drafts_and_says_nothing(scene: Scene) -> None:
    scene.say(ASKED)
    number = take(scene)
    assert scene.say("phí chứng thực bản sao bao nhiêu") == []
    turn = scene.turns()[-1]
    assert turn.replies["replies"] == []
    assert "2.000 đồng/trang" in turn.replies["draft"][0]["text"]
    assert send(scene, number, "Dạ 2.000 đồng một trang.", "key-0001") is True
    assert scene.told()[-1] == "Cán bộ tư vấn Lan: Dạ 2.000 đồng một trang."
    scene.write(queues.finish, number, "lan", scene.now)
    assert "đã trả lời xong" in scene.told()[-1]
    assert scene.queue() == "done"
    assert scene.all(Handoff, state="open") == []
    assert scene.say("phí chứng thực bản sao bao nhiêu")  # the bot is back


def test_a_choice_that_was_only_drafted_is_not_waited_for(scene: Scene) -> None:
    scene.say("chào")
    number = take(scene)
    scene.say("giấy phép xây dựng cũ")  # the draft asks which
    assert scene.conversation().memory["pending"] == "choice"
    scene.write(queues.finish, number, "lan", scene.now)
    assert scene.conversation().memory["pending"] is None
    assert scene.conversation().memory["offered"] == []


def test_a_message_that_comes_while_it_is_taken_is_answered_or_left_to_the_advisor(scene: Scene) -> None:
    for sender in map(str, range(8)):
        scene.say("chào", sender=sender)
        number = scene.conversation(sender).id
        before = len(scene.told(sender))
        message = scene.incoming("phí chứng thực bản sao bao nhiêu", sender)
        inbox_id = scene.service.receive(message)
        results = at_once(
            lambda: scene.service.work_off(only=inbox_id),  # noqa: B023 - run in this round
            lambda: scene.write(queues.claim, number, "lan", scene.now),  # noqa: B023
        )
        assert results == [{"telegram"}, True]
        turn = scene.turns()[-1]
        told = [text for text in scene.told(sender)[before:] if "2.000" in text]
        assert bool(turn.replies["replies"]) is bool(told)
        assert bool(turn.replies.get("draft")) is not bool(told)
        assert scene.conversation(sender).taken_by == "lan"


def test_rights_are_served_at_once_even_then(scene: Scene) -> None:
    scene.say("tôi tên An, gặp cán bộ")
    number = take(scene)
    assert "không nhắn tin báo vào đây nữa" in scene.say("ngừng nhận tin")[0]
    assert [row.wants for row in scene.all(Preference)] == [False]  # type: ignore[attr-defined]
    send(scene, number, "Chào anh An", "key-0001")
    assert "Xóa rồi không lấy lại được" in scene.say("xóa dữ liệu của tôi")[0]
    assert "đã xóa" in scene.say("đồng ý xóa")[0]
    left = str([scene.turns(), scene.all(DeskMessage), scene.all(Handoff), scene.all(Conversation)])
    assert "An" not in left
    assert scene.queue() == "taken"  # the advisor sees that it is erased
    assert scene.say("chào") == []


def test_an_answer_goes_out_once_however_often_it_is_sent(scene: Scene) -> None:
    scene.say(ASKED)
    number = take(scene)
    results = at_once(*[lambda: send(scene, number, "Dạ, có ạ.", "key-0001")] * 3)
    assert sorted(results, key=str) == [False, False, True]
    assert scene.told().count("Cán bộ tư vấn Lan: Dạ, có ạ.") == 1
    scene.write(queues.finish, number, "lan", scene.now)
    assert send(scene, number, "Dạ, có ạ.", "key-0001") is False  # a retry that comes late


@pytest.mark.parametrize(("text", "key", "staff"), [
    (" \n", "key-0001", "lan"), ("x" * 3501, "key-0001", "lan"), ("Dạ", "?", "lan"), ("Dạ", "key-0001", "minh"),
])  # fmt: skip
def test_what_cannot_be_sent_changes_nothing(scene: Scene, text: str, key: str, staff: str) -> None:
    scene.say(ASKED)
    number = take(scene)
    before = scene.told()
    with pytest.raises(BadInputError):
        send(scene, number, text, key, staff)
    assert scene.told() == before


def test_an_advisor_who_leaves_is_replaced_and_the_citizen_waits_again(scene: Scene) -> None:
    scene.say(ASKED)
    take(scene)
    scene.later(minutes=14)
    scene.say("có ai không")
    assert not scene.sweep().returned
    scene.later(minutes=1)
    assert scene.sweep().returned == [1]
    assert not scene.sweep().returned
    assert (scene.queue(), scene.conversation().taken_by) == ("waiting", None)
    assert any("vẫn chờ cán bộ trả lời" in text for text in scene.told())
    assert scene.say("phí chứng thực bản sao bao nhiêu")  # the bot is back
    assert scene.queue() == "waiting"  # and somebody is still promised


def test_an_advisor_who_answered_all_and_left_is_done(scene: Scene) -> None:
    scene.say(ASKED)
    number = take(scene)
    scene.later(minutes=1)
    send(scene, number, "Dạ, mai ông/bà ra nhận.", "key-0001")
    scene.later(minutes=16)
    assert scene.sweep().returned == [number]
    assert scene.queue() == "done"
    assert scene.open_reasons() == []


def test_work_on_an_answer_keeps_the_conversation(scene: Scene) -> None:
    scene.say(ASKED)
    number = take(scene)
    for _ in range(3):
        scene.later(minutes=10)
        assert scene.write(queues.active, number, "lan", scene.now) is True
        assert not scene.sweep().returned
    assert scene.write(queues.active, number, "minh", scene.now) is False


def test_at_closing_time_the_bot_comes_back_and_says_when_the_person_does(scene: Scene) -> None:
    scene.now = scene.now.replace(hour=16, minute=55)
    scene.say(ASKED)
    number = take(scene)
    scene.later(minutes=6)
    assert scene.sweep().returned == [number]
    assert "sáng mai, từ 7 giờ" in scene.told()[-1]
    take(scene)  # overtime: not taken back at once
    scene.later(minutes=5)
    assert not scene.sweep().returned


def test_put_back_and_passed_on_leave_the_citizen_waiting_and_say_so(scene: Scene) -> None:
    scene.say("chào")
    number = take(scene)
    with pytest.raises(BadInputError, match="quầy"):
        scene.write(queues.transfer, number, "lan", "Quầy không có", scene.office, scene.now)
    scene.write(queues.transfer, number, "lan", COUNTER, scene.office, scene.now)
    assert scene.told()[-1].startswith(f"Lời nhắn của ông/bà đã chuyển đến {COUNTER}.")
    assert (scene.queue(), scene.conversation().counter) == ("waiting", COUNTER)
    take(scene, "minh")
    scene.write(queues.put_back, number, "minh", scene.office, scene.now)
    assert (scene.queue(), scene.open_reasons()) == ("waiting", ["passed_on"])
    with pytest.raises(BadInputError):
        scene.write(queues.finish, number, "minh", scene.now)


def test_an_advisor_who_said_nothing_is_not_said_to_have_answered(scene: Scene) -> None:
    scene.say("chào")
    number = take(scene)
    scene.write(queues.finish, number, "lan", scene.now)
    assert "đã trả lời xong" not in scene.told()[-1]
    assert "trợ lý tự động trả lời tiếp" in scene.told()[-1]


def test_by_sms_only_what_must_be_said_is_sent(scene: Scene) -> None:
    scene.say(ASKED, sender="+84951234567", channel="sms")
    number = take(scene, sender="+84951234567")
    before = len(scene.told("+84951234567"))
    send(scene, number, "Dạ, mời ông/bà đến quầy số 2.", "key-0001")
    scene.write(queues.finish, number, "lan", scene.now)
    assert scene.told("+84951234567")[before:] == ["Can bo tu van Lan: Da, moi ong/ba den quay so 2."]


def test_no_sms_is_dropped_while_an_advisor_has_the_conversation(scene: Scene) -> None:
    phone = "+84951234567"
    for _ in range(10):
        scene.say("chào", sender=phone, channel="sms")
    with scene.database.read() as session:
        assert has_enough_answers(session, phone, scene.now)
    number = take(scene, sender=phone)
    for key in range(12):
        send(scene, number, "Dạ", f"key-{key:04}")
    with scene.database.read() as session:
        assert not has_enough_answers(session, phone, scene.now)


def test_a_reply_that_did_not_arrive_comes_before_an_advisor_until_it_is_told_again(scene: Scene) -> None:
    scene.say("phí chứng thực bản sao bao nhiêu")
    with scene.database.write() as session:
        (row,) = session.exec(select(Outbox)).all()
        row.state, row.lease_owner, row.lease_until = "sending", "lost", scene.now - timedelta(minutes=1)
    scene.service.sweep()
    scene.service.sweep()
    assert (scene.queue(), scene.open_reasons()) == ("waiting", ["unsent"])
    assert scene.say("cảm ơn")[0].startswith("(Nhắc lại")
    assert (scene.queue(), scene.open_reasons()) == ("bot", [])


def test_a_broken_message_is_left_to_the_advisor_who_has_it(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.say(ASKED)
    take(scene)
    before = scene.told()

    def broken(*_: object) -> None:
        raise RuntimeError("hỏng")

    monkeypatch.setattr(type(scene.service.talk), "turn", broken)
    scene.service.receive(scene.incoming("câu làm hỏng"))
    for _ in range(queue.MAX_ATTEMPTS):
        scene.service.work_off()
        scene.later(minutes=11)
        scene.write(queues.active, 1, "lan", scene.now)
    assert scene.turns()[-1].text == "câu làm hỏng"
    assert scene.told() == before


def test_the_rows_that_go_out_are_replies_in_order(scene: Scene) -> None:
    scene.say(ASKED)
    number = take(scene)
    for key in ("key-0001", "key-0002"):
        send(scene, number, key, key)
    rows = [row for row in scene.all(Outbox) if row.inbox_id is None]  # type: ignore[attr-defined]
    assert {row.kind for row in rows} == {"reply"}  # type: ignore[attr-defined]
    assert [row.body["text"][-8:] for row in rows[-2:]] == ["key-0001", "key-0002"]  # type: ignore[attr-defined]
