"""The desk in a real browser: scan → SMS, a pile, the editor counting as the server does, all of it by keyboard."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from sqlmodel import select

from bot.clock import local, utc_now
from bot.console.accounts import add_staff
from bot.dossiers.demo import seed
from bot.notices import templates
from bot.notices.gsm7 import BASIC, EXTENSION, segments
from bot.settings import Settings
from bot.storage import schema
from bot.storage.database import Database
from bot.storage.tables import Dossier, Lookup, Outbox, Spend
from tests.chromium import MARKS
from tests.service_process import ServiceProcess

ROOT = Path(__file__).resolve().parent.parent
SHOTS = ROOT / "artifacts"
PASSWORD = "mat-khau-dai-lam"
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
pytestmark = MARKS


def code(number: int) -> str:
    return f"H30.99.01-261116-{number:04d}"


class Desk:
    """The service and its database."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(var_dir=folder, demo=True)
        self.database = Database(self.settings.database)
        schema.upgrade(self.database)
        now = utc_now()
        with self.database.write() as session:
            seed(session, self.settings, now)
            for role in ("reception", "admin"):
                add_staff(session, role, role, PASSWORD, now)
            session.add(Spend(day=local(now).date(), channel="sms", messages=41, segments=43, dong=22_360))
            for number, (state, error) in enumerate(
                (
                    ("uncertain", "không rõ"),
                    ("failed", "số nhận không hợp lệ (mã 21211)"),
                    ("failed", "undelivered: 30003"),
                )
            ):
                session.add(
                    Outbox(
                        kind="notice", channel="sms", recipient="+84951000006", dedupe_key=f"old {number}",
                        body={"text": f"TTPVHCC xa Chau Thanh: ho so {code(6)} can bo sung giay to."}, demo=True,
                        dossier_code=code(6), event="papers_wanted", occurrence=f"#{number}", state=state, error=error,
                        gateway="twilio", not_before=now, expires_at=now + timedelta(days=7), created_at=now,
                    )
                )  # fmt: skip
            for number in range(6):
                session.add(
                    Lookup(channel="web", sender="x1", network="10.9.8.0", code=code(900 + number), found=False, at=now)
                )

    def status(self, number: int) -> int:
        with self.database.read() as session:
            return session.get_one(Dossier, code(number)).status

    def notices(self, number: int) -> list[str]:
        with self.database.read() as session:
            query = select(Outbox.state).where(Outbox.dossier_code == code(number), Outbox.event == "result_ready")
            return list(session.exec(query))


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, str]]:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    # A delay of a tenth of a second: nothing is undone here that should go out.
    environment = {"MOTCUA_NOTICE_DELAY_MINUTES": "0.05", "MOTCUA_NOTICE_FROM_HOUR": "0", "MOTCUA_NOTICE_TO_HOUR": "24"}
    with ServiceProcess(desk.settings.var_dir, MOTCUA_SMS_SEGMENTS_PER_DAY="50", **environment) as service:
        yield desk, service.url
    desk.database.close()


def signed_in(browser: Browser, base: str, name: str, **options: Any) -> Page:
    page = browser.new_context(locale="vi-VN", **{"viewport": DESK, **options}).new_page()
    page.goto(f"{base}/staff/dossiers")
    page.get_by_label("Tên đăng nhập").fill(name)
    page.get_by_label("Mật khẩu").fill(PASSWORD)
    page.get_by_role("button", name="Đăng nhập").click()
    page.wait_for_url("**/staff/dossiers")
    return page


def scan(page: Page, text: str) -> None:
    """As a scanner does: it types wherever the focus is, and presses Enter."""
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def test_scan_to_sms(office: tuple[Desk, str], browser: Browser) -> None:
    desk, base = office
    page = signed_in(browser, base, "reception")
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    expect(page.get_by_label("Quét hoặc gõ mã hồ sơ")).to_be_focused()
    scan(page, code(2).lower())
    expect(page.get_by_role("heading", level=1)).to_contain_text(code(2))
    expect(page.locator("form[data-ready]")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text(f"Đã ghi «có kết quả» cho hồ sơ {code(2)}")
    assert desk.status(2) == 9
    page.goto(f"{base}/simulator")
    message = page.get_by_text(code(2))
    for _ in range(40):
        if message.count():
            break
        page.wait_for_timeout(250)
        page.reload()
    expect(message).to_have_count(1)
    expect(message).to_contain_text("da co ket qua")
    assert len(desk.notices(2)) == 1
    assert problems == []


def test_a_code_is_never_mistaken_for_the_enter_of_another(office: tuple[Desk, str], browser: Browser) -> None:
    desk, base = office
    page = signed_in(browser, base, "reception")
    scan(page, code(1))
    expect(page.get_by_role("heading", level=1)).to_contain_text(code(1))
    scan(page, f"https://tracuu.example/ho-so?ma={code(6).lower()}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(code(6))
    scan(page, code(6))
    expect(page.get_by_role("heading", level=1)).to_contain_text(code(6))
    assert (desk.status(1), desk.status(6)) == (4, 4)


def test_a_pile_by_scanner_alone(office: tuple[Desk, str], browser: Browser) -> None:
    desk, base = office
    page = signed_in(browser, base, "reception")
    page.keyboard.press("F4")
    page.wait_for_url("**/staff/dossiers/scan")
    for text in (code(3), code(4), code(3), "H30.99.01-261116-9999", "xin chào", code(10)):
        scan(page, text)
    expect(page.get_by_role("status").last).to_have_text("5 mã, 1 sẽ ghi, 1 lần quét trùng.")
    page.screenshot(path=SHOTS / "desk-pile.png", full_page=True)
    page.keyboard.press("F8")
    expect(page.get_by_role("status").first).to_contain_text("«có kết quả» cho 1 hồ sơ; 4 hồ sơ không ghi")
    expect(page.get_by_text("không có trong sổ")).to_be_visible()
    assert (desk.status(3), desk.status(10)) == (9, 3)
    page.screenshot(path=SHOTS / "desk-pile-done.png", full_page=True)


def test_a_pile_survives_an_ended_session(office: tuple[Desk, str], browser: Browser) -> None:
    _desk, base = office
    page = signed_in(browser, base, "reception")
    page.goto(f"{base}/staff/dossiers/scan")
    scan(page, code(5))
    expect(page.get_by_text("đã trả kết quả rồi")).to_be_visible()
    page.context.clear_cookies()
    scan(page, code(7))
    expect(page.get_by_text("Phiên làm việc đã hết hạn")).to_be_visible()
    page.keyboard.press("F8")
    page.get_by_label("Tên đăng nhập").fill("reception")
    page.get_by_label("Mật khẩu").fill(PASSWORD)
    page.get_by_role("button", name="Đăng nhập").click()
    expect(page.get_by_label("Nội dung (codes)")).to_have_value(f"{code(5)}\n{code(7)}\n")


def samples() -> list[str]:
    """Texts as people type and paste them, and worse."""
    dice = random.Random(7)  # noqa: S311 - the same texts each time
    alphabet = [
        *sorted(BASIC | EXTENSION),
        *"đĐạặẫỗừĂÂÊ–—’“”…\u00a0\u2003\u200b\ufeff\x1c\x85中😀ﬁ½Ω",
        "a\u0323\u0302",
        "e\u0301",
    ]
    made = ["".join(dice.choices(alphabet, k=dice.randrange(0, 400))) for _ in range(300)]
    edges = [char * size for char in "a€ắ😀" for size in (69, 70, 71, 134, 135, 152, 153, 154, 160, 161, 306, 307)]
    told = [str(one[channel]) for one in templates.templates().values() for channel in ("sms", "chat")]
    return [*made, *edges, *told, "{office}{code}{due}", "{x} {office", "a" * 159 + "€" + "b" * 147]


def test_the_page_counts_as_the_server_does(office: tuple[Desk, str], browser: Browser) -> None:
    _desk, base = office
    page = signed_in(browser, base, "admin")
    page.goto(f"{base}/staff/notices/templates/overdue")
    texts = samples()
    script = """texts => {
      const counting = window.motcuaCounting(JSON.parse(document.querySelector("[data-counting]").dataset.counting));
      const told = size => [size.encoding, size.units, size.count];
      return texts.map(text => [told(counting.segments(text)), counting.plain(text), told(counting.longest(text))]);
    }"""
    for text, (size, plain, longest) in zip(texts, page.evaluate(script, texts), strict=True):
        wanted = segments(text)
        assert tuple(size) == (wanted.encoding, wanted.units, wanted.count), text
        assert plain == templates._plain(text, keep="{}"), text
        if templates.used_fields(text) <= set(templates.LONGEST):
            most = templates.longest(text)
            assert tuple(longest) == (most.encoding, most.units, most.count), text


def test_the_editor_counts_previews_and_refuses(office: tuple[Desk, str], browser: Browser) -> None:
    _desk, base = office
    page = signed_in(browser, base, "admin")
    page.goto(f"{base}/staff/notices/templates/stopped")
    short = page.get_by_label("Bản ngắn")
    short.fill("{office}: hồ sơ {code} cần trao đổi thêm. " + "Mời ông/bà đến quầy. " * 6)
    expect(page.locator(".counted")).to_contain_text("= 2 tin SMS")
    expect(page.locator(".counted")).to_contain_text("quá 1 tin")
    expect(page.locator(".faults")).to_contain_text("cần 2 tin SMS; nhiều nhất 1 tin")
    short.fill("{office}: hồ sơ {mã} cần trao đổi thêm.")
    expect(page.locator(".faults")).to_contain_text("{mã}")
    page.screenshot(path=SHOTS / "desk-editor.png", full_page=True)
    short.fill("{office}: hồ sơ {code} cần trao đổi. Mời ông/bà gọi quầy tiếp nhận.")
    expect(page.locator(".preview-sms")).to_have_text(
        "TTPVHCC xa Chau Thanh: ho so H30.99.01-261116-0001 can trao doi. Moi ong/ba goi quay tiep nhan."
    )
    page.get_by_role("button", name="Lưu").click()
    expect(page.get_by_role("status").first).to_contain_text("Đã lưu mẫu")


def test_every_page_is_for_all_eyes_and_fits_a_phone(office: tuple[Desk, str], browser: Browser) -> None:
    _desk, base = office
    SHOTS.mkdir(exist_ok=True)
    page = signed_in(browser, base, "admin")
    pages = {
        "list": "/staff/dossiers", "dossier": f"/staff/dossiers/{code(6)}", "pile": "/staff/dossiers/scan",
        "notices": "/staff/notices", "templates": "/staff/notices/templates",
        "template": "/staff/notices/templates/stopped",
    }  # fmt: skip
    for name, path in pages.items():
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(DESK)  # type: ignore[arg-type]
        page.goto(base + path)
        page.screenshot(path=SHOTS / f"desk-{name}-light.png", full_page=True)
        found = Axe().run(page, options=RULES)
        assert found.violations_count == 0, (name, found.generate_report())
        page.emulate_media(color_scheme="dark")
        found = Axe().run(page, options=CONTRAST)
        assert found.violations_count == 0, (name, "dark", found.generate_report())
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        page.screenshot(path=SHOTS / f"desk-{name}-phone-dark.png", full_page=True)


def test_without_script_a_scan_still_sets_and_a_pile_still_works(office: tuple[Desk, str], browser: Browser) -> None:
    desk, base = office
    page = signed_in(browser, base, "reception", java_script_enabled=False)
    page.get_by_label("Quét hoặc gõ mã hồ sơ").fill(code(9))
    page.keyboard.press("Enter")
    page.get_by_label("Quét hoặc gõ mã hồ sơ").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Đã ghi «có kết quả»")
    assert desk.status(9) == 9
    page.goto(f"{base}/staff/dossiers/scan")
    page.get_by_label("Quét lần lượt").fill(f"{code(7)}\n{code(8)}\n")
    page.get_by_role("button", name="Ghi tất cả").click()
    expect(page.get_by_role("status").first).to_contain_text("cho 1 hồ sơ; 1 hồ sơ không ghi")
    assert (desk.status(7), desk.status(8)) == (9, 1)
