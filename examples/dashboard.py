"""A dashboard: values from a background task, and a timer that everybody shares.

    python examples/dashboard.py            then open the address that it prints

The tasks live in the nursery of the application, next to `server.serve`, and reach everyone with `server.emit`. A
sample is volatile: a client that cannot take it at once gets the next one instead, so nothing piles up for a slow one.
What a newcomer is told, and the beginning and the end of the timer, are not volatile. The page is
static/dashboard.html; it draws with a canvas and nothing else.
"""

import argparse
import math
import random
import signal
import time
from collections import deque
from pathlib import Path

import trio

from trio_socketio import Context, Server, StaticFiles

STATIC = Path(__file__).parent / "static"
INTERVAL = 0.5
"""Seconds between two samples."""
KEPT = 240
"""Samples that a newcomer gets: two minutes of them."""
MAX_TIMER = 3600

Sample = dict[str, float]


class Sensor:
    """A thermometer that is not there. Read here whatever you want to show."""

    def __init__(self) -> None:
        self.random = random.Random(1)  # noqa: S311  # it is weather, not cryptography
        self.drift = 0.0

    def read(self, now: float) -> Sample:
        """Return a sample of temperatures in degrees Celsius; the time is in seconds since the epoch."""
        self.drift = 0.97 * self.drift + self.random.gauss(0, 0.12)
        indoors = 21 + 0.8 * math.sin(now / 20) + self.drift
        outdoors = 16 + 2.5 * math.sin(now / 33) + self.random.gauss(0, 0.08)
        return {"time": now, "indoors": round(indoors, 2), "outdoors": round(outdoors, 2)}


def make_server(nursery: trio.Nursery) -> Server:
    """Return the server, and start what feeds it.

    Args:
        nursery: Where the background tasks run.
    """
    server = Server(http=StaticFiles(STATIC))
    samples: deque[Sample] = deque(maxlen=KEPT)
    timer: dict[str, float] = {"left": 0}
    countdown = trio.CancelScope()
    """What the timer that runs, if one does, can be ended with."""

    async def measure() -> None:
        sensor = Sensor()
        due = trio.current_time()
        while True:
            sample = sensor.read(time.time())
            samples.append(sample)
            await server.emit("sample", sample, volatile=True)
            due += INTERVAL  # from a fixed beginning, so that the intervals do not add up their delays
            await trio.sleep_until(due)

    async def count_down(seconds: int, scope: trio.CancelScope) -> None:
        with scope:
            end = trio.current_time() + seconds
            for left in range(seconds, -1, -1):
                await trio.sleep_until(end - left)
                timer["left"] = left
                # Neither its beginning nor its end may be lost.
                await server.emit("timer", left, volatile=0 < left < seconds)

    # A plain function: no sample can come between the welcome and being accepted.
    @server.on("connect")
    def connect(ctx: Context) -> None:
        ctx.emit_nowait("welcome", {"samples": list(samples), "timer": timer["left"], "interval": INTERVAL})
        server.emit_nowait("people", len(server.sockets()) + 1)

    @server.on("disconnect")
    async def disconnect(_ctx: Context) -> None:
        await server.emit("people", len(server.sockets()))

    @server.on("start timer")
    async def start_timer(_ctx: Context, seconds: object) -> bool:
        """Start the timer; one that runs already gives way."""
        nonlocal countdown
        if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds <= MAX_TIMER:
            return False
        countdown.cancel()
        countdown = trio.CancelScope()
        nursery.start_soon(count_down, seconds, countdown)
        return True

    nursery.start_soon(measure)
    return server


async def main(port: int) -> None:
    """Serve until Ctrl-C or SIGTERM; then end gracefully."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            (listener, *_) = await nursery.start(make_server(nursery).serve, "127.0.0.1", port)
            port = listener.socket.getsockname()[1]
            print(f"dashboard on http://127.0.0.1:{port}/dashboard.html (Ctrl-C ends it)", flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=3000, help="the port on 127.0.0.1 (default: %(default)s)")
    trio.run(main, parser.parse_args().port)
