"""Words that staff changed: checked, laid over the file's at once and everywhere, taken back, two people at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notice_scene import CODE, MORNING, Office
from sqlmodel import Session

from bot.cli import main
from bot.errors import BadInputError
from bot.notices import templates, wording
from bot.notices.gsm7 import segments
from bot.storage.database import Database
from bot.storage.tables import NoticeTemplate

NAME = "result_ready_counter"
SMS = "{office}: hồ sơ {code} xong rồi. Mời ông/bà đến nhận."
CHAT = "{office}: hồ sơ {code} đã xong."


def save(session: Session, version: int = 0, **changes: object) -> wording.Words:
    typed = {"sms": SMS, "chat": CHAT, "segments": 1, "by": "an", "now": MORNING, **changes}
    return wording.save(session, NAME, version=version, **typed)[1]  # type: ignore[arg-type]


def test_a_notice_takes_the_words_of_the_moment_and_keeps_them(office: Office) -> None:
    with office.database.write() as session:
        save(session)
    office.file()
    office.enter(9)
    assert [row.body["text"] for row in office.rows()] == [
        f"TTPVHCC xa Chau Thanh: ho so {CODE} xong roi. Moi ong/ba den nhan."
    ]
    with office.database.write() as session:
        wording.back_to_file(session, NAME, version=1, by="binh", now=MORNING)
    office.file("H30.99.01-261116-0002")
    office.enter(9, "H30.99.01-261116-0002")
    first, second = (row.body["text"] for row in office.rows())
    assert "xong roi" in first
    assert "mang theo giay hen" in second


def test_versions_grow_and_the_second_of_two_people_is_told(database: Database) -> None:
    with database.write() as session:
        assert (save(session).version, wording.words(session, NAME).by) == (1, "an")
    for version in (0, 2, -1):
        with (
            pytest.raises(wording.ChangedMeanwhileError, match="an vừa lưu mẫu này lúc 09:00"),
            database.write() as session,
        ):
            save(session, version, chat="{office} {code} khác", by="binh")
    with database.write() as session:
        back = wording.back_to_file(session, NAME, version=1, by="an", now=MORNING)
        assert (back[0].changed, back[1].changed, back[1].version) == (True, False, 2)
        assert save(session, 2).version == 3


def test_of_two_who_save_at_once_one_is_told(database: Database) -> None:
    told: list[str] = []
    start = threading.Barrier(2)

    def work(by: str) -> None:
        start.wait()
        try:
            with database.write() as session:
                save(session, by=by)
            told.append("saved")
        except wording.ChangedMeanwhileError:
            told.append("told")

    threads = [threading.Thread(target=work, args=(name,)) for name in ("an", "binh")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["saved", "told"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sms": "{office}: {ma_ho_so} {code}"}, "Bản ngắn: không có trường {ma_ho_so}; chỉ dùng được: office, code"),
        ({"chat": "{office}"}, "Bản đầy đủ: còn thiếu trường {code}"),
        ({"sms": "  "}, "Bản ngắn: chưa có chữ nào"),
        ({"sms": SMS + " {"}, "dấu { } chỉ dùng quanh tên một trường"),
        ({"sms": "{office} {{code}}"}, "dấu { } chỉ dùng quanh tên một trường"),
        ({"sms": "{office} {code:>999999999}"}, "không có trường {code:>999999999}"),
        ({"sms": "{office} {code.__class__}"}, "không có trường {code.__class__}"),
        ({"sms": "{office} {code} {0}"}, "không có trường {0}"),
        ({"sms": SMS + " chữ" * 40}, "cần 2 tin SMS; nhiều nhất 1 tin"),
        ({"sms": SMS + " chữ" * 100, "segments": 3}, "nhiều nhất 3 tin"),
        ({"segments": 4}, "cần số từ 1 đến 3"),
        ({"chat": CHAT + "x" * 1000}, "nhiều nhất 1000"),
    ],
)
def test_words_that_cannot_be_sent_are_refused_by_name(
    sqlite_database: Database, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(BadInputError) as refused, sqlite_database.write() as session:
        save(session, **changes)
    assert told in str(refused.value)
    with sqlite_database.read() as session:
        assert session.get(NoticeTemplate, NAME) is None


def test_a_longer_text_is_allowed_where_more_sms_are(office: Office) -> None:
    with office.database.write() as session:
        save(session, sms=SMS + " chữ" * 40, segments=2)
        text = wording.render(session, NAME, {"office": "Ủy ban nhân dân xã Châu Thành " * 9, "code": CODE})
    assert segments(text).count == 2


@given(st.text(max_size=300), st.text(max_size=300), st.integers(-1, 5))
def test_whatever_is_typed_is_refused_or_can_be_sent(sms: str, chat: str, most: int) -> None:
    like = wording.Words(NAME, ("office", "code"), "", "", 1)
    for typed in (sms, "{office} {code} " + sms):
        words = wording.typed_words(like, typed, "{office} {code} " + chat, most)
        if wording.faults(words):
            continue
        fields = {"office": "UBND xã Châu Thành", "code": templates.LONGEST["code"]}
        sent = segments(templates.render(NAME, fields, "sms", words.template))
        assert (sent.encoding, sent.count <= most) == ("gsm7", True)
        assert templates.LONGEST["code"] in templates.render(NAME, fields, "telegram", words.template)


def test_words_that_a_newer_program_cannot_fill_give_way_to_the_file(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with office.database.write() as session:
        save(session)
        session.get_one(NoticeTemplate, NAME).sms = "{office} {code} {ngay}"
    office.file()
    office.enter(9)
    assert "mang theo giay hen" in office.rows()[0].body["text"]
    assert "mẫu gốc" in caplog.text


def test_all_templates_are_listed_as_they_are(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        save(session)
        told = {one.name: one.changed for one in wording.all_words(session)}
    assert list(told) == list(templates.templates())
    assert [name for name, changed in told.items() if changed] == [NAME]


def test_an_unknown_template_is_refused(sqlite_database: Database) -> None:
    calls: list[Callable[[Session], object]] = [
        lambda session: wording.words(session, "x"),
        lambda session: wording.back_to_file(session, "x", version=0, by="an", now=MORNING),
    ]
    for call in calls:
        with pytest.raises(KeyError), sqlite_database.write() as session:
            call(session)


def test_the_preview_of_the_command_line_shows_the_words_in_use(
    office: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOTCUA_VAR_DIR", str(office.settings.var_dir))
    with office.database.write() as session:
        save(session)
    assert main(["notices", "preview"]) == 0
    assert "xong roi. Moi ong/ba den nhan." in capsys.readouterr().out
