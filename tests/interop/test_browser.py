"""A real browser, headless Chromium: the official client's bundle on a page of ours, and two people in the demo."""

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from interop import peers
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,900",
    # Each of the two people has a window of their own; the one behind must not run on a slow clock.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
]
TRANSPORTS = {"websocket": ["websocket"], "polling": ["polling"], "upgrade": ["polling", "websocket"]}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        peers.missing("Chromium and its driver are not installed (packages chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(options=options, service=Service(driver))
    window.set_script_timeout(20)
    try:
        yield window
    finally:
        window.quit()


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """A folder with a page and the official client as it is published for browsers."""
    peers.need_javascript_client()
    folder = tmp_path / "static"
    folder.mkdir()
    shutil.copy(peers.HERE / "browser" / "client.html", folder)
    shutil.copy(peers.NODE_MODULES / "socket.io-client" / "dist" / "socket.io.min.js", folder)
    return folder


def perform(browser: webdriver.Chrome, scenario: str, *args: Any) -> Any:
    """Runs a scenario of client.html in the page that is open; its exception is the test's failure."""
    script = f"""
        const done = arguments[arguments.length - 1];
        scenarios.{scenario}(...{json.dumps(args)}).then(
            (value) => done({{ value }}), (error) => done({{ error: error.stack ?? String(error) }}));
    """
    result = browser.execute_async_script(script)  # type: ignore[no-untyped-call]  # selenium leaves it untyped
    if "error" in result:
        pytest.fail(f"{scenario} failed in the browser: {result['error']}\n{console(browser)}", pytrace=False)
    return result["value"]


def console(browser: webdriver.Chrome) -> str:
    return "\n".join(f"console: {entry['level']} {entry['message']}" for entry in browser.get_log("browser"))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_official_client_works_in_a_browser(
    browser: webdriver.Chrome, static: Path, tmp_path: Path, transport: str
) -> None:
    options = {"transports": TRANSPORTS[transport]}
    with peers.running_server(tmp_path, "--static", str(static)) as server:
        browser.get(f"{server.url}/client.html")
        talk = perform(browser, "talks", options)
        assert talk.pop("transport") in TRANSPORTS[transport]
        assert talk == {
            "auth": {"token": "from the browser"},
            "text": "🙂 ä \u2028",
            "asked": {"several": [7, "answered"]},
            "other": "over the same connection",
        }
        every_byte = list(range(256))
        assert perform(browser, "carriesBytes", options) == {
            "array": every_byte,
            "deep": every_byte,
            "x": "x",
            "blob": every_byte,
            "large": 999_999,
        }
        order = perform(browser, "keepsTheOrder", options)
        assert order["sent"] == list(range(1000))
        assert order["received"] == list(range(1000))
        assert order["transport"] == TRANSPORTS[transport][-1]
        assert perform(browser, "isRefused", options, "/nobody-serves-this") == "Invalid namespace"


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_the_page_of_another_origin_needs_leave(
    browser: webdriver.Chrome, static: Path, tmp_path: Path, transport: str
) -> None:
    options = {"transports": TRANSPORTS[transport], "withCredentials": True}
    for name in ("home", "open", "closed"):
        (tmp_path / name).mkdir()
    with (
        peers.running_server(tmp_path / "home", "--static", str(static)) as home,
        peers.running_server(tmp_path / "open", "--any-origin") as opened,
        peers.running_server(tmp_path / "closed") as closed,
    ):
        browser.get(f"{home.url}/client.html?server={opened.url}")
        assert perform(browser, "talks", options)["auth"] == {"token": "from the browser"}
        browser.get(f"{home.url}/client.html?server={closed.url}")
        assert perform(browser, "isRefused", options) != "connected"


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
TEXT = "Hello 🙂 <b>not bold</b> \u2028 ü"


class Person:
    """Someone in a window of the demo, who does what people do: look at the page, click, and type."""

    def __init__(self, browser: webdriver.Chrome, name: str, url: str, transport: str) -> None:
        browser.switch_to.new_window("window")
        self.browser = browser
        self.window = browser.current_window_handle
        self.name = name
        browser.get(url)
        self.find("name").clear()  # the page remembers the last one
        self.find("name").send_keys(name)
        browser.find_element(By.CSS_SELECTOR, f"input[name=transport][value={transport}]").click()
        self.find("join").click()
        self.expect(lambda: self.state() == "online", "the chat")

    def all(self, test_id: str, more: str = "") -> list[WebElement]:
        self.browser.switch_to.window(self.window)
        return self.browser.find_elements(By.CSS_SELECTOR, f"[data-testid={test_id}]{more}")

    def find(self, test_id: str, more: str = "") -> WebElement:
        self.expect(lambda: bool(self.all(test_id, more)), f"the element {test_id}{more}")
        return self.all(test_id, more)[-1]

    def expect(self, condition: Callable[[], bool], what: str) -> None:
        wait = WebDriverWait(self.browser, 10, poll_frequency=0.05, ignored_exceptions=[StaleElementReferenceException])
        try:
            wait.until(lambda _: condition())
        except TimeoutException:
            pages = "".join(f"\n--- a page\n{self.page(window)}" for window in self.browser.window_handles)
            pytest.fail(f"{self.name} waited 10 s for {what}\n{console(self.browser)}{pages}", pytrace=False)

    def page(self, window: str) -> str:
        """What there is to read in a window, the frames on the wire included."""
        self.browser.switch_to.window(window)
        return peers.tail(self.browser.find_element(By.TAG_NAME, "body").text)

    def state(self) -> str | None:
        return self.find("status").get_attribute("data-state")

    def say(self, text: str) -> None:
        # The driver types no characters beyond the basic plane, so the page gets them as a paste would bring them.
        box = self.find("text")
        self.browser.execute_script("arguments[0].value = arguments[1]", box, text)  # type: ignore[no-untyped-call]
        box.send_keys(Keys.ENTER)
        self.expect(lambda: bool(self.all("message", "[data-state=acknowledged]")), "the acknowledgement")

    def hears(self, author: str, text: str) -> None:
        def texts() -> list[Any]:
            where = f"[data-author={author}] [data-testid=message-text]"
            return [one.get_property("textContent") for one in self.all("message", where)]

        self.expect(lambda: text in texts(), f"{text!r} from {author}")

    def sees(self, *names: str) -> None:
        self.expect(lambda: {one.get_attribute("data-name") for one in self.all("person")} == set(names), f"{names}")


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[peers.ServerProcess]:
    with peers.running(peers.ServerProcess(tmp_path / "demo.log", peers.DEMO)) as server:
        yield server


@pytest.mark.parametrize("transport", ["auto", "websocket", "polling"])
def test_two_people_talk_in_the_demo(
    browser: webdriver.Chrome, demo: peers.ServerProcess, tmp_path: Path, transport: str
) -> None:
    home = browser.current_window_handle
    try:
        ada = Person(browser, "Ada", demo.url, transport)
        grace = Person(browser, "Grace", demo.url, transport)
        ada.sees("Ada", "Grace")
        ada.say("Is anyone here?")
        grace.hears("Ada", "Is anyone here?")
        grace.say(TEXT)
        ada.hears("Grace", TEXT)
        image = tmp_path / "pixel.png"
        image.write_bytes(base64.b64decode(PIXEL))
        grace.find("file").send_keys(str(image))
        picture = ada.find("message", "[data-author=Grace] [data-testid=message-image]")
        ada.expect(lambda: picture.get_property("naturalWidth") == 1, "the image")
        carrier = "polling" if transport == "polling" else "websocket"
        for person in (ada, grace):
            assert person.all("wire-row", f"[data-direction=out][data-transport={carrier}]")
            assert person.all("wire-row", f"[data-direction=in][data-transport={carrier}]")
        demo.kill()
        ada.expect(lambda: ada.state() == "offline", "the news that the server is gone")
        demo.start()
        for person in (ada, grace):
            person.expect(lambda person=person: person.state() == "online", "the server's return")
        ada.sees("Ada", "Grace")
        grace.say("We are back.")
        ada.hears("Grace", "We are back.")
        grace.find("sign-out").click()
        ada.sees("Ada")
    finally:
        for window in browser.window_handles:
            if window != home:
                browser.switch_to.window(window)
                browser.close()
        browser.switch_to.window(home)
