"""A WebSocket of a peer: messages, single frames, and frames that break the rules."""

import struct
from contextlib import suppress

import trio
from trio_socketio.conformance.peer.errors import Closed, PeerError
from trio_socketio.conformance.peer.wire import Wire
from wsproto import WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, Pong, TextMessage
from wsproto.utilities import LocalProtocolError


class WebSocketPeer:
    """One WebSocket after its opening handshake. Pings of the WebSocket layer are answered; nothing else is."""

    def __init__(self, wire: Wire, protocol: WSConnection) -> None:
        self.wire = wire
        self._protocol = protocol
        self._events: list[Event] = []
        self._parts: list[str | bytes] = []
        self.pongs: list[bytes] = []
        """What came in Pong frames."""
        self.frames: list[str | bytes] = []
        """Every message that was received, in order."""

    @property
    def stream(self) -> trio.abc.Stream:
        """The connection below."""
        return self.wire.stream

    @property
    def patience(self) -> float:
        """Seconds to wait for a message."""
        return self.wire.patience

    async def send(self, message: str | bytes) -> None:
        """Send one message in one frame.

        Raises:
            Closed: The server has closed the connection.
        """
        event: TextMessage | BytesMessage = (
            TextMessage(data=message) if isinstance(message, str) else BytesMessage(data=message)
        )
        self.wire.note(message, "WebSocket", sent=True)
        await self._send(event)

    async def send_event(self, event: Event) -> None:
        """Send any event of wsproto: a fragment, a ping, a Close frame."""
        self.wire.note(str(event), "WebSocket", sent=True)
        await self._send(event)

    async def _send(self, event: Event) -> None:
        try:
            data = self._protocol.send(event)
        except LocalProtocolError:
            raise Closed(None, "the WebSocket was closed already") from None
        await self.wire.send(data)

    async def send_raw(self, data: bytes) -> None:
        """Send bytes that need not be a WebSocket frame at all."""
        self.wire.note(data, "TCP", sent=True)
        await self.wire.send(data)

    async def receive(self) -> str | bytes:
        """Return the next message.

        Raises:
            Closed: The server closed instead; its Close frame is answered.
            PeerError: What came is no WebSocket.
            Silence: Nothing came.
        """
        with self.wire.patient("no frame came"):
            message = await self._receive()
        self.frames.append(message)
        self.wire.note(message, "WebSocket", sent=False)
        return message

    async def _receive(self) -> str | bytes:
        while True:
            while self._events:
                message = await self._handle(self._events.pop(0))
                if message is not None:
                    return message
            data = await self.wire.receive()
            if not data:
                self.wire.note("end of the connection", "TCP", sent=False)
                raise Closed(None)
            self._protocol.receive_data(data)
            self._events.extend(self._protocol.events())

    async def _handle(self, event: Event) -> str | bytes | None:
        if isinstance(event, Message):
            self._parts.append(event.data if isinstance(event, TextMessage) else bytes(event.data))
            if not event.message_finished:
                return None
            parts, self._parts = self._parts, []
            if isinstance(event, TextMessage):
                return "".join(str(part) for part in parts)
            return b"".join(part for part in parts if isinstance(part, bytes))
        if isinstance(event, Ping):
            await self.send_event(event.response())
        elif isinstance(event, Pong):
            self.wire.note(str(event), "WebSocket", sent=False)
            self.pongs.append(bytes(event.payload))
        elif isinstance(event, CloseConnection):
            if self._protocol.state is ConnectionState.OPEN:  # no Close frame came: wsproto found a fault
                raise PeerError(f"what the server sent is no WebSocket (RFC 6455): {event.reason}")
            self.wire.note(f"close frame, code {event.code}, reason {event.reason or ''!r}", "WebSocket", sent=False)
            with suppress(Closed):
                await self._send(event.response())
            raise Closed(event.code, event.reason or "")
        return None

    async def expect_close(self) -> Closed:
        """Read until the server closes, and return how it did."""
        try:
            while True:
                await self.receive()
        except Closed as closed:
            return closed

    async def expect_end(self) -> None:
        """Read until the connection is over, whatever comes.

        Raises:
            Silence: It stays open.
        """
        with self.wire.patient("the connection did not end"):
            while await self.wire.receive():
                pass

    async def close(self, code: int = 1000) -> None:
        """Begin the closing handshake."""
        await self.send_event(CloseConnection(code=code))

    async def hang_up(self) -> None:
        """End the connection without a word."""
        await self.wire.hang_up()


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    final: bool = True,
    masked: bool = True,
    reserved: int = 0,
    length: int | None = None,
) -> bytes:
    """Return one WebSocket frame of a client, right or wrong (RFC 6455, section 5.2).

    Args:
        opcode: The kind of frame.
        payload: What it carries.
        final: Whether it ends its message.
        masked: Whether it is masked, as a client's frames must be.
        reserved: The three reserved bits, which must be 0.
        length: The length to announce, if it is not that of the payload.
    """
    announced = len(payload) if length is None else length
    if announced < 126:  # above, the length takes two bytes more, then eight
        size = bytes([announced | masked << 7])
    elif announced < 1 << 16:
        size = struct.pack("!BH", 126 | masked << 7, announced)
    else:
        size = struct.pack("!BQ", 127 | masked << 7, announced)
    head = bytes([final << 7 | reserved << 4 | opcode]) + size
    if not masked:
        return head + payload
    mask = b"\x37\xfa\x21\x3d"
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
