"""The whole road of teaching in a real browser: a turn reviewed by keys, a candidate, promoted, answered right."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.chromium import MARKS
from tests.service_process import ROOT, ServiceProcess

SHOTS = ROOT / "artifacts"
ASKED = "bữa hổm bà mụ biểu trình làng cho nhóc tì, số tui 0951234567"
PAPER = "Giấy chứng sinh"
SLOW = 180_000  # ms: training beside other tests on a busy machine
pytestmark = MARKS


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """One service for the file; it trains without cross-validation, which unit tests look after."""
    folder = tmp_path_factory.mktemp("review")
    one = ServiceProcess(folder, MOTCUA_TRAINING_FOLDS="0", MOTCUA_TRAINING_NICE="0")
    subprocess.run(
        [sys.executable, "-m", "bot", "db", "upgrade"], env=one._environment, cwd=ROOT, check=True, capture_output=True
    )
    # Its own folder of models: the bank's are not for others.
    (folder / "models").unlink()
    (folder / "models").mkdir()
    for kept in (ROOT / "var" / "models").glob("*.*"):
        (folder / "models" / kept.name).symlink_to(kept)
    yield one.start()
    one.stop()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(viewport={"width": 1280, "height": 800}, locale="vi-VN") as one:
        yield one


def _ask(page: Page, base: str, text: str) -> None:
    page.goto(base)
    answers = page.locator(".bubble:not(.me):not(.wait):not([hidden])")
    before = answers.count()
    page.get_by_label("Câu hỏi của ông/bà").fill(text)
    page.get_by_role("button", name="Gửi", exact=True).click()
    expect(answers).to_have_count(before + 1)


def _seen(page: Page, name: str) -> None:
    """The page keeps the rules of accessibility and fits phone and desk, light and dark; a picture of each."""
    SHOTS.mkdir(exist_ok=True)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
        assert found.violations_count == 0, found.generate_report()
        page.screenshot(path=SHOTS / f"{name}-{scheme}.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    page.screenshot(path=SHOTS / f"{name}-phone.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 800})


def test_a_reviewed_turn_becomes_a_model_that_answers_right(service: ServiceProcess, context: BrowserContext) -> None:
    password = (Path(service._environment["MOTCUA_VAR_DIR"]) / "demo-password").read_text("ascii").strip()
    base, citizen, page = service.url, context.new_page(), context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    _ask(citizen, base, ASKED)
    expect(citizen.get_by_text(PAPER)).to_have_count(0)
    _ask(citizen, base, "làm giấy kết hôn cần gì")

    page.goto(f"{base}/staff/review")
    page.get_by_label("Tên đăng nhập").fill("canbo")
    page.get_by_label("Mật khẩu").fill(password)
    page.get_by_role("button", name="Đăng nhập").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Chấm câu trả lời")
    _seen(page, "review-list")
    page.keyboard.press("c")  # the most doubtful turn first
    expect(page.locator("blockquote")).to_have_text("bữa hổm bà mụ biểu trình làng cho nhóc tì, số tui ***")
    _seen(page, "review-turn")

    # "Sai" leads to what has to be put right; then intent, aspects, procedure, without the mouse.
    page.keyboard.press("s")
    expect(page.get_by_label("Ý định")).to_be_focused()
    page.get_by_label("Ý định").select_option("ask_procedure")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    page.keyboard.press("Space")
    expect(page.get_by_label("giấy tờ")).to_be_checked()
    page.keyboard.press("p")
    page.keyboard.type("1.001193")
    page.keyboard.press("Escape")
    page.keyboard.press("v")
    expect(page.get_by_role("status")).to_contain_text("thêm làm ví dụ")
    expect(page.locator("blockquote")).to_contain_text("kết hôn")  # the next turn came up by itself
    page.keyboard.press("t")
    page.keyboard.type("hôn thơ tơ hồng")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("tên thường gọi")
    page.get_by_label("Dùng phím tắt").uncheck()
    page.keyboard.press("n")
    expect(page.locator("blockquote")).to_contain_text("kết hôn")  # keys are off
    page.get_by_label("Dùng phím tắt").check()
    page.locator("h1").click()
    page.keyboard.press("d")
    expect(page.get_by_text("Đã chấm hết các lượt")).to_be_visible()

    page.goto(f"{base}/staff/models/examples")
    taught = page.get_by_role("cell").filter(has_text="bữa hổm bà mụ biểu trình làng cho nhóc tì, số tui ***")
    expect(taught.first).to_be_visible()
    _seen(page, "models-examples")
    page.goto(f"{base}/staff/models")
    page.get_by_role("button", name="Dựng bản mới").click()
    expect(page.get_by_role("status")).to_contain_text("Đang dựng")
    expect(page.get_by_role("button", name="Đổi sang bản này")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("đúng 1 trên 1")).to_be_visible()
    _seen(page, "models-one")
    page.get_by_role("button", name="Đổi sang bản này").click()
    expect(page.get_by_role("status").first).to_contain_text("Đã đổi sang bản số 1")
    _seen(page, "models")
    expect(page.get_by_text("Máy này đang chuyển")).to_have_count(0, timeout=SLOW)  # the page looks again by itself

    _ask(citizen, base, ASKED.replace("0951234567", "0957654321").upper())
    expect(citizen.get_by_text(PAPER).first).to_be_visible()
    page.get_by_role("button", name="Quay lại bản gốc").click()
    expect(page.get_by_role("status").first).to_contain_text("Đã quay lại bản gốc")
    assert problems == []
