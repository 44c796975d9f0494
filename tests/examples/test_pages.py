"""The pages of the examples in a real browser, headless Chromium: each is opened, used, and does what it is for."""

from pathlib import Path

import pytest
from examples.programs import EXAMPLES, process
from examples.windows import Window, chromium
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.support.select import Select

import trio_socketio

STATIC = EXAMPLES / "static"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def windows(browser, tmp_path):
    """Opens windows with the page of an example that runs; afterwards they are closed, and no script has failed in them."""
    home = browser.current_window_handle
    browser.get_log("browser")
    running = []

    def open_windows(name, count=1):
        server = process(name, tmp_path)
        running.append(server)
        server.start()
        return [Window(browser, f"{server.url}/{name}.html") for _ in range(count)]

    try:
        yield open_windows
        errors = [entry["message"] for entry in browser.get_log("browser") if entry["source"] == "javascript"]
        for server in running:
            server.stop()
            assert "Traceback" not in server.text()
        assert errors == []
    finally:
        for server in running:
            server.kill()
        for handle in browser.window_handles:
            if handle != home:
                browser.switch_to.window(handle)
                browser.close()
        browser.switch_to.window(home)


def test_the_pages_use_the_client_of_the_demo():
    demo = Path(trio_socketio.__file__).parent / "demo" / "static" / "socketio.js"
    assert (STATIC / "socketio.js").read_text() == demo.read_text()


def test_the_pages_load_nothing_from_elsewhere():
    for page in [*STATIC.glob("*.html"), *STATIC.glob("*.css"), *STATIC.glob("*.js")]:
        text = page.read_text()
        assert "https://" not in text, page
        assert "http://" not in text.replace("http://www.w3.org/", ""), page


def test_chat(windows):
    ada, grace = windows("chat", 2)
    for window, name in ((ada, "Ada"), (grace, "Grace")):
        window.type("#name", name)
        window.click("#join button")
        window.shows("#lamp", "connected")
    ada.shows("#people", "Grace")
    grace.find("#text").send_keys("hello")
    ada.shows("#typing", "Grace is typing")
    grace.click("#say button")
    ada.shows("#log", "hello")
    grace.shows("#log", "hello")
    Select(grace.find("#room")).select_by_visible_text("garden")
    grace.expect(lambda: grace.text("#log") == "", "an empty room")
    ada.expect(lambda: ada.text("#people") == "Ada", "nobody else")
    Select(grace.find("#room")).select_by_visible_text("lobby")
    grace.shows("#log", "hello")


def test_presence(windows):
    ada, grace, second = windows("presence", 3)
    for window, name in ((ada, "Ada"), (grace, "Grace"), (second, "Grace")):
        window.type("#name", name)
        window.click("#join button")
        window.shows("#people", name)
    ada.shows("#people", "2 tabs")
    ada.click("#people li:nth-child(2) button")
    for window in (grace, second):
        window.shows("#poked", "Ada has poked you")
    second.close()
    ada.expect(lambda: ada.text("#people").count("1 tab") == 2, "one tab each")
    grace.close()
    ada.shows("#people", "last seen at")


COLUMN = """
    const sheet = document.getElementById("sheet");
    const { data } = sheet.getContext("2d").getImageData(sheet.width / 2, 0, 1, sheet.height);
    const colours = new Set();
    for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255) colours.add(data.slice(at, at + 3).join());
    return [...colours];
"""
"""The colours in the middle of the sheet, from its top to its bottom."""
GREEN = "10,127,117"


def test_drawing(windows):
    ada, grace = windows("drawing", 2)
    ada.shows("#people", "2 people are here")
    sheet = ada.find("#sheet")
    ActionChains(ada.activate()).move_to_element_with_offset(sheet, -100, 0).click_and_hold().move_by_offset(
        200, 0
    ).release().perform()
    for window in (ada, grace):
        window.expect(lambda window=window: GREEN in window.run(COLUMN), "the stroke")
    late = Window(ada.browser, grace.run("return location.href"))
    late.expect(lambda: GREEN in late.run(COLUMN), "the picture so far")
    late.click("#clear")
    for window in (ada, grace, late):
        window.expect(lambda window=window: window.run(COLUMN) == [], "an empty sheet")


def test_api(windows):
    ada, grace = windows("api", 2)
    ada.shows("#stock", "cup40")
    ada.click("#order button")
    grace.shows("#stock", "cup38")
    ada.type("#amount", "12")
    ada.click("#order button")
    ada.shows("#asked", "Do you really want 12 pieces of cup?")
    ada.click("#yes")
    ada.shows("#stock", "cup26")
    ada.hides("#question")
    ada.type("#amount", "many")
    ada.click("#order button")
    ada.shows("#log .warning", "amount must be a whole number")


def test_progress(windows):
    (window,) = windows("progress")
    window.type("#steps", "30")
    window.shows("#lamp", "connected")
    window.click("#start button")
    window.shows("#state", "Running")
    window.activate().refresh()
    window.shows("#state", "Finished")
    window.shows("#count", "30 of 30")
    window.type("#steps", "1000")
    window.click("#start button")
    window.click("#cancel")
    window.shows("#state", "Cancelled")


def test_dashboard(windows):
    (window,) = windows("dashboard")
    window.shows("#indoors", "°C")
    window.shows("#people", "1")
    window.expect(
        lambda: window.run(
            'const plot = document.getElementById("plot");'
            "return plot.getContext('2d').getImageData(0, 0, plot.width, plot.height).data.some((value) => value > 0)"
        ),
        "a plot",
    )
    window.click("[data-timer='10']")
    window.shows("#timer", "0:09")


def test_auth_cookies(windows):
    ada, other = windows("auth_cookies", 2)
    ada.type("#name", "ada")
    ada.type("#password", "wrong")
    ada.click("#login button")
    ada.shows("#error", "The name or the password is wrong")
    ada.type("#password", "engine")
    ada.click("#login button")
    ada.shows("#user", "ada")
    ada.shows("#lamp", "connected")
    other.activate().refresh()
    other.shows("#lamp", "connected")
    other.type("#text", "for my eyes only")
    other.click("#note button")
    ada.shows("#notes", "for my eyes only")
    ada.click("#logout")
    for window in (ada, other):
        window.find("#login")


def test_auth_jwt(windows):
    (window,) = windows("auth_jwt")
    window.click("#connect")
    window.shows("#log", "welcome, ada")
    window.shows("#left", "The token is valid for")
    window.click("#renew")
    window.shows("#log", "renewed")
    window.click("#forge")
    window.shows("#lamp", "The token is not ours.")


def test_auth_namespaces(windows):
    grace, ada = windows("auth_namespaces", 2)
    grace.shows("#announcements", "Everybody may read this")
    grace.click("[data-token='']")
    grace.shows("#users-state", "Please log in.")
    grace.click("[data-token='grace-s3cret']")
    grace.shows("#users-state", "You are in.")
    grace.shows("#admin-state", '"needs":"admin"')
    ada.click("[data-token='ada-s3cret']")
    ada.type("#news", "tea is ready")
    ada.click("#announce button")
    grace.shows("#announcements", "tea is ready")
    ada.type("#text", "hello")
    ada.click("#say button")
    grace.shows("#said", "hello")
    ada.click("#throw-out")
    grace.shows("#users-state", "You are out")
