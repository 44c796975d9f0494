"""Opening a test client: the server is served, a session is opened, a namespace is joined; all of it ends with a block."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import trio

from trio_socketio.conformance.peer import HOST, Peer
from trio_socketio.protocol import engineio
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.server.app import Server
from trio_socketio.testing.client import MemoryClient
from trio_socketio.testing.departure import Departure
from trio_socketio.testing.errors import ConnectionGone, NotReceived
from trio_socketio.testing.http import TIMEOUT, Pairs, pairs
from trio_socketio.testing.memory import MemoryService, shared_service, unwrapped
from trio_socketio.testing.transport import OPENERS, Headers, TransportEnded, handshake_in


@asynccontextmanager
async def open_test_client(
    server: Server,
    namespace: str = "/",
    auth: JSON = None,
    *,
    headers: Pairs = (),
    query: Pairs = (),
    transport: str = "websocket",
    connect: bool = True,
) -> AsyncIterator[MemoryClient]:
    """Connect a client to a server in memory: no ports, and no time but that of the clock that trio runs with.

    The server is served for it unless it is served in memory already, by another client or by `serve_in_memory`. Who brought the
    service waits at the end until the other clients have gone.

    At the end the client leaves and the server finishes with it: its disconnect handlers have ended then. If the block raises
    or is cancelled, the connection is cut at once; who brought the service then shuts it down, which may take ``shutdown_grace``.

    Args:
        server: The server.
        namespace: The namespace to join.
        auth: What its connect handler gets: a dict, or None.
        headers: Headers of the handshake, cookies for example; over polling of every request.
        query: Parameters of the query, in the same requests.
        transport: ``websocket`` or ``polling``.
        connect: Whether to join the namespace; otherwise `MemoryClient.connect` does.

    Raises:
        HandshakeRefused: The server refused the handshake.
        ConnectError: It refused the namespace.
        NotReceived: It did not answer.
        StillRunning: At the end, handlers of the client go on for longer than ``disconnect_grace`` allows.
    """
    if transport not in OPENERS:
        raise ValueError(f"transport is one of {', '.join(OPENERS)}, not {transport!r}")
    async with shared_service(server, patient=True) as service:
        with unwrapped():
            async with trio.open_nursery() as nursery:
                client = await _open(server, service, transport, pairs(headers), pairs(query))
                nursery.start_soon(client.read, nursery)
                try:
                    if connect:
                        await client.connect(namespace, auth)
                    yield client
                    await client.close()
                except BaseException:
                    await client.abandon()
                    raise


async def _open(
    server: Server, service: MemoryService, transport: str, headers: Headers, query: Headers
) -> MemoryClient:
    """Open the session, whatever this task is cancelled by meanwhile: otherwise one might be left that nobody knows."""
    host = {name.lower(): value for name, value in headers}.get("host", HOST)
    headers = [(name, value) for name, value in headers if name.lower() != "host"]
    peer = Peer(service.dial, server.config.path, host)
    target = f"{peer.path}?{urlencode([('EIO', str(engineio.PROTOCOL)), ('transport', transport), *query])}"
    with trio.move_on_after(TIMEOUT) as scope:
        scope.shield = True
        try:
            carrier, opening = await OPENERS[transport](peer, target, headers)
            return MemoryClient(service, carrier, opening, Departure(server, handshake_in(opening).sid))
        except TransportEnded as ended:
            raise ConnectionGone(str(ended)) from None
    await peer.hang_up()
    raise NotReceived(f"no answer to the handshake came within {TIMEOUT:g} s")
