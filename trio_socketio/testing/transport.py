"""The two transports of a client's session: frames in, frames out, and two ways to end.

Both speak through the raw peer of the conformance suite. A frame is what a WebSocket would carry, over polling as well.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import trio

from trio_socketio.conformance.peer import Peer, PeerError, Refused, WebSocketPeer, decode_payload, open_packet
from trio_socketio.protocol import engineio
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.testing.errors import HandshakeRefused

Frame = str | bytes
Headers = Sequence[tuple[str, str]]

CLOSE: Final = "1"
OK: Final = 200


class TransportEnded(Exception):  # noqa: N818  # reads as what it says
    """The transport is over.

    Args:
        reason: ``transport close`` if the server closed it, ``transport error`` if it failed: what JavaScript's client says.
        detail: What happened, as a sentence.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Transport(Protocol):
    """What carries the frames of one session."""

    name: str
    """``websocket`` or ``polling``."""
    hung_up: bool
    """Whether `hang_up` was called: nothing is said any more."""

    async def send(self, frames: Sequence[Frame]) -> None:
        """Send frames behind each other: all of them, or none if this is cancelled before it begins.

        Raises:
            TransportEnded: That is not possible any more.
        """
        ...

    async def receive(self) -> Sequence[Frame]:
        """Return the next frames of the server.

        Raises:
            TransportEnded: There will be none.
        """
        ...

    async def close(self) -> None:
        """Tell the server that the session is over; `receive` then comes to its end.

        Raises:
            TransportEnded: It is over already.
        """
        ...

    async def hang_up(self) -> None:
        """End every connection without a word."""
        ...


class WebSocketTransport:
    """A session over one WebSocket."""

    name = "websocket"

    def __init__(self, peer: Peer, websocket: WebSocketPeer) -> None:
        self._peer = peer
        self._websocket = websocket
        self._sending = trio.Lock()
        self.hung_up = False

    async def send(self, frames: Sequence[Frame]) -> None:
        """Send one message for each frame."""
        async with self._sending:
            with trio.CancelScope(shield=True):  # memory takes everything at once, so this does not last
                for frame in frames:
                    try:
                        await self._websocket.send(frame)
                    except PeerError as error:
                        raise TransportEnded("transport close", str(error)) from None

    async def receive(self) -> Sequence[Frame]:
        """Return the next message."""
        try:
            return [await self._websocket.receive()]
        except (PeerError, trio.ClosedResourceError) as error:
            raise TransportEnded("transport close", str(error)) from None

    async def close(self) -> None:
        """Begin the closing handshake."""
        try:
            await self._websocket.close()
        except PeerError as error:
            raise TransportEnded("transport close", str(error)) from None

    async def hang_up(self) -> None:
        """End the connection."""
        self.hung_up = True
        await self._peer.hang_up()


class PollingTransport:
    """A session over long-polling, each request on a connection of its own.

    Args:
        peer: Reaches the server.
        target: The request target of the session.
        headers: The headers of each request.
        first: What came behind the open packet.
    """

    name = "polling"

    def __init__(self, peer: Peer, target: str, headers: Headers, first: Sequence[Frame]) -> None:
        self._peer = peer
        self._target = target
        self._headers = tuple(headers)
        self._waiting = first
        self._posting = trio.Lock()  # a session has one POST at a time
        self.hung_up = False

    async def send(self, frames: Sequence[Frame]) -> None:
        """Post the frames in one body and wait for the answer."""
        body = engineio.SEPARATOR.join(map(_in_payload, frames)).encode()
        headers = [("content-type", "text/plain;charset=UTF-8"), *self._headers]
        async with self._posting:
            if self.hung_up:
                raise TransportEnded("transport close", "the client hung up")
            try:
                response = await self._peer.request("POST", self._target, headers, body)
            except (PeerError, trio.ClosedResourceError) as error:
                raise TransportEnded("transport error", f"a POST failed: {error}") from None
        if response.status != OK:
            raise TransportEnded(
                "transport error", f"a POST was answered with status {response.status}: {response.body.decode()}"
            )

    async def receive(self) -> Sequence[Frame]:
        """Poll once."""
        if self._waiting:
            frames, self._waiting = self._waiting, ()
            await trio.lowlevel.checkpoint()
            return frames
        try:
            response = await self._peer.request("GET", self._target, self._headers)
            if response.status == OK:
                return [engineio.encode_packet(packet) for packet in decode_payload(response)]
        except (PeerError, trio.ClosedResourceError) as error:
            raise TransportEnded("transport error", f"a GET failed: {error}") from None
        raise TransportEnded(
            "transport error", f"a GET was answered with status {response.status}: {response.body.decode()}"
        )

    async def close(self) -> None:
        """Post the packet that ends the session."""
        await self.send([CLOSE])

    async def hang_up(self) -> None:
        """End the requests that are under way; no other follows."""
        self.hung_up = True
        await self._peer.hang_up()


def _in_payload(frame: Frame) -> str:
    """Return a frame as it stands in a payload; text may be no packet at all, to see what the server makes of it."""
    if isinstance(frame, str):
        return frame
    return engineio.encode_payload_packet(engineio.Packet(engineio.PacketType.MESSAGE, frame))


async def open_websocket(peer: Peer, target: str, headers: Headers) -> tuple[Transport, Frame]:
    """Open a session over WebSocket; return the transport and the frame with the handshake.

    Raises:
        HandshakeRefused: The server answered with an HTTP response.
        TransportEnded: It did not answer.
    """
    try:
        websocket = await peer.open_websocket(target, headers)
        frame = await websocket.receive()
    except Refused as refused:
        raise HandshakeRefused(refused.status, refused.body) from None
    except PeerError as error:
        raise TransportEnded("transport error", f"the handshake failed: {error}") from None
    return WebSocketTransport(peer, websocket), frame


async def open_polling(peer: Peer, target: str, headers: Headers) -> tuple[Transport, Frame]:
    """Open a session over long-polling; return the transport and the frame with the handshake.

    Raises:
        HandshakeRefused: The server answered with another status than 200.
        TransportEnded: It did not answer.
    """
    try:
        response = await peer.request("GET", target, headers)
        if response.status != OK:
            raise HandshakeRefused(response.status, response.body)
        first, *others = map(engineio.encode_packet, decode_payload(response))
    except PeerError as error:
        raise TransportEnded("transport error", f"the handshake failed: {error}") from None
    sid = handshake_in(first).sid
    return PollingTransport(peer, f"{target}&sid={sid}", headers, others), first


def handshake_in(frame: Frame) -> engineio.Handshake:
    """Return what an open packet says."""
    try:
        return open_packet(engineio.decode_packet(frame))
    except (PeerError, DecodeError) as error:
        raise TransportEnded("transport error", f"the handshake failed: {error}") from None


OPENERS: Final = {"websocket": open_websocket, "polling": open_polling}
"""How a session is opened over each transport."""
