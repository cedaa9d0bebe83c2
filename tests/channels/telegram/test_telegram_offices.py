"""Bots of offices beside the shared one: whoever is written to answers, and no two of their chats mix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import update
from sqlmodel import Session, col, select
from standins.telegram import TOKEN, TelegramStandIn
from standins.telegram_limits import RefusedError

from bot.api.app import create_app
from bot.application import open_desk, open_talk
from bot.channels.opening import open_channels
from bot.clock import utc_now
from bot.conversation.talk import Talk
from bot.dossiers import registry
from bot.office_accounts import OfficeAccounts, key
from bot.service import Service
from bot.settings import Settings
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.erasure import erase
from bot.storage.tables import Conversation, Dossier, Inbox, Lookup, Outbox, Preference
from tests.receipts.drawing import photograph
from tests.receipts.symbols import code128, dice
from tests.service_process import ServiceProcess
from tests.waiting import wait_until

SECRET = "x-telegram-bot-api-secret-token"
SLUGS = ("chau-thanh", "dong-phuoc")
ASKED = "hỏi xã, phường nào"
CITIZEN = 77


def _token(slug: str) -> str:
    return f"22334455{SLUGS.index(slug)}:AAstandin-standin-standin-standin-st"


@dataclass
class Province:
    """Three bots behind one address, and the service that they all belong to."""

    client: TestClient
    bots: dict[str | None, TelegramStandIn]
    database: Database
    settings: Settings

    def brings(self, bot: str | None, update: dict[str, Any], secret: str | None = None) -> int:
        hook = self.bots[bot].hook
        assert hook is not None
        path = hook["url"].removeprefix("https://xa.example")
        headers = {SECRET: hook["secret_token"] if secret is None else secret}
        return self.client.post(path, json=update, headers=headers).status_code

    def says(self, bot: str | None, text: str, sender: int = CITIZEN) -> str:
        """Writes to a bot; what that bot answers, once it is noted as sent."""
        api = self.bots[bot]
        before = len(api.told(sender))
        assert self.brings(bot, api.text(text, sender)) == 200
        assert api.wait_until(lambda: len(api.told(sender)) > before, 20)
        wait_until(lambda: not {"waiting", "sending"} & {row.state for row in self.rows(Outbox) if not row.error})
        return "\n".join(message["text"] for message in api.told(sender)[before:])

    def rows(self, table: Any) -> list[Any]:
        with self.database.read() as session:
            return list(session.exec(select(table).order_by(col(table.id))).all())


@pytest.fixture
def several(settings: Settings, api: TelegramStandIn) -> Settings:
    told = {
        "office_list": ",".join(SLUGS), "telegram_token": SecretStr(TOKEN), "telegram_base_url": api.url,
        "public_base_url": "https://xa.example", "notice_delay_minutes": 0, "notice_from_hour": 0,
        "notice_to_hour": 24,
    }  # fmt: skip
    own = {slug: OfficeAccounts(telegram_token=SecretStr(_token(slug))) for slug in SLUGS}
    return settings.model_copy(update=told).with_accounts(own)


@pytest.fixture
def bots(api: TelegramStandIn) -> Iterator[dict[str | None, TelegramStandIn]]:
    with TelegramStandIn() as one, TelegramStandIn() as other:
        for slug, bot in zip(SLUGS, (one, other), strict=True):
            bot.token = _token(slug)
            api.beside[bot.token] = bot
        yield {None: api, **dict(zip(SLUGS, (one, other), strict=True))}


@contextmanager
def _opened(
    several: Settings, database: Database, talk: Talk, bots: dict[str | None, TelegramStandIn]
) -> Iterator[Province]:
    channels = open_channels(several, database, utc_now)
    photos = {key(one.name, one.account): one.fetch_photo for one in channels}
    both = open_talk(several, open_desk(several), talk.engine)
    app = create_app(several, database, Service(several, database, both, photos=photos), channels)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield Province(client, bots, database, several)


@pytest.fixture
def province(
    sqlite_database: Database, several: Settings, talk: Talk, bots: dict[str | None, TelegramStandIn]
) -> Iterator[Province]:
    with _opened(several, sqlite_database, talk, bots) as opened:
        assert all(bot.wait_until(lambda bot=bot: bot.hook is not None, 30) for bot in bots.values())
        yield opened


def test_an_offices_bot_answers_for_it_without_asking_and_nobody_elses_bot_says_a_word(province: Province) -> None:
    told = province.says("dong-phuoc", "địa chỉ cơ quan ở đâu")
    assert "Đông Phước" in told
    assert ASKED not in told
    assert province.bots[None].sent == province.bots["chau-thanh"].sent == []
    assert ASKED in province.says(None, "giờ làm việc")


def test_one_person_at_three_bots_has_three_conversations(province: Province) -> None:
    # Each bot numbers the messages of a chat for itself: these three have the same number in the same chat.
    for bot in (None, *SLUGS):
        province.says(bot, "làm giấy khai sinh cho con cần gì")
    assert [row.sender for row in province.rows(Inbox)] == ["77", "chau-thanh/77", "dong-phuoc/77"]
    assert len({row.message_id for row in province.rows(Inbox)}) == 3
    assert [(row.sender, row.account) for row in province.rows(Conversation)] == [
        ("77", None), ("chau-thanh/77", "chau-thanh"), ("dong-phuoc/77", "dong-phuoc"),
    ]  # fmt: skip
    # What is remembered at one is not at another: a follow-up question goes on there alone.
    province.says(None, "tạm biệt", sender=99)
    assert "Đăng ký khai sinh" in province.says("dong-phuoc", "còn lệ phí?")
    assert "xin lỗi" in province.says("dong-phuoc", "còn lệ phí?", sender=99).lower()
    with province.database.write() as session:
        erase(session, "telegram", "dong-phuoc/77", utc_now())
        memories = {row.sender: row.memory for row in session.exec(select(Conversation))}
    assert memories["dong-phuoc/77"] == {}
    assert memories["77"]
    assert memories["chau-thanh/77"]


def test_who_ends_notices_at_one_bot_still_has_them_at_the_others(province: Province) -> None:
    province.says("dong-phuoc", "ngừng nhận tin")
    assert [(row.recipient, row.wants) for row in province.rows(Preference)] == [("dong-phuoc/77", False)]


def test_a_notice_in_the_chat_leaves_from_the_bot_where_it_was_asked_for(province: Province) -> None:
    code, now = "H30.99.02-261116-0001", utc_now()
    for sender in (CITIZEN, 88):
        province.says("dong-phuoc", "xin chào", sender)
    with province.database.write() as session:
        session.add(Dossier(code=code, status=4, created_at=now, updated_at=now))
        session.add(Preference(channel="telegram", recipient="dong-phuoc/77", dossier_code=code, wants=True, at=now))
    before = {bot: len(api.sent) for bot, api in province.bots.items()}
    with province.database.write() as session:
        registry.set_status(session, code, 9, by="test", settings=province.settings, now=now, staff=False)
    own = province.bots["dong-phuoc"]
    assert own.wait_until(lambda: len(own.sent) > before["dong-phuoc"], 20)
    assert code in own.sent[-1]["text"]
    assert own.sent[-1]["chat"]["id"] == CITIZEN
    wait_until(lambda: province.rows(Outbox)[-1].state == "sent")
    assert {bot: len(api.sent) - before[bot] for bot, api in province.bots.items()} == {
        None: 0, "chau-thanh": 0, "dong-phuoc": 1,
    }  # fmt: skip


def test_a_tapped_menu_is_edited_by_the_bot_that_sent_it(province: Province) -> None:
    api = province.bots["dong-phuoc"]
    province.says("dong-phuoc", "/start")
    greeting = api.told(CITIZEN)[-1]
    assert province.brings("dong-phuoc", api.tap(greeting, "Làm giấy khai sinh", CITIZEN)) == 200
    assert api.wait_until(lambda: len(api.told(CITIZEN)) > 1 or api.edits, 20)
    assert api.answered


def test_a_photo_is_fetched_with_the_token_of_the_bot_it_came_to(province: Province) -> None:
    api = province.bots["dong-phuoc"]
    picture = photograph(dice(5), code128("H30.99.02-261116-0001"))
    assert province.brings("dong-phuoc", api.photo(picture)) == 200
    assert api.wait_until(lambda: len(api.sent) > 0, 30)
    assert "H30.99.02-261116-0001" in api.sent[-1]["text"]


def test_who_guesses_at_many_bots_is_one_who_guesses(province: Province) -> None:
    for bot in SLUGS:
        province.says(bot, "H30.99.01-261116-0009")
        province.says(bot, "H30.99.01-261116-0008", sender=88)
    networks: dict[str, set[str | None]] = {}
    for row in province.rows(Lookup):
        networks.setdefault(row.sender.partition("/")[2], set()).add(row.network)
    assert {person: len(known) for person, known in networks.items()} == {"77": 1, "88": 1}
    assert not networks["77"] & networks["88"]
    assert not any(known is None or known == "77" for known in networks["77"])


@pytest.mark.parametrize("of", [None, "chau-thanh"])
def test_the_secret_of_one_bot_opens_no_others_web_hook(province: Province, of: str | None) -> None:
    hook = province.bots[of].hook
    assert hook is not None
    update = province.bots["dong-phuoc"].text("chào")
    assert province.brings("dong-phuoc", update, secret=hook["secret_token"]) == 403
    assert province.rows(Inbox) == []


def test_a_bot_that_is_refused_holds_up_no_other_and_its_messages_wait(province: Province) -> None:
    gone = RefusedError(401, "Unauthorized")
    province.bots["dong-phuoc"].broken["sendMessage"] = gone
    assert province.brings("dong-phuoc", province.bots["dong-phuoc"].text("chào")) == 200
    wait_until(lambda: [row.error for row in province.rows(Outbox) if row.error])
    assert province.says("chau-thanh", "địa chỉ cơ quan ở đâu", sender=88)
    (waiting,) = [row for row in province.rows(Outbox) if row.recipient == "dong-phuoc/77"]
    assert (waiting.state, waiting.attempts) == ("waiting", 0)
    told = province.client.get("/ready").json()["reasons"]
    assert "telegram/dong-phuoc" in told
    assert "telegram" not in told
    assert "telegram/chau-thanh" not in told


def test_a_bot_that_cannot_connect_keeps_its_messages_unclaimed_while_the_others_send(
    several: Settings, sqlite_database: Database, talk: Talk, bots: dict[str | None, TelegramStandIn]
) -> None:
    bots["chau-thanh"].broken["getMe"] = RefusedError(401, "Unauthorized")
    with sqlite_database.write() as session:
        for number in range(40):  # more than may be sent at once
            _put(session, f"chau-thanh/{number}")
    with _opened(several, sqlite_database, talk, bots) as province:
        assert bots["dong-phuoc"].wait_until(lambda: bots["dong-phuoc"].hook is not None, 30)
        with sqlite_database.write() as session:
            _put(session, "dong-phuoc/77")
        assert bots["dong-phuoc"].wait_for(1, 20)
        waiting = [row for row in province.rows(Outbox) if row.recipient.startswith("chau-thanh/")]
        assert {(row.state, row.attempts, row.error) for row in waiting} == {("waiting", 0, None)}
        assert "telegram/chau-thanh" in province.client.get("/ready").json()["reasons"]
        bots["chau-thanh"].broken.clear()
        assert bots["chau-thanh"].wait_for(40, 60)


def _put(session: Session, recipient: str) -> int:
    now = utc_now()
    row = Outbox(
        kind="reply", channel="telegram", recipient=recipient, dedupe_key=f"x:{recipient}", body={"text": "chào"},
        not_before=now, created_at=now,
    )  # fmt: skip
    return queue.put_outbox(session, row) or 0


def test_what_leaves_from_an_account_that_is_away_is_not_claimed(database: Database) -> None:
    def claimed(*without: str | None) -> list[str]:
        with database.write() as session:
            rows = queue.claim_several(
                session, owner="a", now=utc_now(), lease=timedelta(minutes=2),
                channels=["telegram"], most=10, without=without,
            )  # fmt: skip
            found = [row.recipient for row in rows]
            session.rollback()
            return sorted(found)

    with database.write() as session:
        for recipient in ("77", "dong-phuoc/77", "dong-phuoc-a/77"):
            _put(session, recipient)
    assert claimed() == ["77", "dong-phuoc-a/77", "dong-phuoc/77"]
    assert claimed(None) == ["dong-phuoc-a/77", "dong-phuoc/77"]
    assert claimed("dong-phuoc") == ["77", "dong-phuoc-a/77"]
    assert claimed(None, "dong-phuoc") == ["dong-phuoc-a/77"]


def test_a_message_to_an_account_that_is_no_more_waits_for_it(province: Province) -> None:
    with province.database.write() as session:
        number = _put(session, "xa-cu/77")
    wait_until(lambda: next(row for row in province.rows(Outbox) if row.id == number).error)
    row = next(row for row in province.rows(Outbox) if row.id == number)
    assert (row.state, row.error) == ("waiting", "chưa có tài khoản telegram/xa-cu")
    assert not any(bot.sent for bot in province.bots.values())


def _states(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.exec(select(Outbox.state)).all())


@pytest.mark.service
def test_a_reply_that_a_crash_cut_off_leaves_from_the_bot_that_was_written_to_and_once(tmp_path: Path) -> None:
    with TelegramStandIn() as front, TelegramStandIn() as other:
        # No bot is shared here: each office has its own, and they poll.
        for slug, api in zip(SLUGS, (front, other), strict=True):
            api.token = _token(slug)
        front.beside[other.token] = other
        names = {f"TELEGRAM_TOKEN_{slug.upper().replace('-', '_')}": _token(slug) for slug in SLUGS}
        service = ServiceProcess(tmp_path, MOTCUA_OFFICES=",".join(SLUGS), TELEGRAM_BASE_URL=front.url, **names)
        with service:
            other.plan.append("hold")  # Telegram has it, and the service dies before it hears so
            other.write("địa chỉ cơ quan ở đâu")
            assert other.wait_for(1), service.log()
            service.kill()
            other.release.set()
            database = Database(f"sqlite:///{tmp_path / 'motcua.sqlite3'}")
            with database.write() as session:  # as if the claim's two minutes were over
                session.execute(update(Outbox).values(lease_until=datetime(2026, 1, 1, tzinfo=UTC)))
            other.write("giờ làm việc")
            front.write("địa chỉ cơ quan ở đâu")
            service.start()
            assert other.wait_for(2), service.log()
            assert front.wait_for(1), service.log()
            log = service.log()
            wait_until(lambda: not {"waiting", "sending"} & _states(database))
            database.close()
    first, *later = [message["text"] for message in other.sent]
    assert "xã Đông Phước" in first
    assert first not in later
    assert "xã Châu Thành" in front.sent[0]["text"]
    assert "hỏi xã, phường nào" not in "".join(message["text"] for message in (*front.sent, *other.sent))
    assert not any(token.split(":")[1] in log for token in names.values())
