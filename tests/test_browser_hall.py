"""Kiosk, board, survey and figures in a real browser: touch, scanner, rest, no connection; for all eyes and sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from bot.clock import local, utc_now
from bot.console.accounts import add_staff
from bot.settings import Settings
from bot.storage import schema
from bot.storage.database import Database
from bot.storage.tables import Dossier, Outbox, StatusChange, Survey, Turn
from tests.chromium import MARKS
from tests.service_process import ServiceProcess

ROOT = Path(__file__).resolve().parent.parent
SHOTS = ROOT / "artifacts"
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
KIOSK, SCREEN = {"width": 1080, "height": 1920}, {"width": 1920, "height": 1080}
PASSWORD = "mat-khau-dai-lam"
RETURNED = "H30.99.01-261116-0005"  # of the demo dossiers
WORKED_ON = "H30.99.01-261116-0001"
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}
pytestmark = MARKS


def _code(number: int) -> str:
    return f"H30.99.01-261120-{number:04d}"


def _fill(database: Database) -> None:
    """A month of questions, results at the counter, a survey that was answered, an account."""
    now = utc_now()
    today = local(now).replace(hour=16, minute=0)
    with database.write() as session:
        add_staff(session, "lanh.dao", "leader", PASSWORD, now)
        add_staff(session, "tu.van", "advisor", PASSWORD, now)
        for number in range(60):
            ready = number < 40
            code = _code(number) if number != 3 else "000.17.22.H56-210531-0003"
            session.add(
                Dossier(
                    code=code, status=9 if ready else 4, procedure="1.001193", received_at=now - timedelta(days=3),
                    due_at=today, demo=True, created_at=now, updated_at=now,
                )
            )  # fmt: skip
            if ready:
                at = now - timedelta(hours=number)
                session.add(StatusChange(dossier_code=code, before=4, after=9, source="api", at=at))
        for number in range(300):
            outcome, intent, code = (
                ("answer", "ask_procedure", "1.001193"), ("answer", "ask_procedure", "1.013978"),
                ("status", "dossier_status", None), ("clarify", "ask_procedure", "1.004194"),
                ("handoff", "human", None), ("out_of_scope", "out_of_scope", None),
            )[number % 6]  # fmt: skip
            session.add(
                Turn(
                    conversation_id=number, text="cấp lại sổ hộ nghèo <b>ở đâu</b>", intent=intent, outcome=outcome,
                    at=now - timedelta(hours=number), channel=("web", "telegram", "zalo_oa")[number % 3],
                    procedure=code, waited_ms=40 * number,
                )
            )  # fmt: skip
        for number, state in enumerate(("delivered", "delivered", "sent", "failed")):
            session.add(
                Outbox(
                    kind="notice", channel="sms", recipient="+84951000001", dedupe_key=f"k{number}", demo=True,
                    event="result_ready", state=state, not_before=now, created_at=now,
                )
            )  # fmt: skip
        session.add(
            Survey(
                dossier_code=_code(900), token_digest="x", state="answered", channel="kiosk",
                comment="Cán bộ tận tình.", answers={"overall": 5, "waiting": 3, "attitude": 4}, comment_state="new",
                asked_at=now, expires_at=now, answered_at=now,
            )
        )  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one running service."""
    SHOTS.mkdir(exist_ok=True)
    folder = tmp_path_factory.mktemp("hall")
    database = Database(Settings(var_dir=folder).database)
    schema.upgrade(database)
    _fill(database)
    database.close()
    with ServiceProcess(folder) as service:
        yield service.url


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=KIOSK, locale="vi-VN", has_touch=True)  # type: ignore[arg-type]
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page on which nothing may go wrong unseen: a blocked style or script, an error."""
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda told: problems.append(told.text) if "Content Security Policy" in told.text else None)
    yield page
    assert problems == []


def _check(page: Page, name: str, size: Any) -> None:
    """A picture, nothing wider than the screen, and no fault of accessibility."""
    page.set_viewport_size(size)
    page.screenshot(path=SHOTS / f"hall-{name}-{size['width']}.png", full_page=size["width"] < 1000)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than {size}"
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, f"{name} {size}: {found.generate_report()}"


def _scan(page: Page, code: str) -> None:
    """As a scanner does: keys, then Enter, wherever the focus is."""
    page.evaluate("document.activeElement.blur()")
    page.keyboard.type(code)
    page.keyboard.press("Enter")


# --- the kiosk -------------------------------------------------------------------------------------------------------


def test_a_scanned_receipt_is_shown_and_gone_after_a_minute(page: Page, base: str) -> None:
    page.clock.install()
    page.goto(f"{base}/kiosk")
    status = page.locator("#ket-qua")
    warning = page.get_by_role("alertdialog")
    _scan(page, WORKED_ON)
    expect(status).to_contain_text("đang xử lý")
    expect(page.locator("#ma")).to_have_value("")
    assert WORKED_ON not in page.url
    page.clock.run_for(49_000)
    expect(warning).to_be_hidden()
    page.clock.run_for(3_000)
    expect(warning).to_be_visible()
    page.screenshot(path=SHOTS / "hall-kiosk-warning.png")
    page.get_by_role("button", name="Tôi còn dùng").tap()
    expect(warning).to_be_hidden()
    page.clock.run_for(45_000)
    expect(status).to_be_visible()
    page.clock.run_for(16_000)
    expect(status).to_be_hidden()
    expect(page.locator("#ma")).to_be_focused()
    assert WORKED_ON not in page.content()
    # On the empty first page nothing warns.
    page.clock.run_for(70_000)
    expect(warning).to_be_hidden()


def test_any_page_leads_home_after_a_minute_and_back_shows_no_status(page: Page, base: str) -> None:
    page.clock.install()
    page.goto(f"{base}/kiosk")
    _scan(page, WORKED_ON)
    expect(page.locator("#ket-qua")).to_contain_text("đang xử lý")
    page.get_by_role("link", name="Đất đai, sổ đỏ").tap()
    page.wait_for_url("**/kiosk/linh-vuc/dat-dai")
    page.clock.run_for(61_000)
    page.wait_for_url(f"{base}/kiosk")
    page.go_back()
    expect(page.get_by_role("heading", name="Quét mã")).to_be_visible()
    assert WORKED_ON not in page.content()


def test_a_receipt_scanned_into_the_search_goes_into_no_address(page: Page, base: str) -> None:
    page.goto(f"{base}/kiosk")
    page.locator("#tim").tap()
    page.keyboard.type(WORKED_ON)
    page.keyboard.press("Enter")
    expect(page.locator("#ket-qua")).to_contain_text("đang xử lý")
    assert page.url == f"{base}/kiosk"


def test_with_fingers_from_a_word_to_the_printed_guide(page: Page, base: str) -> None:
    page.add_init_script("window.print = () => document.body.dataset.printed = '1'")
    page.goto(f"{base}/kiosk")
    page.get_by_role("button", name="Bàn phím").nth(1).tap()
    for key in "KHAI":
        page.get_by_role("button", name=key, exact=True).tap()
    page.get_by_role("button", name="Dấu cách").tap()
    for key in "SINHH":
        page.get_by_role("button", name=key, exact=True).tap()
    page.get_by_role("button", name="Xóa", exact=True).tap()
    expect(page.locator("#tim")).to_have_value("khai sinh")
    page.screenshot(path=SHOTS / "hall-kiosk-keyboard.png")
    small = page.evaluate(
        "[...document.querySelectorAll('a, button, input')].filter(e => e.offsetParent && !e.matches('.skip'))"
        ".filter(e => e.offsetHeight < 64).map(e => e.outerHTML.slice(0, 90))"
    )
    assert small == []
    page.get_by_role("button", name="Tìm", exact=True).tap()
    page.get_by_role("link", name="Đăng ký khai sinh").first.tap()
    expect(page.get_by_role("heading", name="Giấy tờ cần có")).to_be_visible()
    with page.expect_response("**/kiosk/in"):
        page.get_by_role("button", name="In tờ hướng dẫn").tap()
    expect(page.locator("body[data-printed]")).to_have_count(1)
    paper = page.pdf(format="A4", prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 1
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Gọi cán bộ")).to_be_hidden()


def test_an_advisor_is_called_once(page: Page, base: str) -> None:
    page.goto(f"{base}/kiosk")
    page.get_by_role("button", name="Gọi cán bộ").tap()
    expect(page.locator("#loi")).to_contain_text("Đã gọi cán bộ")
    page.get_by_role("button", name="Gọi cán bộ").tap()
    expect(page.locator("#loi")).to_contain_text("sắp đến")


def test_without_connection_the_kiosk_says_so(page: Page, context: BrowserContext, base: str) -> None:
    page.goto(f"{base}/kiosk")
    context.set_offline(True)
    _scan(page, WORKED_ON)
    expect(page.locator("#loi")).to_contain_text("mất kết nối")


def test_the_receipt_of_a_returned_dossier_asks_for_an_opinion_once(page: Page, base: str) -> None:
    page.goto(f"{base}/kiosk")
    _scan(page, RETURNED)
    page.get_by_role("link", name="Cho ý kiến").tap()
    expect(page.get_by_text("kết thúc bằng 0005")).to_be_visible()
    assert RETURNED not in page.content()
    for size in (KIOSK, PHONE, DESK):
        _check(page, "survey", size)
    page.get_by_role("group", name="Nói chung").get_by_label("Hài lòng", exact=True).check()
    page.get_by_label("Góp ý thêm").fill("Nhanh, gọn.")
    page.get_by_role("button", name="Gửi").tap()
    expect(page.get_by_text("Cảm ơn ông/bà đã trả lời")).to_be_visible()
    _check(page, "survey-thanks", KIOSK)
    page.get_by_role("link", name="Về đầu").tap()
    page.wait_for_url(f"{base}/kiosk")
    _scan(page, RETURNED)
    expect(page.locator("#ket-qua")).to_contain_text("đã trả kết quả")
    expect(page.get_by_role("link", name="Cho ý kiến")).to_be_hidden()


def test_the_kiosk_for_all_eyes_and_sizes(page: Page, base: str) -> None:
    for name, path in (
        ("kiosk", "/kiosk"), ("kiosk-field", "/kiosk/linh-vuc/ho-tich"), ("kiosk-search", "/kiosk/tim?q=khai+sinh"),
        ("kiosk-guide", "/kiosk/thu-tuc/1.001193"),
    ):  # fmt: skip
        page.goto(base + path)
        for size in (KIOSK, DESK, PHONE):
            _check(page, name, size)
    page.goto(f"{base}/kiosk")
    page.set_viewport_size(KIOSK)  # type: ignore[arg-type]
    _scan(page, "H30.99.01-261120-0001")
    expect(page.locator("#ket-qua")).to_contain_text("đã xử lý xong")
    _check(page, "kiosk-status", KIOSK)
    page.emulate_media(color_scheme="dark")
    _check(page, "kiosk-dark", DESK)


# --- the board -------------------------------------------------------------------------------------------------------


def test_the_board_turns_its_pages_and_keeps_its_list_without_connection(
    page: Page, context: BrowserContext, base: str
) -> None:
    page.clock.install()
    page.set_viewport_size(SCREEN)  # type: ignore[arg-type]
    page.goto(f"{base}/bang")
    ready = page.locator("[data-codes=ready] li:not([hidden])")
    first = ready.all_inner_texts()
    assert len(first) == 7
    assert first[0] == _code(0)
    # 50 px on a screen of 43 inches are 2.5 cm: to be read from 5 m.
    assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('[data-codes=ready] li')).fontSize)") >= 50
    _check(page, "board", SCREEN)
    seen = set(first)
    for _ in range(6):
        page.clock.run_for(12_000)
        seen |= set(ready.all_inner_texts())
    assert len(seen) == 40
    status = page.locator("[data-status]")
    expect(status).to_contain_text("Cập nhật lúc")
    context.set_offline(True)
    page.clock.run_for(61_000)
    expect(status).to_contain_text("Mất kết nối")
    expect(ready).not_to_have_count(0)
    page.screenshot(path=SHOTS / "hall-board-offline.png")
    with page.expect_response("**/bang/so"):
        context.set_offline(False)
        page.clock.run_for(11_000)
    expect(status).to_contain_text("Cập nhật lúc")
    page.get_by_role("button", name="Tạm dừng").tap()
    expect(ready).to_have_count(40)


def test_the_board_for_all_sizes(page: Page, base: str) -> None:
    page.goto(f"{base}/bang")
    for size in (DESK, KIOSK, PHONE):
        _check(page, "board", size)
    page.emulate_media(color_scheme="dark")
    _check(page, "board-dark", SCREEN)


# --- figures ---------------------------------------------------------------------------------------------------------


def test_figures_with_charts_for_all_eyes(page: Page, base: str) -> None:
    page.goto(f"{base}/staff/sign-in?next=/staff/figures")
    page.get_by_label("Tên đăng nhập").fill("tu.van")
    page.get_by_label("Mật khẩu").fill(PASSWORD)
    page.get_by_role("button", name="Đăng nhập").click()
    page.wait_for_url("**/staff/figures")
    for picture in page.get_by_role("img", name="Biểu đồ").all():
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("one => one.naturalWidth") > 0
    for summary in page.locator("summary").all():
        summary.click()
    for size in (DESK, PHONE):
        _check(page, "figures", size)
    page.set_viewport_size(DESK)  # type: ignore[arg-type]
    page.screenshot(path=SHOTS / "hall-figures-full.png", full_page=True)
    for name, path in (
        ("report", f"/staff/figures/report?month={local(utc_now()):%Y-%m}"),
        ("unanswered", "/staff/figures/unanswered"), ("comments", "/staff/figures/comments"),
    ):  # fmt: skip
        page.goto(base + path)
        for size in (DESK, PHONE):
            _check(page, name, size)
    page.locator("article").filter(has_text="Cán bộ tận tình.").get_by_role("button", name="Đưa vào báo cáo").click()
    expect(page.get_by_role("status")).to_contain_text("Đã ghi")
    page.goto(f"{base}/staff/figures/report?month={local(utc_now()):%Y-%m}")
    expect(page.get_by_text("Cán bộ tận tình.")).to_be_visible()
    page.emulate_media(media="print")
    page.set_viewport_size(DESK)  # type: ignore[arg-type]
    page.screenshot(path=SHOTS / "hall-report-print.png", full_page=True)
