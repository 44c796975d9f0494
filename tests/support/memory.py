"""A server that is reached through memory: no ports, no real time.

With ``TRIO_SOCKETIO_TEST_STREAMS=sockets`` in the environment, memory is that of the kernel: each connection is a pair of plain
sockets, so that the server takes the ways that it has for these. Everything must behave the same.
"""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio.testing import memory_stream_pair
from trio_socketio.conformance.peer import HOST, Peer

from trio_socketio import Server

SOCKETS = os.environ.get("TRIO_SOCKETIO_TEST_STREAMS") == "sockets"


def socket_stream_pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    """Return the two ends of one connection through the kernel."""
    ours, theirs = (trio.socket.from_stdlib_socket(end) for end in socket.socketpair())
    return trio.SocketStream(ours), trio.SocketStream(theirs)


class MemoryListener(trio.abc.Listener[trio.StapledStream]):
    """Accepts the connections that `dial` opens."""

    def __init__(self, *, sockets: bool = SOCKETS) -> None:
        self.sockets = sockets
        self._send, self._receive = trio.open_memory_channel[trio.StapledStream](1000)
        self.server_ends: list[trio.StapledStream] = []
        self.client_ends: list[trio.StapledStream] = []

    async def accept(self) -> trio.StapledStream:
        try:
            return await self._receive.receive()
        except trio.ClosedResourceError:
            raise trio.ClosedResourceError("the listener is closed") from None

    async def aclose(self) -> None:
        self._receive.close()
        await trio.lowlevel.checkpoint()

    async def dial(self) -> trio.StapledStream:
        ours, theirs = socket_stream_pair() if self.sockets else memory_stream_pair()
        self.client_ends.append(ours)
        self.server_ends.append(theirs)
        try:
            await self._send.send(theirs)
        except trio.BrokenResourceError:
            await trio.aclose_forcefully(theirs)
            raise OSError("connection refused") from None
        return ours


@asynccontextmanager
async def serving(server: Server, path: str = "/socket.io/", *, sockets: bool = SOCKETS) -> AsyncIterator[Peer]:
    """Serve in memory and return how to reach it; at the end the server is shut down."""
    listener = MemoryListener(sockets=sockets)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve_listeners, [listener])
            yield Peer(listener.dial, path, HOST)
            nursery.cancel_scope.cancel()
    finally:
        if sockets:  # the kernel's memory must be given back
            for end in listener.client_ends:
                await trio.aclose_forcefully(end)


async def read_to_end(stream: trio.abc.Stream) -> bytes:
    """Return everything that still comes, however the connection ends."""
    data = b""
    try:
        while chunk := await stream.receive_some():
            data += chunk
    except trio.BrokenResourceError:
        pass
    return data
