"""A server in memory with an audience: clients whose packets are read as they arrive, and code that runs inside handlers."""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked
from trio_socketio.conformance.peer import Closed, Peer, SocketIOPeer
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import Packet, PacketType

from support.memory import serving
from trio_socketio import Context, Server

EVENTS = (PacketType.EVENT, PacketType.BINARY_EVENT)
ACKS = (PacketType.ACK, PacketType.BINARY_ACK)


class Member:
    """One client. Every packet that the server sends it is kept, in order."""

    def __init__(self, peer: SocketIOPeer) -> None:
        self.peer = peer
        self.packets: list[Packet] = []
        self.sids: dict[str, str] = {}
        """The latest sid in each namespace."""
        self.closed = trio.Event()
        """Set when the server has closed the connection."""

    @property
    def sid(self) -> str:
        """The sid in the root namespace."""
        return self.sids["/"]

    @property
    def frames(self) -> list[str | bytes]:
        """What came over the WebSocket, frame by frame."""
        frames: list[str | bytes] = self.peer.transport.frames
        return frames

    def events(self, namespace: str = "/") -> list[list[JSON]]:
        """The events that came, each with its name and arguments."""
        return [list(p.data) for p in self.packets if p.type in EVENTS and p.namespace == namespace]

    def acks(self, namespace: str = "/") -> list[tuple[int | None, list[JSON]]]:
        """The acknowledgements that came."""
        return [(p.id, p.data) for p in self.packets if p.type in ACKS and p.namespace == namespace]

    def types(self, namespace: str = "/") -> list[PacketType]:
        """The types of the packets that came."""
        return [p.type for p in self.packets if p.namespace == namespace]

    async def emit(self, event: str, *args: JSON, namespace: str = "/", ack_id: int | None = None) -> None:
        """Send an event, and wait until everything that it causes at once has happened."""
        await self.peer.emit(event, *args, namespace=namespace, id=ack_id)
        await wait_all_tasks_blocked()

    async def send(self, packet_type: PacketType, namespace: str = "/", data: JSON = None) -> None:
        """Send any packet, and wait in the same way."""
        await self.peer.send(Packet(packet_type, namespace, data))
        await wait_all_tasks_blocked()

    async def acknowledge(self, ack_id: int | None, *args: JSON, namespace: str = "/") -> None:
        """Acknowledge an event, and wait in the same way."""
        await self.peer.send(Packet(PacketType.ACK, namespace, list(args), ack_id))
        await wait_all_tasks_blocked()

    async def connect(self, namespace: str = "/", auth: JSON = None) -> None:
        """Ask to join a namespace."""
        await self.send(PacketType.CONNECT, namespace, auth)

    async def leave(self, namespace: str = "/") -> None:
        """Leave a namespace."""
        await self.send(PacketType.DISCONNECT, namespace)

    async def hang_up(self) -> None:
        """End the connection without a word."""
        await self.peer.transport.hang_up()
        await wait_all_tasks_blocked()

    async def read(self) -> None:
        """Keep what comes, until the server closes or this client hangs up."""
        try:
            while True:
                packet = await self.peer.receive()
                self.packets.append(packet)
                if packet.type is PacketType.CONNECT:
                    self.sids[packet.namespace] = packet.data["sid"]
        except (Closed, trio.ClosedResourceError):
            self.closed.set()


class Stage:
    """A server that serves, and who has come."""

    def __init__(self, server: Server, peer: Peer, nursery: trio.Nursery) -> None:
        self.server = server
        self.peer = peer
        self.nursery = nursery
        self.logged: list[BaseException] = []
        self._acts: list[Callable[[Context], Any]] = []
        self._outcomes: list[tuple[Any, Exception | None]] = []

    async def join(self, *namespaces: str, auth: JSON = None, transport: str = "websocket") -> Member:
        """Let a client come that joins these namespaces, by default the root."""
        member = Member(await self.peer.open_socketio(transport))
        self.nursery.start_soon(member.read)
        for namespace in namespaces or ("/",):
            await member.connect(namespace, auth)
        return member

    async def visit(self) -> Member:
        """Let a client come that joins nothing yet."""
        member = Member(await self.peer.open_socketio())
        self.nursery.start_soon(member.read)
        return member

    def serve_acts(self, namespace: str) -> None:
        """Make `inside` work in a namespace."""
        self.server.on("act", self._act, namespace=namespace)

    async def inside(self, member: Member, act: Callable[[Context], Any], namespace: str = "/") -> Any:
        """Run a function inside a handler of this client's event; return what it returns, or raise what it raises."""
        self._acts.append(act)
        await member.emit("act", namespace=namespace)
        value, error = self._outcomes.pop()
        if error is not None:
            raise error
        return value

    async def settle(self) -> None:
        """Wait until nothing happens any more without time passing."""
        await wait_all_tasks_blocked()

    async def _act(self, ctx: Context) -> None:
        act = self._acts.pop()
        try:
            value = act(ctx)
            if inspect.isawaitable(value):
                value = await value
        except Exception as error:  # noqa: BLE001  # `inside` raises it in the test
            self._outcomes.append((None, error))
        else:
            self._outcomes.append((value, None))


@asynccontextmanager
async def staged(
    server: Server | None = None, *, namespaces: tuple[str, ...] = ("/", "/x", "/y")
) -> AsyncIterator[Stage]:
    """Serve in memory; code can be run inside handlers in each of these namespaces."""
    if server is None:
        server = Server(ping_interval=1000)
    async with trio.open_nursery() as nursery:
        async with serving(server) as peer:
            stage = Stage(server, peer, nursery)
            for namespace in namespaces:
                stage.serve_acts(namespace)
            yield stage
        nursery.cancel_scope.cancel()
