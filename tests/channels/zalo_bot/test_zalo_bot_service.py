"""Whole conversations through the service as a process: by polling, by web hook, killed, repeated, on two replicas."""

from __future__ import annotations

import http.client
import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text as sql
from sqlalchemy import update as sa_update
from sqlmodel import col, func, select
from standins.zalo_bot import TOKEN, ZaloBotStandIn, update

from bot.storage import queue
from bot.storage.database import Database
from bot.storage.tables import Inbox, Outbox, Turn
from tests.service_process import ServiceProcess
from tests.waiting import wait_until

pytestmark = pytest.mark.service

PUBLIC = {"PUBLIC_BASE_URL": "https://motcua.example"}
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
PHONE = "0951234567"


def serve(folder: Path, api: ZaloBotStandIn, **settings: str) -> ServiceProcess:
    """The service with a bot, and photos from the stand-in."""
    bot = {"ZALO_BOT_TOKEN": TOKEN, "ZALO_BOT_BASE_URL": api.url, "ZALO_PHOTO_HOSTS": api.host}
    return ServiceProcess(folder, **bot, **settings).start()


def hooked(folder: Path, api: ZaloBotStandIn, **settings: str) -> ServiceProcess:
    """The same with a web hook that is set."""
    before = api.calls.count("setWebhook")
    process = serve(folder, api, **PUBLIC, **settings)
    assert api.until(lambda: api.calls.count("setWebhook") > before), process.log()
    process.wait_for("kênh zalo_bot đã kết nối")
    return process


def database_of(folder: Path) -> Database:
    return Database(f"sqlite:///{folder / 'motcua.sqlite3'}")


def expire_leases(database: Database) -> None:
    """As if the time of every claim were over, and looked after."""
    with database.write() as session:
        for table in (Inbox, Outbox):
            session.execute(sa_update(table).where(col(table.lease_until).is_not(None)).values(lease_until=LONG_AGO))
        session.flush()
        queue.sweep(session, datetime.now(UTC))


# --- polling ------------------------------------------------------------------------------------------------------


def test_a_conversation_by_polling_with_numbers_in_place_of_buttons(api: ZaloBotStandIn, tmp_path: Path) -> None:
    process = serve(tmp_path, api)
    api.pictures["/receipt.jpg"] = b"no picture at all"
    image = {"event": "message.image.received"}
    said = [
        ("phi chung thuc ban sao bao nhieu", ["2.000 đồng/trang", "\n1. Giấy tờ\n2. Nộp ở đâu"]),
        ("9", ["chọn số từ 1 đến"]),
        ("2", ["Chứng thực bản sao", "Nơi nộp"]),
        ("giấy phép xây dựng cũ cần giấy tờ gì", ["1. ", "2. ", "3. ", "Không phải các mục này"]),
        ("2", ["Giấy tờ cần có"]),
        ("H30.99.01-261116-0003", ["cần bổ sung giấy tờ", "1. Xem chi tiết\n2. Báo khi có kết quả"]),
        ("1", ["mã tra cứu in trên giấy hẹn", "1. Gửi mã qua SMS"]),
        ("BN-5926", ["Thiếu bản vẽ mặt bằng", "1. Báo khi có kết quả"]),
        ("1", ["1. Nhắn vào đây\n2. Nhắn SMS"]),
        ("1", ["trung tâm nhắn vào đây"]),
        (api.said(None, event="message.sticker.received"), ["cứ nhắn ạ"]),
        (api.said(None, event="message.voice.received"), ["chưa nghe được giọng nói"]),
        (api.said(None, event="message.unsupported.received", message_id=None), ["chưa đọc được loại tin này"]),
        (api.said(None, photo=f"{api.url}/receipt.jpg", **image), ["nh"]),
        (api.said(None, photo_url="https://evil.example/a.jpg", **image), ["chưa tải được ảnh"]),
    ]  # fmt: skip
    try:
        for number, (message, parts) in enumerate(said, 1):
            # What a group says is nobody's business here.
            api.write(api.said("xin chào cả nhóm", chat={"id": "g1", "chat_type": "GROUP"}), message)
            told = api.wait_for(number)
            assert len(told) == number, process.log()
            chat, text = told[-1]
            assert chat == "u77"
            for part in parts:
                assert part in text, (message, text)
    finally:
        process.stop()
    assert api.pollers == 1
    assert "tự hỏi tin" in process.log()
    assert TOKEN not in process.log()
    assert "BN-5926" not in process.log()


# --- web hook -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hooked")


@pytest.fixture(scope="module")
def service(folder: Path, shared_api: ZaloBotStandIn) -> Iterator[ServiceProcess]:
    process = hooked(folder, shared_api)
    yield process
    process.stop()
    assert TOKEN not in process.log()
    assert shared_api.secret not in process.log()


def test_a_conversation_by_web_hook(service: ServiceProcess, shared_api: ZaloBotStandIn) -> None:
    before = len(shared_api.sent)
    said_and_told = [
        ("đăng ký kết hôn cần giấy tờ gì", "Giấy tờ cần có"),
        ("không phải", "\n1. "),
        ("1", "Giấy tờ cần có"),
        ("H30.99.01-261116-0001", "1. Xem chi tiết"),
        ("số 1", "mã tra cứu"),
        ("mã là KX-4711 ạ", "Đăng ký khai sinh"),
    ]
    for number, (said, part) in enumerate(said_and_told, 1):
        assert shared_api.deliver(service.url, shared_api.said(said, "u1")) == [200]
        chat, text = shared_api.wait_for(before + number)[before + number - 1]
        assert chat == "u1"
        assert part in text, (said, text)


def test_the_same_update_five_times_at_once_is_answered_once(
    service: ServiceProcess, shared_api: ZaloBotStandIn
) -> None:
    body = shared_api.said("H30.99.01-261116-0002", "u2")
    with ThreadPoolExecutor(5) as pool:
        codes = list(pool.map(lambda _: shared_api.deliver(service.url, body), range(5)))
    assert codes == [[200]] * 5
    # Unwrapped it is the same message, too; what is said next is answered next.
    assert shared_api.deliver(service.url, json.dumps(body).encode()) == [200]
    assert shared_api.deliver(service.url, shared_api.said("H30.99.01-261116-0004", "u2")) == [200]
    assert shared_api.until(lambda: len([1 for chat, _ in shared_api.sent if chat == "u2"]) >= 2)
    mine = [text for chat, text in shared_api.sent if chat == "u2"]
    assert ["0002" in mine[0], "0004" in mine[1], len(mine)] == [True, True, 2]


def _post(service: ServiceProcess, body: bytes, secret: str | None, *, chunked: bool = False) -> int:
    """One call with exactly these bytes; the service may answer before it has read them all."""
    place = urlsplit(service.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    connection.putrequest("POST", "/webhooks/zalo-bot")
    if secret is not None:
        connection.putheader("X-Bot-Api-Secret-Token", secret)
    connection.putheader("Transfer-Encoding" if chunked else "Content-Length", "chunked" if chunked else str(len(body)))
    connection.endheaders()
    try:
        for start in range(0, len(body), 65536):
            part = body[start : start + 65536]
            connection.send(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
        if chunked:
            connection.send(b"0\r\n\r\n")
    except OSError:
        pass  # it has answered and hung up
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


PRIVATE = f"Nguyễn Thị Bí Mật {PHONE}"
GOOD = json.dumps(update(PRIVATE, "u9", "z9")).encode()
TEN_MEGABYTES = json.dumps(update(PRIVATE + "x" * 10_000_000, "u9", "z9")).encode()
# What is sent, with which secret ("right", another, none), in chunks or not, and the answer.
BAD = {
    "wrong secret": (GOOD, "đoán mò".encode().decode("latin-1"), False, 403),
    "no secret": (GOOD, None, False, 403),
    "empty secret": (GOOD, "", False, 403),
    "10 MB": (TEN_MEGABYTES, "right", False, 413),
    "10 MB in chunks": (TEN_MEGABYTES, "right", True, 413),
    "10 MB from a stranger": (TEN_MEGABYTES, "x", False, 413),
    "deep JSON": (b'{"a":' * 9000 + b"1" + b"}" * 9000, "right", False, 400),
    "deep list": (b"[" * 60_000, "right", False, 400),
    "no JSON": (PRIVATE.encode(), "right", False, 400),
    "nothing": (b"", "right", False, 400),
    "not UTF-8": (b'{"message": "\xff\xfe"}', "right", False, 400),
    "a list": (b"[1]", "right", False, 400),
    "a huge number": (b'{"message": ' + b"9" * 5000 + b"}", "right", False, 400),
    "no message": (json.dumps({"event_name": "message.text.received", "name": PRIVATE}).encode(), "right", False, 400),
    "text of a wrong type": (json.dumps(update([PRIVATE], "u9", "z9")).encode(), "right", False, 400),  # type: ignore[arg-type]
    "sender of a wrong type": (json.dumps(update("a", "u9", chat=PRIVATE)).encode(), "right", False, 400),
    "id too long": (json.dumps(update("a", "u9", PHONE * 50)).encode(), "right", False, 400),
    "no time": (json.dumps(update("a", "u9", date=PRIVATE)).encode(), "right", False, 400),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_call_is_refused_logged_without_personal_data_and_changes_nothing(
    service: ServiceProcess, shared_api: ZaloBotStandIn, folder: Path, name: str
) -> None:
    body, secret, chunked, expected = BAD[name]

    def counts() -> list[int]:
        with database.read() as session:
            return [session.exec(select(func.count()).select_from(table)).one() for table in (Inbox, Outbox, Turn)]

    database = database_of(folder)
    before, mark = counts(), len(service.log())
    assert _post(service, body, shared_api.secret if secret == "right" else secret, chunked=chunked) == expected
    assert counts() == before
    database.close()
    told = service.log()[mark:]
    for private in ("Bí Mật", PHONE, "u9"):
        assert private not in told
    assert "Traceback" not in told


# --- crashes ------------------------------------------------------------------------------------------------------


def test_killed_while_a_reply_is_on_its_way_it_is_not_sent_again_by_itself_but_told_with_the_next(
    api: ZaloBotStandIn, tmp_path: Path
) -> None:
    process = hooked(tmp_path, api)
    api.faults["sendMessage"] = deque(["hold"])
    body = api.said("H30.99.01-261116-0001")
    assert api.deliver(process.url, body) == [200]
    assert len(api.wait_for(1)) == 1, process.log()
    process.kill()
    database = database_of(tmp_path)
    expire_leases(database)
    process.start()
    process.wait_for("kênh zalo_bot đã kết nối")
    try:
        assert api.deliver(process.url, body) == [200]  # the platform didn't see the first answer: a duplicate
        assert api.deliver(process.url, api.said("H30.99.01-261116-0002", "u2")) == [200]
        told = api.wait_for(2)
        assert [chat for chat, _ in told] == ["u77", "u2"]
        assert api.deliver(process.url, api.said("H30.99.01-261116-0002")) == [200]
        again, answer = [text for chat, text in api.wait_for(4)[2:] if chat == "u77"]
        assert again.startswith("(Nhắc lại")
        assert "0001" in again
        assert "0002" in answer
    finally:
        process.stop()
    with database.read() as session:
        states = [row.state for row in session.exec(select(Outbox).order_by(col(Outbox.id)))]
    database.close()
    assert states == ["cancelled", "sent", "sent", "sent"], process.log()


def _states(database: Database) -> set[str]:
    with database.read() as session:
        return {row.state for row in session.exec(select(Outbox))}


@pytest.mark.postgres
def test_two_replicas_answer_every_message_once_and_in_order_also_when_one_is_killed_after_its_200(
    api: ZaloBotStandIn, tmp_path: Path, postgres_database: Database
) -> None:
    url = postgres_database.url.render_as_string(hide_password=False)
    # Replicas share the office's key: the secret of the web hook is made from it.
    shared = {"MOTCUA_DATABASE_URL": url, "MOTCUA_SECRET_KEY": "k" * 32}
    one, two = (hooked(tmp_path / name, api, **shared) for name in ("a", "b"))
    codes = [f"H30.99.01-261116-000{number}" for number in (1, 2, 3, 4, 5)]

    def talk(sender: str) -> None:
        for number, code in enumerate(codes):
            body = api.said(code, sender)
            for process in ((one, two, one), (two, one, two))[number % 2]:  # each delivered to both, one of them twice
                assert api.deliver(process.url, body) == [200]

    try:
        senders = [f"u{number}" for number in range(4)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(talk, senders))
        assert len(api.wait_for(len(senders) * len(codes))) == len(senders) * len(codes), one.log() + two.log()
        # What is on its way when the process dies is rightly uncertain: all have to be noted as sent before.
        wait_until(lambda: _states(postgres_database) == {"sent"})
        with postgres_database.write() as session:
            # Answers can't be stored, messages can: nobody gets further than the 200.
            session.execute(sql("LOCK TABLE outbox IN EXCLUSIVE MODE"))
            assert api.deliver(one.url, api.said("H30.99.01-261116-0006", "u0")) == [200]
            one.kill()
        expire_leases(postgres_database)
        assert api.until(lambda: len(api.sent) > len(senders) * len(codes)), two.log()
    finally:
        for process in (one, two):
            if process.is_running:
                process.stop()
    for sender in senders:
        mine = [text for chat, text in api.sent if chat == sender]
        expected = codes + (["H30.99.01-261116-0006"] if sender == "u0" else [])
        assert [code in text for code, text in zip(expected, mine, strict=True)] == [True] * len(expected)
    assert _states(postgres_database) == {"sent"}
    with postgres_database.read() as session:
        assert {row.state for row in session.exec(select(Inbox))} == {"done"}
