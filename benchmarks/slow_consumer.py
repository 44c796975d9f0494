"""What clients that stop reading cost the others: a load of broadcasts with a few of them among many, and without, in turn.

``python benchmarks/slow_consumer.py`` runs a server in a process and on a core of its own, one for each transport. A thousand
clients read every broadcast and measure how old it is when they have it, first alone, then beside ten that stop reading once
they have joined; that is repeated, and the median over the rounds counts. The exit status is 1 unless, on both transports,

- the 99th percentile of the latency with the slow clients is at most `MOST` times that without them,
- the server's memory is at the end what it was after the first round, and meanwhile no larger than the bounds allow,
- each slow client, and nobody else, was closed as a ``forced close``, when the bound of its buffer was reached,
- an ``await emit`` to one client that does not read waits for it, nothing more than the bound is kept meanwhile,
  and everything arrives in order once it reads again.

``--quick`` takes fewer clients and rounds.
"""

import argparse
import json
import os
import select
import socket
import statistics
import subprocess
import sys
import time
from array import array
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import trio
from comparison.failure import BenchmarkError
from comparison.frames import masked, split
from comparison.process import allow_descriptors, choose_cores

from trio_socketio import Context, Server

MOST: Final = 2.0
"""By how much the latency of the others may grow; see above."""
FLAT: Final = 4 * 1024 * 1024
"""Bytes by which the memory of a server may differ between two rounds."""
SLACK: Final = 8 * 1024 * 1024
"""Bytes that it may have more than the bounds of the slow clients' buffers, while they fill."""
PAYLOAD: Final = 2048
"""Bytes of a broadcast."""
PREFIX: Final = '42["load","'
"""How each broadcast begins; what follows is when it was emitted, or its number."""
PATIENT: Final = 4
"""How many times the bound is sent to the one client that an emit waits for."""
PATIENCE: Final = 60.0
"""Seconds for anything that must happen at all."""
PAUSE: Final = 0.5
"""Seconds in which nothing happens, when that is what should be seen."""
REASON: Final = "forced close"


# The server.


async def serve(bound: int) -> None:
    """Serve on a free port, do what the lines on standard input say, and answer each with a line."""
    server = Server(ping_interval=3600, max_buffered_bytes=bound)
    taken = 0

    @server.on("connect")
    async def connect(ctx: Context, auth: object) -> None:
        if auth:
            await ctx.join_room("patient")

    async def broadcast(least: int, most: int, sessions: int, interval: float) -> dict[str, Any]:
        sent = peak = 0
        due = trio.current_time()
        while sent < least or (sent < most and len(server.sessions) > sessions):
            await server.emit("load", str(time.monotonic_ns()), "x" * PAYLOAD)
            sent += 1
            peak = max(peak, resident())
            due += interval
            await trio.sleep_until(due)
        return {"sent": sent, "peak": peak}

    async def be_patient(count: int) -> None:
        nonlocal taken
        taken = 0
        for number in range(count):
            await server.emit("load", str(number), "x" * PAYLOAD, to=server.participants("patient")[0])
            taken += 1

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(server.serve, "127.0.0.1", 0)
        say(port=listeners[0].socket.getsockname()[1])
        async for line in lines():
            command = json.loads(line)
            match command.pop("do"):
                case "broadcast":
                    say(**await broadcast(**command))
                case "be patient":
                    nursery.start_soon(be_patient, command["count"])
                    say()
                case "report":
                    say(stats=server.stats(), resident=resident(), taken=taken)
        nursery.cancel_scope.cancel()


async def lines() -> AsyncIterator[bytes]:
    """Yield the lines of standard input until its end."""
    async with trio.lowlevel.FdStream(os.dup(0)) as stream:
        rest = b""
        async for chunk in stream:
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield line


def say(**values: object) -> None:
    """Print a line of JSON."""
    print(json.dumps(values), flush=True)


def resident() -> int:
    """Return the bytes of memory that this process has in use now."""
    with open("/proc/self/statm") as file:  # noqa: PTH123  # ten times as fast, between two broadcasts
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class ServerProcess:
    """A server that runs on a core of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is None or process.stdout is None:  # they were asked for
            raise AssertionError
        self._input = process.stdin
        self._output = process.stdout
        self.port: int = self._answer()["port"]

    def ask(self, what: str, **values: object) -> dict[str, Any]:
        """Have it do something and return its answer."""
        self.tell(what, **values)
        return self._answer()

    def tell(self, what: str, **values: object) -> None:
        """Have it do something; `answered` returns the answer when it has."""
        self._input.write(json.dumps({"do": what, **values}).encode() + b"\n")
        self._input.flush()

    def answered(self) -> dict[str, Any] | None:
        """Return the answer if it has come."""
        return self._answer() if select.select([self._output], [], [], 0)[0] else None

    def _answer(self) -> dict[str, Any]:
        if not select.select([self._output], [], [], PATIENCE)[0]:
            raise BenchmarkError(f"the server said nothing for {PATIENCE:g} s")
        line = self._output.readline()
        if not line:
            raise BenchmarkError("the server has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def running(bound: int, core: int) -> Iterator[ServerProcess]:
    """Have a server run while the body does."""
    command = ("taskset", "--cpu-list", str(core), sys.executable, __file__, "--serve", str(bound))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603  # a command of ours
    try:
        yield ServerProcess(process)
    finally:
        process.kill()
        process.communicate()


# The clients.


class Client:
    """One connection to the server, and what it has read: how old each broadcast was, or its number.

    Args:
        port: The server's.
        transport: ``websocket`` or ``polling``.
        ages: Where the ages go, in nanoseconds.
        connect: The packet with which it joins.
    """

    def __init__(self, port: int, transport: str, ages: "array[int]", connect: str = "40") -> None:
        self.ages = ages
        self.marks: list[int] = []
        self.over = False
        self._buffer = b""
        self._websocket = transport == "websocket"
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)  # who stops reading is felt soon
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._path = f"/socket.io/?EIO=4&transport={transport}"
        if self._websocket:
            upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            self._request("GET", upgrade + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n")
            self._wait_for(b'0{"sid"')
            self.socket.sendall(masked(connect))
            self._wait_for(b'40{"sid"')
        else:
            self._request("GET")
            opened = self._wait_for(b'"pingTimeout"')
            self._path += "&sid=" + json.loads(opened[opened.index(b"{") :])["sid"]
            self._request("POST", body=connect)
            self._wait_for(b"ok")
            self._request("GET")
            self._wait_for(b'40{"sid"')
            self._request("GET")
        self._buffer = b""
        self.socket.settimeout(0)

    def _request(self, method: str, headers: str = "", body: str = "") -> None:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.socket.sendall(
            f"{method} {self._path} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n{body}".encode()
        )

    def _wait_for(self, what: bytes) -> bytes:
        self._buffer = b""
        while what not in self._buffer or not self._buffer.endswith((b"}", b"ok")):
            data = self.socket.recv(65536)
            if not data:
                raise BenchmarkError(f"the server ended a connection after {self._buffer!r}")
            self._buffer += data
        return self._buffer

    def read(self) -> None:
        """Read what there is."""
        try:
            data = self.socket.recv(256 * 1024)
        except (BlockingIOError, InterruptedError):
            return
        except ConnectionError:
            data = b""
        if not data:
            self.over = True
            return
        now = time.monotonic_ns()
        self._buffer += data
        for message in self._frames() if self._websocket else self._packets():
            mark = int(message[len(PREFIX) : message.index('"', len(PREFIX))])
            self.ages.append(now - mark)
            self.marks.append(mark)

    def _frames(self) -> Sequence[str]:
        messages, position = split(self._buffer)
        self._buffer = self._buffer[position:]
        return [message for message in messages if isinstance(message, str)]

    def _packets(self) -> Sequence[str]:
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return ()
        start = self._buffer.index(b"content-length: ") + 16
        end = head + 4 + int(self._buffer[start : self._buffer.index(b"\r", start)])
        if len(self._buffer) < end:
            return ()
        body, self._buffer = self._buffer[head + 4 : end], self._buffer[end:]
        self._request("GET")
        return body.decode().split("\x1e")


class Crowd:
    """The clients that read, and wait together."""

    def __init__(self, port: int, transport: str, count: int) -> None:
        self.ages = array("q")
        self.clients = [Client(port, transport, self.ages) for _ in range(count)]
        self._poll = select.epoll()
        self._by_descriptor = {client.socket.fileno(): client for client in self.clients}
        for descriptor in self._by_descriptor:
            self._poll.register(descriptor, select.EPOLLIN)

    def read_while(self, server: ServerProcess, what: str, **values: object) -> dict[str, Any]:
        """Have the server broadcast, and read until everyone has everything; return its answer."""
        del self.ages[:]
        server.tell(what, **values)
        answer: dict[str, Any] | None = None
        deadline = time.monotonic() + PATIENCE * 2
        while answer is None or len(self.ages) < answer["sent"] * len(self.clients):
            for descriptor, _ in self._poll.poll(0.1):
                client = self._by_descriptor[descriptor]
                client.read()
                client.marks.clear()
                if client.over:
                    raise BenchmarkError("a client that reads was closed")
            answer = answer or server.answered()
            if time.monotonic() > deadline:
                raise BenchmarkError(f"only {len(self.ages)} broadcasts arrived in time")
        return answer


# The measurement.


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured on a transport."""

    transport: str
    clients: int
    slow: int
    rounds: int
    bound: int
    """``max_buffered_bytes`` of the server."""
    least: int
    """Broadcasts of a phase; with slow clients as many more as it takes to close them."""
    interval: float
    """Seconds between two broadcasts."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    alone: list[float]
    """The 99th percentiles of the rounds without slow clients, in milliseconds."""
    beside: list[float]
    """The same with them."""
    before: int
    """Bytes of memory after the first round."""
    after: int
    peak: int
    closes: dict[str, int]
    waited: bool
    """Whether an emit to one client waited for it, and lost nothing."""

    @property
    def ratio(self) -> float:
        """With by without, the median over the rounds: what else the machine did meanwhile, it did to both of a round."""
        return statistics.median(beside / alone for alone, beside in zip(self.alone, self.beside, strict=True))


def percentile(ages: "array[int]") -> float:
    """Return the 99th percentile in milliseconds."""
    return sorted(ages)[len(ages) * 99 // 100] / 1e6


def measure(plan: Plan, core: int) -> Outcome:
    """Run one server and its clients."""
    alone: list[float] = []
    beside: list[float] = []
    peaks: list[int] = []
    before = 0
    with running(plan.bound, core) as server:
        crowd = Crowd(server.port, plan.transport, plan.clients)
        load = {"interval": plan.interval, "sessions": plan.clients, "most": 20 * plan.least}
        crowd.read_while(server, "broadcast", **load, least=plan.least)  # warms up
        for number in range(plan.rounds + 1):
            crowd.read_while(server, "broadcast", **load, least=plan.least)
            quiet = percentile(crowd.ages)
            slow = [Client(server.port, plan.transport, array("q")) for _ in range(plan.slow)]
            answer = crowd.read_while(server, "broadcast", **load, least=plan.least)
            for client in slow:
                client.socket.close()
            if number:  # the first round shows what memory the server needs at all
                alone.append(quiet)
                beside.append(percentile(crowd.ages))
                peaks.append(answer["peak"])
            else:
                before = server.ask("report")["resident"]
        report = server.ask("report")
        waited = waits(server, plan)
    return Outcome(alone, beside, before, report["resident"], max(peaks), report["stats"]["closes"], waited)


def waits(server: ServerProcess, plan: Plan) -> bool:
    """Return whether an emit to one client waits while it does not read, within the bound, and loses nothing."""
    client = Client(server.port, plan.transport, array("q"), connect='40{"patient":true}')
    count = PATIENT * (plan.bound // PAYLOAD) + 1024
    server.ask("be patient", count=count)
    time.sleep(PAUSE)
    first = server.ask("report")
    time.sleep(PAUSE)
    second = server.ask("report")
    stopped = (
        first["taken"] == second["taken"] < count and second["stats"]["buffered_bytes"] <= plan.bound + 2 * PAYLOAD
    )
    deadline = time.monotonic() + PATIENCE
    while len(client.marks) < count and not client.over and time.monotonic() < deadline:
        select.select([client.socket], [], [], 0.1)
        client.read()
    return stopped and client.marks == list(range(count)) and server.ask("report")["taken"] == count


def faults(plan: Plan, outcome: Outcome) -> list[str]:
    """Return what does not hold, as sentences."""
    expected = {REASON: plan.slow * (plan.rounds + 1)}
    found = []
    if outcome.ratio > MOST:
        found.append(f"the 99th percentile is {outcome.ratio:.2f} times that without slow clients")
    if outcome.after - outcome.before > FLAT:
        found.append(f"memory grew by {(outcome.after - outcome.before) / 1e6:.1f} MB")
    if outcome.peak - outcome.before > plan.slow * plan.bound + SLACK:
        found.append(f"memory was {(outcome.peak - outcome.before) / 1e6:.1f} MB above its start at the peak")
    if outcome.closes != expected:
        found.append(f"sessions were closed with {outcome.closes}, and {expected} was expected")
    if not outcome.waited:
        found.append("an emit to one client that does not read did not wait for it, or lost something")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer clients and rounds")
    parser.add_argument("--serve", type=int, metavar="BOUND", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        trio.run(serve, options.serve)
        return 0

    cores = choose_cores()
    os.sched_setaffinity(0, {cores.generator})
    allow_descriptors()
    clients, slow, rounds = (200, 10, 4) if options.quick else (1000, 10, 7)
    plans = (  # what keeps a server busy for a third of the time
        Plan("websocket", clients, slow, rounds, bound=128 * 1024, least=100, interval=clients * 5e-5),
        Plan("polling", clients, slow, rounds, bound=32 * 1024, least=20, interval=clients * 5e-4),
    )
    wrong: list[str] = []
    print(f"{clients} clients that read, {slow} that stop; ms at the 99th percentile, MB of memory")
    print(f"{'transport':<10}{'without':>9}{'with':>9}{'ratio':>7}{'memory':>8}{'grew':>7}{'peak':>7}  closed")
    for plan in plans:
        outcome = measure(plan, cores.server)
        print(
            f"{plan.transport:<10}{statistics.median(outcome.alone):>9.1f}{statistics.median(outcome.beside):>9.1f}"
            f"{outcome.ratio:>7.2f}{outcome.before / 1e6:>8.1f}{(outcome.after - outcome.before) / 1e6:>7.1f}"
            f"{(outcome.peak - outcome.before) / 1e6:>7.1f}  {outcome.closes}",
            flush=True,
        )
        wrong += [f"{plan.transport}: {fault}" for fault in faults(plan, outcome)]
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
