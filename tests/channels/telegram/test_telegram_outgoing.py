"""From a message of ours to what Telegram takes, and from its errors to what they mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from standins.telegram_limits import RefusedError, keyboard, shown
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)  # fmt: skip

from bot.channels.port import SendError
from bot.channels.rendering import Message, render
from bot.channels.telegram.outgoing import check, failure, is_not_to_edit, is_unchanged, marked, markup
from bot.conversation.model import Button, Link, Memory, Reply
from bot.conversation.owner import proof_question
from bot.conversation.talk import Talk
from bot.dossiers.offline import OfflineDossiers


def _taken(message: Message) -> str:
    """What the chat shows; fails where Telegram would refuse."""
    check("77", message)
    below = markup(message)
    told = keyboard({"reply_markup": below.to_json()})
    values = [b["callback_data"] for row in told.get("inline", ()) for b in row if "callback_data" in b]
    assert values == [button.value for button in message.buttons]
    return shown(marked(message.text), "HTML", 1, 4096)


def test_every_answer_about_every_procedure_is_taken_by_telegram(talk: Talk) -> None:
    now = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
    talk = replace(talk, page=lambda code: f"https://xa.example/thu-tuc/{code}")
    dossiers = OfflineDossiers(lambda _code: None, talk.desk(now))
    messages = []
    for code in talk.desk(now).catalog.procedures:
        for asked in ("", "giấy tờ", "xem đủ giấy tờ", "lệ phí", "các bước làm"):
            said = talk.turn(f"{asked} {code}", Memory(), now, dossiers, "telegram")
            messages += [message for reply in said.replies for message in render(reply, "telegram").messages]
    assert len(messages) > 1000
    assert any(message.link for message in messages)
    for message in messages:
        assert _taken(message) == message.text.strip()


_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\n<>&\"'. 🎉ạ"), min_size=1)


@given(_TEXT.filter(str.strip))
@example("Tiêu đề\n<b>&amp;</b>")
@example("1 < 2 && 3 > 2")
def test_whatever_is_said_stands_there_as_it_is(text: str) -> None:
    assert shown(marked(text), "HTML", 1, 4096) == text.strip()


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("Đăng ký khai sinh\n\nTóm tắt: …", "<b>Đăng ký khai sinh</b>\n\nTóm tắt: …"),
        ("Hỏi & đáp\nmột", "<b>Hỏi &amp; đáp</b>\nmột"),
        ("Dạ, đã bỏ qua.", "Dạ, đã bỏ qua."),
        ("Dạ, đã bỏ qua.\nÔng/bà cần hỏi gì khác không ạ?", "Dạ, đã bỏ qua.\nÔng/bà cần hỏi gì khác không ạ?"),
        ("a" * 81 + "\nb", "a" * 81 + "\nb"),
        ("\nb", "\nb"),
    ],
)
def test_a_short_first_line_of_several_is_a_heading(text: str, html: str) -> None:
    assert marked(text) == html


def test_buttons_and_link_stand_one_a_row() -> None:
    link = Link("Trang của thủ tục", "https://xa.example/thu-tuc/1.001193")
    told = keyboard({"reply_markup": markup(Message("a", (Button("Lệ phí", "lệ phí"),), link)).to_json()})
    assert told["inline"] == [
        [{"text": "Lệ phí", "callback_data": "lệ phí"}],
        [{"text": "Trang của thủ tục", "url": "https://xa.example/thu-tuc/1.001193"}],
    ]


def test_an_address_of_this_machine_is_no_button() -> None:
    assert keyboard(
        {"reply_markup": markup(Message("a", link=Link("Trang", "http://localhost:8000/x"))).to_json()}
    ) == {"remove": True}


def test_the_way_to_share_ones_number_is_a_keyboard_of_its_own() -> None:
    question = render(proof_question("H30.99.01-261116-0001", "telegram", contact=True), "telegram").messages[-1]
    told = keyboard({"reply_markup": markup(question).to_json()})
    assert told["reply"] == [[{"text": "Chia sẻ số của tôi", "request_contact": True}]]
    assert told["options"]["one_time_keyboard"] is True
    assert told["options"]["resize_keyboard"] is True
    assert keyboard({"reply_markup": markup(Message("Dạ.")).to_json()}) == {"remove": True}


@pytest.mark.parametrize(
    ("recipient", "message"),
    [
        ("77", Message("🎉" * 2049)),
        ("77", Message(" ")),
        ("77", Message("a", (Button("A", "ệ" * 22),))),
        ("77", Message("a", (Button("A", ""),))),
        ("@kenh", Message("a")),
        ("-5", Message("a")),
    ],
)
def test_what_telegram_would_refuse_is_not_sent(recipient: str, message: Message) -> None:
    with pytest.raises(SendError) as told:
        check(recipient, message)
    assert told.value.kind == "failed"


def test_the_longest_that_telegram_takes_is_sent() -> None:
    longest = Message("🎉" * 2048, (Button("A", "a" * 64),))
    assert _taken(longest) == longest.text


def _caused(error: TelegramError, cause: Exception) -> TelegramError:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind", "delay"),
    [
        (RetryAfter(17), "retry", timedelta(seconds=17)),
        (RetryAfter(timedelta(seconds=17)), "retry", timedelta(seconds=17)),
        (Forbidden("Forbidden: bot was blocked by the user"), "blocked", None),
        (Forbidden("Forbidden: user is deactivated"), "blocked", None),
        (BadRequest("Bad Request: chat not found"), "blocked", None),
        (BadRequest("Bad Request: BUTTON_DATA_INVALID"), "failed", None),
        (BadRequest("Bad Request: can't parse entities"), "failed", None),
        (InvalidToken("The token `123:abc` was rejected by the server."), "account", None),
        (_caused(TimedOut(), httpx.ReadTimeout("x")), "uncertain", None),
        (_caused(TimedOut(), httpx.WriteTimeout("x")), "uncertain", None),
        (_caused(TimedOut(), httpx.ConnectTimeout("x")), "retry", None),
        (_caused(TimedOut(), httpx.PoolTimeout("x")), "retry", None),
        (_caused(NetworkError("x"), httpx.ConnectError("x")), "retry", None),
        (_caused(NetworkError("x"), httpx.ReadError("x")), "uncertain", None),
        (_caused(NetworkError("x"), httpx.RemoteProtocolError("x")), "uncertain", None),
        (NetworkError("Bad Gateway (502)"), "uncertain", None),
        (Conflict("x"), "uncertain", None),
        (ChatMigrated(-100), "uncertain", None),
        (TelegramError("Invalid server response"), "uncertain", None),
    ],
)  # fmt: skip
def test_every_error_of_a_send_has_a_meaning(error: TelegramError, kind: str, delay: timedelta | None) -> None:
    told = failure(error)
    assert (told.kind, told.delay) == (kind, delay)
    assert "123:abc" not in str(told)


def test_what_may_be_done_twice_is_never_uncertain() -> None:
    assert failure(_caused(TimedOut(), httpx.ReadTimeout("x")), repeatable=True).kind == "retry"
    assert failure(NetworkError("Bad Gateway (502)"), repeatable=True).kind == "retry"
    assert failure(Forbidden("x"), repeatable=True).kind == "blocked"


def test_why_an_edit_was_refused() -> None:
    assert is_unchanged(BadRequest("Bad Request: message is not modified: specified new message content …"))
    for reason in ("message to edit not found", "message can't be edited", "MESSAGE_ID_INVALID"):
        assert is_not_to_edit(BadRequest(f"Bad Request: {reason}"))
    assert not is_not_to_edit(BadRequest("Bad Request: chat not found"))


@pytest.mark.parametrize("wrong", ["<br>", "a < b", "a & b", "&nbsp;", "<b>a", "a</b>", "<b><i>a</b></i>", "<p>a</p>"])
def test_the_stand_in_knows_marks_that_telegram_refuses(wrong: str) -> None:
    with pytest.raises(RefusedError, match="parse entities"):
        shown(wrong, "HTML", 1, 4096)


def test_a_reply_with_many_choices_keeps_them_all() -> None:
    reply = Reply("Chọn:", tuple(Button(f"Nút {n}", f"giá trị {n}") for n in range(40)))
    rendered = render(reply, "telegram")
    assert [_taken(message) for message in rendered.messages]
    assert rendered.menu == tuple(f"giá trị {n}" for n in range(40))
