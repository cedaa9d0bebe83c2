"""The chat in a real browser: nothing lost with the connection, in a frame elsewhere, by keyboard, for all eyes."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Locator, Page, expect

from tests.chromium import MARKS
from tests.service_process import ServiceProcess

ROOT = Path(__file__).resolve().parent.parent
SHOTS = ROOT / "artifacts"
PHONE, DESK = {"width": 412, "height": 860}, {"width": 1280, "height": 800}
QUESTION = "làm giấy khai sinh cho con cần gì"
pytestmark = MARKS


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Office(ServiceProcess):
    """The service on a port of its own, to be stopped and started again over the same data."""

    def __init__(self, folder: Path, sites: str) -> None:
        self.port = _free_port()
        super().__init__(
            folder, PORT=str(self.port), MOTCUA_EMBED_SITES=sites, MOTCUA_WEB_MESSAGES_PER_MINUTE="1000",
            MOTCUA_WEB_MESSAGES_PER_NETWORK_MINUTE="1000",
        )  # fmt: skip

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def turns(self, text: str) -> int:
        with closing(sqlite3.connect(self.database)) as connection:
            return int(connection.execute("SELECT count(*) FROM turn WHERE text = ?", (text,)).fetchone()[0])


class Site:
    """A commune's own page with the script tag, as strict as a site can be that wants the chat."""

    def __init__(self) -> None:
        self.body = b""
        self.policy = ""
        site = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("content-security-policy", site.policy)
                self.end_headers()
                self.wfile.write(site.body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def show(self, office: str, inside: str) -> None:
        self.policy = f"default-src 'none'; script-src {office}; frame-src {office}"
        self.body = f"<!doctype html><html lang=vi><title>Xã</title><h1>Trang của xã</h1>{inside}</html>".encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Iterator[Office]:
    SHOTS.mkdir(exist_ok=True)
    # "localhost" is another site than 127.0.0.1 to a browser; the other name of the same server is not on the list.
    office = Office(tmp_path_factory.mktemp("office"), f"http://localhost:{site.port}")
    office.start()
    yield office
    office.stop()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=PHONE, locale="vi-VN")  # type: ignore[arg-type]
    yield context
    context.close()


def _opened(context: BrowserContext, office: Office) -> Page:
    page = context.new_page()
    page.goto(office.base)
    return page


def _field(page: Page | FrameLocator) -> Locator:
    return page.get_by_label("Câu hỏi của ông/bà")


def _mine(page: Page | FrameLocator, text: str) -> Locator:
    return page.locator(".talk .bubble.me").filter(has_text=text)


def _say(page: Page, text: str) -> None:
    _field(page).fill(text)
    page.keyboard.press("Enter")


def _answers(page: Page | FrameLocator) -> Locator:
    return page.locator(".talk .bubble.bot[data-id]")


def test_nothing_is_lost_while_the_server_is_away(context: BrowserContext, office: Office) -> None:
    page = _opened(context, office)
    _say(page, QUESTION)
    expect(page.get_by_text("Giấy chứng sinh").first).to_be_visible()
    page.reload()
    expect(_mine(page, QUESTION)).to_have_count(1)
    expect(_answers(page)).to_have_count(1)

    office.stop()
    assert "timeout graceful shutdown" not in office.log()  # the open page did not hold it up
    _say(page, "lệ phí chứng thực bản sao")
    expect(page.get_by_role("status")).to_contain_text("Mất kết nối")
    expect(_mine(page, "lệ phí chứng thực bản sao")).to_contain_text("chờ gửi")
    page.screenshot(path=SHOTS / "chat-offline.png")

    office.start()
    expect(_answers(page)).to_have_count(2)
    expect(_answers(page).last).to_contain_text("đồng/trang")
    expect(_mine(page, "lệ phí chứng thực bản sao")).not_to_contain_text("chờ gửi")
    expect(page.get_by_role("status")).not_to_contain_text("Mất kết nối")
    page.reload()
    expect(_answers(page)).to_have_count(2)
    assert office.turns("lệ phí chứng thực bản sao") == 1


def test_what_was_not_sent_survives_a_reload(context: BrowserContext, office: Office) -> None:
    page = _opened(context, office)
    page.route("**/chat", lambda route: route.abort())
    _say(page, "tin chưa gửi")
    expect(_mine(page, "tin chưa gửi")).to_contain_text("chờ gửi")
    page.unroute("**/chat")
    page.reload()
    expect(_answers(page)).to_have_count(1)
    expect(_mine(page, "tin chưa gửi")).to_have_count(1)
    page.reload()
    expect(_answers(page)).to_have_count(1)
    assert office.turns("tin chưa gửi") == 1


def test_an_answer_whose_post_was_cut_off_comes_by_the_stream(context: BrowserContext, office: Office) -> None:
    page = _opened(context, office)

    def cut(route: Any) -> None:
        route.fetch()  # it arrives, its answer doesn't
        route.abort()

    page.route("**/chat", cut)
    _say(page, "phí chứng thực chữ ký")
    expect(_answers(page)).to_have_count(1)
    expect(page.locator("#cho")).to_be_hidden()
    assert office.turns("phí chứng thực chữ ký") == 1


def test_too_often_is_said_and_sent_again_by_itself(context: BrowserContext, office: Office) -> None:
    page = _opened(context, office)
    refusals = iter([True])

    def first_refused(route: Any) -> None:
        if next(refusals, False):
            route.fulfill(status=429, headers={"retry-after": "1"}, json={"error": ""})
        else:
            route.continue_()

    page.route("**/chat", first_refused)
    _say(page, "giờ làm việc")
    expect(page.get_by_role("status")).to_contain_text("đợi 1 giây")
    expect(_answers(page)).to_have_count(1)
    expect(page.get_by_role("status")).to_have_text("")


def test_other_pages_of_the_visitor_hear_it_too(context: BrowserContext, office: Office) -> None:
    here, there = _opened(context, office), _opened(context, office)
    _say(here, "chào")
    expect(_answers(there)).to_have_count(1)
    expect(_answers(here)).to_have_count(1)


def test_a_double_tap_is_one_message_and_old_buttons_still_work(context: BrowserContext, office: Office) -> None:
    page = _opened(context, office)
    first = page.locator(".talk .bubble.bot").first.get_by_role("button")
    first.nth(0).dblclick()
    expect(_answers(page)).to_have_count(1)
    first.nth(1).click()
    expect(_answers(page)).to_have_count(2)
    first.nth(0).click()
    expect(_answers(page)).to_have_count(3)
    expect(page.locator(".talk .bubble.me")).to_have_count(3)


def test_a_photo_too_large_for_the_server_is_made_smaller(
    context: BrowserContext, office: Office, tmp_path: Path
) -> None:
    noise = Image.frombytes("RGB", (1600, 1600), os.urandom(1600 * 1600 * 3))
    noise.save(tmp_path / "a.jpg", quality=100, subsampling=0)
    assert (tmp_path / "a.jpg").stat().st_size > 8 * 2**20
    page = _opened(context, office)
    with page.expect_request("**/chat/photo?id=*") as sent:
        page.set_input_files("#anh", tmp_path / "a.jpg")
    assert int(sent.value.all_headers()["content-length"]) <= 8 * 2**20
    expect(_mine(page, "Ảnh giấy hẹn")).to_have_count(1)
    expect(_answers(page)).to_have_count(1)


def test_an_unreadable_photo_is_answered_with_a_picture(context: BrowserContext, office: Office) -> None:
    page = _opened(context, office)
    page.set_input_files("#anh", [{"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"not a picture"}])
    picture = page.get_by_role("img", name=re.compile("chụp giấy hẹn"))
    expect(picture).to_be_visible()
    assert picture.evaluate("one => one.complete && one.naturalWidth > 0")


# --- On another site ---------------------------------------------------------------------------------------------


def test_the_frame_on_a_named_site(context: BrowserContext, office: Office, site: Site) -> None:
    tag = f'<script src="{office.base}/embed.js" async></script>'
    site.show(office.base, f"<a href='#'>liên kết</a>{tag}{tag}")
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.set_viewport_size(DESK)  # type: ignore[arg-type]
    page.goto(f"http://localhost:{site.port}/")
    button = page.locator("[data-motcua]").get_by_role("button")
    expect(button).to_have_count(1)  # in spite of two tags
    expect(button).to_have_accessible_name("Hỏi đáp thủ tục")
    expect(button).to_have_attribute("aria-expanded", "false")
    expect(page.locator("iframe")).to_have_count(0)  # loaded only when asked for
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(page.locator("iframe")).to_have_attribute("title", re.compile("Hỏi đáp"))
    frame = page.frame_locator("iframe")
    expect(_field(frame)).to_be_focused()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    expect(_answers(frame)).to_have_count(1)
    page.screenshot(path=SHOTS / "embed-1280.png")
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.screenshot(path=SHOTS / "embed-412.png")
    page.keyboard.press("Escape")
    expect(page.locator("iframe")).to_be_hidden()
    expect(button).to_be_focused()
    expect(button).to_have_attribute("aria-expanded", "false")
    # The cookie is kept apart for this site, and the talk is there again.
    (cookie,) = [one for one in context.cookies() if one["name"].startswith("motcua")]
    assert (cookie["name"], cookie["sameSite"], cookie["secure"]) == ("motcua_chat_nhung", "None", True)
    assert cookie["partitionKey"] == "http://localhost"
    page.reload()
    button.click()
    expect(_mine(frame, QUESTION)).to_have_count(1)
    frame.get_by_role("button", name="Đóng hỏi đáp").click()
    expect(page.locator("iframe")).to_be_hidden()
    assert problems == []


def test_no_frame_on_a_site_that_is_not_named(context: BrowserContext, office: Office, site: Site) -> None:
    site.show(office.base, f'<script src="{office.base}/embed.js" async></script>')
    page = context.new_page()
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        page.goto(f"http://127.0.0.1:{site.port}/")
        page.locator("[data-motcua]").get_by_role("button").click()
    expect(_field(page.frame_locator("iframe"))).to_have_count(0)


def test_the_frame_without_script(browser: Browser, office: Office, site: Site) -> None:
    site.show(office.base, f'<iframe src="{office.base}/nhung" title="Hỏi đáp"></iframe>')
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"http://localhost:{site.port}/")
    frame = page.frame_locator("iframe")
    _field(frame).fill(QUESTION)
    frame.get_by_role("button", name="Gửi", exact=True).click()
    expect(_mine(frame, QUESTION)).to_have_count(1)
    expect(_answers(frame)).to_have_count(1)
    context.close()


# --- For everyone ------------------------------------------------------------------------------------------------


def _press_until(page: Page, key: str, focused: str) -> None:
    """Presses a key until what has the focus matches a selector."""
    for _ in range(40):
        if page.evaluate("selector => document.activeElement.matches(selector)", focused):
            return
        page.keyboard.press(key)
    pytest.fail(f"{key} never reaches {focused}")


def test_by_keyboard_alone(context: BrowserContext, office: Office) -> None:
    page = _opened(context, office)
    expect(_field(page)).to_be_focused()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    expect(_answers(page)).to_have_count(1)
    expect(_field(page)).to_be_focused()
    _press_until(page, "Shift+Tab", "button[value*='phí']")
    outline = (
        "getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).outlineWidth"
    )
    assert page.evaluate(outline) == "solid3px"
    page.keyboard.press("Enter")
    expect(page.get_by_text("8.000 đồng/bản")).to_be_visible()
    # The talk itself can be reached, to scroll in it; and the first stop leads past the heading.
    _press_until(page, "Shift+Tab", "[role=log]")
    page.keyboard.press("Home")
    expect(page.get_by_text("Cứ nhắn như nói chuyện")).to_be_in_viewport()
    _press_until(page, "Shift+Tab", ".skip")
    assert page.locator(".skip").bounding_box()["x"] >= 0  # type: ignore[index]
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "noi-dung"
    _press_until(page, "Tab", "#anh")
    label = "getComputedStyle(document.querySelector('label[for=anh]')).outlineStyle"
    assert page.evaluate(label) == "solid"
    with page.expect_file_chooser():
        page.keyboard.press("Enter")


_NAMED = {"button", "link", "textbox", "image", "log", "navigation", "combobox", "dialog", "Iframe"}


def _unnamed(page: Page) -> list[str]:
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    shown = [node for node in nodes if not node["ignored"] and node["role"]["value"] in _NAMED]
    assert len(shown) > 8
    return [node["role"]["value"] for node in shown if not node.get("name", {}).get("value")]


# Every visible text against what is painted behind it (WCAG 2.2, 1.4.3); the placeholder, and the outline (1.4.11).
_FAINT = """() => {
  const part = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const rgb = (text) => text.match(/[0-9.]+/g).map(Number);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = rgb(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const ratio = (a, b) => {
    const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    const found = ratio(rgb(style.color), behind(element));
    seen++;
    if (found < least) faint.push(`${walker.currentNode.data.trim().slice(0, 40)}: ${found.toFixed(2)}`);
  }
  const input = document.getElementById("cau-hoi");
  const words = ratio(rgb(getComputedStyle(input, "::placeholder").color), behind(input));
  if (words < 4.5) faint.push(`placeholder: ${words.toFixed(2)}`);
  input.focus();
  for (const [name, colour] of [["outline", "outlineColor"], ["border", "borderTopColor"]]) {
    const found = ratio(rgb(getComputedStyle(input)[colour]), behind(input.parentElement));
    if (found < 3) faint.push(`${name}: ${found.toFixed(2)}`);
  }
  if (seen < 15) faint.push(`only ${seen} texts`);
  return faint;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_for_all_eyes_and_ears(browser: Browser, office: Office, scheme: Any) -> None:
    context = browser.new_context(viewport=PHONE, locale="vi-VN", color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page = _opened(context, office)
    assert page.locator("html").get_attribute("lang") == "vi"
    page.set_input_files("#anh", [{"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"not a picture"}])
    expect(_answers(page)).to_have_count(1)
    _say(page, QUESTION)
    expect(_answers(page)).to_have_count(2)
    expect(page.get_by_role("log")).not_to_have_attribute("aria-live", "off")  # it was, while the page was built
    assert _unnamed(page) == []
    assert page.evaluate(_FAINT) == []
    assert page.evaluate("document.getAnimations().length") == 0
    # 320 px, and 200 % zoom on a small desktop (WCAG 1.4.10, 1.4.4): nothing scrolls sideways, nothing is cut off.
    for size in ({"width": 320, "height": 600}, {"width": 640, "height": 400}, {"width": 320, "height": 256}):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        for scroller in ("document.documentElement", "document.querySelector('.talk')"):
            assert page.evaluate(f"{scroller}.scrollWidth <= {scroller}.clientWidth"), size
        _field(page).scroll_into_view_if_needed()
        expect(_field(page)).to_be_in_viewport(ratio=0.99)  # half a pixel is rounding
    for name, size in (("412", PHONE), ("1280", DESK)):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        # Only the talk scrolls, not the page around it.
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        page.screenshot(path=SHOTS / f"chat-{name}-{scheme}.png")
    context.close()
