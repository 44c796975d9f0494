"""Makes the sample HAR files: two people chat in the demo, in a real Chromium, and its network log becomes a HAR file.

What Chromium's developer tools export is made of the same events of its debugging protocol. Here the events come through
the driver's performance log, and the entries get the form of ChromeDevTools/devtools-frontend, front_end/models/har/Log.ts.

    python tests/wire/har/record.py
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))  # for `interop`, as pytest has it

from interop import peers  # noqa: E402
from interop.test_browser import FLAGS  # noqa: E402
from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402


def open_browser(profile: str) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


def wait_for(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited 15 s for {what}")
        time.sleep(0.02)


class Window:
    """Someone in a window of the demo."""

    def __init__(self, browser: webdriver.Chrome, name: str, url: str, transport: str) -> None:
        browser.switch_to.new_window("window")
        self.browser = browser
        self.handle = browser.current_window_handle
        browser.execute_cdp_cmd("Network.enable", {})
        browser.get(url)
        self.find("name").clear()
        self.find("name").send_keys(name)
        browser.find_element(By.CSS_SELECTOR, f"input[name=transport][value={transport}]").click()
        self.find("join").click()
        wait_for(lambda: self.find("status").get_attribute("data-state") == "online", "the chat")

    def find(self, test_id: str) -> Any:
        self.browser.switch_to.window(self.handle)
        return self.browser.find_elements(By.CSS_SELECTOR, f"[data-testid={test_id}]")[-1]

    def say(self, text: str) -> None:
        box = self.find("text")
        self.browser.execute_script("arguments[0].value = arguments[1]", box, text)
        box.send_keys(Keys.ENTER)
        done = "[data-testid=message][data-state=acknowledged]"
        wait_for(lambda: self.browser.find_elements(By.CSS_SELECTOR, done), "the acknowledgement")


class Log:
    """The events of the debugging protocol, and the bodies of the answers, which the browser does not keep for long."""

    def __init__(self, browser: webdriver.Chrome) -> None:
        self.browser = browser
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.bodies: dict[str, dict[str, Any]] = {}

    def collect(self) -> None:
        for line in self.browser.get_log("performance"):
            message = json.loads(line["message"])["message"]
            method, params = message["method"], message["params"]
            if not method.startswith("Network."):
                continue
            self.events.append((method, params))
            if method == "Network.loadingFinished":
                self._fetch_body(params["requestId"])

    def _fetch_body(self, request_id: str) -> None:
        for window in self.browser.window_handles:
            self.browser.switch_to.window(window)
            try:
                self.bodies[request_id] = self.browser.execute_cdp_cmd(
                    "Network.getResponseBody", {"requestId": request_id}
                )
            except Exception:  # it belongs to another window
                continue
            return


def har_of(log: Log) -> dict[str, Any]:
    requests: dict[str, dict[str, Any]] = {}
    for method, params in log.events:
        request = requests.setdefault(params.get("requestId", ""), {"messages": []})
        match method:
            case "Network.requestWillBeSent":
                request["sent"] = params
            case "Network.webSocketCreated":
                request["socket"] = params
            case "Network.webSocketWillSendHandshakeRequest":
                request["handshake"] = params
            case "Network.webSocketHandshakeResponseReceived":
                request["answer"] = params
            case "Network.responseReceived":
                request["received"] = params
            case "Network.loadingFinished" | "Network.loadingFailed":
                request["finished"] = params
            case "Network.webSocketFrameSent" | "Network.webSocketFrameReceived":
                request["messages"].append(("send" if method.endswith("Sent") else "receive", params))
    entries = [socket_entry(one) for one in requests.values() if "handshake" in one]
    entries += [entry(one, log.bodies.get(key, {})) for key, one in requests.items() if "sent" in one]
    entries.sort(key=lambda one: one["startedDateTime"])
    others = [one for one in entries if "EIO=" not in one["request"]["url"]]
    entries = [one for one in entries if one not in others[3:]]  # a few are enough to be skipped
    creator = {"name": "WebInspector", "version": "537.36"}
    return {"log": {"version": "1.2", "creator": creator, "pages": [], "entries": entries}}


def moment(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def entry(request: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    sent = request["sent"]
    asked = sent["request"]
    response = request.get("received", {}).get("response", {})
    finished = request.get("finished", {})
    duration = (finished.get("timestamp", sent["timestamp"]) - sent["timestamp"]) * 1000
    content: dict[str, Any] = {"size": len(body.get("body", "")), "mimeType": response.get("mimeType", "x-unknown")}
    if body and "EIO=" in asked["url"]:  # the demo's own page and scripts would only make the sample large
        content["text"] = body["body"]
        if body["base64Encoded"]:
            content["encoding"] = "base64"
    result = {
        "_initiator": {"type": "script"},
        "_priority": asked.get("initialPriority", "High"),
        "_resourceType": sent.get("type", "Other").lower(),
        "cache": {},
        "request": request_of(asked["method"], asked["url"]),
        "response": response_of(response.get("status", 0), content, finished.get("errorText")),
        "serverIPAddress": "127.0.0.1",
        "startedDateTime": moment(sent["wallTime"]),
        "time": duration,
        "timings": {"blocked": 0, "dns": -1, "ssl": -1, "connect": -1, "send": 0, "wait": duration, "receive": 0},
    }
    if "postData" in asked:
        result["request"]["postData"] = {"mimeType": "text/plain;charset=UTF-8", "text": asked["postData"]}
    return result


def socket_entry(request: dict[str, Any]) -> dict[str, Any]:
    handshake = request["handshake"]
    offset = handshake["wallTime"] - handshake["timestamp"]
    return {
        "_initiator": {"type": "script"},
        "_priority": None,
        "_resourceType": "websocket",
        "_webSocketMessages": [
            {
                "type": direction,
                "time": params["timestamp"] + offset,
                "opcode": params["response"]["opcode"],
                "data": params["response"]["payloadData"],
            }
            for direction, params in request["messages"]
        ],
        "cache": {},
        "request": request_of("GET", request["socket"]["url"]),
        "response": response_of(
            request.get("answer", {}).get("response", {}).get("status", 0), {"size": 0, "mimeType": "x-unknown"}, None
        ),
        "startedDateTime": moment(handshake["wallTime"]),
        "time": 0,
        "timings": {"blocked": -1, "dns": -1, "ssl": -1, "connect": -1, "send": 0, "wait": 0, "receive": 0},
    }


def request_of(method: str, url: str) -> dict[str, Any]:
    query = [part.partition("=") for part in url.partition("?")[2].split("&") if part]
    return {
        "method": method,
        "url": url,
        "httpVersion": "http/1.1",
        "headers": [],
        "queryString": [{"name": name, "value": value} for name, _, value in query],
        "cookies": [],
        "headersSize": -1,
        "bodySize": 0,
    }


def response_of(status: int, content: dict[str, Any], error: str | None) -> dict[str, Any]:
    return {
        "status": status,
        "statusText": "",
        "httpVersion": "http/1.1",
        "headers": [],
        "cookies": [],
        "content": content,
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": -1,
        "_transferSize": 0,
        "_error": error,
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        browser = open_browser(folder)
        try:
            for name, transport in [("upgrade", "auto"), ("polling", "polling")]:
                with peers.running(peers.ServerProcess(Path(folder) / "demo.log", peers.DEMO)) as demo:
                    log = Log(browser)
                    home = browser.current_window_handle
                    ada = Window(browser, "Ada", demo.url, transport)
                    log.collect()
                    grace = Window(browser, "Grace", demo.url, transport)
                    log.collect()
                    ada.say("Is anyone here? 🙂")
                    log.collect()
                    grace.say("I am.")
                    log.collect()
                    image = Path(folder) / "pixel.png"
                    image.write_bytes(bytes.fromhex(PIXEL))
                    grace.find("file").send_keys(str(image))
                    time.sleep(0.5)
                    log.collect()
                    grace.find("sign-out").click()
                    time.sleep(0.3)
                    log.collect()
                    ada.find("sign-out").click()
                    time.sleep(0.3)
                    log.collect()
                    (HERE / f"{name}.har").write_text(json.dumps(har_of(log), indent=1, ensure_ascii=False) + "\n")
                    for window in (ada, grace):
                        browser.switch_to.window(window.handle)
                        browser.close()
                    browser.switch_to.window(home)
        finally:
            browser.quit()


PIXEL = (
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c63646060f80f00010801003aeb8cd20000000049454e44ae426082"
)

if __name__ == "__main__":
    main()
