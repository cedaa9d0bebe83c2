"""From a message taken in to the rows that go out: what the turn's transaction stores, channel by channel."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from sqlmodel import col, select

from bot.channels.port import FetchError
from bot.conversation.model import Incoming
from bot.conversation.talk import Talk
from bot.dossiers import registry
from bot.dossiers.demo import demo_records
from bot.dossiers.records import DossierRecord
from bot.service import Service
from bot.settings import Settings
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.tables import Conversation, Handoff, Inbox, Lookup, Outbox, Preference, Turn

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
CODE, PHONE = "H30.99.01-261124-0007", "+84951234567"


class Office:
    """A service with a clock to set, and one citizen's chat with it."""

    def __init__(self, database: Database, settings: Settings, talk: Talk) -> None:
        self.now = NOW
        self.database = database
        self.settings = settings
        self.pictures: dict[str, Callable[[], bytes]] = {}
        self.service = Service(
            settings, database, talk, clock=lambda: self.now, photos={"telegram": lambda ref: self.pictures[ref]()}
        )
        self.numbers = count(1)
        with database.write() as session:
            record = DossierRecord(
                code=CODE, status=4, procedure="1.001193", received_at=NOW, phone=PHONE, note="Thiếu chữ ký"
            )
            registry.upsert(session, record, source="import", settings=settings, now=NOW)

    def say(self, text: str, channel: str = "telegram", sender: str = "77", **more: object) -> list[Outbox]:
        """One message and what is answered to it."""
        message = Incoming(channel, sender, f"m{next(self.numbers)}", text, self.now, **more)  # type: ignore[arg-type]
        inbox_id = self.service.receive(message)
        assert inbox_id is not None
        while self.service.work_off():
            pass
        with self.database.read() as session:
            return list(session.exec(select(Outbox).where(Outbox.inbox_id == inbox_id).order_by(col(Outbox.id))))

    def told(self, text: str, **more: object) -> str:
        return "\n".join(row.body["text"] for row in self.say(text, **more))

    def all(self, table: type, **where: object) -> list[object]:
        with self.database.read() as session:
            return list(session.exec(select(table).filter_by(**where)))


@pytest.fixture
def office(database: Database, settings: Settings, talk: Talk) -> Office:
    return Office(database, settings, talk)


def test_a_shared_number_opens_the_dossier_and_is_not_kept(office: Office) -> None:
    assert "Thiếu chữ ký" not in office.told(CODE)
    asked = office.say("xem chi tiết hồ sơ")
    assert any(row.body.get("contact") for row in asked)
    assert "Thiếu chữ ký" not in office.told("", kind="contact", phone="+84950000000")
    assert "Thiếu chữ ký" in office.told("", kind="contact", phone=PHONE)
    assert PHONE not in str([row.payload for row in office.all(Inbox)])
    assert "Thiếu chữ ký" not in office.told("xem chi tiết hồ sơ", sender="88")


def test_a_contact_of_somebody_else_opens_nothing(office: Office) -> None:
    office.say(CODE)
    assert "chính ông/bà" in office.told("", kind="contact", phone=None)


def test_who_asked_is_told_of_the_result_in_this_chat_once(office: Office) -> None:
    office.say(CODE)
    office.say("", kind="contact", phone=PHONE)
    assert "vào đây hay nhắn SMS" in office.told("báo cho tôi khi có kết quả")
    assert "nhắn vào đây" in office.told("báo ở đây")
    with office.database.write() as session:
        registry.set_status(session, CODE, 9, by="cb", settings=office.settings, now=office.now)
    (notice,) = office.all(Outbox, kind="notice")
    assert (notice.channel, notice.recipient) == ("telegram", "77")
    assert "có kết quả" in notice.body["text"]


def test_who_asked_for_sms_gets_exactly_one_sms(office: Office) -> None:
    office.say(CODE)
    office.say("", kind="contact", phone=PHONE)
    office.say("báo cho tôi khi có kết quả")
    assert "***" in office.told("báo bằng SMS")
    with office.database.write() as session:
        registry.set_status(session, CODE, 9, by="cb", settings=office.settings, now=office.now)
    (notice,) = office.all(Outbox, kind="notice")
    assert (notice.channel, notice.recipient) == ("sms", PHONE)


def test_whoever_stops_or_blocks_is_not_told(office: Office) -> None:
    for sender, stop in (("77", {"text": "ngừng nhận tin"}), ("88", {"text": "", "kind": "unfollow"})):
        office.say(CODE, sender=sender)
        office.say("", sender=sender, kind="contact", phone=PHONE)
        office.say("báo cho tôi khi có kết quả", sender=sender)
        office.say("báo ở đây", sender=sender)
        office.say(sender=sender, **stop)  # type: ignore[arg-type]
    with office.database.write() as session:
        registry.set_status(session, CODE, 9, by="cb", settings=office.settings, now=office.now)
    assert office.all(Outbox, kind="notice") == []


def test_a_one_time_code_reaches_the_phone_and_opens_the_details(office: Office) -> None:
    office.say(CODE, channel="web", sender="w" * 32)
    office.say("xem chi tiết hồ sơ", channel="web", sender="w" * 32)
    assert "đang được gửi" in office.told("gửi mã xác nhận", channel="web", sender="w" * 32)
    (sms,) = office.all(Outbox, kind="otp")
    assert sms.recipient == PHONE
    typed = next(word.strip(",.") for word in sms.body["text"].split() if word.strip(",.").isdigit())
    assert "Thiếu chữ ký" in office.told(typed, channel="web", sender="w" * 32)


def test_the_answer_is_the_same_where_the_dossier_has_no_phone(office: Office) -> None:
    with office.database.write() as session:
        bare = DossierRecord(code="H30.99.01-261124-0008", status=4)
        registry.upsert(session, bare, source="import", settings=office.settings, now=NOW)
    told = []
    for code, sender in ((CODE, "1"), ("H30.99.01-261124-0008", "2")):
        office.say(code, sender=sender)
        office.say("xem chi tiết hồ sơ", sender=sender)
        told.append(office.told("gửi mã xác nhận", sender=sender))
    assert told[0] == told[1]
    assert len(office.all(Outbox, kind="otp")) == 1


def test_erasing_empties_what_was_said_and_keeps_the_dossier(office: Office) -> None:
    office.say("làm giấy khai sinh cho con tên An cần gì")
    office.say("gặp cán bộ, tôi tên An")
    office.say(CODE)
    assert "Xóa rồi không lấy lại được" in office.told("xóa dữ liệu của tôi")
    last = office.say("đồng ý xóa")
    assert "đã xóa" in last[0].body["text"]
    assert "An" not in str([turn.model_dump() for turn in office.all(Turn)])
    assert all(row.text == "" for row in office.all(Handoff))
    assert "An" not in str([row.payload for row in office.all(Inbox)])
    assert [row.body for row in office.all(Outbox) if row.body and row.id != last[0].id] == []
    assert office.all(Lookup)  # erasing must not reset the limits on guessing
    assert "đang xử lý" in office.told(CODE)


def test_no_means_nothing_is_erased(office: Office) -> None:
    office.say("làm giấy khai sinh cần gì")
    office.say("xóa dữ liệu của tôi")
    office.say("không")
    assert any(turn.text == "làm giấy khai sinh cần gì" for turn in office.all(Turn))


def test_a_reply_that_may_not_have_arrived_is_told_again_and_said_to_be_so(office: Office) -> None:
    first = office.say("phí chứng thực bản sao bao nhiêu")
    with office.database.write() as session:
        for row in first:
            session.get_one(Outbox, row.id).state = "uncertain"
    again = office.say("cảm ơn")
    assert again[0].body["text"].startswith("(Nhắc lại câu trả lời trước")
    assert "2.000 đồng/trang" in again[0].body["text"]
    assert {row.state for row in office.all(Outbox, inbox_id=first[0].inbox_id)} == {"cancelled"}
    assert len(office.say("cảm ơn")) == 1


def test_the_answer_to_a_tapped_list_takes_its_place(office: Office) -> None:
    (listed,) = office.say("giấy phép xây dựng cũ")
    with office.database.write() as session:
        row = session.get_one(Outbox, listed.id)
        row.state, row.provider_id = "sent", "555"
    value = listed.body["buttons"][0]["value"]
    assert office.say(value, tapped="555")[0].body["edits"] == "555"
    assert "edits" not in office.say(value, tapped="999")[0].body
    assert "edits" not in office.say(value, tapped="555", sender="88")[0].body


def test_numbers_stand_for_the_choices_on_a_channel_without_buttons(office: Office) -> None:
    (answer,) = office.say("đăng ký kết hôn cần giấy tờ gì", channel="zalo_bot")
    assert answer.body["buttons"] == []
    line = next(line for line in answer.body["text"].splitlines() if "Lệ phí" in line)
    number = line.partition(".")[0]
    assert "Phí, lệ phí" in office.told(number, channel="zalo_bot")


def test_a_photo_that_cannot_be_fetched_is_tried_again_then_said_to_be_so(office: Office) -> None:
    tries: list[int] = []

    def unreachable() -> bytes:
        tries.append(1)
        raise FetchError("ngoài tầm với")

    office.pictures["p1"] = unreachable
    assert office.say("", kind="photo", photo="p1") == []
    for _ in range(3):
        office.now += timedelta(minutes=1)
        while office.service.work_off():
            pass
    assert len(tries) == 3
    (reply,) = office.all(Outbox, channel="telegram")
    assert "chưa tải được ảnh" in reply.body["text"]
    office.pictures["p2"] = lambda: b"no picture at all"
    assert "không phải ảnh" in office.told("", kind="photo", photo="p2")


def test_what_is_no_text_is_answered_politely(office: Office) -> None:
    for kind in ("sticker", "voice", "video", "location", "file", "other", "contact", "follow"):
        (reply,) = office.say("", kind=kind)
        assert len(reply.body["text"]) > 20, kind


def test_a_flood_of_one_sender_does_not_delay_another(office: Office) -> None:
    for number in range(20):
        office.service.receive(Incoming("telegram", "flood", f"f{number}", "chào", office.now))
    office.now += timedelta(seconds=1)
    late = office.service.receive(Incoming("telegram", "calm", "c1", "chào", office.now))
    assert late is not None
    office.now += timedelta(seconds=1)
    for _ in range(2):
        office.service.work_off()
    assert office.service.is_done(late)


@pytest.fixture
def poison(office: Office, monkeypatch: pytest.MonkeyPatch) -> str:
    """A text at which the engine breaks."""
    healthy = type(office.service.talk.engine).parse

    def parse(self: object, text: str) -> object:
        if text == "độc":
            raise ValueError("không nuốt nổi")
        return healthy(self, text)  # type: ignore[arg-type]

    monkeypatch.setattr(type(office.service.talk.engine), "parse", parse)
    return "độc"


def test_a_poisoned_message_is_set_aside_with_its_reason_and_the_next_are_answered(office: Office, poison: str) -> None:
    office.service.receive(Incoming("telegram", "77", "bad", poison, office.now))
    office.service.receive(Incoming("telegram", "77", "good", "chào", office.now))
    for _ in range(queue.MAX_ATTEMPTS):
        while office.service.work_off():
            pass
        office.now += timedelta(minutes=11)
    while office.service.work_off():
        pass
    bad, good = office.all(Inbox)
    assert (bad.state, bad.attempts) == ("dead", queue.MAX_ATTEMPTS)
    assert "không nuốt nổi" in bad.error
    assert good.state == "done"
    texts = [row.body["text"] for row in office.all(Outbox)]
    assert len(texts) == 2
    assert "hệ thống đang gặp lỗi" in texts[0]


def test_one_that_breaks_does_not_harm_those_answered_with_it(office: Office, poison: str) -> None:
    for number in range(5):
        text = poison if number == 2 else "chào"
        office.service.receive(Incoming("telegram", f"s{number}", f"m{number}", text, office.now))
    assert office.service.work_off(most=16) == {"telegram"}
    rows = sorted(office.all(Inbox), key=lambda row: row.id)
    assert [row.state for row in rows] == ["done", "done", "waiting", "done", "done"]
    assert "không nuốt nổi" in rows[2].error
    assert sorted(row.recipient for row in office.all(Outbox)) == ["s0", "s1", "s3", "s4"]
    assert office.service.work_off(most=16) == frozenset()


def test_of_several_photos_all_but_the_first_are_left_to_other_workers(office: Office) -> None:
    office.pictures["p"] = lambda: b"no picture"
    for number in range(3):
        photo = Incoming("telegram", f"s{number}", f"m{number}", "", office.now, kind="photo", photo="p")
        office.service.receive(photo)
    office.service.receive(Incoming("telegram", "s3", "m3", "chào", office.now))
    assert office.service.work_off(most=16) == {"telegram"}
    rows = sorted(office.all(Inbox), key=lambda row: row.id)
    assert [(row.state, row.attempts) for row in rows] == [("done", 1), ("waiting", 0), ("waiting", 0), ("done", 1)]
    while office.service.work_off(most=16):
        pass
    assert {row.state for row in office.all(Inbox)} == {"done"}


def test_those_answered_together_are_of_different_senders_and_of_each_the_first(office: Office) -> None:
    for number in range(6):
        office.service.receive(Incoming("telegram", f"s{number % 3}", f"m{number}", f"chào {number}", office.now))
    office.now += timedelta(seconds=1)
    assert office.service.work_off(most=16) == {"telegram"}
    states = [row.state for row in sorted(office.all(Inbox), key=lambda row: row.id)]
    assert states == ["done"] * 3 + ["waiting"] * 3
    assert office.service.work_off(most=2) == {"telegram"}
    assert office.service.work_off(most=2) == {"telegram"}
    assert [turn.text for turn in office.all(Turn)] == [f"chào {number}" for number in range(6)]


def test_two_replicas_answer_one_sender_in_order_each_message_once(
    postgres_database: Database, settings: Settings, talk: Talk
) -> None:
    with postgres_database.write() as session:
        for record in demo_records(NOW):
            registry.upsert(session, record, source="demo", settings=settings, now=NOW, quiet=True)
    url = postgres_database.url.render_as_string(hide_password=False)
    databases = [Database(url), Database(url)]
    replicas = [Service(settings, database, talk) for database in databases]
    messages = [Incoming("zalo_oa", f"s{n % 3}", f"m{n}", f"chào lần {n}", NOW) for n in range(18)]
    ready = threading.Barrier(2)
    failures: list[BaseException] = []

    def replica(service: Service) -> None:
        try:
            ready.wait()
            for message in messages:  # the web hook delivers everything to both
                service.receive(message)
            while any(not service.is_done(service.inbox_id("zalo_oa", m.message_id)) for m in messages):
                service.work_off(most=2)
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=replica, args=(service,)) for service in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with postgres_database.read() as session:
        turns = session.exec(select(Turn, Conversation).join(Conversation, col(Conversation.id) == Turn.conversation_id)
                             .order_by(col(Turn.id))).all()  # fmt: skip
        assert len(session.exec(select(Outbox)).all()) == len(messages)
    for sender in ("s0", "s1", "s2"):
        said = [int(turn.text.split()[-1]) for turn, conversation in turns if conversation.sender == sender]
        assert said == sorted(said)
        assert len(said) == 6
    for database in databases:
        database.close()


def test_unsubscribing_is_written_down_for_the_channel_it_came_from(office: Office) -> None:
    office.say("ngừng nhận tin", channel="zalo_oa", sender="z1")
    (preference,) = office.all(Preference)
    assert (preference.channel, preference.recipient, preference.wants) == ("zalo_oa", "z1", False)
