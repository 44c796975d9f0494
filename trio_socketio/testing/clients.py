"""Any number of test clients that end together: what the fixture ``socketio_client`` gives a test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from trio_socketio.protocol.jsontext import JSON
from trio_socketio.server.app import Server
from trio_socketio.testing.client import MemoryClient
from trio_socketio.testing.http import Pairs
from trio_socketio.testing.memory import serve_in_memory, unwrapped
from trio_socketio.testing.opening import open_test_client

NO_PAIRS: Final[Pairs] = ()


class ClientFactory:
    """Opens clients of one server; `open_clients` makes it, and closes them.

    Args:
        server: The server.
        nursery: Keeps the clients.
    """

    def __init__(self, server: Server, nursery: trio.Nursery) -> None:
        self._server = server
        self._nursery = nursery
        self._over = trio.Event()

    async def __call__(
        self,
        namespace: str = "/",
        auth: JSON = None,
        *,
        headers: Pairs = NO_PAIRS,
        query: Pairs = NO_PAIRS,
        transport: str = "websocket",
        connect: bool = True,
    ) -> MemoryClient:
        """Open a client; see `open_test_client` for what it takes and raises."""
        client: MemoryClient = await self._nursery.start(
            self._keep, namespace, auth, headers, query, transport, connect
        )
        return client

    async def _keep(
        self,
        namespace: str,
        auth: JSON,
        headers: Pairs,
        query: Pairs,
        transport: str,
        connect: bool,  # noqa: FBT001  # a nursery passes no keywords
        *,
        task_status: trio.TaskStatus[MemoryClient],
    ) -> None:
        async with open_test_client(
            self._server, namespace, auth, headers=headers, query=query, transport=transport, connect=connect
        ) as client:
            task_status.started(client)
            await self._over.wait()

    def end(self) -> None:
        """Let every client leave."""
        self._over.set()


@asynccontextmanager
async def open_clients(server: Server) -> AsyncIterator[ClientFactory]:
    """Serve a server in memory and open clients as they are asked for; at the end all of them leave and have left."""
    async with serve_in_memory(server):
        with unwrapped():
            async with trio.open_nursery() as nursery:
                factory = ClientFactory(server, nursery)
                yield factory
                factory.end()
