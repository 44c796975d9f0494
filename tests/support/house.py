"""A server that must be empty and serve on when a test is through with it, and its clients."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio
from trio.testing import lockstep_stream_pair
from trio_socketio.conformance.peer import HOST, Closed, Peer
from trio_socketio.protocol.socketio import Packet, PacketType
from trio_socketio.server.service import Service

from support.holdings import settled
from support.memory import MemoryListener
from support.stage import EVENTS, Member
from trio_socketio import Context, Server

GRACE = 2.0
"""Seconds that a handler may go on without its client."""
FULL = 40_000
"""Bytes that may wait for a client."""


class NarrowListener(MemoryListener):
    """Its connections hold little that has not been read: none over streams, what the kernel holds over sockets."""

    async def dial(self) -> trio.StapledStream:
        if self.sockets:
            return await super().dial()
        ours, theirs = lockstep_stream_pair()
        self.client_ends.append(ours)
        await self._send.send(theirs)
        return ours


@asynccontextmanager
async def closing(listener: MemoryListener) -> AsyncIterator[None]:
    """Give the kernel's memory back at the end, also that of connections which nobody has accepted."""
    try:
        yield
    finally:
        for end in (*listener.client_ends, *listener.server_ends):
            await trio.aclose_forcefully(end)


class Client(Member):
    """A member that acknowledges what it is asked to, and reads only while it may."""

    def __init__(self, peer: Any) -> None:
        super().__init__(peer)
        self.answers = True
        self.may_read = trio.Event()
        self.may_read.set()

    async def read(self) -> None:
        try:
            while True:
                await self.may_read.wait()
                packet = await self.peer.receive()
                self.packets.append(packet)
                if packet.type is PacketType.CONNECT:
                    self.sids[packet.namespace] = packet.data["sid"]
                elif packet.type in EVENTS and packet.id is not None and self.answers:
                    await self.peer.send(Packet(PacketType.ACK, packet.namespace, ["yes"], packet.id))
        except (Closed, trio.ClosedResourceError):
            self.closed.set()

    def got(self, event: str) -> int:
        """How often an event came."""
        return sum(data[0] == event for data in self.events())


@dataclass
class House:
    """A server with its clients: one whose handler is the task under test, and two that look on."""

    server: Server
    service: Service
    peer: Peer
    nursery: trio.Nursery
    left: list[str] = field(default_factory=list)
    """The sids whose disconnect handler has run to its end."""
    leaving: list[str] = field(default_factory=list)
    """The sids whose disconnect handler has begun."""
    called_back: list[Any] = field(default_factory=list)

    async def join(self) -> Client:
        client = Client(await self.peer.open_socketio())
        self.nursery.start_soon(client.read)
        await client.connect()
        return client

    def callback(self, answer: Any) -> None:
        self.called_back.append(answer)

    async def check_serves(self) -> None:
        """A new client is served, and nothing is left of it."""
        client = await self.join()
        await client.emit("echo", 1, b"2", ack_id=7)
        assert client.acks() == [(7, [1, b"2"])]
        await client.hang_up()


@asynccontextmanager
async def house(*, sockets: bool, narrow: bool = False, **options: Any) -> AsyncIterator[House]:
    """Serve; when all clients are gone, nothing is left of them."""
    server = Server(**{"ping_interval": 1000, "disconnect_grace": GRACE, "max_buffered_bytes": FULL, **options})
    listener = (NarrowListener if narrow else MemoryListener)(sockets=sockets)
    tasks = trio.lowlevel.current_statistics().tasks_living
    async with closing(listener), trio.open_nursery() as nursery:
        await nursery.start(server.serve_listeners, [listener])
        async with trio.open_nursery() as readers:
            made = House(server, server.services[0], Peer(listener.dial, "/socket.io/", HOST), readers)

            @server.on("connect")
            async def connect(ctx: Context) -> None:
                await ctx.join_room(["hall", "garden"])

            @server.on("echo")
            async def echo(ctx: Context, *args: Any) -> Any:
                return args

            @server.on("disconnect")
            @server.on("disconnect", namespace="/x")
            async def disconnect(ctx: Context) -> None:
                made.leaving.append(ctx.sid)
                assert ctx.sid not in server.sockets()
                await trio.lowlevel.cancel_shielded_checkpoint()  # it has no grace in some tests
                made.left.append(ctx.sid)

            empty = await settled(made.service)
            yield made
            await made.check_serves()
            await trio.sleep(2 * GRACE)
            assert await settled(made.service) == empty
            assert len(made.left) == len(set(made.left))
            assert made.left == made.leaving
            assert len(made.left) == sum(server.stats()["disconnects"].values())
        nursery.cancel_scope.cancel()
    assert trio.lowlevel.current_statistics().tasks_living == tasks
