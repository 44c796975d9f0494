"""A raw peer: it speaks HTTP, WebSocket, Engine.IO and Socket.IO just as far as it is told to, and can misbehave on purpose.

A `Peer` knows how to reach a server and nothing else; every request and every WebSocket is a connection of its own. `Polling` and
`WebSocketPeer` are the two transports of one Engine.IO session, `SocketIOPeer` reads and writes Socket.IO packets
over either. Nothing here answers a ping, joins a namespace or follows a rule by itself unless its name says so.
"""

import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import h11
import trio
from trio_socketio.protocol import engineio, socketio
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import PacketType
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError

Dial = Callable[[], Awaitable[trio.abc.Stream]]
"""Opens a connection to the server."""

HOST: Final = "127.0.0.1:3000"
RECEIVE_SIZE: Final = 64 * 1024


class PeerError(Exception):
    """The server did something that a peer cannot go on from."""


class Refused(PeerError):  # noqa: N818  # reads as what it says
    """The server answered the opening handshake of a WebSocket with an HTTP response."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"the WebSocket was refused with status {status}: {body[:200]!r}")
        self.status = status
        self.body = body


class Closed(PeerError):  # noqa: N818  # reads as what it says
    """The server closed the WebSocket.

    Args:
        code: The code of its Close frame; None if the connection ended without one.
        reason: The reason in it.
    """

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(f"the WebSocket was closed with code {code}")
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response, read to its end."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header's value, repeated ones joined by ", ", or None."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def json(self) -> JSON:
        """The body as JSON."""
        return json.loads(self.body)


class HTTPConnection:
    """One connection that carries HTTP requests, one after another."""

    def __init__(self, stream: trio.abc.Stream, host: str) -> None:
        self.stream = stream
        self._host = host
        self._http = h11.Connection(h11.CLIENT)

    async def send(self, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b"") -> None:
        """Send a whole request."""
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        named = {name.lower() for name, _ in headers}
        every = list(headers) if "host" in named else [("host", self._host), *headers]
        if (body or method in ("POST", "PUT")) and not named & {"content-length", "transfer-encoding"}:
            every.append(("content-length", str(len(body))))
        data = self._http.send(h11.Request(method=method, target=target, headers=every)) or b""
        if body:
            data += self._http.send(h11.Data(data=body)) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        await self.stream.send_all(data)

    async def receive(self) -> Response:
        """Read a whole response; 1xx answers are passed over.

        Raises:
            PeerError: The connection ended before the response did.
        """
        head: h11.Response | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(bytes(await self.stream.receive_some(RECEIVE_SIZE)))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise PeerError("the connection ended without a response")
            elif event is h11.PAUSED:
                raise PeerError("the server switched protocols")
        if head is None:
            raise PeerError("a body came without a response")
        headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in head.headers)
        return Response(head.status_code, headers, bytes(body))

    async def request(
        self, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> Response:
        """Send a request and return the response."""
        await self.send(method, target, headers, body)
        return await self.receive()


class WebSocketPeer:
    """One WebSocket after its opening handshake. Pings of the WebSocket layer are answered; nothing else is."""

    def __init__(self, stream: trio.abc.Stream, protocol: WSConnection) -> None:
        self.stream = stream
        self._protocol = protocol
        self._events: list[Event] = []
        self._parts: list[str | bytes] = []
        self.pongs: list[bytes] = []
        """What came in Pong frames."""
        self.frames: list[str | bytes] = []
        """Every message that was received, in order."""

    async def send(self, message: str | bytes) -> None:
        """Send one message in one frame."""
        event: TextMessage | BytesMessage = (
            TextMessage(data=message) if isinstance(message, str) else BytesMessage(data=message)
        )
        await self.stream.send_all(self._protocol.send(event))

    async def send_event(self, event: Event) -> None:
        """Send any event of wsproto: a fragment, a ping, a Close frame."""
        await self.stream.send_all(self._protocol.send(event))

    async def send_raw(self, data: bytes) -> None:
        """Send bytes that need not be a WebSocket frame at all."""
        await self.stream.send_all(data)

    async def receive(self) -> str | bytes:
        """Return the next message.

        Raises:
            Closed: The server closed instead; its Close frame is answered.
        """
        while True:
            while self._events:
                message = await self._handle(self._events.pop(0))
                if message is not None:
                    self.frames.append(message)
                    return message
            try:
                data = await self.stream.receive_some(RECEIVE_SIZE)
            except trio.BrokenResourceError:
                raise Closed(None) from None
            if not data:
                raise Closed(None)
            self._protocol.receive_data(bytes(data))
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
            self.pongs.append(bytes(event.payload))
        elif isinstance(event, CloseConnection):
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError, LocalProtocolError):
                await self.stream.send_all(self._protocol.send(event.response()))
            raise Closed(event.code, event.reason or "")
        return None

    async def expect_close(self) -> Closed:
        """Read until the server closes, and return how it did."""
        try:
            while True:
                await self.receive()
        except Closed as closed:
            return closed

    async def close(self, code: int = 1000) -> None:
        """Begin the closing handshake."""
        await self.send_event(CloseConnection(code=code))

    async def hang_up(self) -> None:
        """End the connection without a word."""
        await trio.aclose_forcefully(self.stream)


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


class Polling:
    """One session over long-polling, each request on a connection of its own."""

    def __init__(self, peer: "Peer", handshake: engineio.Handshake) -> None:
        self._peer = peer
        self.handshake = handshake
        self.sid = handshake.sid
        self._waiting: list[str | bytes] = []

    def target(self, **query: str) -> str:
        """Return the request target of this session."""
        return self._peer.target(transport="polling", sid=self.sid, **query)

    async def get(self) -> Response:
        """Poll once and return the response, whatever it is."""
        return await self._peer.request("GET", self.target())

    async def post(self, body: str | bytes) -> Response:
        """Post a body as it is."""
        data = body.encode() if isinstance(body, str) else body
        return await self._peer.request("POST", self.target(), [("content-type", "text/plain;charset=UTF-8")], data)

    async def poll(self) -> list[str | bytes]:
        """Poll once and return the packets as WebSocket would carry them.

        Raises:
            PeerError: The answer is not 200.
        """
        response = await self.get()
        if response.status != 200:  # OK
            raise PeerError(f"a poll was answered with status {response.status}: {response.body[:200]!r}")
        return [engineio.encode_packet(packet) for packet in engineio.decode_payload(response.text)]

    async def send(self, *frames: str | bytes) -> None:
        """Post packets, given as WebSocket would carry them."""
        response = await self.post(engineio.encode_payload([engineio.decode_packet(frame) for frame in frames]))
        if response.status != 200:  # OK
            raise PeerError(f"a post was answered with status {response.status}: {response.body[:200]!r}")

    async def receive(self) -> str | bytes:
        """Return the next packet, polling as often as that takes."""
        while not self._waiting:
            self._waiting = await self.poll()
        return self._waiting.pop(0)


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
        """Return the next packet."""
        while True:
            frame = await self.transport.receive()
            if frame == "2":
                await self.transport.send("3")
            elif isinstance(frame, bytes) or frame.startswith("4"):
                packet = self._decoder.feed(frame if isinstance(frame, bytes) else frame[1:])
                if packet is not None:
                    return packet
            elif frame == "1":
                raise Closed(None, "the session was closed")
            elif frame != "6":
                raise PeerError(f"the server sent {frame!r}, which is no Socket.IO packet")

    async def connect(self, namespace: str = "/", auth: JSON = None) -> socketio.Packet:
        """Ask to join a namespace and return the answer."""
        await self.send(socketio.Packet(PacketType.CONNECT, namespace, auth))
        packet = await self.receive()
        if packet.type is PacketType.CONNECT:
            self.sids[packet.namespace] = packet.data["sid"]
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


class Peer:
    """Reaches one server.

    Args:
        dial: Opens a connection.
        path: Where Engine.IO lives.
        host: The value of the Host header.
    """

    def __init__(self, dial: Dial, path: str = "/socket.io/", host: str = HOST) -> None:
        self._dial = dial
        self.path = path
        self.host = host

    def target(self, **query: str) -> str:
        """Return a request target with ``EIO=4`` and the given query."""
        return f"{self.path}?{urlencode({'EIO': '4', **query})}"

    async def dial(self) -> trio.abc.Stream:
        """Open a bare connection."""
        return await self._dial()

    @asynccontextmanager
    async def http(self) -> AsyncIterator[HTTPConnection]:
        """Open a connection for several requests."""
        stream = await self._dial()
        try:
            yield HTTPConnection(stream, self.host)
        finally:
            await trio.aclose_forcefully(stream)

    async def request(
        self, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> Response:
        """Make one request on a connection of its own."""
        async with self.http() as connection:
            return await connection.request(method, target, headers, body)

    async def open_polling(self, **query: str) -> Polling:
        """Open a session over long-polling."""
        response = await self.request("GET", self.target(transport="polling", **query))
        if response.status != 200:  # OK
            raise PeerError(f"the handshake was answered with status {response.status}: {response.body[:200]!r}")
        first = engineio.decode_payload(response.text)[0]
        return Polling(self, engineio.Handshake.from_json(str(first.data)))

    async def open_websocket(self, target: str | None = None, headers: Sequence[tuple[str, str]] = ()) -> WebSocketPeer:
        """Open a WebSocket, by default one that begins a session; its open packet is the first message.

        Raises:
            Refused: The server answered with an HTTP response.
        """
        stream = await self._dial()
        protocol = WSConnection(ConnectionType.CLIENT)
        request = Request(
            host=self.host,
            target=target or self.target(transport="websocket"),
            extra_headers=[(name.encode(), value.encode()) for name, value in headers],
        )
        await stream.send_all(protocol.send(request))
        websocket = WebSocketPeer(stream, protocol)
        rejection: RejectConnection | None = None
        body = b""
        while True:
            data = await stream.receive_some(RECEIVE_SIZE)
            protocol.receive_data(bytes(data) or None)
            for event in protocol.events():
                if isinstance(event, AcceptConnection):
                    websocket._events.extend(protocol.events())
                    return websocket
                if isinstance(event, RejectConnection):
                    rejection = event
                    if not event.has_body:
                        await trio.aclose_forcefully(stream)
                        raise Refused(event.status_code, b"")
                elif isinstance(event, RejectData):
                    body += bytes(event.data)
                    if event.body_finished and rejection is not None:
                        await trio.aclose_forcefully(stream)
                        raise Refused(rejection.status_code, body)
            if not data:
                raise PeerError("the connection ended during the opening handshake")

    async def upgrade(self, session: Polling, *, headers: Sequence[tuple[str, str]] = ()) -> WebSocketPeer:
        """Open a WebSocket for a polling session; it has not probed yet."""
        return await self.open_websocket(self.target(transport="websocket", sid=session.sid), headers)

    async def open_socketio(self, transport: str = "websocket") -> SocketIOPeer:
        """Open a session for Socket.IO; no namespace is joined yet."""
        if transport == "polling":
            polling = await self.open_polling()
            return SocketIOPeer(polling, polling.handshake)
        websocket = await self.open_websocket()
        first = engineio.decode_packet(await websocket.receive())
        return SocketIOPeer(websocket, engineio.Handshake.from_json(str(first.data)))

    async def join(self, namespace: str = "/", auth: JSON = None, transport: str = "websocket") -> SocketIOPeer:
        """Open a session and join a namespace.

        Raises:
            PeerError: The server rejected it.
        """
        client = await self.open_socketio(transport)
        answer = await client.connect(namespace, auth)
        if answer.type is not PacketType.CONNECT:
            raise PeerError(f"the server rejected the connection to {namespace}: {answer.data}")
        return client
