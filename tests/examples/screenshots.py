"""Makes the screenshots of the examples that the documents show: docs/screenshots/example-*.png.

    python tests/examples/screenshots.py

It needs Chromium and its driver. The temperatures and the times of the day differ at each run, the rest does not.
"""

import math
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from examples.programs import process  # noqa: E402  # found by the line above
from examples.windows import Window, chromium  # noqa: E402
from interop import peers  # noqa: E402

SHOTS = ROOT / "docs" / "screenshots"
DRAW = """
    const sheet = document.getElementById("sheet");
    const box = sheet.getBoundingClientRect();
    const [colour, width, points] = arguments;
    document.querySelectorAll(".colour")[colour].click();
    document.getElementById("width").value = width;
    const send = (type, [x, y]) => sheet.dispatchEvent(new PointerEvent(type, {
        pointerId: 1, clientX: box.left + x * box.width, clientY: box.top + y * box.height }));
    sheet.setPointerCapture = () => {};
    send("pointerdown", points[0]);
    points.forEach((point) => send("pointermove", point));
    send("pointerup", points.at(-1));
"""


def shape(window, width, height, *, dark=False):
    """Gives a window the size of a screen, and its light."""
    window.activate().execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": False},
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    window.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def save(window, name):
    """Writes what a window shows to a file."""
    window.activate().save_screenshot(str(SHOTS / f"example-{name}.png"))


def chat(browser, url):
    """Two people, one of whom is typing; the picture is of the other's window."""
    ada, grace = Window(browser, f"{url}/chat.html"), Window(browser, f"{url}/chat.html")
    shape(ada, 900, 600)
    for window, name in ((ada, "Ada"), (grace, "Grace")):
        window.type("#name", name)
        window.click("#join button")
        window.shows("#people", name)
    said = [
        (grace, "Is the kettle on?"),
        (ada, "It is. Tea in five minutes."),
        (grace, "I will bring the biscuits, and the proof that the loop ends."),
        (ada, "Every loop ends when the biscuits do."),
    ]
    for window, text in said:
        window.find("#text").send_keys(text)
        window.click("#say button")
        for other in (ada, grace):
            other.shows("#log", text)
    ada.find("#text").send_keys("So bring m")
    grace.find("#text").send_keys("How many")
    ada.shows("#typing", "Grace is typing")
    save(ada, "chat")


def circle(x, y, radius, start=0.0, end=1.0):
    """The points of a circle, or of a part of it, as parts of the sheet, whose sides are 8 to 5."""
    turns = [start + (end - start) * step / 60 for step in range(61)]
    return [[x + radius * math.cos(math.tau * t) / 1.6, y + radius * math.sin(math.tau * t)] for t in turns]


def drawing(browser, url):
    """A landscape that two people have drawn; the picture is of a third one's window, who came later."""
    ada, grace = Window(browser, f"{url}/drawing.html"), Window(browser, f"{url}/drawing.html")
    for window in (ada, grace):
        window.shows("#people", "2 people are here")
    for x, y, height, colour in ((0.0, 0.78, 0.10, 1), (0.0, 0.88, -0.05, 2)):
        for line in range(8):
            hills = [
                [x + s / 60 * (1 - x), y + line * 0.02 - height * math.sin(s / 60 * math.tau * 0.75)] for s in range(61)
            ]
            (ada if colour == 1 else grace).run(DRAW, colour, 14, hills)
    for ring in range(6):
        grace.run(DRAW, 5, 18, circle(0.76, 0.27, 0.02 + 0.02 * ring))
    for ray in range(12):
        angle = math.tau * ray / 12
        rays = [[0.76 + r * math.cos(angle) / 1.6, 0.27 + r * math.sin(angle)] for r in (0.17, 0.2, 0.23)]
        grace.run(DRAW, 5, 8, rays)
    trunk = [[0.2, 0.75 - s * 0.008] for s in range(31)]
    ada.run(DRAW, 0, 12, trunk)
    for x, y, colour in ((0.17, 0.5, 1), (0.23, 0.5, 1), (0.2, 0.42, 1)):
        for ring in range(3):
            ada.run(DRAW, colour, 10, circle(x, y, 0.03 + 0.03 * ring))
    for x, y in ((0.45, 0.2), (0.53, 0.14), (0.58, 0.24)):
        for side in (-1, 1):
            ada.run(
                DRAW, 0, 5, [[x + side * s * 0.003, y - 0.025 * math.sin(s / 10 * math.pi * 0.8)] for s in range(11)]
            )
    time.sleep(1)  # the server's rate limit has let everything through
    late = Window(browser, f"{url}/drawing.html")
    shape(late, 900, 640)
    late.shows("#people", "3 people are here")
    save(late, "drawing")


def dashboard(browser, url):
    """Two minutes of samples, and a timer that runs."""
    window = Window(browser, f"{url}/dashboard.html")
    shape(window, 900, 620, dark=True)
    window.shows("#indoors", "°C")
    time.sleep(125)
    window.click("[data-timer='300']")
    window.shows("#timer", "4:5")
    save(window, "dashboard")


def main():
    """Makes all of them, or those that are named."""
    wanted = sys.argv[1:]
    for name, scene in (("chat", chat), ("drawing", drawing), ("dashboard", dashboard)):
        if wanted and name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder)
            with peers.running(process(name, directory)) as server, chromium(directory / "profile") as browser:
                scene(browser, server.url)
                print(SHOTS / f"example-{name}.png", flush=True)


if __name__ == "__main__":
    main()
