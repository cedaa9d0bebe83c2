"""The inbox in real browsers: two advisors and a citizen at once, live, by keyboard, on a desk and on a phone."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlmodel import select

from bot.clock import local, utc_now
from bot.console.accounts import add_staff
from bot.settings import Settings
from bot.storage import schema
from bot.storage.database import Database
from bot.storage.tables import Conversation, Held, OfficeSetting, Outbox, Staff, StaffSession
from tests.chromium import MARKS, chromium
from tests.service_process import ROOT, ServiceProcess

SHOTS = ROOT / "artifacts"
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
PASSWORD = "mat-khau-dai-lam"
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}
COUNTER = "Quầy đất đai"
pytestmark = MARKS


def catalog(folder: Path) -> Path:
    """The catalogue with an office that is open around the clock on these days, whatever day the test runs."""
    copied = folder / "catalog"
    shutil.copytree(ROOT / "procedures_data", copied)
    path = copied / "local" / "chau-thanh.yml"
    profile = yaml.safe_load(path.read_text("utf-8"))
    days = [local(utc_now() + timedelta(days=ahead)).date() for ahead in (-1, 0, 1, 2)]
    profile["hours"] = [{"days": "thứ Hai đến Chủ nhật", "shifts": [{"opens": "00:00", "closes": "23:59"}]}]
    profile["counters"] = [{"name": COUNTER, "fields": ["dat-dai"]}]
    profile["working_days"] = days
    path.write_text(yaml.safe_dump(profile, allow_unicode=True), "utf-8")
    return copied


class Office:
    """The running service, its database, and browsers."""

    def __init__(self, url: str, database: Database, browser: Browser) -> None:
        self.url = url
        self.database = database
        self.browser = browser
        self.problems: list[str] = []

    def context(self, viewport: dict[str, int], **more: str) -> BrowserContext:
        return self.browser.new_context(viewport=viewport, locale="vi-VN", **more)  # type: ignore[arg-type]

    def open(self, context: BrowserContext, path: str) -> Page:
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: self.problems.append(dialog.message))
        page.goto(self.url + path)
        return page

    def citizen(self) -> Page:
        return self.open(self.context(PHONE), "/")

    def advisor(self, name: str, viewport: dict[str, int] = DESK, **more: str) -> Page:
        page = self.open(self.context(viewport, **more), "/staff/inbox")
        sign_in(page, name)
        expect(page.locator("[data-live='1']")).to_be_visible()
        return page

    def newest(self) -> int:
        with self.database.read() as session:
            return max(one or 0 for one in session.exec(select(Conversation.id)))

    def told(self, text: str) -> int:
        """How many messages hold these words."""
        with self.database.read() as session:
            return sum(text in str(row.body.get("text", "")) for row in session.exec(select(Outbox)))

    def switch(self, **values: bool | int) -> None:
        with self.database.write() as session:
            for key, value in values.items():
                session.merge(OfficeSetting(key=key, value={"value": value}, by="quan-tri", at=utc_now()))


def sign_in(page: Page, name: str) -> None:
    page.get_by_label("Tên đăng nhập").fill(name)
    page.get_by_label("Mật khẩu").fill(PASSWORD)
    page.get_by_role("button", name="Đăng nhập").click()


def say(page: Page, text: str) -> None:
    page.get_by_label("Câu hỏi của ông/bà").fill(text)
    page.get_by_role("button", name="Gửi", exact=True).click()
    expect(page.locator(".bubble.me").last).to_contain_text(text[:40])
    expect(page.locator("#cho")).to_be_hidden()


def shot(page: Page, name: str) -> None:
    page.screenshot(path=SHOTS / f"inbox-{name}.png", full_page=True)


def accessible(page: Page) -> None:
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url}: rộng hơn màn hình {wide} px"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    SHOTS.mkdir(exist_ok=True)
    folder = tmp_path_factory.mktemp("inbox")
    var = folder / "var"
    var.mkdir()
    database = Database(Settings(var_dir=var).database)
    schema.upgrade(database)
    with database.write() as session:
        for name, shown in (("lan", "Lan"), ("minh", "Minh")):
            add_staff(session, name, "advisor", PASSWORD, utc_now())
            session.flush()
            session.get_one(Staff, name).display_name = shown
    service = ServiceProcess(
        var, MOTCUA_CATALOG=str(catalog(folder)), MOTCUA_WEB_MESSAGES_PER_MINUTE="1000",
        MOTCUA_WEB_MESSAGES_PER_NETWORK_MINUTE="1000",
    )  # fmt: skip
    with service:
        with chromium() as browser:
            office = Office(service.url, database, browser)
            yield office
        assert office.problems == []
        assert "Traceback" not in service.log(), service.log()
    database.close()


def test_two_advisors_and_a_citizen(office: Office) -> None:
    lan, minh = office.advisor("lan"), office.advisor("minh")
    expect(lan.get_by_text("Không có ai đang chờ.")).to_be_visible()
    citizen = office.citizen()
    say(citizen, "cho tôi gặp cán bộ về việc đất đai")
    expect(citizen.locator(".bubble.bot:not(.wait)").last).to_contain_text("hôm nay đến 23 giờ 59")
    for page in (lan, minh):  # live, with sound and badge
        expect(page.get_by_text("cho tôi gặp cán bộ về việc đất đai")).to_be_visible()
        expect(page).to_have_title("(1) Chờ trả lời – Hộp thư")
        expect(page.locator("[data-rang='1']")).to_be_visible()
    shot(lan, "waiting-desk")
    accessible(lan)
    minh.get_by_text("cho tôi gặp cán bộ").click()
    expect(minh.get_by_role("button", name="Nhận trả lời")).to_be_visible()
    # Lan works with the keyboard alone.
    lan.locator("body").press("j")
    lan.keyboard.press("Enter")
    expect(lan.get_by_role("button", name="Nhận trả lời")).to_be_visible()
    lan.keyboard.press("t")
    expect(lan.locator("#tinh-trang")).to_contain_text("Cán bộ tư vấn Lan đang trả lời")
    expect(citizen.get_by_text("Cán bộ tư vấn Lan đang trả lời ông/bà.")).to_be_visible()
    expect(minh.locator("#tinh-trang")).to_contain_text("Cán bộ tư vấn Lan đang trả lời")
    expect(minh.get_by_role("button", name="Nhận trả lời")).to_have_count(0)
    before = citizen.locator(".bubble.bot:not(.wait)").count()
    say(citizen, "phí chứng thực bản sao bao nhiêu")
    expect(lan.locator("#tin")).to_contain_text("phí chứng thực bản sao bao nhiêu")
    expect(lan.locator(".draft")).to_contain_text("2.000 đồng/trang")
    assert citizen.locator(".bubble.bot:not(.wait)").count() == before  # the bot is silent
    lan.locator("h1").click()
    lan.keyboard.press("d")
    area = lan.get_by_label("Trả lời người dân")
    expect(area).to_be_focused()
    shot(lan, "answering-desk")
    accessible(lan)
    area.fill("Dạ, 2.000 đồng một trang.\nMời ông/bà ra quầy số 2.")
    lan.keyboard.press("Control+Enter")
    lan.keyboard.press("Control+Enter")  # a slip
    expect(citizen.get_by_text("Cán bộ tư vấn Lan: Dạ, 2.000 đồng một trang.")).to_have_count(1)
    expect(area).to_have_value("")
    assert office.told("Dạ, 2.000 đồng một trang.") == 1
    shot(citizen, "citizen-phone")
    area.press("Escape")
    lan.keyboard.press("x")
    expect(citizen.get_by_text("đã trả lời xong")).to_be_visible()
    expect(minh.get_by_role("button", name="Nhận trả lời")).to_be_visible()
    say(citizen, "cảm ơn")
    expect(citizen.locator(".bubble.bot:not(.wait)").last).to_contain_text("không có gì")
    lan.goto(office.url + "/staff/inbox?queue=done")
    expect(lan.locator(".line").first).to_contain_text("cảm ơn")


def test_take_over_return_and_passing_on(office: Office) -> None:
    citizen, lan, minh = office.citizen(), office.advisor("lan"), office.advisor("minh")
    say(citizen, "gặp cán bộ giúp tôi")
    number = office.newest()
    lan.goto(f"{office.url}/staff/inbox/{number}")
    lan.get_by_role("button", name="Nhận trả lời").click()
    say(citizen, "tôi hỏi về sổ đỏ của nhà tôi")
    expect(lan.locator("#tin")).to_contain_text("sổ đỏ của nhà tôi")
    with office.database.write() as session:  # Lan has gone to lunch
        session.get_one(Conversation, number).advisor_at = utc_now() - timedelta(minutes=16)
    expect(citizen.get_by_text("Lời nhắn của ông/bà vẫn chờ cán bộ trả lời.")).to_be_visible()
    expect(minh.get_by_text("tôi hỏi về sổ đỏ của nhà tôi")).to_be_visible()
    minh.get_by_text("tôi hỏi về sổ đỏ của nhà tôi").click()
    minh.get_by_role("button", name="Nhận trả lời").click()
    lan.get_by_label("Trả lời người dân").fill("Trả lời khi không còn giữ")
    lan.get_by_role("button", name="Gửi", exact=True).click()
    expect(lan.locator("#chua-gui")).to_contain_text("không còn do ông/bà giữ")
    expect(lan.get_by_label("Trả lời người dân")).to_have_value("Trả lời khi không còn giữ")
    minh.get_by_role("button", name="Chuyển đến quầy").click()
    expect(citizen.get_by_text(f"đã chuyển đến {COUNTER}")).to_be_visible()
    minh.goto(f"{office.url}/staff/inbox?counter={COUNTER}")
    expect(minh.locator(".line")).to_contain_text(COUNTER)
    assert office.told("Trả lời khi không còn giữ") == 0


def test_approval_and_deadline(office: Office) -> None:
    office.switch(approve_unsure=True, approve_below_percent=100)
    try:
        lan, minh = office.advisor("lan"), office.advisor("minh", PHONE)
        for page in (lan, minh):
            page.goto(office.url + "/staff/inbox?queue=held")
            expect(page.get_by_text("Không có câu nào chờ duyệt.")).to_be_visible()
        citizen = office.citizen()
        say(citizen, "làm giấy khai sinh cho con cần gì")
        expect(citizen.locator(".bubble.bot:not(.wait)").last).to_contain_text("đang chờ cán bộ kiểm tra")
        for page in (lan, minh):
            page.get_by_text("làm giấy khai sinh cho con cần gì").click()
            expect(page.locator(".held textarea")).to_have_value(re.compile("Giấy chứng sinh"))
        shot(lan, "held-desk")
        accessible(lan)
        shot(minh, "held-phone")
        accessible(minh)
        minh.locator(".held textarea").fill("Bản Minh đang sửa")
        lan.get_by_role("button", name="Gửi đúng như trợ lý soạn").click()
        expect(citizen.get_by_text("Giấy chứng sinh").first).to_be_visible()
        expect(minh.locator(".held")).to_have_count(0)  # settled elsewhere; what was typed is kept aside
        assert "Bản Minh đang sửa" in minh.evaluate("JSON.stringify(sessionStorage)")

        say(citizen, "phí chứng thực bản sao bao nhiêu")
        expect(lan.locator(".held")).to_be_visible()
        lan.locator(".held textarea").fill("Phí 2.000 đồng một trang, đã kiểm tra.")
        lan.get_by_role("button", name="Gửi bản đã sửa").click()
        expect(citizen.get_by_text("Cán bộ tư vấn Lan: Phí 2.000 đồng một trang, đã kiểm tra.")).to_be_visible()

        say(citizen, "đăng ký kết hôn cần giấy tờ gì")
        expect(lan.locator(".held")).to_be_visible()
        with office.database.write() as session:
            row = session.exec(select(Held).where(Held.state == "waiting")).one()
            row.deadline_at = utc_now()
        expect(citizen.get_by_text("cán bộ chưa kịp kiểm tra")).to_be_visible()
        expect(lan.locator(".held")).to_have_count(0)
        expect(lan.locator("#tinh-trang")).to_contain_text("quá giờ duyệt")
    finally:
        office.switch(approve_unsure=False)


def test_a_session_that_ends_in_the_middle_of_an_answer(office: Office) -> None:
    citizen, lan = office.citizen(), office.advisor("lan")
    say(citizen, "gặp cán bộ, <img src=x onerror=\"alert('x')\"><script>alert('y')</script>")
    number = office.newest()
    lan.goto(f"{office.url}/staff/inbox/{number}")
    expect(lan.locator("#tin")).to_contain_text("<script>alert('y')</script>")
    assert lan.locator("#tin script, #tin img").count() == 0
    lan.get_by_role("button", name="Nhận trả lời").click()
    area = lan.get_by_label("Trả lời người dân")
    long = "Một câu trả lời dài, gõ mất mười phút.\n" * 5
    area.fill(long)
    with office.database.write() as session:
        for one in session.exec(select(StaffSession).where(StaffSession.staff == "lan")):
            session.delete(one)
    lan.keyboard.press("Control+Enter")
    expect(lan.locator("#chua-gui")).to_contain_text("Điều vừa gõ vẫn giữ ở đây")
    expect(area).to_have_value(long)
    lan.locator("#chua-gui").get_by_role("link", name="Đăng nhập lại").click()
    sign_in(lan, "lan")
    expect(lan.get_by_label("Trả lời người dân")).to_have_value(long)
    lan.get_by_role("button", name="Gửi", exact=True).click()
    expect(citizen.get_by_text("Một câu trả lời dài").last).to_be_visible()
    assert office.told("Một câu trả lời dài") == 1
    # A lost connection: the text stays, and a second try is no second message.
    area.fill("Tin gửi lúc mất mạng")
    lan.route("**/send", lambda route: (route.fetch(), route.abort()))  # it arrived, the answer did not
    lan.keyboard.press("Control+Enter")
    expect(lan.locator("#chua-gui")).to_contain_text("không bị gửi hai lần")
    expect(area).to_have_value("Tin gửi lúc mất mạng")
    lan.unroute("**/send")
    lan.get_by_role("button", name="Gửi", exact=True).click()
    expect(area).to_have_value("")
    assert office.told("Tin gửi lúc mất mạng") == 1


def test_canned_replies_by_their_shortcut(office: Office) -> None:
    citizen, lan = office.citizen(), office.advisor("lan", PHONE)
    lan.get_by_role("link", name="Câu mẫu").click()
    for shortcut, text in (("gio", "Chúng tôi làm việc từ 7 giờ đến 17 giờ."), ("dat", "Mời ông/bà ra quầy đất đai.")):
        form = lan.locator("form", has_text="Thêm câu mẫu")
        form.get_by_label("Tên gõ tắt").fill(shortcut)
        form.get_by_label("Nội dung").fill(text)
        form.get_by_role("button", name="Thêm").click()
        expect(lan.get_by_text("Đã lưu.")).to_be_visible()
    shot(lan, "canned-phone")
    accessible(lan)
    say(citizen, "gặp cán bộ xin hỏi giờ")
    lan.goto(f"{office.url}/staff/inbox/{office.newest()}")
    lan.get_by_role("button", name="Nhận trả lời").click()
    area = lan.get_by_label("Trả lời người dân")
    area.press_sequentially("/gi")
    expect(lan.locator("#cau-mau li:visible")).to_have_count(1)
    area.press("Enter")
    expect(area).to_have_value("Chúng tôi làm việc từ 7 giờ đến 17 giờ.")
    shot(lan, "answering-phone")
    accessible(lan)
    area.press("Control+Enter")
    expect(citizen.get_by_text("Chúng tôi làm việc từ 7 giờ đến 17 giờ.")).to_be_visible()


@pytest.mark.parametrize(("viewport", "scheme"), [(PHONE, "light"), (DESK, "dark")])
def test_every_page_for_all_eyes(office: Office, viewport: dict[str, int], scheme: str) -> None:
    page = office.advisor("lan", viewport, color_scheme=scheme)
    name = f"{'phone' if viewport == PHONE else 'desk'}-{scheme}"
    for path in ("?queue=all", "?queue=done", "", "/1", "/canned"):
        page.goto(f"{office.url}/staff/inbox{path}")
        accessible(page)
        shot(page, f"{path.strip('/?').replace('queue=', '') or 'waiting'}-{name}")
    page.goto(f"{office.url}/staff/me")
    accessible(page)
    shot(page, f"me-{name}")


def test_without_script_the_forms_do_the_same(office: Office) -> None:
    citizen = office.citizen()
    say(citizen, "gặp cán bộ, không có mã chạy trên trang")
    context = office.browser.new_context(viewport=DESK, java_script_enabled=False)
    page = context.new_page()
    page.goto(office.url + "/staff/inbox")
    sign_in(page, "minh")
    page.get_by_text("không có mã chạy trên trang").click()
    page.get_by_role("button", name="Nhận trả lời").click()
    page.get_by_label("Trả lời người dân").fill("Trả lời không cần mã")
    page.get_by_role("button", name="Gửi", exact=True).click()
    expect(page.get_by_text("Đã gửi.")).to_be_visible()
    page.get_by_role("button", name="Xong, trả lại cho trợ lý").click()
    expect(citizen.get_by_text("Cán bộ tư vấn Minh: Trả lời không cần mã")).to_be_visible()
