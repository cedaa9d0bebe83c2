"""Whole conversations through the real service and real HTTP: from the web hook's bytes to the bytes sent back."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select
from standins.telegram import TOKEN, TelegramStandIn

from bot.clock import utc_now
from bot.storage.database import Database
from bot.storage.tables import Conversation, Handoff, Inbox, Outbox, Preference
from tests.receipts.drawing import photograph
from tests.receipts.symbols import code128, dice
from tests.service_process import ServiceProcess
from tests.waiting import wait_until

pytestmark = pytest.mark.service

CODE = "H30.99.01-261116-0003"
PHONE = "84951000003"  # on file for it (bot/dossiers/demo.py)
NOTE = "Thiếu bản vẽ mặt bằng"
_CITIZENS = count(101)


@dataclass
class Office:
    api: TelegramStandIn
    service: ServiceProcess
    database: Database

    def citizen(self) -> Citizen:
        return Citizen(self, next(_CITIZENS))


@dataclass
class Citizen:
    """One chat."""

    office: Office
    number: int

    @property
    def chat(self) -> list[dict[str, Any]]:
        """What stands in it from the bot."""
        return self.office.api.told(self.number)

    def brings(self, update: dict[str, Any]) -> None:
        """Telegram brings an update of theirs to the web hook."""
        self.office.api.deliver(self.office.service.url, update)

    def says(self, text: str, replies: int = 1) -> list[dict[str, Any]]:
        """Writes; the messages that come back."""
        return self.does(self.office.api.text(text, self.number), replies)

    def does(self, update: dict[str, Any], replies: int = 1) -> list[dict[str, Any]]:
        """Brings an update; the messages that come back, once the service has noted that they arrived."""
        before = len(self.chat)
        self.brings(update)
        assert self.office.api.wait_until(lambda: len(self.chat) >= before + replies), self.office.service.log()[-3000:]
        wait_until(lambda: not {"waiting", "sending"} & set(self.sends()))
        return self.chat[before:]

    def rows(self, table: Any) -> list[Any]:
        """Their rows, oldest first."""
        who = table.recipient if table is Outbox else table.sender
        with self.office.database.read() as session:
            return list(session.exec(select(table).where(who == str(self.number)).order_by(table.id)).all())

    def sends(self) -> list[str]:
        """The states of what was to be sent to them."""
        return [row.state for row in self.rows(Outbox)]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    shutil.copyfile(_sqlite_template, folder / "motcua.sqlite3")
    database = Database(f"sqlite:///{folder / 'motcua.sqlite3'}")
    with TelegramStandIn() as api:
        service = ServiceProcess(
            folder, TELEGRAM_TOKEN=TOKEN, TELEGRAM_BASE_URL=api.url, PUBLIC_BASE_URL="https://xa.example"
        )
        with service:
            assert api.wait_until(lambda: api.hook is not None), service.log()
            yield Office(api, service, database)
        told = service.log()
    database.close()
    for secret in (TOKEN, TOKEN.split(":")[1], PHONE[2:], NOTE):
        assert secret not in told
    assert "Traceback" not in told


def test_a_conversation_with_buttons(office: Office) -> None:
    citizen = office.citizen()
    (greeting,) = citizen.says("/start")
    assert "trợ lý của Trung tâm" in greeting["text"]
    assert "Tin nhắn được lưu 90 ngày" in greeting["text"]
    (answer,) = citizen.does(office.api.tap(greeting, "Làm giấy khai sinh", citizen.number))
    assert answer["html"].startswith("<b>Đăng ký khai sinh</b>\n")
    (fee,) = citizen.does(office.api.tap(answer, "Lệ phí", citizen.number))
    assert "đồng" in fee["text"]
    assert office.api.wait_until(lambda: len(office.api.answered) >= 2)
    (papers,) = citizen.says("can giay to gi")
    assert "Giấy chứng sinh" in papers["text"]
    urls = [button["url"] for row in papers["inline"] for button in row if "url" in button]
    assert urls == ["https://xa.example/thu-tuc/1.001193"]


def test_a_choice_made_gives_its_place_to_the_answer(office: Office) -> None:
    citizen = office.citizen()
    citizen.says("xin chào")
    (choice,) = citizen.says("đất đai")
    assert choice["text"].count("\n") >= 4
    label = choice["inline"][0][0]["text"]
    citizen.brings(office.api.tap(choice, label, citizen.number))
    assert office.api.wait_until(lambda: "Làm sổ đỏ lần đầu" in citizen.chat[-1]["html"].split("\n")[0])
    assert len(citizen.chat) == 2
    assert citizen.chat[-1]["message_id"] == choice["message_id"]


def test_a_shared_number_opens_ones_own_dossier_and_nobody_elses(office: Office) -> None:
    citizen, api = office.citizen(), office.api
    (status,) = citizen.says(f"/tra_cuu {CODE}")
    assert CODE in status["text"]
    assert NOTE not in status["text"]
    question, share = citizen.does(api.tap(status, "Xem chi tiết", citizen.number), replies=2)
    assert "mã tra cứu" in question["text"]
    assert share["reply"] == [[{"text": "Chia sẻ số của tôi", "request_contact": True}]]
    # A neighbour's number from the address book, and a contact that is nobody's on Telegram.
    for owner in (7, None):
        (refused,) = citizen.does(api.contact(PHONE, owner=owner, sender=citizen.number))
        assert NOTE not in refused["text"]
    (opened,) = citizen.does(api.contact(PHONE, owner=citizen.number, sender=citizen.number))
    assert NOTE in opened["text"]
    (thanks,) = citizen.says("cảm ơn")
    assert thanks["remove"] is True
    with office.database.read() as session:
        kept = session.exec(select(Inbox).where(Inbox.sender == str(citizen.number))).all()
    assert PHONE[2:] not in str([row.payload for row in kept])
    # Somebody else, with a number of their own.
    other = office.citizen()
    other.says(CODE)
    other.says(f"xem chi tiết hồ sơ {CODE}", replies=2)
    (refused,) = other.does(api.contact("84951000009", owner=other.number, sender=other.number))
    assert NOTE not in refused["text"]


def test_a_person_is_asked_for_and_notices_are_ended(office: Office) -> None:
    citizen = office.citizen()
    (told,) = citizen.says("/gap_can_bo@motcua_bot")
    assert "cán bộ" in told["text"]
    citizen.says("/ngung_nhan_tin")
    with office.database.read() as session:
        refusals = session.exec(select(Preference).where(Preference.recipient == str(citizen.number))).all()
        assert [refusal.wants for refusal in refusals] == [False]
        who = select(Conversation.id).where(Conversation.sender == str(citizen.number)).scalar_subquery()
        (handoff,) = session.exec(select(Handoff).where(Handoff.conversation_id == who)).all()
    assert handoff.kind == "handoff"


def test_a_photo_of_the_receipt_is_as_good_as_its_code(office: Office) -> None:
    citizen = office.citizen()
    (told,) = citizen.does(office.api.photo(photograph(dice(5), code128(CODE), ("dark",)), citizen.number))
    assert CODE in told["text"]


def test_a_photo_without_a_code_is_answered_and_its_words_are_read(office: Office) -> None:
    citizen = office.citizen()
    (told,) = citizen.does(office.api.photo(b"no picture at all", citizen.number))
    assert "gõ mã hồ sơ" in told["text"]
    assert "getFile" in office.api.calls
    (told,) = citizen.does(office.api.photo(b"no picture", citizen.number, caption="kết hôn cần giấy tờ gì"))
    assert "kết hôn" in told["text"].lower()


def test_the_same_update_five_times_is_answered_once(office: Office) -> None:
    citizen = office.citizen()
    update = office.api.text("xin chào", citizen.number)
    for _ in range(5):
        assert office.api.post(office.service.url, update) == 200
    citizen.says("kết hôn")
    assert ["trợ lý của" in message["text"] for message in citizen.chat] == [True, False]


def test_who_blocks_the_bot_is_not_written_to_and_answered_again_on_coming_back(office: Office) -> None:
    citizen, api = office.citizen(), office.api
    citizen.says("xin chào")
    api.blocked.add(str(citizen.number))
    citizen.brings(api.text("kết hôn", citizen.number))
    wait_until(lambda: citizen.sends() == ["sent", "failed"])
    assert citizen.rows(Conversation)[0].unreachable_at is not None
    api.blocked.discard(str(citizen.number))
    citizen.brings(api.membership("member", citizen.number))
    citizen.says("khai sinh")
    assert citizen.rows(Conversation)[0].unreachable_at is None
    citizen.brings(api.membership("kicked", citizen.number))
    wait_until(lambda: citizen.rows(Conversation)[0].unreachable_at is not None)
    assert len(citizen.chat) == 2


def test_a_reply_that_may_not_have_arrived_is_told_once_more(office: Office) -> None:
    citizen, api = office.citizen(), office.api
    citizen.says("xin chào")
    api.plan.append("drop")
    citizen.brings(api.text(CODE, citizen.number))
    wait_until(lambda: citizen.sends() == ["sent", "uncertain"])
    assert len(citizen.chat) == 2  # it did arrive, but nobody here could know
    again, answer = citizen.says("kết hôn", replies=2)
    assert CODE in again["text"]
    assert again["text"] != citizen.chat[1]["text"]
    assert "kết hôn" in answer["text"].lower()
    (last,) = citizen.says("cảm ơn")
    assert CODE not in last["text"]


def test_a_tap_whose_answer_was_lost_is_edited_again_without_a_word_more(office: Office) -> None:
    citizen, api = office.citizen(), office.api
    citizen.says("xin chào")
    (choice,) = citizen.says("đất đai")
    api.plan.append("drop")
    citizen.brings(api.tap(choice, choice["inline"][0][0]["text"], citizen.number))
    wait_until(lambda: citizen.sends() == ["sent"] * 3)
    assert citizen.rows(Outbox)[-1].attempts == 2
    assert len(citizen.chat) == 2


def test_what_telegram_slows_down_still_arrives_whole_and_in_order(office: Office) -> None:
    citizen, api = office.citizen(), office.api
    citizen.says("xin chào")
    api.bursts = 1
    try:
        for number in (1, 2, 4):
            citizen.brings(api.text(f"H30.99.01-261116-000{number}", citizen.number))
        assert api.wait_until(lambda: len(citizen.chat) == 4)
    finally:
        api.bursts = None
    assert [f"000{n}" in message["text"] for n, message in zip((1, 2, 4), citizen.chat[1:], strict=True)] == [True] * 3
    assert max(row.attempts for row in citizen.rows(Outbox)) > 1


def test_killed_between_the_200_and_the_reply(office: Office) -> None:
    citizen = office.citizen()
    now = utc_now()
    # Another message of theirs that some process seems to be working on keeps this one waiting.
    ahead = Inbox(
        channel="telegram", sender=str(citizen.number), message_id=f"ahead-{citizen.number}", payload={},
        state="claimed", lease_owner="another", lease_until=now + timedelta(hours=1), next_try_at=now, received_at=now,
    )  # fmt: skip
    with office.database.write() as session:
        session.add(ahead)
    update = office.api.text(CODE, citizen.number)
    assert office.api.post(office.service.url, update) == 200
    office.service.kill()
    assert [row.state for row in citizen.rows(Inbox)] == ["claimed", "waiting"]
    with office.database.write() as session:
        session.get_one(Inbox, ahead.id).state = "done"
    hooks = len(office.api.hooks)
    office.service.start()
    assert office.api.wait_until(lambda: len(citizen.chat) == 1)
    assert CODE in citizen.chat[0]["text"]
    assert office.api.wait_until(lambda: len(office.api.hooks) > hooks)
    office.api.deliver(office.service.url, update)  # Telegram never knew that it was taken
    citizen.says("xin chào")
    assert [CODE in message["text"] for message in citizen.chat] == [True, False]


def test_stopped_while_telegram_is_slow_to_answer(office: Office) -> None:
    citizen, api = office.citizen(), office.api
    citizen.says("xin chào")
    api.release.clear()
    api.plan.append("hold")
    citizen.brings(api.text(CODE, citizen.number))
    assert api.wait_until(lambda: len(citizen.chat) == 2)
    stopping = threading.Thread(target=office.service.stop)
    stopping.start()
    wait_until(lambda: "Waiting for application shutdown" in office.service.log().rsplit("Started server", 1)[-1])
    api.release.set()
    stopping.join()
    assert citizen.sends() == ["sent", "sent"]
    office.service.start()
    citizen.says("cảm ơn")
    assert [CODE in message["text"] for message in citizen.chat] == [False, True, False]


@pytest.fixture
def database_file(tmp_path: Path, _sqlite_template: Path) -> Path:
    return Path(shutil.copyfile(_sqlite_template, tmp_path / "motcua.sqlite3"))


def test_killed_between_taking_updates_and_committing_them(tmp_path: Path, database_file: Path) -> None:
    with TelegramStandIn() as api:
        service = ServiceProcess(tmp_path, TELEGRAM_TOKEN=TOKEN, TELEGRAM_BASE_URL=api.url)
        api.write("phi chung thuc ban sao bao nhieu")
        with service:
            assert api.wait_for(1), service.log()
            assert "2.000 đồng/trang" in api.sent[0]["text"]
            assert "giấy tờ 2.000815" in [row[0].get("callback_data") for row in api.sent[0]["inline"]]
            writer = sqlite3.connect(database_file, isolation_level=None)
            states = "SELECT state FROM outbox"
            wait_until(lambda: writer.execute(states).fetchall() == [("sent",)])
            writer.execute("BEGIN IMMEDIATE")  # no commit of the service gets through
            update = api.write(CODE)["update_id"]
            assert api.wait_until(lambda: api.handed == update)
            # Whoever confirms what it only has in memory asks on at once.
            assert not api.wait_until(lambda: api.confirmed > update, 1)
            service.kill()
            writer.execute("ROLLBACK")
            texts = writer.execute("SELECT json_extract(payload, '$.text') FROM inbox").fetchall()
            writer.close()
            assert (CODE,) not in texts
            service.start()
            assert api.wait_for(2), service.log()
            api.write("cảm ơn")
            assert api.wait_for(3), service.log()
            service.stop()
            assert "Application shutdown complete" in service.log()
        assert [CODE in message["text"] for message in api.sent] == [False, True, False]
        assert TOKEN not in service.log()


@pytest.mark.postgres
def test_two_replicas_that_get_the_same_updates_answer_each_once_and_in_order(
    postgres_database: Database, tmp_path: Path
) -> None:
    citizens, each = range(201, 207), 4
    with TelegramStandIn() as api:
        shared = {
            "MOTCUA_DATABASE_URL": postgres_database.url.render_as_string(hide_password=False),
            "MOTCUA_SECRET_KEY": "k" * 40,
            "TELEGRAM_TOKEN": TOKEN,
            "TELEGRAM_BASE_URL": api.url,
            "PUBLIC_BASE_URL": "https://xa.example",
        }
        folders = [tmp_path / "one", tmp_path / "two"]
        for folder in folders:
            folder.mkdir()
        with ServiceProcess(folders[0], **shared) as one, ServiceProcess(folders[1], **shared) as two:
            assert api.wait_until(lambda: len(api.hooks) == 2), one.log() + two.log()
            assert api.hooks[0] == api.hooks[1]

            def write(citizen: int) -> None:
                for number in range(1, each + 1):
                    update = api.text(f"H30.99.01-261116-000{number}", citizen)
                    calls = [threading.Thread(target=api.deliver, args=(to.url, update)) for to in (one, two)]
                    for call in calls:
                        call.start()
                    for call in calls:
                        call.join()

            writers = [threading.Thread(target=write, args=(citizen,)) for citizen in citizens]
            for writer in writers:
                writer.start()
            for writer in writers:
                writer.join()
            assert api.wait_for(len(citizens) * each), one.log() + two.log()

            def open_rows() -> int:
                with postgres_database.read() as session:
                    waiting = select(Outbox.id).where(col(Outbox.state) != "sent")
                    return len(session.exec(waiting).all())

            wait_until(lambda: open_rows() == 0)
        for citizen in citizens:
            told = [message["text"] for message in api.told(citizen)]
            assert len(told) == each
            assert [f"000{n}" in text for n, text in enumerate(told, 1)] == [True] * each
