"""A TCP proxy that does to connections what networks do, at a chosen byte: delay, cut, half-close, swallow, reset."""

import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from random import Random

import trio

RECEIVE_SIZE = 16 * 1024
BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError)


class Fault(Enum):
    """What happens to a connection."""

    DELAY = auto()
    """What follows is held up for a while, then goes on."""
    CUT = auto()
    """Both ends are told that the other has ended it (FIN)."""
    HALF_CLOSE = auto()
    """The receiver is told that no more will come; the other direction goes on."""
    BLACKHOLE = auto()
    """Nothing passes any more, either way, and nobody is told."""
    RESET = auto()
    """Both ends are reset (RST)."""


class Direction(Enum):
    """Which way bytes go."""

    UP = auto()
    """From the client to the server."""
    DOWN = auto()
    """From the server to the client."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A fault of one connection."""

    fault: Fault
    direction: Direction
    at: int
    """The byte of that direction before which it happens; those before it are delivered."""
    delay: float = 0.02
    """Seconds that a delay takes."""


def no_plan(_number: int) -> Plan | None:
    """Let every connection alone."""
    return None


def random_plans(seed: str, *, most: int, share: float = 0.8) -> Callable[[int], Plan | None]:
    """Return plans that the seed and the number of a connection determine.

    Args:
        seed: The seed.
        most: The last byte at which a fault may happen; early ones are likelier.
        share: The share of connections that have a fault.
    """

    def plan(number: int) -> Plan | None:
        random = Random(f"{seed}:{number}")
        if random.random() >= share:
            return None
        at = int(most * random.random() ** 2)
        return Plan(random.choice(list(Fault)), random.choice(list(Direction)), at, delay=random.uniform(0.001, 0.05))

    return plan


class Proxy:
    """Stands between clients and one server.

    Args:
        port: The port of the server on 127.0.0.1.
        plan: Says what happens to a connection, by its number; from 0, in the order in which they are accepted.
    """

    def __init__(self, port: int, plan: Callable[[int], Plan | None] = no_plan) -> None:
        self.port = 0
        """The port that clients connect to, once it runs."""
        self.happened: list[tuple[int, Plan]] = []
        """The faults that have come about, with the numbers of the connections."""
        self.accepted = 0
        self._target = port
        self._plan = plan

    async def dial(self) -> trio.SocketStream:
        """Connect to the server by way of it."""
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Accept connections until cancelled; then all of them are cut."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        await trio.serve_listeners(self._serve, listeners, task_status=_Started(task_status))

    async def _serve(self, client: trio.SocketStream) -> None:
        number = self.accepted
        self.accepted += 1
        try:
            server = await trio.open_tcp_stream("127.0.0.1", self._target)
        except OSError:
            return
        async with server:
            await _Link(self, number, self._plan(number), client, server).run()


class _Started(trio.TaskStatus[list[trio.SocketListener]]):
    """Tells that a proxy runs; which listeners it has is nobody's business."""

    def __init__(self, outer: trio.TaskStatus[None]) -> None:
        self._outer = outer

    def started(self, value: object = None) -> None:
        self._outer.started()


class _Link:
    """One connection through the proxy."""

    def __init__(
        self, proxy: Proxy, number: int, plan: Plan | None, client: trio.SocketStream, server: trio.SocketStream
    ) -> None:
        self._proxy = proxy
        self._number = number
        self._plan = plan
        self._ends = {Direction.UP: (client, server), Direction.DOWN: (server, client)}
        self._swallowing = False
        self._scope = trio.CancelScope()

    async def run(self) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                for direction in Direction:
                    nursery.start_soon(self._pump, direction)

    async def _pump(self, direction: Direction) -> None:
        source, sink = self._ends[direction]
        plan = self._plan if self._plan is not None and self._plan.direction is direction else None
        passed = 0
        try:
            if plan is not None and plan.at == 0:
                await self._happen(plan, sink)
                plan = None
            while data := bytes(await source.receive_some(RECEIVE_SIZE)):
                if plan is not None and passed + len(data) > plan.at:
                    before = plan.at - passed
                    await self._pass(sink, data[:before])
                    data = data[before:]
                    await self._happen(plan, sink)
                    plan = None
                passed += len(data)
                await self._pass(sink, data)
            if not self._swallowing:
                await sink.send_eof()
        except BROKEN:  # one end was reset, and so will be the other
            self._reset()

    async def _pass(self, sink: trio.SocketStream, data: bytes) -> None:
        if data and not self._swallowing:
            await sink.send_all(data)

    async def _happen(self, plan: Plan, sink: trio.SocketStream) -> None:
        self._proxy.happened.append((self._number, plan))
        if plan.fault is Fault.DELAY:
            await trio.sleep(plan.delay)
        elif plan.fault is Fault.CUT:
            self._scope.cancel()
            await trio.lowlevel.checkpoint()
        elif plan.fault is Fault.HALF_CLOSE:
            await sink.send_eof()
            await trio.sleep_forever()
        elif plan.fault is Fault.BLACKHOLE:
            self._swallowing = True
        else:
            self._reset()
            await trio.lowlevel.checkpoint()

    def _reset(self) -> None:
        for end, _ in self._ends.values():
            with suppress(OSError):
                end.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._scope.cancel()


@asynccontextmanager
async def proxied(port: int, plan: Callable[[int], Plan | None] = no_plan) -> AsyncIterator[Proxy]:
    """Run a proxy before a server."""
    async with trio.open_nursery() as nursery:
        proxy = Proxy(port, plan)
        await nursery.start(proxy.run)
        yield proxy
        nursery.cancel_scope.cancel()
