"""One answer a dossier, by a link nobody guesses; on the chat by a number; comments reviewed by a person."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session, select

from bot.catalog.office import Notify
from bot.conversation.model import Incoming
from bot.conversation.talk import Talk
from bot.dossiers import registry
from bot.dossiers.records import DossierRecord
from bot.errors import BadInputError
from bot.figures.period import month_of
from bot.notices import consent, policy
from bot.service import Service
from bot.settings import Settings
from bot.storage import erasure, retention
from bot.storage.database import Database
from bot.storage.tables import OfficeSetting, Outbox, Survey, Turn
from bot.survey import surveys
from bot.survey.questions import read_answers
from bot.survey.results import results

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
CODE, OTHER = "H30.99.01-261120-0001", "H30.99.01-261120-0002"
PHONE = "+84951234567"


def file(database: Database, settings: Settings, status: int, code: str = CODE, now: datetime = NOW) -> None:
    record = DossierRecord(code=code, status=status, phone=PHONE, consent_sms=True)
    with database.write() as session:
        registry.upsert(session, record, source="api", settings=settings, now=now)


def opened(database: Database, settings: Settings, code: str = CODE) -> int:
    file(database, settings, 9, code)
    file(database, settings, 10, code)
    with database.write() as session:
        return surveys.open_one(session, settings, code, NOW).id or 0


def the_survey(database: Database, code: str = CODE) -> Survey:
    with database.read() as session:
        return session.exec(select(Survey).where(Survey.dossier_code == code)).one()


def test_the_link_is_the_same_each_time_and_another_for_each_dossier_and_office(settings: Settings) -> None:
    token = surveys.token_of(settings, CODE)
    assert token == surveys.token_of(settings, CODE)
    assert len(token) == 16
    assert token.isalnum()
    other_office = Settings(var_dir=settings.var_dir, secret_key="x" * 32)
    assert len({token, surveys.token_of(settings, OTHER), surveys.token_of(other_office, CODE)}) == 3
    assert surveys.link(settings, CODE) is None
    public = settings.model_copy(update={"public_base_url": "https://xa.example.vn"})
    assert surveys.link(public, CODE) == f"https://xa.example.vn/khao-sat/{token}"


def test_the_table_does_not_hold_the_link(database: Database, settings: Settings) -> None:
    opened(database, settings)
    token = surveys.token_of(settings, CODE)
    assert token not in str(the_survey(database))
    with database.read() as session:
        found = surveys.by_token(session, token)
        assert found is not None
        assert found.dossier_code == CODE
        assert surveys.by_token(session, "a" * 16) is None


def test_opening_twice_is_one_survey(database: Database, settings: Settings) -> None:
    assert opened(database, settings) == opened(database, settings)


def test_one_answer_a_dossier_from_many_at_once(database: Database, settings: Settings) -> None:
    number = opened(database, settings)
    start, stored = threading.Barrier(4), []

    def answer(score: int) -> None:
        start.wait()
        with database.write() as session:
            stored.append(surveys.answer(session, number, {"overall": score}, "", "link", NOW))

    threads = [threading.Thread(target=answer, args=(score,)) for score in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(stored) == [False, False, False, True]
    assert the_survey(database).state == "answered"


def test_it_closes_after_a_month_and_where_the_return_was_undone(database: Database, settings: Settings) -> None:
    opened(database, settings)
    survey = the_survey(database)
    with database.read() as session:
        assert surveys.is_open(session, survey, NOW + timedelta(days=29))
        assert not surveys.is_open(session, survey, NOW + timedelta(days=31))
    file(database, settings, 9)
    with database.read() as session:
        assert not surveys.is_open(session, survey, NOW)


def test_numbers_in_a_comment_are_hidden_before_they_are_stored(database: Database, settings: Settings) -> None:
    with database.write() as session:
        number = surveys.open_one(session, settings, CODE, NOW).id or 0
        surveys.answer(session, number, {"overall": 1}, "Gọi tôi\n 0951234567\0 nhé", "kiosk", NOW)
    assert the_survey(database).comment == "Gọi tôi *** nhé"


def test_a_kiosk_asks_only_after_a_return_of_late_and_where_the_office_asks(
    database: Database, settings: Settings
) -> None:
    file(database, settings, 9)
    with database.write() as session:
        assert surveys.at_the_kiosk(session, settings, CODE, NOW) is None
        assert surveys.at_the_kiosk(session, settings, OTHER, NOW) is None
    file(database, settings, 10)
    with database.write() as session:
        assert surveys.at_the_kiosk(session, settings, CODE, NOW + timedelta(days=31)) is None
        assert surveys.at_the_kiosk(session, settings, CODE, NOW) is not None
        session.add(OfficeSetting(key="survey", value={"value": False}, by="a", at=NOW))
        session.flush()
        assert surveys.at_the_kiosk(session, settings, CODE, NOW) is None


@pytest.mark.parametrize(
    "form", [{}, {"waiting": "5"}, {"overall": "6"}, {"overall": "5", "extra_payment": "x"}, {"overall": "１"}]
)
def test_answers_that_were_not_offered_are_refused(form: dict[str, str]) -> None:
    with pytest.raises(BadInputError):
        read_answers(form)


def test_a_form_becomes_answers() -> None:
    given = {"overall": "4", "waiting": "", "attitude": "5", "extra_payment": "no", "other": "x", "comment": "tốt"}
    assert read_answers(given) == {"overall": 4, "attitude": 5, "extra_payment": False}


# --- review ----------------------------------------------------------------------------------------------------------


def commented(session: Session, settings: Settings, code: str = CODE, said: str = "Chờ lâu.") -> int:
    number = surveys.open_one(session, settings, code, NOW).id or 0
    surveys.answer(session, number, {"overall": 2, "extra_payment": True}, said, "kiosk", NOW)
    return number


def test_only_reviewed_comments_are_in_the_results(database: Database, settings: Settings) -> None:
    with database.write() as session:
        first, second = commented(session, settings), commented(session, settings, OTHER, "Tốt.")
        surveys.review(session, second, "new", "hidden")
        assert results(session, month_of(NOW.date()), demo=False).comments == []
        surveys.review(session, first, "new", "seen")
        found = results(session, month_of(NOW.date()), demo=False)
    assert found.comments == ["Chờ lâu."]
    assert (found.asked, found.answered, found.extra_payment, found.satisfied) == (2, 2, 2, 0.0)
    assert found.mean("overall") == 2.0
    assert found.mean("waiting") is None


def test_of_two_who_decide_the_second_is_told(database: Database, settings: Settings) -> None:
    with database.write() as session:
        number = commented(session, settings)
        surveys.review(session, number, "new", "seen")
        with pytest.raises(BadInputError, match="Người khác"):
            surveys.review(session, number, "new", "hidden")
        for wrong in ((0, "new", "seen"), (number, "seen", "none")):
            with pytest.raises(BadInputError):
                surveys.review(session, *wrong)


def test_old_comments_go_and_scores_stay(database: Database, settings: Settings) -> None:
    with database.write() as session:
        commented(session, settings)
        assert retention.prune(session, settings, NOW + timedelta(days=89)).comments == 0
        assert retention.prune(session, settings, NOW + timedelta(days=91)).comments == 1
    assert (the_survey(database).comment, the_survey(database).answers["overall"]) == ("", 2)


# --- in the chat -----------------------------------------------------------------------------------------------------


@pytest.fixture
def asks(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """An office that asks how it was."""
    profile = policy.configured_office(settings.catalog, settings.office)
    assert profile is not None
    changed = profile.model_copy(update={"notify": Notify(survey=True)})
    monkeypatch.setattr(policy, "configured_office", lambda _root, _slug: changed)


class Chat:
    """One citizen on a channel, and what they are told."""

    def __init__(self, database: Database, settings: Settings, talk: Talk, channel: str, sender: str) -> None:
        self.database, self.settings, self.channel, self.sender = database, settings, channel, sender
        self.now = NOW
        self.service = Service(settings, database, talk, clock=lambda: self.now)

    def returned(self, code: str = CODE) -> None:
        """Their dossier is returned, and the question sent."""
        file(self.database, self.settings, 9, code)
        with self.database.write() as session:
            consent.subscribe(session, self.channel, self.sender, code, NOW, evidence="test")
        file(self.database, self.settings, 10, code)
        with self.database.write() as session:
            for row in session.exec(select(Outbox).where(Outbox.event == "survey")):
                row.state = "sent"
                session.add(row)

    def say(self, text: str) -> str:
        self.now += timedelta(seconds=9)
        self.service.receive(Incoming(self.channel, self.sender, str(self.now), text, self.now))
        self.service.work_off()
        with self.database.read() as session:
            turn = session.exec(select(Turn).order_by(Turn.id.desc())).first()  # type: ignore[union-attr]
            assert turn is not None
            return "\n".join(reply["text"] for reply in turn.replies["replies"])


@pytest.mark.usefixtures("asks")
def test_the_question_in_a_chat_has_five_buttons_and_counts_once(
    database: Database, settings: Settings, talk: Talk
) -> None:
    chat = Chat(database, settings, talk, "telegram", "55")
    chat.returned()
    with database.read() as session:
        (notice,) = session.exec(select(Outbox).where(Outbox.event == "survey", Outbox.channel == "telegram")).all()
    values = [button["value"] for button in notice.body["buttons"]]
    assert [value.split()[2] for value in values] == ["5", "4", "3", "2", "1"]
    assert all(len(value.encode()) <= 64 for value in values)  # Telegram's limit
    assert "4 – hài lòng" in chat.say(values[1])
    assert "chỉ ghi một lần" in chat.say(values[0])
    assert "viết ý kiến" in chat.say("ghi thêm ý kiến")
    assert "đã ghi ý kiến" in chat.say("Cán bộ nhiệt tình, số tôi 0951234567")
    survey = the_survey(database)
    assert (survey.channel, survey.answers, survey.comment) == (
        "telegram", {"overall": 4}, "Cán bộ nhiệt tình, số tôi ***"
    )  # fmt: skip
    assert "Giấy chứng sinh" in chat.say("làm giấy khai sinh cần gì")  # the talk goes on as before


@pytest.mark.usefixtures("asks")
@pytest.mark.parametrize(("channel", "sender"), [("sms", PHONE), ("zalo_bot", "z1")])
def test_where_there_are_no_buttons_a_number_is_enough(
    sqlite_database: Database, settings: Settings, talk: Talk, channel: str, sender: str
) -> None:
    chat = Chat(sqlite_database, settings, talk, channel, sender)
    chat.returned()
    chat.say("5")
    assert the_survey(sqlite_database).answers == {"overall": 5}
    chat.say("4")
    assert the_survey(sqlite_database).answers == {"overall": 5}


@pytest.mark.usefixtures("asks")
def test_a_number_that_chooses_from_a_list_is_no_score(
    sqlite_database: Database, settings: Settings, talk: Talk
) -> None:
    chat = Chat(sqlite_database, settings, talk, "zalo_bot", "z1")
    chat.returned()
    chat.say("đăng ký kết hôn hay đăng ký lại kết hôn")
    chat.say("1")
    assert the_survey(sqlite_database).state == "sent"


@pytest.mark.usefixtures("asks")
def test_nobody_rates_a_dossier_they_were_not_asked_about(
    sqlite_database: Database, settings: Settings, talk: Talk
) -> None:
    Chat(sqlite_database, settings, talk, "telegram", "55").returned()
    stranger = Chat(sqlite_database, settings, talk, "telegram", "66")
    assert "không còn nhận đánh giá" in stranger.say(f"đánh giá 1 {CODE}")
    stranger.say("5")
    assert the_survey(sqlite_database).state == "sent"


@pytest.mark.usefixtures("asks")
def test_no_words_are_asked_for_twice_and_thoi_ends_it(
    sqlite_database: Database, settings: Settings, talk: Talk
) -> None:
    chat = Chat(sqlite_database, settings, talk, "telegram", "55")
    chat.returned()
    chat.say(f"đánh giá 3 {CODE}")
    chat.say("ghi thêm ý kiến")
    assert "Cảm ơn" in chat.say("thôi")
    assert the_survey(sqlite_database).comment == ""
    chat.say("giờ làm việc")
    assert the_survey(sqlite_database).comment == ""


@pytest.mark.usefixtures("asks")
def test_erasing_takes_the_words_and_leaves_the_score(database: Database, settings: Settings, talk: Talk) -> None:
    chat = Chat(database, settings, talk, "telegram", "55")
    chat.returned()
    for text in (f"đánh giá 2 {CODE}", "ghi thêm ý kiến", "chờ quá lâu"):
        chat.say(text)
    assert the_survey(database).comment == "chờ quá lâu"
    with database.write() as session:
        erasure.erase(session, "telegram", "55", chat.now)
    survey = the_survey(database)
    assert (survey.comment, survey.comment_state, survey.answers) == ("", "none", {"overall": 2})


@pytest.mark.usefixtures("asks")
def test_the_message_has_the_link_where_the_office_has_an_address_and_none_where_it_does_not_ask(
    sqlite_database: Database, settings: Settings
) -> None:
    public = settings.model_copy(update={"public_base_url": "https://xa.example.vn"})
    file(sqlite_database, public, 9)
    file(sqlite_database, public, 10)
    with sqlite_database.read() as session:
        (notice,) = session.exec(select(Outbox).where(Outbox.event == "survey")).all()
    assert f"https://xa.example.vn/khao-sat/{surveys.token_of(settings, CODE)}" in notice.body["text"]
    assert len(notice.body["text"]) <= 160
    with sqlite_database.write() as session:
        session.add(OfficeSetting(key="survey", value={"value": False}, by="a", at=NOW))
    file(sqlite_database, public, 9, OTHER)
    file(sqlite_database, public, 10, OTHER)
    with sqlite_database.read() as session:
        assert len(session.exec(select(Outbox).where(Outbox.event == "survey")).all()) == 1
