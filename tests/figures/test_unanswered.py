"""What got no answer is grouped, the newest wording first, with nothing personal in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot.conversation.model import Incoming
from bot.conversation.talk import Talk
from bot.figures.period import month_of
from bot.figures.unanswered import Question, grouped, unanswered
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
MONTH = month_of(NOW.date())


def _asked(*texts: str, kind: str = "unknown") -> list[Question]:
    return [Question(text, NOW - timedelta(minutes=n), kind) for n, text in enumerate(texts)]


def test_the_same_question_in_other_words_is_one_group() -> None:
    groups = grouped(
        _asked(
            "xin cấp lại sổ hộ nghèo ở đâu vậy", "sổ hộ nghèo cấp lại", "Cap lai so ho ngheo ạ?", "mượn hội trường xã",
            "cho em mượn hội trường của xã nha",
        )
    )  # fmt: skip
    assert [(group.count, group.example) for group in groups] == [
        (3, "xin cấp lại sổ hộ nghèo ở đâu vậy"), (2, "mượn hội trường xã"),
    ]  # fmt: skip
    assert groups[0].others == ("sổ hộ nghèo cấp lại", "Cap lai so ho ngheo ạ?")


def test_different_questions_stay_apart() -> None:
    assert len(grouped(_asked("mượn hội trường xã", "đăng ký tiêm chó", "lịch cúp điện", "xe rác mấy giờ tới"))) == 4


def test_numbers_are_hidden_before_they_tell_questions_apart() -> None:
    groups = grouped(_asked("kiểm tra tiền điện mã 0951234567", "kiểm tra tiền điện mã 0957654321"))
    assert [group.count for group in groups] == [2]
    assert "095" not in groups[0].example + "".join(groups[0].others)


def test_emoji_and_long_texts_break_nothing() -> None:
    groups = grouped(_asked("👍👍", "", "   ", "?" * 10, "a" * 9000))
    assert all(len(group.example) <= 300 for group in groups)


def test_from_a_talk_only_what_stayed_without_an_answer(database: Database, settings: Settings, talk: Talk) -> None:
    moment = [NOW]
    service = Service(settings, database, talk, clock=lambda: moment[0])

    def say(sender: str, *texts: str) -> None:
        for text in texts:
            moment[0] += timedelta(seconds=5)
            service.receive(Incoming("web", sender, f"{sender}{moment[0]}", text, moment[0]))
            service.work_off()

    say("an", "làm giấy khai sinh cần gì", "cảm ơn")
    say("binh", "đăng ký", "1")  # asked back, then chosen
    say("chi", "tối nay có đá banh không")
    say("dung", "phí chứng thực bản sao", "không phải")
    with database.read() as session:
        found = {question.text: question.kind for question in unanswered(session, MONTH)}
    assert "làm giấy khai sinh cần gì" not in found
    assert "đăng ký" not in found
    assert found["tối nay có đá banh không"] == "unknown"
    assert found["phí chứng thực bản sao"] == "denied"
