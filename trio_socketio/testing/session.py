"""What a client has of its session: what has come from the server, what follows from it, and how frames leave."""

from collections.abc import Sequence
from contextlib import suppress

import trio

from trio_socketio.protocol import engineio, socketio
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import PacketType
from trio_socketio.testing.departure import Departure
from trio_socketio.testing.errors import ConnectError, ConnectionGone
from trio_socketio.testing.events import Event
from trio_socketio.testing.transport import Frame, Transport, TransportEnded, handshake_in


class ClientSession:
    """One session from the side of its client: `read` takes in what comes, everything else looks at what that has found.

    Args:
        transport: Carries the frames.
        opening: The frame with the handshake.
        departure: Knows when the server has finished with the session.
    """

    def __init__(self, transport: Transport, opening: Frame, departure: Departure) -> None:
        self.handshake = handshake_in(opening)
        """What the server's open packet says: the sid of the session, the times of the heartbeat and more."""
        self.sids: dict[str, str] = {}
        """The sids of the client, by namespace; only of those that it is in."""
        self.answers_pings = True
        """Whether the server's pings are answered; a client that does not answer is gone after ``ping_timeout``."""
        self._transport = transport
        self._departure = departure
        # Nothing that a server sends is too large for a test.
        self._decoder = socketio.Decoder(max_attachments=1 << 20, max_attachment_bytes=1 << 40)
        self._reading = trio.CancelScope()
        self._changed = trio.Event()
        self._frames: list[Frame] = [opening]
        self._events: list[Event] = []
        self._first: str | None = None  # the namespace that was joined first
        self._refusals: dict[str, ConnectError] = {}
        self._left: dict[str, str] = {}  # the namespaces that it was in, and why it is not any more
        self._acks: dict[tuple[str, int], list[JSON] | None] = {}  # of those that are awaited
        self._gone: TransportEnded | None = None

    async def read(self, nursery: trio.Nursery) -> None:
        """Take in what comes, until there will be nothing more; pings are answered in tasks of the nursery."""
        with self._reading:
            try:
                while self._gone is None:
                    for frame in await self._transport.receive():
                        self._take_frame(frame, nursery)
                    self._tell()
            except TransportEnded as ended:
                self._lose(ended)

    def _take_frame(self, frame: Frame, nursery: trio.Nursery) -> None:
        self._frames.append(frame)
        try:
            packet = engineio.decode_packet(frame)
            if packet.type is engineio.PacketType.MESSAGE:
                message = self._decoder.feed(packet.data)
                if message is not None:
                    self._take_packet(message)
        except DecodeError as error:
            raise TransportEnded(
                "parse error", f"the server sent {frame!r:.200}, which is no packet: {error}"
            ) from None
        if packet.type is engineio.PacketType.PING and self.answers_pings:
            nursery.start_soon(self._pong, f"3{packet.data!s}")
        elif packet.type is engineio.PacketType.CLOSE:
            raise TransportEnded("transport close", "the server closed the session")

    async def _pong(self, frame: str) -> None:
        with suppress(ConnectionGone):
            await self._send_frames([frame])

    def _take_packet(self, packet: socketio.Packet) -> None:
        name = packet.namespace
        match packet.type:
            case PacketType.CONNECT:
                self._first = self._first or name
                self.sids[name] = packet.data["sid"]
                self._left.pop(name, None)
                self._departure.watch()
            case PacketType.CONNECT_ERROR:
                refusal = packet.data if isinstance(packet.data, dict) else {"message": packet.data}
                self._refusals[name] = ConnectError(name, str(refusal.get("message")), refusal.get("data"))
            case PacketType.DISCONNECT:
                self._leave(name, "io server disconnect")
            case PacketType.EVENT | PacketType.BINARY_EVENT:
                event, *args = packet.data
                self._events.append(Event(str(event), tuple(args), name, packet.id))
            case PacketType.ACK | PacketType.BINARY_ACK:
                if packet.id is not None and (name, packet.id) in self._acks:
                    self._acks[name, packet.id] = packet.data

    def _leave(self, namespace: str, reason: str) -> None:
        if self.sids.pop(namespace, None) is not None:
            self._left[namespace] = reason
            self._tell()

    def _lose(self, ended: TransportEnded) -> None:
        if self._gone is None:
            self._gone = ended
            for name in list(self.sids):
                self._leave(name, ended.reason)
            self._tell()

    def _tell(self) -> None:
        """Wake everyone who waits for something of this client."""
        self._changed.set()
        self._changed = trio.Event()

    def _check_connection(self) -> None:
        if self._gone is not None:
            raise ConnectionGone(f"the connection is gone: {self._gone.reason}, {self._gone}")

    async def _send(self, packet: socketio.Packet) -> None:
        await self._send_frames(frames_of(packet))

    async def _send_frames(self, frames: Sequence[Frame]) -> None:
        await trio.lowlevel.checkpoint()
        self._check_connection()
        try:
            await self._transport.send(frames)
        except TransportEnded as ended:
            self._lose(ended)
        else:
            return
        self._check_connection()


def frames_of(packet: socketio.Packet) -> list[Frame]:
    """Return a packet as the frames of the session."""
    return [f"4{frame}" if isinstance(frame, str) else frame for frame in socketio.encode(packet)]
