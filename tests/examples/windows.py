"""Windows of headless Chromium with the pages of the examples in them."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from interop import peers
from interop.test_browser import FLAGS, console
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

PATIENCE = 10.0
"""Seconds for something to appear."""


@contextmanager
def chromium(profile: Path) -> Iterator[webdriver.Chrome]:
    """A browser; it ends with the block."""
    program, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if program is None or driver is None:
        peers.missing("Chromium and its driver are not installed (packages chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


class Window:
    """A window with a page, whose elements are found by their ids."""

    def __init__(self, browser: webdriver.Chrome, url: str) -> None:
        browser.switch_to.new_window("window")
        self.browser = browser
        self.handle = browser.current_window_handle
        browser.get(url)

    def activate(self):
        self.browser.switch_to.window(self.handle)
        return self.browser

    def find(self, css):
        """The element that a selector means; waits until it is there and can be seen."""

        def visible():
            return [one for one in self.activate().find_elements(By.CSS_SELECTOR, css) if one.is_displayed()]

        self.expect(lambda: bool(visible()), f"the element {css}")
        return visible()[0]

    def text(self, css):
        return self.run("return document.querySelector(arguments[0]).textContent", css)

    def click(self, css):
        self.find(css).click()

    def type(self, css, text):
        box = self.find(css)
        box.clear()
        box.send_keys(text)

    def run(self, script, *args):
        return self.activate().execute_script(script, *args)

    def shows(self, css, text):
        """Waits until an element contains a text."""
        self.expect(lambda: text in (self.text(css) or ""), f"{text!r} in {css}")

    def hides(self, css):
        """Waits until an element cannot be seen."""
        self.expect(lambda: not self.activate().find_element(By.CSS_SELECTOR, css).is_displayed(), f"no {css}")

    def expect(self, condition: Callable[[], bool], what: str):
        wait = WebDriverWait(
            self.browser, PATIENCE, poll_frequency=0.05, ignored_exceptions=[StaleElementReferenceException]
        )
        try:
            wait.until(lambda _: condition())
        except TimeoutException:
            body = self.activate().find_element(By.TAG_NAME, "body").text
            pytest.fail(
                f"waited {PATIENCE:g} s for {what}\n{console(self.browser)}\n--- the page\n{body}", pytrace=False
            )

    def close(self):
        self.activate().close()
