"""The whole road in a real browser: chat → dossier status → staff page → SMS in the phone simulator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.chromium import MARKS, chromium
from tests.service_process import ServiceProcess

ROOT = Path(__file__).resolve().parent.parent
pytestmark = MARKS


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The service as ``make run`` starts it, on a free port: its address and the demo password."""
    told = {"MOTCUA_NOTICE_DELAY_MINUTES": "0", "MOTCUA_NOTICE_FROM_HOUR": "0", "MOTCUA_NOTICE_TO_HOUR": "24"}
    with ServiceProcess(tmp_path_factory.mktemp("office"), **told) as service:
        yield service.url, service.wait_for(r"mật khẩu: (\S+)\)")[1]


def test_chat_to_sms(office: tuple[str, str]) -> None:
    base, password = office
    shots = ROOT / "artifacts"
    shots.mkdir(exist_ok=True)
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 412, "height": 860}, locale="vi-VN")
        page = context.new_page()
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))

        page.goto(base)
        expect(page.get_by_role("heading", level=1)).to_contain_text("xã Châu Thành")
        page.get_by_label("Câu hỏi của ông/bà").fill("làm giấy khai sinh cho con cần gì")
        page.get_by_role("button", name="Gửi", exact=True).click()
        expect(page.get_by_text("Giấy chứng sinh").first).to_be_visible()
        page.get_by_role("button", name="Lệ phí").last.click()
        expect(page.get_by_text("8.000 đồng/bản")).to_be_visible()
        page.screenshot(path=shots / "chat.png")
        page.get_by_label("Câu hỏi của ông/bà").fill("h30 99 01 261116 0002 tới đâu rồi")
        page.keyboard.press("Enter")
        expect(page.get_by_text("đang xử lý").last).to_be_visible()

        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(f"{base}/staff/dossiers")
        page.get_by_label("Tên đăng nhập").fill("canbo")
        page.get_by_label("Mật khẩu").fill(password)
        page.get_by_role("button", name="Đăng nhập").click()
        row = page.get_by_role("row").filter(has_text="H30.99.01-261116-0002")
        row.get_by_role("combobox").select_option("9")
        row.get_by_role("button", name="Chuyển").click()
        expect(page.get_by_role("status")).to_contain_text("H30.99.01-261116-0002")
        page.screenshot(path=shots / "staff.png")

        page.goto(f"{base}/simulator")
        message = page.get_by_text("H30.99.01-261116-0002")
        for _ in range(100):
            if message.count():
                break
            page.wait_for_timeout(100)
            page.reload()
        expect(message).to_have_count(1)
        expect(message).to_contain_text("nhan ket qua")
        page.screenshot(path=shots / "sms.png")

        page.goto(base)
        page.get_by_label("Câu hỏi của ông/bà").fill("H30.99.01-261116-0002")
        page.keyboard.press("Enter")
        expect(page.get_by_text("đã xử lý xong").last).to_be_visible()
        assert problems == []


def test_without_script(office: tuple[str, str]) -> None:
    base, _password = office
    with chromium() as browser:
        page = browser.new_context(java_script_enabled=False, viewport={"width": 320, "height": 640}).new_page()
        page.goto(base)
        page.get_by_label("Câu hỏi của ông/bà").fill("lam giay khai sinh can gi")
        page.get_by_role("button", name="Gửi", exact=True).click()
        expect(page.get_by_text("Giấy chứng sinh").first).to_be_visible()
        photo = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"not a picture"}
        page.get_by_label("Gửi ảnh giấy hẹn").set_input_files([photo])  # type: ignore[list-item]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("button", name="Gửi ảnh", exact=True).click()
        expect(page.get_by_role("img", name=re.compile("chụp giấy hẹn"))).to_be_visible()
