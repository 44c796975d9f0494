"""Named clients of one namespace, and who of them gets what one of them has the server emit.

The cases about delivery are told with it. All clients read and answer pings all the time, as real ones do, however long the
others take. That something does *not* come is shown without waiting: the sender's own message, sent after it, comes back, so
the server has done what it was asked to; then a message of each client comes back, and all that was sent to it before has come.
"""

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress

import trio
from trio_socketio.conformance.case import Need
from trio_socketio.conformance.peer import PeerError, Silence, SocketIOPeer, WebSocketPeer
from trio_socketio.conformance.trial import Failure, Trial
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import Packet, PacketType


class Inbox:
    """What comes for one client, in any namespace. It is read, and pings are answered, until the connection ends.

    Args:
        peer: The client; nothing else may read what comes for it.
        patience: Seconds to wait for a packet that is due.
    """

    def __init__(self, peer: SocketIOPeer, patience: float) -> None:
        self.peer = peer
        self._patience = patience
        self._put, self._packets = trio.open_memory_channel[Packet](math.inf)
        self._error: PeerError | None = None
        self._scope = trio.CancelScope()

    async def read(self) -> None:
        """Read until the connection ends."""
        with self._scope:
            try:
                while True:
                    self._put.send_nowait(await self._receive())
            except PeerError as error:
                self._error = error
                self._put.close()

    async def _receive(self) -> Packet:
        while True:
            with suppress(Silence):  # nothing is due while the others talk
                return await self.peer.receive()

    async def next(self) -> Packet:
        """Return the next packet.

        Raises:
            PeerError: The connection has ended, or nothing comes.
        """
        with trio.move_on_after(self._patience):
            try:
                return await self._packets.receive()
            except trio.EndOfChannel:
                raise PeerError(str(self._error)) from None
        raise Silence(f"no packet came within {self._patience:g} s")

    async def hang_up(self) -> None:
        """End the connection, which is a WebSocket, without a word."""
        self._scope.cancel()
        if isinstance(self.peer.transport, WebSocketPeer):
            await self.peer.transport.hang_up()


class Member:
    """One client in one namespace.

    Args:
        name: What a failure calls it.
        inbox: What comes for it.
        namespace: The namespace that it speaks in.
    """

    def __init__(self, name: str, inbox: Inbox, namespace: str) -> None:
        self.name = name
        self.inbox = inbox
        self._namespace = namespace
        self._fences = 0

    @property
    def peer(self) -> SocketIOPeer:
        """The client; its inbox reads what comes for it."""
        return self.inbox.peer

    @property
    def sid(self) -> str:
        """Its sid in the namespace."""
        return self.peer.sids[self._namespace]

    def at(self, namespace: str) -> "Member":
        """Return the same client in another namespace."""
        return Member(self.name, self.inbox, namespace)

    async def send(self, packet: Packet) -> None:
        """Send a packet."""
        await self.peer.send(packet)

    async def emit(self, event: str, *args: JSON, id: int | None = None) -> None:  # noqa: A002  # as in a packet
        """Send an event."""
        await self.peer.emit(event, *args, namespace=self._namespace, id=id)

    async def connect(self, auth: JSON = None) -> Packet:
        """Ask to join the namespace and return the answer; what comes before it is passed over."""
        await self.send(Packet(PacketType.CONNECT, self._namespace, auth))
        while True:
            packet = await self.next()
            if packet.namespace != self._namespace:
                continue
            if packet.type is PacketType.CONNECT:
                self.peer.sids[self._namespace] = packet.data["sid"]
            if packet.type in (PacketType.CONNECT, PacketType.CONNECT_ERROR):
                return packet

    async def next(self) -> Packet:
        """Return the next packet, in whatever namespace.

        Raises:
            Failure: The connection has ended, or none comes.
        """
        try:
            return await self._next()
        except Silence as silence:
            raise Failure(f"{self.name!r}: {silence}") from silence

    async def _next(self) -> Packet:
        try:
            return await self.inbox.next()
        except Silence:
            raise
        except PeerError as error:
            raise Failure(f"{self.name!r}: {error}") from error

    async def await_packet(self, event: str) -> list[Packet]:
        """Return the next event of this name, in whatever namespace, as a list; or none, if it does not come in time."""
        with suppress(Silence):
            while True:
                packet = await self._next()
                if _is_named(packet, event):
                    return [packet]
        return []

    async def await_event(self, event: str) -> list[JSON]:
        """Return the arguments of the next event of this name; what comes before it is passed over."""
        while True:
            packet = await self.next()
            if packet.namespace == self._namespace and _is_named(packet, event):
                return list(packet.data[1:])

    async def fence(self) -> list[Packet]:
        """Return all that the server has sent this client so far and nobody has taken yet."""
        self._fences += 1
        mark = f"fence {self._fences}"
        await self.emit("message", mark)
        packets: list[Packet] = []
        while True:
            packet = await self.next()
            if packet.namespace == self._namespace and packet.data == ["message-back", mark]:
                return packets
            packets.append(packet)

    async def do(self, event: str, *args: JSON) -> None:
        """Send an event and wait until the server has handled it; what comes meanwhile is passed over."""
        await self.emit(event, *args)
        await self.fence()

    async def heard(self, event: str) -> list[list[JSON]]:
        """Return the arguments of every event of this name that the server has sent so far, in order."""
        sent = [packet for packet in await self.fence() if packet.namespace == self._namespace]
        return [list(packet.data[1:]) for packet in sent if _is_named(packet, event)]

    async def rooms(self) -> list[str]:
        """Return the rooms that the server says the client is in, sorted."""
        await self.emit("rooms", id=1)
        while True:
            packet = await self.next()
            if packet.type is PacketType.ACK:
                return sorted(packet.data[0])


def _is_named(packet: Packet, event: str) -> bool:
    return packet.type in (PacketType.EVENT, PacketType.BINARY_EVENT) and bool(packet.data[0] == event)


class Circle:
    """Some clients of one namespace.

    Args:
        trial: The run.
        namespace: Where they are.
    """

    def __init__(self, trial: Trial, namespace: str = "/") -> None:
        self._trial = trial
        self._namespace = namespace
        self._members: dict[str, Member] = {}

    @classmethod
    async def of(cls, trial: Trial, *names: str, namespace: str = "/") -> "Circle":
        """Return a circle of clients that have joined the namespace."""
        circle = cls(trial, namespace)
        for name in names:
            await circle.add(name)
        return circle

    @classmethod
    async def of_rooms(
        cls, trial: Trial, names_and_rooms: Mapping[str, Iterable[str]], namespace: str = "/"
    ) -> "Circle":
        """Return a circle of clients, each in some rooms."""
        circle = cls(trial, namespace)
        for name, rooms in names_and_rooms.items():
            await circle.add(name, rooms)
        return circle

    def __getitem__(self, name: str) -> Member:
        return self._members[name]

    @property
    def transport(self) -> str:
        """What clients use if nothing is said: WebSocket, if the server has it."""
        return "polling" if Need.WEBSOCKET in self._trial.target.lacks else "websocket"

    async def add(self, name: str, rooms: Iterable[str] = (), transport: str | None = None) -> Member:
        """Let one more client join the namespace, and rooms."""
        peer = await self._trial.peer.join(self._namespace, transport=transport or self.transport)
        return await self.adopt(name, peer, rooms)

    async def adopt(self, name: str, peer: SocketIOPeer, rooms: Iterable[str] = ()) -> Member:
        """Take in a client that has joined the namespace; from now on it is read here alone."""
        inbox = Inbox(peer, self._trial.target.timeout)
        self._trial.nursery.start_soon(inbox.read)
        return await self.welcome(Member(name, inbox, self._namespace), rooms)

    async def welcome(self, member: Member, rooms: Iterable[str] = ()) -> Member:
        """Take in a client that has joined the namespace, and is read already."""
        self._members[member.name] = member
        for room in rooms:
            await member.emit("join", room)
        await member.fence()
        return member

    async def remove(self, name: str) -> None:
        """End the connection of a client, which is a WebSocket, without a word."""
        await self._members.pop(name).inbox.hang_up()

    async def deliver(
        self, sender: str, options: Mapping[str, JSON], *args: JSON, reaches: Iterable[str], event: str | None = None
    ) -> None:
        """Have the server emit an event, and fail unless exactly these clients get it, once, with these arguments.

        Args:
            sender: The client that asks for it.
            options: Those of the fixture's event ``deliver``: to whom.
            args: The arguments of the event.
            reaches: The names of those who are to get it.
            event: Its name; by default one that nothing else uses.
        """
        event = event or self._trial.unique("event")
        reached = frozenset(reaches)
        await self[sender].emit("deliver", dict(options), event, *args)
        due = {name: await self._members[name].await_packet(event) for name in sorted(reached)}
        packets = {sender: await self[sender].fence()}
        packets.update({name: await member.fence() for name, member in self._members.items() if name != sender})
        for name, sent in packets.items():
            got = [packet for packet in (*due.get(name, ()), *sent) if _is_named(packet, event)]
            expected = 1 if name in reached else 0
            self._trial.equal(len(got), expected, f"how often {name!r} got the event that went to {dict(options)}")
            for packet in got:
                self._trial.equal(packet.namespace, self._namespace, f"the namespace in which {name!r} got the event")
                self._trial.equal(packet.data[1:], list(args), f"what {name!r} got as arguments")
