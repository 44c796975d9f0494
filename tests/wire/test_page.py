"""The page and the picture of a conversation: what they hold, and that nothing from the wire can act in them."""

import base64
import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interop import peers
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait
from trio_socketio.protocol.trace import Sender, TracedFrame

from trio_socketio.wire import page
from trio_socketio.wire.conversation import Conversation
from trio_socketio.wire.diagram import render_svg
from trio_socketio.wire.page import render_page
from trio_socketio.wire.steps import Span, Steps
from trio_socketio.wire.values import Kind, Note

CLIENT, SERVER = Sender.CLIENT, Sender.SERVER
OPEN = '0{"sid":"%s","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
ATTACK = "</script><img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script><!--"


def conversation(*passed, sid="abc"):
    """Understand frames, given as (sender, frame) or (sender, frame, transport), a tenth of a second apart."""
    records = []
    for index, item in enumerate(passed):
        if isinstance(item, Note):
            records.append(item)
            continue
        sender, frame, *transport = item
        where = transport[0] if transport else "websocket"
        records.append(TracedFrame(1_700_000_000.0 + index / 10, sid, where, sender, frame))
    return understood(records)


def understood(records):
    listener = Conversation()
    lines = [line for record in records for line in listener.observe(record)]
    return lines + listener.finish(), listener.summary()


UPGRADE = [
    (SERVER, OPEN % "abc", "polling"),
    (CLIENT, "40", "polling"),
    (SERVER, '40{"sid":"x"}', "polling"),
    (CLIENT, '427["ask",{"deep":[1]}]', "polling"),
    (CLIENT, "2probe"),
    (SERVER, "3probe"),
    (SERVER, "6", "polling"),
    (CLIENT, "5"),
    (SERVER, '437["answered"]'),
    (SERVER, '428["question"]'),
    (CLIENT, '451-/files,3["upload",{"_placeholder":true,"num":0}]'),
    (CLIENT, bytes(range(256))),
    (CLIENT, "438[]"),
    *[(SERVER, "2"), (CLIENT, "3")] * 4,
    (CLIENT, "4abc"),
    Note(1_700_000_009.0, "abc", "websocket", CLIENT, "The client closed the WebSocket with code 1001 (going away)"),
]


class Elements(HTMLParser):
    """What a browser makes of a page, as far as elements and attributes go."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.attributes = []
        self.scripts = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data):
        if self.tags and self.tags[-1] == "script":
            self.scripts.append(data)


def data_of(text):
    return json.loads(Elements(text).scripts[0])


def test_the_steps_know_lanes_partners_and_the_move():
    lines, _ = conversation(*UPGRADE)
    laid_out = Steps.of(lines, 80)
    (session,) = laid_out.sessions
    labels = [step.label for step in laid_out.steps]
    assert labels[:10] == [
        "open", "connect", "connected", "ask", "probe", "probe works", "noop", "upgrade", "ack ask", "question",
    ]  # fmt: skip
    assert session.lanes == {"polling": Span(0, 6), "websocket": Span(4, len(lines) - 1)}
    assert session.move == Span(4, 7)
    assert {labels[i]: labels[s.partner] for i, s in enumerate(laid_out.steps) if s.partner is not None} == {
        "connected": "connect",
        "ack ask": "ask",
        "ack question": "question",
    }
    assert laid_out.steps[10].contents.startswith("<256 B")


def test_a_session_whose_probe_fails_has_not_moved():
    lines, _ = conversation((SERVER, OPEN % "abc", "polling"), (CLIENT, "2probe"), (CLIENT, "42[1]", "polling"))
    (session,) = Steps.of(lines, 80).sessions
    assert session.move is None


def test_the_page_holds_every_packet_with_its_frame_taken_apart():
    lines, summary = conversation(*UPGRADE)
    data = data_of(render_page(lines, summary, "A title"))
    assert len(data["steps"]) == len(lines)
    assert data["omitted"] == 0
    ask = data["steps"][3]
    assert (ask["kind"], ask["label"], ask["asks"], ask["transport"]) == ("event", "ask", True, "polling")
    (frame,) = ask["frames"]
    assert "".join(span[0] for span in frame["spans"]) == '427["ask",{"deep":[1]}]'
    text, attachment = data["steps"][10]["frames"]
    assert (text["binary"], attachment["binary"]) == (False, True)
    assert attachment["spans"][0][0].startswith("00 01 02")
    assert data["steps"][-1]["frames"] == []


def test_the_page_needs_nothing_from_anywhere():
    text = render_page(*conversation(*UPGRADE), "A title")
    elements = Elements(text)
    assert not {"src", "link", "style"} & set(elements.attributes)
    assert not {"link", "img", "iframe"} & set(elements.tags)
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|innerHTML|eval\(", text)


@pytest.mark.parametrize("text", [ATTACK, "<!--<script>", "]]>", "\u2028\u2029", "@@DATA@@", "\ud800", "&lt;", "\x00"])
def test_nothing_from_the_wire_changes_the_markup_of_the_page(text):
    plain = Elements(render_page(*conversation((CLIENT, '42["x","x"]')), "x"))
    frame = "42" + json.dumps([text, {text: text}])
    lines, summary = conversation(
        (CLIENT, frame), (CLIENT, text), Note(1_700_000_001.0, text, text, None, text), sid=text
    )
    hostile = render_page(lines, summary, text)
    hostile.encode()
    elements = Elements(hostile)
    assert elements.tags == plain.tags
    assert elements.attributes == plain.attributes
    assert text in "".join(span[0] for span in data_of(hostile)["steps"][1]["frames"][0]["spans"])


@given(
    st.lists(st.tuples(st.sampled_from(Sender), st.one_of(st.text(max_size=40), st.binary(max_size=40))), max_size=6)
)
@settings(max_examples=60, deadline=None)
def test_whatever_crosses_the_wire_can_be_put_on_a_page_and_in_a_picture(passed):
    lines, summary = conversation(*passed)
    data = data_of(render_page(lines, summary, "x"))
    assert len(data["steps"]) == len(lines)
    ET.fromstring(render_svg(lines))


def test_of_a_large_conversation_the_page_has_the_beginning_and_says_so(monkeypatch):
    monkeypatch.setattr(page, "MAX_LINES", 10)
    lines, summary = conversation(*[(CLIENT, f'42["e{number}"]') for number in range(25)])
    data = data_of(render_page(iter(lines), summary, "x"))
    assert [step["label"] for step in data["steps"]] == [f"e{number}" for number in range(10)]
    assert data["omitted"] == 15
    assert data_of(render_page(lines[:4], summary, "x", omitted=21))["omitted"] == 21


def test_what_would_make_the_page_too_large_is_cut_or_left_out(monkeypatch):
    monkeypatch.setattr(page, "MAX_FRAMES", 5_000)
    long = '42["long","' + "x" * 1_000_000 + '"]'
    wide = '42["wide",' + ",".join(["1"] * 100_000) + "]"
    lines, summary = conversation((CLIENT, long), (CLIENT, wide), (CLIENT, '42["after"]'), (CLIENT, b"z" * 1_000_000))
    text = render_page(lines, summary, "x")
    assert len(text) < 200_000
    first, second, third, fourth = data_of(text)["steps"]
    assert any("more characters" in span[0] for span in first["frames"][0]["spans"])
    assert second["frames"][0]["more"] > 0
    assert third["frames"] is None
    assert fourth["frames"] is None


def test_an_empty_conversation_has_a_page_and_a_picture():
    lines, summary = conversation()
    assert data_of(render_page(lines, summary, "Nothing"))["steps"] == []
    ET.fromstring(render_svg(lines))


SVG = "{http://www.w3.org/2000/svg}"


def test_the_picture_shows_every_packet_and_joins_acknowledgements_with_their_events():
    lines, _ = conversation(*UPGRADE)
    root = ET.fromstring(render_svg(lines, 640))
    assert root.attrib["width"] == "640"
    texts = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    assert any(text.startswith('ask {"deep":[1]} wants ack 7') for text in texts)
    assert any("going away" in text for text in texts)
    styles = [element.attrib.get("class", "") for element in root.iter()]
    assert styles.count("arrow") == sum(line.kind is not Kind.NOTE for line in lines)
    assert styles.count("hook") == 2
    assert styles.count("band") == 1


def test_nothing_in_the_picture_is_wider_than_it():
    lines, _ = conversation((CLIENT, '42["' + "漢" * 500 + '","' + "x" * 5_000 + '"]'), *UPGRADE)
    for width in (320, 480, 720):
        root = ET.fromstring(render_svg(lines, width))
        assert max(len("".join(element.itertext())) for element in root.iter(f"{SVG}text")) * 7 < width


def test_nothing_from_the_wire_changes_the_markup_of_the_picture():
    root = ET.fromstring(render_svg(conversation((CLIENT, "42" + json.dumps([ATTACK, "\x00\x1b"])))[0]))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "style", "rect", "text", "tspan", "g", "path",
    }  # fmt: skip


# In a real browser --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        peers.missing("Chromium and its driver are not installed (packages chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    profile = tmp_path_factory.mktemp("profile")
    for flag in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={profile}")
    options.add_argument("--window-size=1280,900")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield window
    finally:
        window.quit()


@pytest.fixture
def open_page(browser, tmp_path):
    def open_page(lines, summary, title="A conversation", **options):
        path = tmp_path / "page.html"
        path.write_text(render_page(lines, summary, title, **options), encoding="utf-8")
        browser.get(path.as_uri())
        return browser

    yield open_page
    assert browser.get_log("browser") == []


def rows(browser):
    return browser.find_elements(By.CSS_SELECTOR, ".row[data-index]")


def labels(browser):
    return browser.execute_script("return [...document.querySelectorAll('.label')].map((label) => label.textContent)")


def test_frames_with_markup_do_nothing_in_a_browser(open_page):
    hostile = [(CLIENT, "42" + json.dumps([ATTACK, {ATTACK: ATTACK}])), (CLIENT, ATTACK)]
    lines, summary = conversation(*hostile, Note(1_700_000_001.0, ATTACK, "", None, ATTACK), sid=ATTACK)
    browser = open_page(lines, summary, ATTACK)
    for row in rows(browser):
        browser.execute_script("arguments[0].firstElementChild.click()", row)
    assert browser.title == ATTACK
    assert browser.find_elements(By.TAG_NAME, "img") == []
    assert ATTACK in browser.find_element(By.TAG_NAME, "h1").text


def test_lanes_arrows_and_acknowledgements_are_drawn(open_page):
    browser = open_page(*conversation(*UPGRADE))
    assert labels(browser)[:4] == ["open", "connect", "connected", "ask"]
    polling, websocket = browser.find_elements(By.CSS_SELECTOR, ".row[data-index] .arrow")[3:5]
    assert polling.rect["width"] < websocket.rect["width"]  # the inner lane
    assert len(browser.find_elements(By.CSS_SELECTOR, "#hooks path")) == 2
    assert [band.text for band in browser.find_elements(By.CSS_SELECTOR, ".band")] == [
        "the session moves to WebSocket",
        "the session is on WebSocket now",
    ]


def test_a_click_opens_the_frame_and_leads_to_its_partner(open_page):
    browser = open_page(*conversation(*UPGRADE))
    next(row for row in rows(browser) if "ack ask" in row.text).find_element(By.TAG_NAME, "button").click()
    detail = browser.find_element(By.ID, "detail")
    assert detail.find_element(By.CSS_SELECTOR, ".whole").text == '437["answered"]'
    assert "the answer to the event" in detail.text
    detail.find_element(By.CSS_SELECTOR, ".jump").click()
    assert detail.find_element(By.CSS_SELECTOR, ".whole").text == '427["ask",{"deep":[1]}]'
    assert "Answered by" in detail.text
    detail.find_element(By.CSS_SELECTOR, ".close").click()
    assert "Click an arrow" in detail.text


def test_the_keyboard_is_enough(open_page):
    browser = open_page(*conversation(*UPGRADE))
    browser.execute_script("document.querySelector('.row button').focus()")
    keys = webdriver.ActionChains(browser)
    keys.send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ENTER).perform()
    detail = browser.find_element(By.ID, "detail")
    assert detail.find_element(By.TAG_NAME, "h2").text.startswith("event ask")
    webdriver.ActionChains(browser).send_keys(Keys.ARROW_DOWN).perform()
    assert detail.find_element(By.TAG_NAME, "h2").text.startswith("probe")
    webdriver.ActionChains(browser).send_keys(Keys.ESCAPE, "/", "upload").perform()
    assert "Click an arrow" in detail.text
    wait_for(browser, lambda: labels(browser) == ["upload"])


def wait_for(browser, condition):
    WebDriverWait(browser, 5).until(lambda _: condition())


def test_the_search_looks_into_the_frames_too(open_page):
    browser = open_page(*conversation(*UPGRADE))
    query = browser.find_element(By.ID, "query")
    query.send_keys("DEEP")
    wait_for(browser, lambda: labels(browser) == ["ask"])
    query.send_keys("er than anything")
    wait_for(browser, lambda: browser.find_element(By.ID, "nothing").is_displayed())


def test_heartbeats_are_folded_and_can_be_seen(open_page):
    browser = open_page(*conversation(*UPGRADE))
    assert "ping" not in labels(browser)
    fold = browser.find_element(By.CSS_SELECTOR, ".fold button")
    assert "8 pings and pongs" in fold.text
    assert fold.get_attribute("aria-expanded") == "false"
    browser.execute_script("arguments[0].click()", fold)
    assert labels(browser).count("ping") == 4
    browser.find_element(By.ID, "fold").click()
    assert browser.find_elements(By.CSS_SELECTOR, ".fold") == []
    assert labels(browser).count("pong") == 4


def test_a_session_can_be_looked_at_alone(open_page):
    records = [
        TracedFrame(1_700_000_000.0 + number, f"sid{number % 2}", "websocket", CLIENT, f'42["from{number % 2}"]')
        for number in range(6)
    ]
    browser = open_page(*understood(records))
    assert len(rows(browser)) == 6
    choice = Select(browser.find_element(By.ID, "session"))
    assert [option.text.split(" · ")[0] for option in choice.options] == ["All sessions (2)", "1: sid0", "2: sid1"]
    choice.select_by_index(2)
    assert labels(browser) == ["from1"] * 3


def test_what_is_left_out_is_said_in_a_sentence(open_page):
    browser = open_page(*conversation((CLIENT, '42["a"]')), omitted=1_234)
    assert browser.find_element(By.ID, "omitted").text == (
        "This page shows the first 1 packet. 1,234 more followed and are left out; a recording has them all."
    )


OVERFLOWING = """
return [...document.querySelectorAll(".lanes")].flatMap((lanes) => {
  const edge = lanes.getBoundingClientRect();
  return [...lanes.querySelectorAll(".label, .contents, .tags")].filter((part) => {
    const place = part.getBoundingClientRect();
    return place.width > 0 && (place.left < edge.left - 1 || place.right > edge.right + 1);
  }).map((part) => part.textContent);
});
"""


@pytest.mark.parametrize("width", [360, 390, 800, 1280])
def test_nothing_is_wider_than_the_window(open_page, width):
    long = (CLIENT, '42["' + "x" * 500 + '","' + "y" * 500 + '"]')
    namespace = "/organisations/0f8fad5b-d9cb-469f-a165-70867728950e/projects/7c9e6679-7425-40de-944b-e07fc1f90ae7"
    far = [
        (CLIENT, f"40{namespace},"),
        (CLIENT, f'42{namespace},1["hello",1]'),
        (SERVER, f'42{namespace},["{"e" * 99}",1]'),
    ]
    browser = open_page(*conversation(*UPGRADE, *far, long), "a" * 300)
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.execute_script("arguments[0].firstElementChild.click()", rows(browser)[-1])
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert browser.execute_script(OVERFLOWING) == []
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_fault_of_a_frame_is_among_its_parts(open_page):
    browser = open_page(*conversation((CLIENT, "42/admin,"), (CLIENT, '42["e"' + ",1" * 500 + ",x]")))
    for row in rows(browser):
        browser.execute_script("arguments[0].firstElementChild.click()", row)
        assert len(browser.find_elements(By.CSS_SELECTOR, ".parts [data-fault]")) == 1


def test_the_page_prints_without_its_controls(open_page):
    browser = open_page(*conversation(*UPGRADE))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not browser.find_element(By.ID, "controls").is_displayed()
        assert rows(browser)[0].is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert base64.b64decode(browser.print_page()).startswith(b"%PDF")


def test_no_transport_and_no_sid_of_a_recording_changes_the_markup_of_the_picture():
    lines, _ = conversation((CLIENT, "2", f'"><{ATTACK}'), (SERVER, "3", "\ud800"), sid=f'"><{ATTACK}')
    root = ET.fromstring(render_svg(lines).encode())
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "style", "rect", "text", "tspan", "g", "path",
    }  # fmt: skip
