"""A citizen waits and nobody takes it: advisors hear of it in their own chats, the citizen hears when."""

from __future__ import annotations

import pytest

from bot.desk import alerts
from bot.desk.sweep import sweep
from bot.storage.tables import Audit, Handoff, Inbox, StaffChat
from tests.desk.conftest import Scene
from tests.desk.test_queues import at_once, take

WORDS = "cho tôi gặp cán bộ, tôi tên Bảy"


def code_of(scene: Scene, staff: str = "lan") -> str:
    return str(scene.write(alerts.new_code, scene.settings, staff, scene.now))


def linked(scene: Scene, chat: str = "9001", staff: str = "lan") -> None:
    assert "Đã nối với tài khoản" in scene.say(code_of(scene, staff), sender=chat)[0]


def alarms(scene: Scene, chat: str = "9001") -> list[str]:
    return [text for text in scene.told(chat) if "đang chờ cán bộ" in text]


def test_the_code_links_a_chat_once(scene: Scene) -> None:
    code = code_of(scene)
    assert "lan" in scene.say(f" {code.lower()} ", sender="9001")[0]
    assert "không đúng hoặc đã hết hạn" in scene.say(code, sender="9002")[0]
    assert [(chat.staff, chat.sender) for chat in scene.all(StaffChat)] == [("lan", "9001")]  # type: ignore[attr-defined]
    assert code[3:] not in str([scene.turns(), scene.all(Inbox)])
    assert [row.action for row in scene.all(Audit)] == ["chat_link"]  # type: ignore[attr-defined]


def test_an_old_a_wrong_and_a_replaced_code_link_nothing(scene: Scene) -> None:
    replaced = code_of(scene)
    old = code_of(scene)
    scene.later(minutes=11)
    for code in (replaced, old, "CB-AAAAAAAA"):
        assert "không đúng hoặc đã hết hạn" in scene.say(code, sender="9001")[0]
    scene.say(code_of(scene), sender="w" * 32, channel="web")  # nobody can be written to there
    assert scene.all(StaffChat) == []


def test_nobody_takes_it_so_the_advisors_and_the_citizen_are_told_once(scene: Scene) -> None:
    linked(scene)
    linked(scene, "9002", "minh")
    scene.say(WORDS)
    scene.later(minutes=4)
    assert not scene.sweep()
    scene.later(minutes=1)
    at_once(*[lambda: sweep(scene.database, scene.settings, {None: scene.office}, scene.now)] * 3)
    scene.later(minutes=30)
    scene.sweep()
    for chat in ("9001", "9002"):
        (alarm,) = alarms(scene, chat)
        assert "Telegram" in alarm
        assert "09:00" in alarm
        assert "Bảy" not in alarm
    late = [text for text in scene.told() if "cán bộ đang bận" in text]
    assert len(late) == 1
    assert "trước 11 giờ; không kịp thì chiều nay, từ 13 giờ" in late[0]


def test_the_alert_leads_to_the_conversation_where_the_office_has_an_address(scene: Scene) -> None:
    linked(scene)
    scene.settings = scene.settings.model_copy(update={"public_base_url": "https://xa.example.vn"})
    scene.say(WORDS)
    scene.later(minutes=5)
    scene.sweep()
    assert f"https://xa.example.vn/staff/inbox/{scene.conversation().id}" in alarms(scene)[0]


@pytest.mark.parametrize("said", ["chấm 5 sao", "phí chứng thực bản sao bao nhiêu"])
def test_what_needs_nobody_alarms_nobody(scene: Scene, said: str) -> None:
    linked(scene)
    scene.say(said)
    scene.later(minutes=10)
    assert not scene.sweep()


def test_what_somebody_took_alarms_nobody(scene: Scene) -> None:
    linked(scene)
    scene.say(WORDS)
    take(scene)
    scene.later(minutes=6)
    scene.sweep()
    assert alarms(scene) == []


def test_out_of_hours_it_waits_for_the_office_to_open(scene: Scene) -> None:
    linked(scene)
    scene.later(hours=10)  # 19:00
    scene.say(WORDS)
    scene.later(hours=1)
    assert not scene.sweep()
    scene.now = scene.now.replace(day=26, hour=7, minute=4)
    assert not scene.sweep()
    scene.later(minutes=1)
    assert scene.sweep().alerted
    assert "19:00 25/11" in alarms(scene)[0]


def test_a_complaint_alarms_the_advisors_only(scene: Scene) -> None:
    linked(scene)
    scene.say("tôi muốn phản ánh cán bộ thái độ hách dịch")
    assert [row.kind for row in scene.all(Handoff)] == ["complaint"]  # type: ignore[attr-defined]
    before = scene.told()
    scene.later(minutes=6)
    scene.sweep()
    assert len(alarms(scene)) == 1
    assert scene.told() == before


def test_erasing_ends_the_alerts_to_a_chat(scene: Scene) -> None:
    linked(scene)
    scene.say("xóa dữ liệu của tôi", sender="9001")
    scene.say("đồng ý xóa", sender="9001")
    assert scene.all(StaffChat) == []


def test_an_account_that_is_shut_out_hears_nothing(scene: Scene) -> None:
    linked(scene)
    with scene.database.write() as session:
        from bot.storage.tables import Staff  # noqa: PLC0415

        session.get_one(Staff, "lan").active = False
    scene.say(WORDS)
    scene.later(minutes=6)
    scene.sweep()
    assert alarms(scene) == []
    assert any("cán bộ đang bận" in text for text in scene.told())


def test_an_advisor_who_left_alarms_the_others_at_once(scene: Scene) -> None:
    linked(scene)
    scene.say(WORDS)
    scene.later(minutes=6)
    scene.sweep()
    take(scene)
    scene.later(minutes=16)
    swept = scene.sweep()
    assert (len(swept.returned), len(swept.alerted)) == (1, 1)
    assert len(alarms(scene)) == 2
