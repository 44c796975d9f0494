"""What each shortcut of the server gains: CPU time of the server with all of them, and without one after the other.

``python benchmarks/steps.py`` measures each variant in a process of its own, in turn, five times, and prints the medians
in microseconds: for an echoed event of 64 bytes, alone or as one of 16 in flight, for an acknowledged one, for each recipient
of a broadcast to 1000, for a polling round trip, and for accepting a client. Client and server share the process and talk
over 127.0.0.1; only the time in which the server works is counted. ``tests/support/shortcuts.py`` says what the names mean.
``--quick`` takes one round of everything, and fewer clients. The exit status is 1 if an answer was missing.
"""

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import trio
from comparison.frames import masked, sized
from trio.testing import wait_all_tasks_blocked

from trio_socketio import Context, Server

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support import shortcuts

CLIENTS: Final = 100
LISTENERS: Final = 1000
SIZE: Final = 64
REPETITIONS: Final = 60
"""How often each load is run in one process; the median of them counts."""

UPGRADE: Final = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
POLL: Final = "/socket.io/?EIO=4&transport=polling"


def make_server() -> Server:
    """Return a server with an event for each load."""
    server = Server(ping_interval=1e6)

    @server.on("message")
    async def message(ctx: Context, *args: object) -> None:
        await ctx.emit("message-back", *args)

    @server.on("message-with-ack")
    async def message_with_ack(ctx: Context, *args: object) -> tuple[object, ...]:  # noqa: ARG001
        return args

    @server.on("everyone")
    async def everyone(ctx: Context, *args: object) -> None:
        await ctx.emit("from-everyone", *args, broadcast=True)

    return server


class Meter:
    """Counts the time in which the server works.

    Args:
        address: Where it listens.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address

    def connect(self) -> socket.socket:
        """Return a connection that does not block."""
        client = socket.create_connection(self._address)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.settimeout(0)
        return client

    async def settle(self) -> float:
        """Let the server do all that it has to do, and return the microseconds that it took."""
        began = time.thread_time()
        await wait_all_tasks_blocked()
        return (time.thread_time() - began) * 1e6

    async def exchange(
        self, requests: dict[socket.socket, bytes], expected: dict[socket.socket, bytes], times: int
    ) -> float:
        """Send requests, wait until each client has got what is expected so many times, and return the microseconds."""
        for client, request in requests.items():
            client.sendall(request)
        spent = 0.0
        seen = dict.fromkeys(expected, b"")
        for _ in range(200):
            spent += await self.settle()
            for client in expected:
                seen[client] += received(client)
            if all(seen[client].count(answer) >= times for client, answer in expected.items()):
                return spent
        raise RuntimeError("not every answer came")


def received(client: socket.socket) -> bytes:
    """Return what is here."""
    try:
        return client.recv(1 << 20)
    except BlockingIOError:
        return b""


def request(method: str, target: str, body: str = "") -> bytes:
    """Return a request of a polling client."""
    length = f"Content-Length: {len(body)}\r\nContent-type: text/plain;charset=UTF-8\r\n" if method == "POST" else ""
    return f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n{length}\r\n{body}".encode()


async def arrive(meter: Meter, count: int) -> tuple[list[socket.socket], float]:
    """Connect WebSocket clients; return them and the microseconds that each one took."""
    clients = [meter.connect() for _ in range(count)]
    spent = await meter.exchange(dict.fromkeys(clients, UPGRADE), dict.fromkeys(clients, b'"maxPayload"'), 1)
    spent += await meter.exchange(dict.fromkeys(clients, masked("40")), dict.fromkeys(clients, b'40{"sid"'), 1)
    return clients, spent / count


async def join_by_polling(meter: Meter, count: int) -> dict[socket.socket, str]:
    """Connect polling clients; return the target of their requests."""
    targets = {}
    for _ in range(count):
        client = meter.connect()
        client.sendall(request("GET", POLL))
        answer = b""
        while b'"sid":"' not in answer:
            await meter.settle()
            answer += received(client)
        sid = answer.partition(b'"sid":"')[2].partition(b'"')[0].decode()
        targets[client] = f"{POLL}&sid={sid}"
        await meter.exchange({client: request("POST", targets[client], "40")}, {client: b"ok"}, 1)
        await meter.exchange({client: request("GET", targets[client])}, {client: b'40{"sid"'}, 1)
    return targets


async def measure(clients: int, listeners: int, repetitions: int) -> dict[str, float]:
    """Return the microseconds of each load."""
    server = make_server()
    figures: dict[str, list[float]] = {}

    async def repeat(name: str, load: Callable[[], object], messages: int) -> None:
        for _ in range(repetitions):
            figures.setdefault(name, []).append(await load() / messages)  # type: ignore[operator]

    async with trio.open_nursery() as nursery:
        serving = await nursery.start(server.serve, "127.0.0.1", 0)
        meter = Meter(serving[0].socket.getsockname())
        members, _ = await arrive(meter, clients)
        event = sized(SIZE, "message").frames()
        echo = dict.fromkeys(members, b'42["message-back",')
        await repeat("echo", lambda: meter.exchange(dict.fromkeys(members, event), echo, 1), clients)
        await repeat("echo, 16", lambda: meter.exchange(dict.fromkeys(members, event * 16), echo, 16), clients * 16)
        asking = sized(SIZE, "message-with-ack", id=1).frames()
        acks = dict.fromkeys(members, b"431[")
        await repeat("ack", lambda: meter.exchange(dict.fromkeys(members, asking), acks, 1), clients)

        polling = await join_by_polling(meter, clients)
        body = sized(SIZE, "message").messages()[0]
        posts = {client: request("POST", target, str(body)) for client, target in polling.items()}
        gets = {client: request("GET", target) for client, target in polling.items()}

        async def round_trip() -> float:
            posted = await meter.exchange(posts, dict.fromkeys(polling, b"ok"), 1)
            return posted + await meter.exchange(gets, dict.fromkeys(polling, b'42["message-back",'), 1)

        await repeat("polling", round_trip, clients)
        for client in polling:
            client.close()

        for _ in range(max(2, repetitions // 10)):
            more, spent = await arrive(meter, clients)
            figures.setdefault("accept", []).append(spent)
            for client in more:
                client.close()
            await meter.settle()

        crowd = members + (await arrive(meter, listeners - clients))[0]
        everyone = sized(SIZE, "everyone").frames()
        heard = dict.fromkeys(crowd, b'42["from-everyone",')
        await repeat("broadcast", lambda: meter.exchange({crowd[0]: everyone}, heard, 1), listeners)
        for client in crowd:
            client.close()
        nursery.cancel_scope.cancel()
    return {name: statistics.median(each) for name, each in figures.items()}


def run(without: str, *, quick: bool) -> dict[str, float]:
    """Measure in a process of its own, without one of the shortcuts."""
    command = [sys.executable, __file__, "--here", *(["--quick"] if quick else [])]
    environment = os.environ | {"TRIO_SOCKETIO_TEST_WITHOUT": without}
    output = subprocess.run(  # noqa: S603  # this very file
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True, timeout=300
    ).stdout
    figures: dict[str, float] = json.loads(output)
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round, and fewer clients")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default 5, and 1 if quick")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.here:
        shortcuts.turn_off()
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        sizes = (20, 50, 3) if options.quick else (CLIENTS, LISTENERS, REPETITIONS)
        print(json.dumps(trio.run(measure, *sizes)))
        return 0
    variants = ["", *shortcuts.SHORTCUTS, "all"]
    rounds = 1 if options.quick else options.rounds
    results: dict[str, list[dict[str, float]]] = {name: [] for name in variants}
    for number in range(rounds):
        for name in variants:
            print(f"round {number + 1} of {rounds}: without {name or 'nothing'}", file=sys.stderr)
            results[name].append(run(name, quick=options.quick))
    loads = list(results[""][0])
    print("| without | " + " | ".join(loads) + " |")
    print("|---|" + "---:|" * len(loads))
    for name in variants:
        medians = [statistics.median([figures[load] for figures in results[name]]) for load in loads]
        print(f"| {name or '-'} | " + " | ".join(f"{median:.1f}" for median in medians) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
