"""The pages of review: the list, one turn with its form, what is saved, and who is told what."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from sqlmodel import Session, select

from bot.clock import utc_now
from bot.review.labels import Label
from bot.storage.database import Database
from bot.storage.tables import AddedExample, Audit, EverydayName, Review, Turn
from tests.console.conftest import Visitor

BIRTH, MARRIAGE = "1.001193", "1.000894"
NASTY = '<script>alert(1)</script> "&'


def _turn(session: Session, text: str = "làm giấy cho con", **more: object) -> int:
    told = {
        "how": "alone", "aspects": ["documents"], "procedures": [BIRTH], "engine": "embedded", "model": 3,
        "candidates": [[BIRTH, 0.91], [MARRIAGE, 0.05]], "sources": [f"{BIRTH}: Cổng Dịch vụ công quốc gia"],
    }  # fmt: skip
    values = {"doubt": 30, "doubt_why": "unsure,denied", "confidence": 0.62, **more}
    turn = Turn(
        conversation_id=1, text=text, intent="ask_procedure", outcome="answer", understanding=told,
        replies={"replies": [{"text": "Cần giấy chứng sinh"}]}, at=utc_now(), **values,
    )  # fmt: skip
    session.add(turn)
    session.flush()
    return turn.id or 0


def _add(database: Database, text: str = "làm giấy cho con", **more: object) -> int:
    with database.write() as session:
        return _turn(session, text, **more)


def _form(page: str) -> dict[str, str]:
    """What a browser would send back unchanged (but for ticked aspects)."""
    fields = {
        name: re.search(rf'name="{name}"[^>]* value="([^"]*)"', page) for name in ("version", "key", "procedures")
    }
    found = {name: match[1] for name, match in fields.items() if match}
    intent = re.search(r'<option value="(\w+)" selected', page)
    text = re.search(r'<textarea id="text"[^>]*>([^<]*)</textarea>', page)
    assert intent
    assert text
    return found | {"intent": intent[1], "text": html.unescape(text[1]), "show": "doubtful"}


def test_the_list_shows_doubtful_turns_first_with_why(visit: Callable[..., Visitor], sqlite_database: Database) -> None:
    for doubt in (5, 90, 40):
        _add(sqlite_database, f"câu {doubt}", doubt=doubt)
    page = visit("advisor").get("/staff/review").text
    assert [int(n) for n in re.findall(r">câu (\d+)<", page)] == [90, 40, 5]
    assert "người dân nói không phải" in page
    assert "62%" in page


def test_pages_follow_one_another(visit: Callable[..., Visitor], sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        numbers = [_turn(session, f"câu {n}", doubt=n % 7) for n in range(120)]
    visitor, seen = visit("advisor"), list[int]()
    page = visitor.get("/staff/review").text
    while True:
        seen += [int(n) for n in re.findall(r'class="words"><a href="/staff/review/(\d+)', page)]
        more = re.search(r'rel="next"[^>]*href="([^"]+)"', page)
        if not more:
            break
        page = visitor.get(html.unescape(more[1])).text
    assert len(seen) == len(set(seen)) == 120
    assert set(seen) == set(numbers)
    assert visitor.get("/staff/review?show=nope&after=%27%3B--").status_code == 200


def test_a_turn_shows_everything_and_covers_personal_data(
    visit: Callable[..., Visitor], sqlite_database: Database
) -> None:
    number = _add(sqlite_database, f"{NASTY} tôi tên Lê Thị Hoa 0951234567")
    page = visit("advisor").get(f"/staff/review/{number}").text
    for shown in (
        "hỏi thủ tục",
        "giấy tờ",
        BIRTH,
        "91%",
        "5%",
        "Cần giấy chứng sinh",
        "bộ hiểu có sẵn, bản số 3",
        "Cổng",
    ):
        assert shown in page, shown
    assert "<script>alert" not in page
    assert "Hoa" not in page
    assert "0951234567" not in page
    assert "Đã che: dãy số" in page
    assert visit("advisor").get("/staff/review/999999").status_code == 404


def test_right_is_one_press_and_the_next_turn_comes_up(
    visit: Callable[..., Visitor], sqlite_database: Database
) -> None:
    second, first = _add(sqlite_database, "thứ hai", doubt=10), _add(sqlite_database, "thứ nhất", doubt=20)
    visitor = visit("advisor")
    page = visitor.get("/staff/review/next", params={"show": "doubtful"})
    assert page.url.path == f"/staff/review/{first}"
    page = visitor.submit(f"/staff/review/{first}", act="right", aspects="documents", **_form(page.text))
    assert page.url.path == f"/staff/review/{second}"
    assert "Đã ghi: đúng" in page.text
    assert f"/staff/review/{first}?" in page.text  # to look again at what was just judged
    page = visitor.submit(f"/staff/review/{second}", act="outside", aspects="documents", **_form(page.text))
    assert page.url.path == "/staff/review/end"
    with sqlite_database.read() as session:
        reviews = {row.turn_id: row for row in session.exec(select(Review))}
        assert reviews[first].verdict == "right"
        assert (reviews[second].verdict, reviews[second].label["intent"]) == ("wrong", "out_of_scope")
        assert [row.action for row in session.exec(select(Audit)) if row.action == "review"] == ["review"] * 2
    assert "đúng" in visitor.get("/staff/review?show=reviewed").text


def test_a_correction_becomes_an_example_without_personal_data(
    visit: Callable[..., Visitor], sqlite_database: Database
) -> None:
    number = _add(sqlite_database, "em tên là Trần Văn Bình, cưới vợ hết nhiêu")
    visitor = visit("advisor")
    fields = _form(visitor.get(f"/staff/review/{number}").text) | {"procedures": MARRIAGE}
    assert fields["text"] == "em tên là ***, cưới vợ hết nhiêu"
    refused = visitor.submit(
        f"/staff/review/{number}", act="example", aspects="fee", **fields | {"text": "tôi tên Trần Văn Bình cưới vợ"}
    )
    assert refused.status_code == 409
    assert "họ tên" in refused.text
    assert "tôi tên Trần Văn Bình cưới vợ" in refused.text  # what was typed is kept
    with sqlite_database.read() as session:
        assert session.exec(select(Review)).all() == []  # all or nothing
    assert visitor.submit(f"/staff/review/{number}", act="example", aspects="fee", **fields).status_code == 200
    with sqlite_database.read() as session:
        example = session.exec(select(AddedExample)).one()
        review = session.exec(select(Review)).one()
    wanted = Label("ask_procedure", ("fee",), (MARRIAGE,))
    assert (example.text, Label.from_json(example.label)) == ("em tên là ***, cưới vợ hết nhiêu", wanted)
    assert (example.turn_id, example.by, review.verdict) == (number, "advisor", "wrong")


def test_the_act_must_fit_the_labels(visit: Callable[..., Visitor], sqlite_database: Database) -> None:
    number = _add(sqlite_database)
    visitor = visit("advisor")
    fields = _form(visitor.get(f"/staff/review/{number}").text)
    changed = visitor.submit(f"/staff/review/{number}", act="right", aspects="fee", **fields)
    assert (changed.status_code, "Nhãn đã được sửa" in changed.text) == (409, True)
    same = visitor.submit(f"/staff/review/{number}", act="wrong", aspects="documents", **fields)
    assert (same.status_code, "Nhãn chưa sửa gì" in same.text) == (409, True)
    odd = visitor.submit(
        f"/staff/review/{number}", act="wrong", aspects="documents", **fields | {"procedures": "9.999999"}
    )
    assert (odd.status_code, "9.999999" in odd.text) == (409, True)
    content = visitor.submit(f"/staff/review/{number}", act="wrong", content="1", aspects="documents", **fields)
    assert content.status_code == 200
    with sqlite_database.read() as session:
        assert session.exec(select(Review)).one().label == {}


def test_the_second_of_two_reviewers_is_told(visit: Callable[..., Visitor], sqlite_database: Database) -> None:
    number = _add(sqlite_database)
    first, second = visit("advisor"), visit("admin")
    mine, theirs = (_form(one.get(f"/staff/review/{number}").text) for one in (first, second))
    first.submit(f"/staff/review/{number}", act="right", aspects="documents", **mine)
    refused = second.submit(f"/staff/review/{number}", act="outside", aspects="documents", **theirs)
    assert refused.status_code == 409
    assert "advisor vừa chấm" in refused.text
    again = _form(refused.text)
    assert again["version"] == "1"
    assert second.submit(f"/staff/review/{number}", act="outside", aspects="documents", **again).status_code == 200
    with sqlite_database.read() as session:
        assert session.exec(select(Review)).one().by == "admin"


def test_a_name_is_added_or_refused_with_whose_it_is(visit: Callable[..., Visitor], sqlite_database: Database) -> None:
    number = _add(sqlite_database)
    visitor = visit("advisor")
    fields = _form(visitor.get(f"/staff/review/{number}").text)
    added = visitor.submit(f"/staff/review/{number}", act="name", name="tờ chào đời", aspects="documents", **fields)
    assert "Đã thêm tên thường gọi" in added.text
    taken = visitor.submit(
        f"/staff/review/{number}",
        act="name",
        name="tờ chào đời",
        aspects="documents",
        **fields | {"procedures": MARRIAGE},
    )
    assert taken.status_code == 409
    assert "khai sinh" in re.search(r'class="error"[^>]*>([^<]+)', taken.text)[1].lower()  # type: ignore[index]
    with sqlite_database.read() as session:
        assert session.exec(select(EverydayName)).one().procedure == BIRTH


def test_long_and_empty_texts_are_shown(visit: Callable[..., Visitor], sqlite_database: Database) -> None:
    long, gone = _add(sqlite_database, "giấy " * 799), _add(sqlite_database, "", doubt=-1)
    visitor = visit("advisor")
    assert visitor.get(f"/staff/review/{long}").status_code == 200
    page = visitor.get(f"/staff/review/{gone}").text
    assert "nội dung đã xóa" in page
    assert 'name="act"' not in page
    assert visitor.get("/staff/review?show=all").status_code == 200
