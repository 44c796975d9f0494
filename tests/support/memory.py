"""A server that is reached through memory: no ports, no real time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio.testing import memory_stream_pair
from trio_socketio.conformance.peer import HOST, Peer

from trio_socketio import Server


class MemoryListener(trio.abc.Listener[trio.StapledStream]):
    """Accepts the connections that `dial` opens."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio.StapledStream](1000)
        self.server_ends: list[trio.StapledStream] = []

    async def accept(self) -> trio.StapledStream:
        try:
            return await self._receive.receive()
        except trio.ClosedResourceError:
            raise trio.ClosedResourceError("the listener is closed") from None

    async def aclose(self) -> None:
        self._receive.close()
        await trio.lowlevel.checkpoint()

    async def dial(self) -> trio.StapledStream:
        ours, theirs = memory_stream_pair()
        self.server_ends.append(theirs)
        try:
            await self._send.send(theirs)
        except trio.BrokenResourceError:
            raise OSError("connection refused") from None
        return ours


@asynccontextmanager
async def serving(server: Server, path: str = "/socket.io/") -> AsyncIterator[Peer]:
    """Serve in memory and return how to reach it; at the end the server is shut down."""
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve_listeners, [listener])
        yield Peer(listener.dial, path, HOST)
        nursery.cancel_scope.cancel()
