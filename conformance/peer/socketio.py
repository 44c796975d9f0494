"""Socket.IO packets of a peer, over either transport."""

import trio
from trio_socketio.conformance.peer.errors import Closed, PeerError, Silence
from trio_socketio.conformance.peer.polling import Polling
from trio_socketio.conformance.peer.websocket import WebSocketPeer
from trio_socketio.protocol import engineio, socketio
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import PacketType


class SocketIOPeer:
    """Socket.IO packets over one session. Pings of Engine.IO are answered while packets are awaited, as every client does.

    Args:
        transport: The session: an open WebSocket whose open packet has been read, or a polling session.
        handshake: What that open packet said.
    """

    def __init__(self, transport: WebSocketPeer | Polling, handshake: engineio.Handshake) -> None:
        self.transport = transport
        self.handshake = handshake
        self.sids: dict[str, str] = {}
        """The sid in each namespace that was joined."""
        self._decoder = socketio.Decoder(max_attachments=1024, max_attachment_bytes=1 << 30)

    async def send(self, packet: socketio.Packet) -> None:
        """Send a packet, its attachments behind it."""
        frames = [f"4{frame}" if isinstance(frame, str) else frame for frame in socketio.encode(packet)]
        if isinstance(self.transport, Polling):
            await self.transport.send(*frames)
        else:
            for frame in frames:
                await self.transport.send(frame)

    async def receive(self) -> socketio.Packet:
        """Return the next packet.

        Raises:
            Closed: The session ended instead.
            PeerError: What came is no packet.
            Silence: Nothing came but pings.
        """
        with trio.move_on_after(self.transport.patience):
            return await self._receive()
        raise Silence(f"no Socket.IO packet came within {self.transport.patience:g} s")

    async def _receive(self) -> socketio.Packet:
        while True:
            frame = await self.transport.receive()
            if frame == "2":
                await self.transport.send("3")
            elif isinstance(frame, bytes) or frame.startswith("4"):
                packet = self._decode(frame if isinstance(frame, bytes) else frame[1:])
                if packet is not None:
                    return packet
            elif frame == "1":
                raise Closed(None, "the session was closed")
            elif frame != "6":
                raise PeerError(f"the server sent {frame!r}, which is no Socket.IO packet")

    def _decode(self, frame: str | bytes) -> socketio.Packet | None:
        try:
            return self._decoder.feed(frame)
        except DecodeError as error:
            raise PeerError(f"the server sent {frame[:200]!r}, which is no Socket.IO packet: {error}") from None

    async def connect(self, namespace: str = "/", auth: JSON = None) -> socketio.Packet:
        """Ask to join a namespace and return the answer; what comes before it is passed over.

        Raises:
            PeerError: The answer has no sid.
        """
        await self.send(socketio.Packet(PacketType.CONNECT, namespace, auth))
        while True:
            packet = await self.receive()
            if packet.type is PacketType.CONNECT_ERROR and packet.namespace == namespace:
                return packet
            if packet.type is PacketType.CONNECT and packet.namespace == namespace:
                break
        if not isinstance(packet.data, dict) or not isinstance(packet.data.get("sid"), str):
            raise PeerError(f"the answer to CONNECT has no sid: {packet.data!r:.200}")
        self.sids[namespace] = packet.data["sid"]
        return packet

    async def emit(self, event: str, *args: JSON, namespace: str = "/", id: int | None = None) -> None:  # noqa: A002  # as in a packet
        """Send an event."""
        await self.send(socketio.Packet(PacketType.EVENT, namespace, [event, *args], id))

    async def event(self) -> list[JSON]:
        """Return the name and the arguments of the next packet, which must be an event."""
        packet = await self.receive()
        if packet.type not in (PacketType.EVENT, PacketType.BINARY_EVENT):
            raise PeerError(f"an event was expected, and came {packet}")
        data: list[JSON] = packet.data
        return data
