"""Which turns want to be looked at: what the engine was not sure of, and what the citizen's next message says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from sqlalchemy import text as sql
from sqlmodel import Session, col, select

from bot.conversation.model import Incoming
from bot.conversation.talk import Talk
from bot.review import queue
from bot.review.doubt import is_bad_rating, is_same_question
from bot.service import Service
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.erasure import erase
from bot.storage.retention import prune
from bot.storage.tables import AddedExample, Review, Turn

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


class Chat:
    """Citizens who write to a service whose clock can be set."""

    def __init__(self, database: Database, settings: Settings, talk: Talk) -> None:
        self.database, self.now, self._numbers = database, NOW, count(1)
        self.service = Service(settings, database, talk, clock=lambda: self.now)

    def say(self, text: str, sender: str = "an") -> Turn:
        """One message; its turn."""
        message = Incoming("telegram", sender, f"m{next(self._numbers)}", text, self.now)
        inbox_id = self.service.receive(message)
        assert inbox_id is not None
        while self.service.work_off():
            pass
        with self.database.read() as session:
            return session.exec(select(Turn).where(Turn.inbox_id == inbox_id)).one()

    def again(self, turn: Turn) -> Turn:
        """The turn as it is now."""
        with self.database.read() as session:
            return session.get_one(Turn, turn.id)


@pytest.fixture
def chat(database: Database, settings: Settings, talk: Talk) -> Chat:
    return Chat(database, settings, talk)


def test_a_turn_keeps_engine_candidates_sources_and_certainty(chat: Chat) -> None:
    turn = chat.say("làm giấy khai sinh cho con cần gì")
    told = turn.understanding
    assert (turn.engine, turn.procedure) == ("embedded", "1.001193")
    assert turn.confidence is not None
    assert turn.confidence > 0.7
    assert told["candidates"][0][0] == "1.001193"
    assert told["candidates"][0][1] > told["candidates"][1][1]
    assert "1.001193" in told["sources"][0]
    assert told["model"] is None
    assert told["engine"] == "embedded"


def test_an_unsure_answer_is_more_doubtful_than_a_sure_one(chat: Chat) -> None:
    sure, unsure = chat.say("lệ phí đăng ký kết hôn", "an"), chat.say("giấy tờ cái này sao vậy", "binh")
    assert unsure.doubt > sure.doubt
    assert "unsure" in unsure.doubt_why or "missed" in unsure.doubt_why


def test_khong_phai_marks_the_answer_before(chat: Chat) -> None:
    answer = chat.say("làm giấy khai sinh cho con cần gì")
    no = chat.say("không phải")
    marked = chat.again(answer)
    assert marked.doubt >= answer.doubt + 50
    assert "denied" in marked.doubt_why
    assert "denied" not in chat.again(no).doubt_why


def test_a_correction_marks_the_answer_before(chat: Chat) -> None:
    answer = chat.say("làm giấy khai sinh cho con cần gì")
    chat.say("không phải, đăng ký lại khai sinh cơ")
    assert "denied" in chat.again(answer).doubt_why


def test_a_bad_rating_marks_the_answer_before_and_a_good_one_does_not(chat: Chat) -> None:
    answer = chat.say("lệ phí đăng ký kết hôn")
    chat.say("5 sao nha")
    assert "rated" not in chat.again(answer).doubt_why
    answer = chat.say("lệ phí chứng thực chữ ký", "binh")
    chat.say("1 sao", "binh")
    assert "rated" in chat.again(answer).doubt_why


def test_the_same_question_again_marks_the_first(chat: Chat) -> None:
    first = chat.say("thủ tục cấp bản sao trích lục hộ tịch mất mấy ngày")
    chat.now += timedelta(minutes=2)
    chat.say("thủ tục cấp bản sao trích lục hộ tịch mất mấy ngày vậy")
    assert "repeated" in chat.again(first).doubt_why
    late = chat.say("lệ phí đăng ký kết hôn", "binh")
    chat.now += timedelta(hours=2)
    chat.say("lệ phí đăng ký kết hôn", "binh")
    assert chat.again(late).doubt_why == late.doubt_why


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("1 sao", True), ("không hài lòng", True), ("chậm quá, thất vọng", True), ("tệ", True), ("2*", True),
        ("5 sao", False), ("rất hài lòng", False), ("cán bộ nhiệt tình, làm nhanh", False), ("4 điểm", False),
    ],
)  # fmt: skip
def test_bad_ratings_are_told_from_good_ones(text: str, bad: bool) -> None:
    assert is_bad_rating(text) is bad


def test_a_number_is_no_question() -> None:
    assert not is_same_question("2", "2")
    assert is_same_question("Lệ phí kết hôn?", "le phi ket hon")


def _turns(session: Session, number: int, doubt: Callable[[int], int]) -> None:
    session.add_all(
        Turn(conversation_id=1, text="hỏi", intent="help", outcome="answer", at=NOW, doubt=doubt(n))
        for n in range(number)
    )


def test_pages_are_walked_by_key_and_show_each_turn_once(database: Database) -> None:
    with database.write() as session:
        _turns(session, 23, lambda n: n % 4)
        session.add(Turn(conversation_id=1, text="", intent="help", outcome="answer", at=NOW, doubt=-1))
    seen: list[tuple[int, int]] = []
    after = ""
    with database.read() as session:
        while True:
            page = queue.page(session, "doubtful", after, 5)
            seen += [(turn.doubt, turn.id or 0) for turn, _ in page.rows]
            after = page.more
            if not after:
                break
        everything = [turn.id for turn, _ in queue.page(session, "all", "", 50).rows]
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 23
    assert everything == list(range(24, 0, -1))


@pytest.mark.parametrize("which", queue.LISTS)
@pytest.mark.parametrize("after", ["", "3.40"])
def test_a_page_reads_only_what_it_shows(database: Database, which: str, after: str) -> None:
    with database.write() as session:
        _turns(session, 3000, lambda n: n % 90)
        session.add_all(Review(turn_id=n, verdict="right", by="cb", at=NOW) for n in range(1, 3001))
    with database.write() as session:
        session.execute(sql("ANALYZE"))
    with database.read() as session:
        query = str(
            queue.statement(which, after, 51).compile(session.get_bind(), compile_kwargs={"literal_binds": True})
        )
        explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        plan = "\n".join(str(row[-1]) for row in session.execute(sql(explain + query.replace(":", "\\:"))))
    assert "ix_turn_doubt" in plan or which != "doubtful"
    assert "TEMP B-TREE" not in plan  # SQLite would sort what it has read whole
    assert "Sort" not in plan  # and PostgreSQL
    assert "Seq Scan" not in plan


def test_what_is_pruned_or_erased_leaves_the_queue(chat: Chat, settings: Settings) -> None:
    turn = chat.say("giấy tờ cái này sao vậy")
    with chat.database.write() as session:
        session.add(AddedExample(text="giấy tờ", label={}, turn_id=turn.id, by="cb", at=NOW))
    with chat.database.write() as session:
        erase(session, "telegram", "an", chat.now)
    assert (chat.again(turn).doubt, chat.again(turn).text) == (-1, "")
    with chat.database.read() as session:
        assert session.exec(select(AddedExample)).one().turn_id is None  # nothing leads back to the citizen
        assert queue.page(session, "doubtful").rows == []
    turn = chat.say("giấy tờ cái này sao vậy", "binh")
    with chat.database.write() as session:
        prune(session, settings, NOW + timedelta(days=100))
    assert chat.again(turn).doubt == -1
    with chat.database.read() as session:
        assert queue.page(session, "doubtful").rows == []
        assert session.exec(select(Turn.id).order_by(col(Turn.id))).all()
