"""A session of a peer over long-polling."""

from typing import TYPE_CHECKING

import trio
from trio_socketio.conformance.peer.errors import PeerError
from trio_socketio.conformance.peer.handshake import decode_payload
from trio_socketio.conformance.peer.http import Response
from trio_socketio.protocol import engineio

if TYPE_CHECKING:
    from trio_socketio.conformance.peer.reach import Peer


class Polling:
    """One session over long-polling, each request on a connection of its own."""

    def __init__(self, peer: "Peer", handshake: engineio.Handshake) -> None:
        self._peer = peer
        self.handshake = handshake
        self.sid = handshake.sid
        self.posting = trio.Lock()
        """Held by `send`: a session has one POST at a time. Who posts by itself while something else may `send` holds it, too."""
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
        async with self.posting:
            response = await self.post(engineio.encode_payload([engineio.decode_packet(frame) for frame in frames]))
        if response.status != 200:  # OK
            raise PeerError(f"a post was answered with status {response.status}: {response.body[:200]!r}")

    async def receive(self) -> str | bytes:
        """Return the next packet, polling as often as that takes."""
        while not self._waiting:
            self._waiting = await self.poll()
        return self._waiting.pop(0)
