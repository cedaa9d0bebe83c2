"""Nothing that leaves exceeds a channel's limits, no choice and no word is lost: the whole catalogue, and any reply."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.catalog.answers import Desk, cases, compose, of_case, section
from bot.catalog.schema import Aspect, Procedure
from bot.channels.rendering import (
    LIMITS,
    Message,
    Rendered,
    from_json,
    plain,
    render,
    render_all,
    split,
    to_json,
    utf16,
)
from bot.conversation import owner, wording
from bot.conversation.model import Button, DossierDetails, DossierView, Link, Reply
from bot.conversation.talk import Talk
from bot.notices.gsm7 import segments
from bot.texts import phrases

NOW = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
SCREENS = sorted(LIMITS.keys() - {"sms"})
PAGE = "https://motcua.chauthanh.example.vn/thu-tuc/"
ALL = tuple(aspect for aspect in Aspect if aspect is not Aspect.OVERVIEW)
T = phrases("replies")


class Said(Protocol):
    def __call__(self, *, sms: bool, page: str | None) -> list[Reply]: ...


@pytest.fixture(scope="module")
def desk(talk: Talk) -> Desk:
    return talk.desk(NOW)


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def squeezed(text: str) -> str:
    return "".join(nfc(text).split())


def check(reply: Reply, channel: str, rendered: Rendered) -> None:
    """Everything that must hold for a rendered reply."""
    limits, messages = LIMITS[channel], rendered.messages
    for message in messages:
        assert 1 <= limits.units(message.text) <= limits.text
        assert len(message.buttons) + bool(message.link) <= limits.buttons
        assert all(len(button.label) <= limits.label for button in message.buttons)
        assert all(len(button.value.encode()) <= limits.value for button in message.buttons)
        assert message.link is None or len(message.link.label) <= limits.label
        for text in (message.text, *(b.label + b.value for b in message.buttons)):
            assert unicodedata.is_normalized("NFC", text)
        assert from_json(to_json(message)) == message
    told = "\n".join(message.text for message in messages)
    numbered(reply, rendered, told if channel != "sms" else None)
    if channel == "sms":
        (message,) = messages
        assert segments(message.text).encoding == "gsm7"
        assert segments(message.text).count <= 2
        return
    shown = {button.value for message in messages for button in message.buttons}
    assert {nfc(button.value) for button in reply.buttons} <= shown | set(rendered.menu)
    assert squeezed(told).startswith(squeezed(reply.text))
    if max(map(utf16, nfc(reply.text).split())) <= limits.text:
        words = nfc(reply.text).split()
        assert told.split()[: len(words)] == words
    if reply.link:
        assert reply.link.url in told or any(m.link and m.link.url == reply.link.url for m in messages)
    assert any(message.contact for message in messages) == bool(reply.contact and limits.contact)


def numbered(reply: Reply, rendered: Rendered, told: str | None) -> None:
    """Each number stands in the text, beside what it sends; those of a list in the text are the list's."""
    listed = tuple(nfc(button.value) for button in reply.buttons[: reply.listed])
    if rendered.menu:
        assert rendered.menu[: len(listed)] == listed
    if told is None:
        told = rendered.messages[-1].text
    lines = squeezed(told)
    labels: dict[str, list[str]] = {}
    for button in reply.buttons:
        labels.setdefault(nfc(button.value), []).append(button.label)
    for number, value in enumerate(rendered.menu[len(listed) :], len(listed) + 1):
        written = [squeezed(f"{number}. {label}") for label in labels[value]]
        assert any(line in lines or squeezed(plain(line)) in lines for line in written)


@pytest.fixture(scope="module")
def said(desk: Desk) -> Said:
    """Every answer of the catalogue, as it is said by SMS or elsewhere, with and without a page; made once."""

    @cache
    def made(*, sms: bool, page: str | None) -> list[Reply]:
        procedures = desk.catalog.procedures.values()
        return [reply for one in procedures for reply in answers(desk, one, sms=sms, page=page)]

    return made


def answers(desk: Desk, procedure: Procedure, *, sms: bool, page: str | None) -> Iterator[Reply]:
    """Every answer about a procedure: each aspect and all, short and whole, and each case's papers."""
    page = page and page + procedure.code
    for aspects in (*((aspect,) for aspect in Aspect), ALL):
        for short in (True, False):
            text, sections = compose(procedure, aspects, desk, brief=short)
            yield from wording.answer_replies(
                procedure, text, sections, aspects, with_buttons=True, more=not sms, page=page
            )
    for number, case in enumerate(cases(procedure), 1):
        own = of_case(procedure, case)
        for short in (True, False):
            text, sections = compose(own, (Aspect.DOCUMENTS,), desk, brief=short)
            yield from wording.answer_replies(
                own, text, sections, (Aspect.DOCUMENTS,), with_buttons=True, more=not sms, case=number, page=page
            )


@pytest.mark.parametrize("page", [None, PAGE], ids=["counter", "page"])
@pytest.mark.parametrize("channel", sorted(LIMITS))
def test_every_answer_of_the_catalogue_fits(said: Said, desk: Desk, channel: str, page: str | None) -> None:
    replies = said(sms=channel == "sms", page=page)
    assert len(replies) > 24 * len(desk.catalog.procedures)
    for reply in replies:
        rendered = render(reply, channel)
        check(reply, channel, rendered)
        if channel == "sms":
            told = rendered.messages[0].text
            whole = len(reply.text) < 700 and told.startswith(plain(reply.text))
            assert whole or (page or plain("Muốn biết đủ")) in told, told


def test_papers_left_out_of_an_sms_are_counted(desk: Desk) -> None:
    cut = 0
    for procedure in desk.catalog.procedures.values():
        for code, own in [(procedure.code, procedure)] + [(c, of_case(procedure, c)) for c in cases(procedure)]:
            text, sections = compose(own, (Aspect.DOCUMENTS,), desk)
            (reply,) = wording.answer_replies(own, text, sections, (Aspect.DOCUMENTS,), with_buttons=True, more=False)
            told = render(reply, "sms").messages[0].text
            papers = [line for line in section(own, Aspect.DOCUMENTS, desk).lines if line.startswith("•")]
            left = re.search(r"con (\d+) muc nua|co (\d+) muc", told)
            if not papers or (len(text) < 700 and told.startswith(plain(reply.text))):
                continue
            shown = [p for p in papers if plain(p.removeprefix("• ").split(" (")[0].rstrip(".")) in told]
            if left is None:
                assert len(shown) == len(papers), (code, told)
            else:
                cut += 1
                assert len(papers) - int(left[1] or left[2]) <= len(shown), (code, told)
                assert int(left[1] or left[2]) >= 1
    assert cut > 50


def test_every_answer_by_sms_says_something_of_what_was_asked(desk: Desk) -> None:
    """Not only where it could be read."""
    silent = []
    for procedure in desk.catalog.procedures.values():
        for aspect in Aspect:
            _, sections = compose(procedure, (aspect,), desk)
            short = wording.brief(procedure, sections, PAGE + procedure.code)
            if phrases("answers")["titles"][aspect] not in short:
                silent.append((procedure.code, aspect))
    assert silent == []


def views() -> Iterator[DossierView]:
    for status in range(1, 11):
        for mode in ("counter", "post", "electronic"):
            for office in ("", "Trung tâm Phục vụ hành chính công xã Châu Thành", "Trung tâm " + "rất dài " * 23):
                for due in (None, NOW - timedelta(days=9), NOW + timedelta(days=9)):
                    yield DossierView(
                        "H30.99.01-261116-0001", status, due, due_computed=status % 2 == 0, due_estimated=True,
                        office=office, return_mode=mode, updated_at=NOW, demo=status % 3 == 0,
                    )  # fmt: skip


@pytest.mark.parametrize("channel", sorted(LIMITS))
def test_every_status_fits(channel: str) -> None:
    for view in views():
        reply = Reply(wording.status_text(view.code, view, NOW), wording.status_buttons(view.code, view))
        rendered = render(reply, channel)
        check(reply, channel, rendered)
        # The first thing told, and in every channel.
        assert view.code in rendered.messages[0].text
        assert plain(phrases("status")["statuses"][view.status]["name"]) in plain(rendered.messages[0].text)


def strings(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, Mapping):
        for key, below in node.items():
            yield from strings(below, f"{path}.{key}")


class Long(dict[str, str]):
    """Fields at their longest."""

    def __missing__(self, key: str) -> str:
        return {"code": "H30.99.01-261116-0001", "phone": "+8495****123", "count": "24"}.get(key, "chữ dài " * 12)


@pytest.mark.parametrize("channel", sorted(LIMITS))
@pytest.mark.parametrize("buttons", ["none", "usual", "all"])
def test_every_text_of_the_replies_fits_with_and_without_buttons(channel: str, buttons: str) -> None:
    every = tuple(
        Button(T["buttons"][key], T["values"][key].format_map(Long())) for key in T["buttons"] if key in T["values"]
    )
    chosen = {"none": (), "usual": (wording.human(), *wording.start_buttons()), "all": every}[buttons]
    for name, text in strings({key: value for key, value in T.items() if key not in {"buttons", "values"}}):
        for menu in (False, True):
            reply = Reply(text.format_map(Long()), chosen, menu=menu)
            rendered = render(reply, channel)
            check(reply, channel, rendered)
            if channel == "sms" and menu and buttons == "usual":
                assert len(rendered.menu) == len(chosen), name


@pytest.mark.parametrize("channel", sorted(LIMITS))
def test_every_list_of_choices_fits_and_each_can_be_chosen(desk: Desk, channel: str) -> None:
    procedures = list(desk.catalog.procedures.values())
    longest = sorted(procedures, key=lambda p: len(p.short_name) + len(p.choose_when or ""))[-4:]
    near = [[p, *(desk.catalog.procedures[s.code] for s in p.siblings)][:4] for p in procedures]
    for offered in [longest, *near]:
        text, buttons = wording.choices(offered, T["which"])
        brief = wording.brief_choices(offered)
        reply = Reply(text, tuple(buttons), listed=len(offered), menu=True, brief=brief)
        rendered = render(reply, channel)
        check(reply, channel, rendered)
        told = "\n".join(message.text for message in rendered.messages)
        for number, procedure in enumerate(offered, 1):
            assert plain(f"{number}. {procedure.short_name[:50]}") in plain(told)
        if not LIMITS[channel].buttons:
            assert rendered.menu[: len(offered)] == tuple(p.code for p in offered)


@pytest.mark.parametrize("channel", sorted(LIMITS))
def test_what_the_owner_sees_fits_and_each_way_of_proof_is_told(channel: str) -> None:
    details = DossierDetails("Đăng ký khai sinh", NOW, "Thiếu bản vẽ " * 38, "+8495****123", sms=True, chat=False)
    code = "H30.99.01-261116-0001"
    reply = Reply(owner.details_text(code, details), (wording.subscribe_button(code),))
    check(reply, channel, render(reply, channel))
    asked = owner.proof_question(code, channel, contact=channel in {"telegram", "zalo_oa"})
    rendered = render(asked, channel)
    check(asked, channel, rendered)
    told = plain(" ".join(message.text for message in rendered.messages)).lower()
    assert "ma tra cuu in tren giay hen" in told
    assert "gui ma" in told
    assert any(message.contact for message in rendered.messages) == (channel in {"telegram", "zalo_oa"})


def test_numbers_go_on_through_the_replies_of_a_turn(desk: Desk) -> None:
    replies = []
    for code in ("1.004222", "1.001193"):
        procedure = desk.catalog.procedures[code]
        text, sections = compose(procedure, (Aspect.DOCUMENTS,), desk)
        replies += wording.answer_replies(procedure, text, sections, (Aspect.DOCUMENTS,), with_buttons=True)
    rendered = render_all(replies, "zalo_bot")
    assert rendered.menu == tuple(dict.fromkeys(button.value for reply in replies for button in reply.buttons))
    assert len(rendered.menu) > 5
    told = "\n".join(message.text for message in rendered.messages)
    for number in range(1, len(rendered.menu) + 1):
        assert told.count(f"\n{number}. ") == 1


def test_a_link_gives_way_to_buttons() -> None:
    buttons = tuple(Button(f"Nút {n}", f"giá trị {n}") for n in range(5))
    link = Link("Xem và in trang này", PAGE)
    (message,) = render(Reply("Giấy tờ", buttons, link=link), "zalo_oa").messages
    assert (message.buttons, message.link) == (buttons, None)
    assert PAGE in message.text
    (message,) = render(Reply("Giấy tờ", buttons[:4], link=link), "zalo_oa").messages
    assert (message.buttons, message.link) == (buttons[:4], link)


# --- random replies -----------------------------------------------------------------------------------------------

_LETTERS = st.sampled_from([
    *"aăâbcdđeêghiklmnoôơpqrstuưvxyAĐ 0123456789.,;:-–—…“”’«»•→/()[]{}^~|\\€\n\t\u00a0\u200b", "ế", "ạ", "ỡ",
    "e\u0302\u0301", "a\u0323", "x\u0301\u0323", "👩‍👩‍👧", "🇻🇳", "👍🏽", "🙏", "漢", "ﬁ", ". ", "; ", "\n\n",
    "có ", "giấy tờ ",
])  # fmt: skip
_TEXTS = st.lists(_LETTERS, min_size=1, max_size=60).map("".join)
_LABELS = _TEXTS.filter(str.strip)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Some of them many messages long, some without a blank."""
    parts = draw(st.lists(_TEXTS, min_size=1, max_size=6))
    text = "".join(part * draw(st.integers(1, 60)) for part in parts)
    text = "".join(text.split()) if draw(st.booleans()) and draw(st.booleans()) else text
    text = text if text.strip() else "a"
    return unicodedata.normalize(draw(st.sampled_from(["NFC", "NFD"])), text)


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    buttons = draw(st.lists(st.builds(Button, _LABELS, _LABELS), max_size=35))
    listed = draw(st.integers(0, len(buttons))) if draw(st.booleans()) else 0
    text = draw(texts()) + "".join(f"\n{n}. {b.label}" for n, b in enumerate(buttons[:listed], 1))
    return Reply(
        text,
        tuple(buttons),
        listed=listed,
        link=draw(st.none() | st.builds(Link, _LABELS, st.just(PAGE))),
        contact=draw(st.sampled_from(["", "Chia sẻ số"])),
        image=draw(st.sampled_from(["", "receipt.png"])),
        menu=draw(st.booleans()),
        brief=draw(st.just("") | texts()),
    )


@settings(max_examples=100, deadline=None)
@given(replies())
def test_any_reply_fits_every_channel(reply: Reply) -> None:
    for channel in LIMITS:
        check(reply, channel, render(reply, channel))


@settings(max_examples=100, deadline=None)
@given(st.lists(replies(), max_size=3), st.sampled_from(SCREENS))
def test_any_replies_of_a_turn_fit_together(turn: list[Reply], channel: str) -> None:
    turn = [replace(reply, listed=0) for reply in turn]
    rendered = render_all(turn, channel)
    shown = {button.value for message in rendered.messages for button in message.buttons}
    assert {nfc(b.value) for reply in turn for b in reply.buttons} <= shown | set(rendered.menu)
    told = squeezed("\n".join(message.text for message in rendered.messages))
    for number in range(1, len(rendered.menu) + 1):
        assert f"{number}." in told


@settings(max_examples=100, deadline=None)
@given(replies())
def test_decomposed_text_comes_out_composed_and_no_longer(reply: Reply) -> None:
    def in_form(form: str) -> Reply:
        def normal(text: str) -> str:
            return unicodedata.normalize(form, text)  # type: ignore[arg-type]

        buttons = tuple(Button(normal(b.label), normal(b.value)) for b in reply.buttons)
        link = reply.link and replace(reply.link, label=normal(reply.link.label))
        return replace(reply, text=normal(reply.text), buttons=buttons, link=link, brief=normal(reply.brief))

    for channel in LIMITS:
        assert render(in_form("NFD"), channel) == render(in_form("NFC"), channel)


@settings(max_examples=200, deadline=None)
@given(texts(), st.integers(8, 400), st.sampled_from([len, utf16]))
def test_cutting_loses_nothing(text: str, most: int, units: Callable[[str], int]) -> None:
    parts = split(text, most, units)
    assert all(units(part) <= most for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())
    if all(units(word) <= most for word in text.split()):
        assert " ".join(parts).split() == text.split()


def test_a_long_word_is_not_cut_inside_a_letter() -> None:
    for whole in ("x\u0301\u0323", "👩\u200d👩\u200d👧", "👍\ufe0f"):
        for most in range(6, 30):
            parts = split(whole * 40, most)
            assert len(parts) > 1
            assert all(part.startswith(whole[0]) and not part.endswith("\u200d") for part in parts)


def test_an_address_is_never_cut() -> None:
    address = "https://motcua.example.vn/" + "a" * 150
    assert any(address in part for part in split("Xem: " + address + " rồi làm theo. " * 9, 200))


def test_cut_at_a_line_before_a_sentence_before_a_word() -> None:
    assert split("Một hai ba.\nBốn năm. Sáu bảy", 20) == ["Một hai ba.", "Bốn năm. Sáu bảy"]
    assert split("Một hai ba. Bốn năm sáu bảy", 20) == ["Một hai ba.", "Bốn năm sáu bảy"]
    assert split("Một hai ba bốn năm sáu", 11) == ["Một hai ba", "bốn năm sáu"]


def test_the_picture_goes_with_the_first_message() -> None:
    first, *rest = render(Reply("Chữ " * 1000, image="receipt.png"), "zalo_oa").messages
    assert first.image == "receipt.png"
    assert rest
    assert all(not message.image for message in rest)
    assert render(Reply("Chữ", image="receipt.png"), "zalo_bot").messages == (Message("Chữ"),)
