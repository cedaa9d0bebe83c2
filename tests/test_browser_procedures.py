"""An advisor changes a fee, another confirms it, the chat tells it: in a real browser, for all eyes, without script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from bot.clock import utc_now
from bot.console.accounts import add_staff
from bot.settings import Settings
from bot.storage import schema
from bot.storage.database import Database
from tests.chromium import MARKS
from tests.service_process import ServiceProcess

ROOT = Path(__file__).resolve().parent.parent
SHOTS = ROOT / "artifacts" / "procedures"
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
CODE, PASSWORD = "2.000815", "mat-khau-dai-lam"
PAGE = f"/staff/procedures/{CODE}"
pytestmark = MARKS


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service with two advisors."""
    folder = tmp_path_factory.mktemp("office")
    database = Database(Settings(var_dir=folder).database)
    schema.upgrade(database)
    with database.write() as session:
        for name in ("mai", "lan"):
            add_staff(session, name, "advisor", PASSWORD, utc_now())
    database.close()
    with ServiceProcess(folder) as service:
        yield service.url


def enter(browser: Browser, base: str, name: str, *, script: bool = True) -> tuple[Page, list[str]]:
    """A page of somebody who has signed in, and what its console complains of."""
    page = browser.new_context(viewport=DESK, locale="vi-VN", java_script_enabled=script).new_page()  # type: ignore[arg-type]
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{base}/staff")
    page.get_by_label("Tên đăng nhập").fill(name)
    page.get_by_label("Mật khẩu").fill(PASSWORD)
    page.get_by_role("button", name="Đăng nhập").click()
    return page, problems


def look(page: Page, name: str, heading: str) -> None:
    """Accessible, no wider than the screen, on a desk and on a phone, in light and dark; with pictures of it."""
    expect(page.get_by_role("heading", level=1)).to_contain_text(heading)
    SHOTS.mkdir(parents=True, exist_ok=True)
    for width, size in (("desk", DESK), ("phone", PHONE)):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, width)
        page.screenshot(path=SHOTS / f"{name}-{width}.png", full_page=True)
    for scheme, rules in (("dark", ["color-contrast"]), ("light", ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"])):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        kind = "rule" if scheme == "dark" else "tag"
        found = Axe().run(page, options={"runOnly": {"type": kind, "values": rules}, "resultTypes": ["violations"]})
        assert found.violations_count == 0, f"{name} {scheme}: {found.generate_report()}"
    page.set_viewport_size(DESK)  # type: ignore[arg-type]


def test_a_fee_from_the_form_to_the_chat(browser: Browser, office: str) -> None:
    mai, problems = enter(browser, office, "mai")
    mai.goto(f"{office}/staff/procedures")
    look(mai, "list", "Thủ tục")
    mai.get_by_label("Tên, cách gọi hoặc mã thủ tục").fill("sao y")
    mai.keyboard.press("Enter")
    mai.get_by_role("link", name="Chứng thực bản sao từ bản chính (sao y)").click()
    expect(mai.get_by_role("heading", name="Người dân thấy gì")).to_be_visible()
    mai.get_by_role("link", name="Sửa Phí, lệ phí", exact=True).click()
    look(mai, "fees", "Phí, lệ phí: Chứng thực")
    first = mai.get_by_role("group", name="Khoản thu: mục 1")
    first.get_by_label("Số tiền (đồng)").fill("3.500")
    mai.get_by_role("button", name="Xem trước").last.click()
    expect(mai.get_by_text("Nguồn: cần ghi rõ")).to_be_visible()  # a fault, and the amount is still there
    expect(first.get_by_label("Số tiền (đồng)")).to_have_value("3.500")
    look(mai, "fault", "Phí, lệ phí")
    mai.get_by_label("Nguồn (người dân thấy)").fill("Nghị quyết 12/2026/NQ-HĐND")
    mai.keyboard.press("Enter")  # the same as "Xem trước"
    preview = mai.get_by_role("region", name="Xem trước")
    expect(preview.get_by_text("3.500 đồng/trang").first).to_be_visible()
    expect(preview.get_by_text("2.000 đồng/trang").first).to_be_visible()
    look(mai, "preview", "Phí, lệ phí")
    mai.get_by_role("button", name="Lưu, chờ người khác xác nhận").click()
    expect(mai.get_by_role("status")).to_contain_text("Một người khác cần xác nhận")
    expect(mai.get_by_text("Cần người khác xác nhận.")).to_be_visible()

    lan, more = enter(browser, office, "lan")
    lan.goto(f"{office}{PAGE}")
    look(lan, "pending", "Chứng thực bản sao")
    lan.get_by_role("button", name="Xác nhận Phí, lệ phí").click()
    expect(lan.get_by_role("status")).to_contain_text("Trợ lý dùng nội dung mới")
    lan.get_by_role("link", name="Ai đã sửa gì").click()
    look(lan, "history", "Ai đã sửa gì")

    chat = browser.new_context(viewport=PHONE, locale="vi-VN").new_page()  # type: ignore[arg-type]
    chat.goto(office)
    chat.get_by_label("Câu hỏi của ông/bà").fill(f"lệ phí {CODE}")
    chat.keyboard.press("Enter")
    expect(chat.get_by_text("3.500 đồng/trang")).to_be_visible()
    expect(chat.get_by_text("theo Nghị quyết 12/2026/NQ-HĐND, cơ quan cập nhật ngày")).to_be_visible()
    chat.screenshot(path=SHOTS / "chat.png")
    # The server said 422 for the fault: browsers write that into the console, and nothing else.
    assert [one for one in problems + more if "422" not in one] == []


def test_the_office_without_script(browser: Browser, office: str) -> None:
    page, _problems = enter(browser, office, "mai", script=False)
    page.goto(f"{office}/staff/office/hours")
    day = page.get_by_role("group", name="Giờ làm việc: mục mới")
    day.get_by_label("Các ngày").fill("thứ Hai đến thứ Sáu")
    day.get_by_label("Mở cửa").first.fill("07:00")
    day.get_by_label("Đóng cửa").first.fill("11:00")
    page.get_by_role("button", name="Thêm một dòng nữa").click()
    expect(page.get_by_role("group", name="Giờ làm việc: mục mới").get_by_label("Các ngày")).to_have_value("")
    expect(page.get_by_role("group", name="Giờ làm việc: mục 1").get_by_label("Các ngày")).to_have_value(
        "thứ Hai đến thứ Sáu"
    )
    page.get_by_label("Nguồn (để đồng nghiệp biết)").fill("Quy chế làm việc")
    page.get_by_role("button", name="Xem trước").last.click()
    expect(page.get_by_role("region", name="Xem trước").get_by_text("07:00–11:00").first).to_be_visible()
    page.get_by_role("button", name="Lưu").click()
    expect(page.get_by_role("status")).to_contain_text("Trợ lý dùng ngay")


def test_the_other_pages_are_for_all_eyes(browser: Browser, office: str) -> None:
    page, problems = enter(browser, office, "lan")
    for name, path, heading in (
        ("office", "/staff/office", "Trung tâm"), ("counters", "/staff/office/counters", "Quầy"),
        ("import", "/staff/procedures/import", "Nhập bản ghi"), ("documents", f"{PAGE}/edit/documents", "Giấy tờ"),
        ("sms", f"{PAGE}?channel=sms", "Chứng thực"),
    ):  # fmt: skip
        page.goto(office + path)
        look(page, name, heading)
    assert problems == []
