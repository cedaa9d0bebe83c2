"""What advisors teach: verdicts, sentences, names; checked, told who was first, withdrawn, exported and imported."""

from __future__ import annotations

import threading

import pytest
from sqlmodel import select

from bot.catalog.catalog import Catalog
from bot.conversation.talk import Talk
from bot.errors import BadInputError
from bot.review import examples, verdicts
from bot.review.labels import Label, checked, understood
from bot.storage.database import Database
from bot.storage.tables import AddedExample, Review, Turn
from nlu.corrections import from_rasa_yaml
from tests.review.conftest import BIRTH, MARRIAGE, NOW

FEE = Label("ask_procedure", ("fee",), (MARRIAGE,))


@pytest.fixture(scope="module")
def catalog(talk: Talk) -> Catalog:
    return talk.desk(NOW).catalog


def _turn(database: Database, text: str = "cưới hết nhiêu") -> int:
    told = {"how": "alone", "aspects": ["documents"], "procedures": [BIRTH]}
    with database.write() as session:
        turn = Turn(conversation_id=1, text=text, intent="ask_procedure", outcome="answer", understanding=told, at=NOW)
        session.add(turn)
        session.flush()
        return turn.id or 0


def test_a_verdict_is_kept_with_who_and_when_and_the_turn_leaves_the_queue(database: Database) -> None:
    number = _turn(database)
    with database.write() as session:
        verdicts.give(session, number, "wrong", FEE, by="lan", version=0, now=NOW)
    with database.read() as session:
        review = session.exec(select(Review)).one()
        assert session.get_one(Turn, number).reviewed
    assert (review.verdict, Label.from_json(review.label), review.by, review.version) == ("wrong", FEE, "lan", 1)


def test_a_right_verdict_keeps_what_was_understood(database: Database) -> None:
    number = _turn(database)
    with database.write() as session:
        verdicts.give(session, number, "right", None, by="lan", version=0, now=NOW)
        review = verdicts.of_turn(session, number)
        assert review is not None
        assert Label.from_json(review.label) == understood(session.get_one(Turn, number))


def test_the_second_reviewer_is_told_and_nothing_is_overwritten(database: Database) -> None:
    number = _turn(database)
    told: list[str] = []
    start = threading.Barrier(2)

    def judge(who: str) -> None:
        start.wait()
        try:
            with database.write() as session:
                verdicts.give(session, number, "wrong", FEE, by=who, version=0, now=NOW)
        except verdicts.ReviewedMeanwhileError as error:
            told.append(str(error))

    both = [threading.Thread(target=judge, args=(who,)) for who in ("lan", "minh")]
    for one in both:
        one.start()
    for one in both:
        one.join()
    with database.write() as session:
        first = session.exec(select(Review)).one()
        assert told
        assert first.by in told[0]
        again = verdicts.give(session, number, "right", None, by="hoa", version=1, now=NOW)
        assert (again.by, again.version) == ("hoa", 2)


def test_a_turn_without_words_takes_no_verdict(database: Database) -> None:
    number = _turn(database, "")
    with database.write() as session, pytest.raises(BadInputError, match="xóa theo hạn lưu"):
        verdicts.give(session, number, "right", None, by="lan", version=0, now=NOW)


def test_labels_are_checked_and_put_in_order(catalog: Catalog) -> None:
    label = checked(
        "ask_procedure", ["fee", "documents", "overview"], f"{BIRTH} Khai sinh", ask_back=False, catalog=catalog
    )
    assert label == Label("ask_procedure", ("documents", "fee"), (BIRTH,))
    assert checked("greet", ["fee"], BIRTH, ask_back=True, catalog=catalog) == Label("greet")
    assert checked("ask_procedure", [], f"{BIRTH}, {MARRIAGE}", ask_back=True, catalog=catalog).ask_back
    for intent, aspects, codes in (
        ("nope", [], ""),
        ("greet", ["nope"], ""),
        ("due_date", [], "x"),
        ("due_date", [], "9.999999"),
    ):
        with pytest.raises(BadInputError):
            checked(intent, aspects, codes, ask_back=False, catalog=catalog)


def test_what_looks_personal_does_not_become_an_example(database: Database) -> None:
    with database.write() as session:
        with pytest.raises(BadInputError, match="họ tên"):
            examples.add(session, "tôi tên Lê Thị Hoa cưới hết nhiêu", FEE, by="lan", now=NOW)
        with pytest.raises(BadInputError, match="dãy số"):
            examples.add(session, "gọi 0951234567 cưới hết nhiêu", FEE, by="lan", now=NOW)
        row = examples.add(session, "tôi tên *** cưới hết  nhiêu", FEE, by="lan", now=NOW)
        assert row.text == "tôi tên *** cưới hết nhiêu"


def test_the_same_sentence_is_taught_once_and_not_otherwise(database: Database) -> None:
    with database.write() as session:
        first = examples.add(session, "cưới hết nhiêu", FEE, by="lan", now=NOW)
        with pytest.raises(BadInputError, match="lan"):
            examples.add(session, "Cuoi het nhieu", FEE, by="minh", now=NOW)
        with pytest.raises(BadInputError, match="nhãn khác"):
            examples.add(session, "cưới hết nhiêu", Label("greet"), by="minh", now=NOW)
        examples.withdraw(session, first, by="minh", now=NOW)
        with pytest.raises(BadInputError, match="minh"):
            examples.withdraw(session, first, by="lan", now=NOW)
        examples.add(session, "cưới hết nhiêu", Label("greet"), by="minh", now=NOW)
        assert len(examples.active(session)) == 1
        assert len(session.exec(select(AddedExample)).all()) == 2


def test_two_procedures_at_once_are_no_example(database: Database) -> None:
    both = Label("ask_procedure", ("fee",), (BIRTH, MARRIAGE))
    with database.write() as session:
        with pytest.raises(BadInputError, match="một thủ tục"):
            examples.add(session, "khai sinh với kết hôn hết nhiêu", both, by="lan", now=NOW)
        family = Label("ask_procedure", ("fee",), (BIRTH, MARRIAGE), ask_back=True)
        examples.add(session, "giấy hộ tịch hết nhiêu", family, by="lan", now=NOW)
        assert examples.examples_of(examples.active(session))[0].family == (BIRTH, MARRIAGE)


def test_a_name_of_another_procedure_is_refused_with_its_name(database: Database, catalog: Catalog) -> None:
    birth = catalog.procedures[BIRTH]
    taken = next(name for name in birth.everyday_names if len(name.split()) > 1)
    with database.write() as session:
        with pytest.raises(BadInputError, match=birth.short_name):
            examples.add_name(session, taken.upper(), "2.000815", catalog, by="lan", now=NOW)
        with pytest.raises(BadInputError, match="đã có tên"):
            examples.add_name(session, taken, BIRTH, catalog, by="lan", now=NOW)
        with pytest.raises(BadInputError, match=r"9\.999999"):
            examples.add_name(session, "giấy lạ", "9.999999", catalog, by="lan", now=NOW)
        added = examples.add_name(session, "giấy chào đời", BIRTH, catalog, by="lan", now=NOW)
        with pytest.raises(BadInputError, match=birth.short_name):
            examples.add_name(session, "giay chao doi", "2.000815", catalog, by="lan", now=NOW)
        examples.withdraw(session, added, by="lan", now=NOW)
        examples.add_name(session, "giấy chào đời", "2.000815", catalog, by="lan", now=NOW)


def test_examples_go_out_as_rasa_yaml_and_come_back(database: Database, catalog: Catalog) -> None:
    with database.write() as session:
        examples.add(session, "cưới hết nhiêu", FEE, by="lan", now=NOW)
        examples.add(
            session, "giấy [tờ](x) {gì}: #", Label("ask_procedure", ("documents",), (BIRTH,)), by="lan", now=NOW
        )
        text = examples.export(session)
        assert from_rasa_yaml(text) == examples.examples_of(examples.active(session))
        assert examples.import_back(session, text, catalog, by="minh", now=NOW) == (0, 2)
        for row in examples.active(session):
            examples.withdraw(session, row, by="minh", now=NOW)
        assert examples.import_back(session, text, catalog, by="minh", now=NOW) == (2, 0)
        assert examples.export(session) == text


def test_a_wrong_file_changes_nothing(database: Database, catalog: Catalog) -> None:
    good = "version: '3.1'\nnlu:\n- intent: greet\n  examples: |\n    - chào nha\n"
    bad = good + "    - tôi tên Lê Thị Hoa\n"
    for text, said in (("x: [", "YAML"), (bad, "Câu 2"), (good.replace("greet", "nope"), "nope")):
        with pytest.raises(BadInputError, match=said), database.write() as session:
            examples.import_back(session, text, catalog, by="lan", now=NOW)
    with database.read() as session:
        assert examples.active(session) == []
