"""A raw peer: it speaks HTTP, WebSocket, Engine.IO and Socket.IO just as far as it is told to, and can misbehave on purpose.

A `Peer` knows how to reach a server and nothing else; every request and every WebSocket is a connection of its own. `Polling` and
`WebSocketPeer` are the two transports of one Engine.IO session, `SocketIOPeer` reads and writes Socket.IO packets
over either. Nothing here answers a ping, joins a namespace or follows a rule by itself unless its name says so.

Whatever a peer waits for, it waits for its `patience`; what crosses the wire is written to its transcript.
"""

import json
import math
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import h11
import trio
from trio_socketio.conformance.transcript import Transcript
from trio_socketio.protocol import engineio, socketio
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import PacketType
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
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
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

Dial = Callable[[], Awaitable[trio.abc.Stream]]
"""Opens a connection to the server."""

HOST: Final = "127.0.0.1:3000"
RECEIVE_SIZE: Final = 64 * 1024
DEFAULTS: Final = engineio.Handshake("", (), 25.0, 20.0, 1_000_000)
"""What the reference server announces."""


class PeerError(Exception):
    """The server did something that a peer cannot go on from."""


class Silence(PeerError):  # noqa: N818  # reads as what it says
    """The server said nothing for as long as the peer was patient."""


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


class Wire:
    """One connection to the server, and what is written down about it.

    Args:
        stream: The connection.
        number: Which one of its peer's it is.
        transcript: Where it is written down; by default in one of its own.
        patience: Seconds to wait for anything that should come.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        number: int = 1,
        transcript: Transcript | None = None,
        patience: float = math.inf,
    ) -> None:
        self.stream = stream
        self.patience = patience
        self._number = number
        self._transcript = Transcript() if transcript is None else transcript
        self._sending = trio.Lock()  # a pong, answered while something else is sent, waits its turn

    def note(self, content: str | bytes, what: str, *, sent: bool) -> None:
        """Write down what crossed the wire."""
        self._transcript.add(self._number, sent=sent, what=what, content=content)

    @contextmanager
    def patient(self, what: str) -> Iterator[None]:
        """Wait for something in the body, for as long as the patience lasts.

        Raises:
            Silence: It did not come.
        """
        with trio.move_on_after(self.patience) as scope:
            yield
        if scope.cancelled_caught:
            raise Silence(f"{what} within {self.patience:g} s")

    async def send(self, data: bytes) -> None:
        """Send bytes as they are.

        Raises:
            Closed: The server has closed the connection.
            Silence: It does not read.
        """
        try:
            with self.patient("the server did not read what was sent"):
                async with self._sending:
                    await self.stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise Closed(None, "the connection was closed while something was sent") from None

    async def receive(self) -> bytes:
        """Return some bytes; none when the server has ended the connection, in whatever way."""
        try:
            return bytes(await self.stream.receive_some(RECEIVE_SIZE))
        except trio.BrokenResourceError:
            return b""

    async def hang_up(self) -> None:
        """End the connection without a word."""
        self.note("hang up", "TCP", sent=True)
        await trio.aclose_forcefully(self.stream)


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

    def __init__(self, wire: Wire, host: str) -> None:
        self.wire = wire
        self._host = host
        self._http = h11.Connection(h11.CLIENT)

    @property
    def stream(self) -> trio.abc.Stream:
        """The connection below."""
        return self.wire.stream

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
        self.wire.note(
            " ".join([method, target, *(f"[{name}: {value}]" for name, value in headers)]), "HTTP", sent=True
        )
        if body:
            self.wire.note(_text_or_bytes(body), "HTTP", sent=True)
        await self.wire.send(data)

    async def send_raw(self, data: bytes) -> None:
        """Send bytes that need not be a request at all; `receive` then reads the answer to a GET."""
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        if self._http.our_state is h11.IDLE:  # whatever is sent, a response to a request is what may come back
            self._http.send(h11.Request(method="GET", target="/", headers=[("host", self._host)]))
            self._http.send(h11.EndOfMessage())
        self.wire.note(_text_or_bytes(data), "TCP", sent=True)
        await self.wire.send(data)

    async def receive(self) -> Response:
        """Read a whole response; 1xx answers are passed over.

        Raises:
            PeerError: The connection ended before the response did, or what came is no HTTP.
            Silence: Nothing came.
        """
        with self.wire.patient("no response came"):
            response = await self._receive()
        details = f" ({response.header('content-type')})" if response.body else ""
        self.wire.note(f"{response.status}{details}", "HTTP", sent=False)
        if response.body:
            self.wire.note(_text_or_bytes(response.body), "HTTP", sent=False)
        return response

    async def _receive(self) -> Response:
        head: h11.Response | None = None
        body = bytearray()
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise PeerError(
                    f"the connection ended without a whole response, or with none in HTTP: {error}"
                ) from None
            if event is h11.NEED_DATA:
                self._http.receive_data(await self.wire.receive())
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

    async def hang_up(self) -> None:
        """End the connection without a word."""
        await self.wire.hang_up()


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


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


class Polling:
    """One session over long-polling, each request on a connection of its own."""

    def __init__(self, peer: "Peer", handshake: engineio.Handshake) -> None:
        self._peer = peer
        self.handshake = handshake
        self.sid = handshake.sid
        self._waiting: list[str | bytes] = []

    @property
    def patience(self) -> float:
        """Seconds to wait for a message: a server may keep a GET waiting for a ping interval."""
        return self._peer.patience + self.handshake.ping_interval

    def target(self, **query: str) -> str:
        """Return the request target of this session."""
        return self._peer.target(transport="polling", sid=self.sid, **query)

    async def get(self) -> Response:
        """Poll once and return the response, whatever it is. A server may keep it waiting for a ping interval."""
        async with self._peer.http() as connection:
            connection.wire.patience += self.handshake.ping_interval
            return await connection.request("GET", self.target())

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
        return [engineio.encode_packet(packet) for packet in decode_payload(response)]

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


class Peer:
    """Reaches one server.

    Args:
        dial: Opens a connection.
        path: Where Engine.IO lives.
        host: The value of the Host header.
        patience: Seconds to wait for anything that should come.
    """

    def __init__(self, dial: Dial, path: str = "/socket.io/", host: str = HOST, *, patience: float = math.inf) -> None:
        self._dial = dial
        self.path = path
        self.host = host
        self.patience = patience
        self.transcript = Transcript()
        self._wires: list[Wire] = []

    def target(self, **query: str) -> str:
        """Return a request target with ``EIO=4`` and the given query."""
        return f"{self.path}?{urlencode({'EIO': '4', **query})}"

    async def dial(self) -> trio.abc.Stream:
        """Open a bare connection, of which nothing is written down."""
        return await self._dial()

    async def connect(self) -> Wire:
        """Open a connection for raw bytes.

        Raises:
            PeerError: The server cannot be reached.
        """
        try:
            stream = await self._dial()
        except OSError as error:
            raise PeerError(f"the server cannot be reached: {error.strerror or error}") from error
        wire = Wire(stream, len(self._wires) + 1, self.transcript, self.patience)
        self._wires.append(wire)
        return wire

    async def hang_up(self) -> None:
        """End every connection that is still open."""
        for wire in self._wires:
            await trio.aclose_forcefully(wire.stream)

    @asynccontextmanager
    async def http(self) -> AsyncIterator[HTTPConnection]:
        """Open a connection for several requests."""
        wire = await self.connect()
        try:
            yield HTTPConnection(wire, self.host)
        finally:
            await trio.aclose_forcefully(wire.stream)

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
        first = decode_payload(response)[0]
        return Polling(self, open_packet(first))

    async def open_websocket(
        self, target: str | None = None, headers: Sequence[tuple[str, str]] = (), *, behind: bytes = b""
    ) -> WebSocketPeer:
        """Open a WebSocket, by default one that begins a session; its open packet is the first message.

        Args:
            target: The request target, if it is another.
            headers: Headers beside those of every opening handshake.
            behind: Bytes to send right behind the opening handshake, without awaiting the answer.

        Raises:
            Refused: The server answered with an HTTP response.
            PeerError: It answered otherwise.
        """
        wire = await self.connect()
        protocol = WSConnection(ConnectionType.CLIENT)
        target = target or self.target(transport="websocket")
        request = Request(
            host=self.host, target=target, extra_headers=[(name.encode(), value.encode()) for name, value in headers]
        )
        wire.note(f"GET {target} (upgrade to websocket)", "HTTP", sent=True)
        await wire.send(protocol.send(request) + behind)
        websocket = WebSocketPeer(wire, protocol)
        with wire.patient("no answer to the opening handshake came"):
            await self._shake_hands(websocket, protocol)
        wire.note("101 Switching Protocols", "HTTP", sent=False)
        return websocket

    async def _shake_hands(self, websocket: WebSocketPeer, protocol: WSConnection) -> None:
        wire = websocket.wire
        rejection: RejectConnection | None = None
        body = b""
        while True:
            data = await wire.receive()
            try:
                protocol.receive_data(data or None)
            except RemoteProtocolError as error:
                raise PeerError(f"the answer to the opening handshake breaks RFC 6455: {error}") from None
            for event in protocol.events():
                if isinstance(event, AcceptConnection):
                    websocket._events.extend(protocol.events())
                    return
                if isinstance(event, RejectConnection):
                    rejection = event
                elif isinstance(event, RejectData):
                    body += bytes(event.data)
                if rejection is not None and (not rejection.has_body or getattr(event, "body_finished", False)):
                    wire.note(f"{rejection.status_code} {body.decode('latin-1')}", "HTTP", sent=False)
                    await trio.aclose_forcefully(wire.stream)
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
        return SocketIOPeer(websocket, open_packet(engineio.decode_packet(await websocket.receive())))

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


def decode_payload(response: Response) -> list[engineio.Packet]:
    """Return the packets in the body of a polling answer.

    Raises:
        PeerError: It is no payload.
    """
    try:
        return engineio.decode_payload(response.text)
    except (DecodeError, UnicodeDecodeError) as error:
        raise PeerError(f"a polling answer is no payload: {error}") from None


def open_packet(packet: engineio.Packet) -> engineio.Handshake:
    """Return what an open packet says.

    What is missing or makes no sense is taken from `DEFAULTS`, so that one wrong value of a server fails the cases that are
    about it, and not all. Only without a sid nothing can go on.

    Raises:
        PeerError: It is no open packet, or has no sid.
    """
    if packet.type is not engineio.PacketType.OPEN:
        raise PeerError(f"an open packet was expected, and came {packet}")
    try:
        values = json.loads(packet.data)
    except ValueError as error:
        raise PeerError(f"the open packet is no JSON: {error}") from None
    if not isinstance(values, dict) or not isinstance(values.get("sid"), str):
        raise PeerError(f"the open packet has no sid: {str(packet.data)[:200]!r}")
    upgrades = values.get("upgrades")
    return engineio.Handshake(
        sid=values["sid"],
        upgrades=tuple(upgrades) if isinstance(upgrades, list) else DEFAULTS.upgrades,
        ping_interval=_count(values, "pingInterval", round(DEFAULTS.ping_interval * 1000)) / 1000,
        ping_timeout=_count(values, "pingTimeout", round(DEFAULTS.ping_timeout * 1000)) / 1000,
        max_payload=_count(values, "maxPayload", DEFAULTS.max_payload),
    )


def _count(values: dict[str, JSON], key: str, otherwise: int) -> int:
    value = values.get(key)
    return value if type(value) is int and value > 0 else otherwise
