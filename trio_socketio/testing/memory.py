"""Serving in memory: a listener whose connections are pairs of memory streams, and who keeps it running.

A server is served in memory at most once in a run of trio. The first who needs that brings the service, everyone else shares it
as long as it lasts.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final
from weakref import WeakKeyDictionary

import trio
from trio.testing import memory_stream_pair

from trio_socketio.server.app import Server

MemoryStream = trio.StapledStream[trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream]

BACKLOG: Final = 1000
"""Connections that may wait to be accepted."""


class MemoryListener(trio.abc.Listener[MemoryStream]):
    """Accepts the connections that `dial` opens."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[MemoryStream](BACKLOG)

    async def accept(self) -> MemoryStream:
        """Return the server's end of the next connection.

        Raises:
            ClosedResourceError: The listener was closed.
        """
        return await self._receive.receive()

    async def aclose(self) -> None:
        """Accept no more."""
        self._receive.close()
        await trio.lowlevel.checkpoint()

    async def dial(self) -> MemoryStream:
        """Open a connection and return the client's end.

        Raises:
            OSError: Nobody listens any more.
        """
        ours, theirs = memory_stream_pair()
        try:
            await self._send.send(theirs)
        except trio.BrokenResourceError:
            raise OSError("the server is not served any more") from None
        return ours


class MemoryService:
    """A server that is served in memory; `serve_in_memory` makes it."""

    def __init__(self, listener: MemoryListener) -> None:
        self.dial = listener.dial
        """Opens a connection: an async function that returns the client's end of it."""
        self._scope = trio.CancelScope(shield=True)  # clients that are cancelled take their leave first
        self._ended = trio.Event()
        self._guests = 0
        self._alone = trio.Event()

    async def run(self, server: Server, listener: MemoryListener, task_status: trio.TaskStatus[None]) -> None:
        """Serve until `end` is called."""
        try:
            with self._scope:
                await server.serve_listeners([listener], task_status=task_status)
        finally:
            self._ended.set()

    def end(self) -> None:
        """Begin to shut the server down."""
        self._scope.cancel()

    async def shut_down(self) -> None:
        """Shut the server down as cancelling `Server.serve` does, and wait for the end of that."""
        self.end()
        await self._ended.wait()

    @contextmanager
    def visited(self) -> Iterator[None]:
        """Count somebody who did not bring the service and needs it for a block."""
        self._guests += 1
        try:
            yield
        finally:
            self._guests -= 1
            if not self._guests:
                self._alone.set()

    async def deserted(self) -> None:
        """Wait until nobody needs the service any more but who brought it."""
        while self._guests:
            self._alone = trio.Event()
            await self._alone.wait()


_services: trio.lowlevel.RunVar[WeakKeyDictionary[Server, MemoryService]] = trio.lowlevel.RunVar(
    "trio_socketio_in_memory"
)


def _known() -> WeakKeyDictionary[Server, MemoryService]:
    """Return the services of this run of trio."""
    try:
        return _services.get()
    except LookupError:
        made: WeakKeyDictionary[Server, MemoryService] = WeakKeyDictionary()
        _services.set(made)
        return made


@asynccontextmanager
async def serve_in_memory(server: Server) -> AsyncIterator[MemoryService]:
    """Serve in memory during a block: test clients of the server, in whatever task, use this service.

    At the end of the block the server is shut down, and clients that are still connected are told; unless the server was
    served in memory before, which then goes on. `open_test_client` does this by itself.
    """
    async with shared_service(server, patient=False) as service:
        yield service


@asynccontextmanager
async def shared_service(server: Server, *, patient: bool) -> AsyncIterator[MemoryService]:
    """Return the service of a server, which is brought if there is none.

    Args:
        server: The server.
        patient: Who brought it waits, at the end of the block, until all others have gone; not if the block fails.
    """
    services = _known()
    known = services.get(server)
    if known is not None:
        with known.visited():
            yield known
        return
    listener = MemoryListener()
    service = services[server] = MemoryService(listener)
    with unwrapped():
        async with trio.open_nursery() as nursery:
            try:
                with trio.CancelScope(shield=True):  # otherwise a cancellation would wait for what only `end` ends
                    await nursery.start(service.run, server, listener)
                yield service
                if patient:
                    await service.deserted()
            finally:
                del services[server]  # who comes now needs another one
                service.end()


@contextmanager
def unwrapped() -> Iterator[None]:
    """Take off the group that the nursery of the block puts around an exception, if there is only one in it."""
    try:
        yield
    except BaseExceptionGroup as group:
        if len(group.exceptions) != 1:
            raise
        (error,) = group.exceptions
        context = error.__context__
        try:
            raise error
        finally:
            error.__context__ = context  # not the group, of which the test knows nothing
