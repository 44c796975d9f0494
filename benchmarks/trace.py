"""What a trace costs: CPU time per echoed event of a server without one, and of the same server with one.

``python benchmarks/trace.py`` runs servers over memory streams, interleaved in one process, and prints the medians. The row
``none, again`` is a second server without a trace: how far the first two rows differ is the noise of the measurement, and
all that an unset trace may cost. The exit status is 1 if they differ by more than `NOISE`, or if the events did not all come
back. ``--quick`` takes fewer rounds.
"""

import argparse
import statistics
import sys
import time
from collections import deque
from collections.abc import Sequence

import trio
from trio.testing import memory_stream_pair
from trio_socketio.conformance.peer import frame

from trio_socketio import Context, Server

NOISE = 0.15
"""By how much two servers without a trace may differ, after medians over interleaved rounds on a shared machine."""

BATCH = 200
"""Events that are sent at once, and awaited."""

EVENT = frame(1, b'42["message","' + b"x" * 46 + b'"]')
"""A masked frame with an event of 64 bytes."""

ANSWER = b'42["message-back","' + b"x" * 46 + b'"]'


def make_server(**options: object) -> Server:
    """Return a server that sends events back."""
    server = Server(ping_interval=1e6, **options)  # type: ignore[arg-type]  # the options of the caller

    @server.on("message")
    async def message(ctx: Context, text: str) -> None:
        await ctx.emit("message-back", text)

    return server


async def connect(server: Server, nursery: trio.Nursery) -> trio.abc.Stream:
    """Connect a client that has joined the root namespace."""
    ours, theirs = memory_stream_pair()
    nursery.start_soon(server.serve_stream, theirs)
    await ours.send_all(
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n" + frame(1, b"40")
    )
    seen = b""
    while b'40{"sid"' not in seen:
        seen += bytes(await ours.receive_some())
    return ours


async def echo(client: trio.abc.Stream) -> float:
    """Return the microseconds of CPU time that one event of a batch took."""
    began = time.process_time()
    await client.send_all(EVENT * BATCH)
    seen = bytearray()
    expected = BATCH * (len(ANSWER) + 2)
    while len(seen) < expected:
        seen += await client.receive_some()
    if seen.count(ANSWER) != BATCH:
        raise RuntimeError("not every event came back")
    return (time.process_time() - began) / BATCH * 1e6


async def measure(rounds: int) -> dict[str, float]:
    """Return the median of each server, in microseconds per event."""
    frames: deque[object] = deque(maxlen=1000)
    servers = {
        "none": make_server(),
        "none, again": make_server(),
        "kept in a deque": make_server(trace=frames.append),
    }
    figures: dict[str, list[float]] = {name: [] for name in servers}
    async with trio.open_nursery() as nursery:
        clients = {name: await connect(server, nursery) for name, server in servers.items()}
        for number in range(rounds + 2):
            for name, client in clients.items():
                figure = await echo(client)
                if number > 1:  # the first two warm up
                    figures[name].append(figure)
        for client in clients.values():
            await trio.aclose_forcefully(client)
    return {name: statistics.median(each) for name, each in figures.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args(arguments)
    medians = trio.run(measure, 15 if options.quick else 101)
    print(f"{'trace':<18}{'µs per event':>14}{'ratio':>8}")
    for name, median in medians.items():
        print(f"{name:<18}{median:>14.1f}{median / medians['none']:>8.2f}")
    return int(abs(medians["none, again"] / medians["none"] - 1) > NOISE)


if __name__ == "__main__":
    sys.exit(main())
