"""The Socket.IO side of one session: its packets, and its sockets by namespace (Socket.IO protocol, revision 5)."""

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import trio
from trio_socketio.engine.events import CloseReason
from trio_socketio.engine.outbound import Outbound
from trio_socketio.protocol import socketio
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.protocol.socketio import PacketType
from trio_socketio.server import dispatch
from trio_socketio.server.handshake import Handshake
from trio_socketio.server.socket import CLIENT_DISCONNECT, Socket
from trio_socketio.server.stage import Stage

if TYPE_CHECKING:
    from trio_socketio.server.app import Server
    from trio_socketio.server.net.live import Live

logger = logging.getLogger("trio_socketio.sockets")

MAX_WAITING_EVENTS: Final = 256
"""Events of one client that may wait for their handlers before the server stops reading it, so that TCP pushes back."""
MAX_WAITING_WHILE_CALLED: Final = 4096
"""The same while a handler awaits an acknowledgement of that client, which only reading on can bring."""


def new_sid() -> str:
    """Return a session id: 20 URL-safe characters that hold 120 random bits."""
    return secrets.token_urlsafe(15)


class Client:
    """One connection as Socket.IO sees it. The session hands it messages; it hands packets to its sockets."""

    __slots__ = (
        "_calls",
        "_connect_by",
        "_decoder",
        "_deserted",
        "_ended",
        "_room",
        "handshake",
        "held_back",
        "live",
        "server",
        "sockets",
        "waiting",
    )

    def __init__(self, server: "Server", live: "Live", handshake: Handshake, now: float) -> None:
        self.server = server
        self.live = live
        self.handshake = handshake
        self.sockets: dict[str, Socket] = {}
        """The sockets that are connecting or connected, by namespace."""
        self._decoder = socketio.Decoder(server.options.max_attachments, server.config.max_payload, server.options.json)
        self._deserted: frozenset[str] = frozenset()
        # The server ended or refused these: what is still under way for them is no fault.
        self._ended = False
        self._connect_by: float | None = now + server.options.connect_timeout
        self._calls = 0
        self._room: trio.Event | None = None  # what `ready` waits for
        self.waiting = 0
        """Events that wait for their handlers, or are being handled."""
        self.held_back = False
        """Whether `progressed` wants to be called."""

    # In.

    def receive(self, frame: str | bytes) -> None:
        """Take in one message of the session: a packet, or a part of one."""
        if self._ended:
            return
        try:
            packet = self._decoder.feed(frame)
        except DecodeError as error:
            self._violation(str(error))
            return
        if packet is None:
            return
        self.server.tally.packets_in += 1
        if packet.type is _EVENT:
            self._event(packet)
        else:
            _RECEIVE[packet.type](self, packet)

    def _connect(self, packet: socketio.Packet) -> None:
        name = packet.namespace
        if name in self.sockets:
            self._violation(f"a second CONNECT to {name!r}")
            return
        found = self.server.find_namespace(name)
        if found is None:
            self.send_packet(socketio.Packet(PacketType.CONNECT_ERROR, name, {"message": "Invalid namespace"}))
            self.server.tally.refusals["invalid namespace"] += 1
            logger.info("rejected: nobody serves the namespace %.100r", name)
            return
        routes, match = found
        if name in self._deserted:
            self._deserted -= {name}
        socket = Socket(new_sid(), self, routes, name, match, packet.data)
        self.sockets[name] = socket
        socket.lane.submit(partial(dispatch.handle_connect, socket, packet.data))

    def _disconnect(self, packet: socketio.Packet) -> None:
        socket = self._find(packet)
        if socket is not None:
            socket.left(CLIENT_DISCONNECT)

    def _event(self, packet: socketio.Packet) -> None:
        socket = self.sockets.get(packet.namespace) or self._find(packet)
        if socket is None:
            return
        server = self.server
        server.tally.events_in += 1
        name, *arguments = packet.data
        event = name if type(name) is str else str(name)
        handler = socket.routes.handlers.find(event)
        if handler is None:
            logger.debug("no handler for the event %.100r in %s", event, socket.namespace)
            return
        if not handler.least <= len(arguments) + 1 <= handler.most:
            logger.warning(
                "the event %.100r came with %d arguments, which %s does not take", event, len(arguments), handler.name
            )
            return
        job = partial(dispatch.handle_event, socket, handler, event, arguments, packet.id)
        if (handler.concurrent or server.options.concurrent) and socket.stage is Stage.CONNECTED:
            socket.lane.submit_concurrent(job)
        else:
            socket.lane.submit(job)

    def _ack(self, packet: socketio.Packet) -> None:
        socket = self._find(packet)
        if socket is None or packet.id is None:
            return
        if not socket.acks.resolve(packet.id, socket.sid, packet.data):
            self.server.tally.unknown_acks += 1
            logger.debug("an unknown ack id in %s", socket.namespace)

    def _refuse(self, packet: socketio.Packet) -> None:
        self._violation(f"a {packet.type.name} packet, which only a server sends")

    def _find(self, packet: socketio.Packet) -> Socket | None:
        """Return the socket that a packet is for, or None if it has left; if there never was one, the peer is at fault."""
        socket = self.sockets.get(packet.namespace)
        if socket is None and packet.namespace not in self._deserted:
            self._violation(f"a {packet.type.name} packet for {packet.namespace!r}, which was not joined")
        return socket

    def _violation(self, detail: str) -> None:
        self._ended = True
        self.live.violate(detail)

    # Out.

    def send_packet(self, packet: socketio.Packet) -> None:
        """Queue a packet of the protocol's own: CONNECT, CONNECT_ERROR or DISCONNECT."""
        self.live.send(Outbound.message(socketio.encode(packet)))

    def disconnect(self) -> None:
        """End every namespace and then the connection; everything that was sent before is delivered first."""
        for socket in list(self.sockets.values()):
            socket.disconnect()
        self.live.close(CloseReason.FORCED_CLOSE, "the application disconnected the client")

    # Changes.

    def accepted(self, socket: Socket) -> None:  # noqa: ARG002  # which one does not matter
        """A socket has been accepted: the client has done what it must within ``connect_timeout``."""
        self._connect_by = None

    def parted(self, socket: Socket, *, by_server: bool) -> None:
        """A socket is not, or no longer, a member of its namespace.

        If the server ended it, what the client had sent before it knew is dropped; otherwise it would be a fault.
        """
        if self.sockets.get(socket.namespace) is socket:
            del self.sockets[socket.namespace]
        if by_server:
            self._deserted |= {socket.namespace}

    def closed(self, reason: CloseReason) -> None:
        """The session has ended: every socket leaves."""
        self._ended = True
        for socket in list(self.sockets.values()):
            socket.left(str(reason))
        self.progressed()

    # Time and back pressure.

    @property
    def next_deadline(self) -> float | None:
        """Until when the client must have joined a namespace; None once it has."""
        return None if self._ended else self._connect_by

    def tick(self, now: float) -> None:
        """Close the connection of a client that joins no namespace in time."""
        if self._ended or self._connect_by is None or now < self._connect_by:
            return
        timeout = self.server.options.connect_timeout
        if self.sockets:
            self._connect_by = now + timeout  # its connect handler still decides, which is not the client's fault
        else:
            self.live.close(CloseReason.FORCED_CLOSE, f"no namespace joined within {timeout:g} s")

    @property
    def full(self) -> bool:
        """Whether so many events wait for their handlers that no more should be read."""
        if self.waiting <= MAX_WAITING_EVENTS or self._ended:
            return False
        return not self._calls or self.waiting > MAX_WAITING_WHILE_CALLED

    async def ready(self) -> None:
        """Wait until there is room for more events."""
        while self.full:
            if self._room is None:
                self._room = trio.Event()
                self.held_back = True
            await self._room.wait()

    def progressed(self) -> None:
        """A handler has ended, or something else has changed that `ready` should look at."""
        if self._room is not None:
            self._room.set()
            self._room = None
            self.held_back = False

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Count a task that awaits an acknowledgement of this client."""
        self._calls += 1
        self.progressed()
        try:
            yield
        finally:
            self._calls -= 1


_EVENT: Final = PacketType.EVENT
_RECEIVE: Final[dict[PacketType, Callable[[Client, socketio.Packet], None]]] = {
    PacketType.CONNECT: Client._connect,
    PacketType.DISCONNECT: Client._disconnect,
    PacketType.EVENT: Client._event,
    PacketType.BINARY_EVENT: Client._event,
    PacketType.ACK: Client._ack,
    PacketType.BINARY_ACK: Client._ack,
    PacketType.CONNECT_ERROR: Client._refuse,
}
