"""How a peer reaches a server: it opens connections, and sessions over them."""

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import trio
from trio_socketio.conformance.peer.errors import PeerError, Refused
from trio_socketio.conformance.peer.handshake import decode_payload, open_packet
from trio_socketio.conformance.peer.http import HTTPConnection, Response
from trio_socketio.conformance.peer.polling import Polling
from trio_socketio.conformance.peer.socketio import SocketIOPeer
from trio_socketio.conformance.peer.websocket import WebSocketPeer
from trio_socketio.conformance.peer.wire import HOST, Dial, Wire
from trio_socketio.conformance.transcript import Transcript
from trio_socketio.protocol import engineio
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import PacketType
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, RejectConnection, RejectData, Request
from wsproto.utilities import RemoteProtocolError


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
        """End every connection that is still open, also when this is cancelled."""
        for wire in self._wires:
            await _close(wire)

    @asynccontextmanager
    async def http(self) -> AsyncIterator[HTTPConnection]:
        """Open a connection for several requests."""
        wire = await self.connect()
        try:
            yield HTTPConnection(wire, self.host)
        finally:
            await _close(wire)

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
                if not data:
                    raise PeerError("the connection ended during the opening handshake") from None
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
                    await _close(wire)
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


async def _close(wire: Wire) -> None:
    with trio.CancelScope(
        shield=True
    ):  # it waits for nothing, and a Cancelled would take the place of what is being raised
        await trio.aclose_forcefully(wire.stream)
